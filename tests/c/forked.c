/* fork(): a client works in the child, what the parent had started does not and hurts nobody. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";
static const char OTHER[] = "{\"model\": \"up/m-b\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

/* The number of the step that failed in the child, or 0. */
static int in_the_child(interfuse_client *client, interfuse_call *call, interfuse_stream *stream) {
    interfuse_error *err = NULL;
    char *text = NULL;
    if (interfuse_chat(client, CHAT, &text, &err) != INTERFUSE_OK) {
        fprintf(stderr, "%s\n", interfuse_error_json(err));
        return 1;
    }
    if (!json_is(text, "/choices/0/message/content", "In Bern.")) return 2;
    interfuse_string_free(text);
    /* A ledger of its own. */
    if (interfuse_usage(client, NULL, &text, NULL) != INTERFUSE_OK || !json_is(text, "/total/attempts", "1")) return 3;
    interfuse_string_free(text);
    if (interfuse_call_wait(call, -1, &err) != INTERFUSE_MISUSE) return 4;
    interfuse_error_free(err);
    if (interfuse_call_take(call, &text, NULL) != INTERFUSE_MISUSE) return 5;
    if (interfuse_stream_next(stream, -1, &text, NULL) != INTERFUSE_MISUSE) return 6;
    interfuse_call_cancel(call);
    interfuse_call_free(call);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    if (interfuse_shutdown(GUARD_MS, NULL) != INTERFUSE_OK) return 7;
    return 0;
}

static void a_client_works_on_both_sides(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    int child, status = 0, round;
    CHECK(upstream_start(&up, "[{\"when\": {\"model\": \"m-a\"}, \"then\": {\"answer\": \"In Bern.\"}},"
                              " {\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    /* Threads, pooled connections and calls in flight: what a child must not touch. */
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    interfuse_string_free(response);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, OTHER, &call, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, OTHER, &stream, &err), err);
    CHECK(upstream_saw(&up, 3));
    for (round = 0; round < 3; round++) {
        fflush(stdout);
        child = fork();
        if (child == 0) {
            alarm(GUARD_MS / 1000);
            _exit(in_the_child(client, call, stream));
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            printf("    the child ended with %d (exit %d)\n", status, WEXITSTATUS(status));
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        /* The parent's own are as they were. */
        CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_call_wait(call, 0, &err), err);
        CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_stream_next(stream, 0, &response, &err), err);
        CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
        interfuse_string_free(response);
    }
    interfuse_call_free(call);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

/* Attempts that the client's ledger has, or -1. */
static int attempts(interfuse_client *client) {
    char *text = NULL, *count = NULL;
    int found = -1;
    if (interfuse_usage(client, NULL, &text, NULL) == INTERFUSE_OK) {
        if (interfuse_json_get(text, "/total/attempts", &count, NULL) == INTERFUSE_OK) found = atoi(count);
    }
    interfuse_string_free(count);
    interfuse_string_free(text);
    return found;
}

static void a_ledger_in_a_file_is_one_for_both_sides(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    char folder[] = "/tmp/interfuse-XXXXXX", path[64], config[1024];
    int child, status = 0, round;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/calls.db", folder);
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\"}}]"));
    snprintf(config, sizeof config, "{\"ledger\": {\"path\": \"%s\"}, %s", path, up.config + 1);
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(config, &client, &err), err);
    for (round = 1; round <= 3; round++) {
        CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
        interfuse_string_free(response);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            alarm(GUARD_MS / 1000);
            if (interfuse_chat(client, CHAT, &response, NULL) != INTERFUSE_OK) _exit(1);
            if (interfuse_flush(client, NULL) != INTERFUSE_OK) _exit(2);
            _exit(attempts(client) == 2 * round ? 0 : 3);
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            printf("    the child ended with %d (exit %d)\n", status, WEXITSTATUS(status));
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(attempts(client) == 2 * round);
    }
    interfuse_client_free(client);
    /* Whoever was the last to leave took the log away. */
    CHECK(remove(path) == 0 && rmdir(folder) == 0);
    upstream_stop(&up);
}

int main(void) {
    RUN(a_client_works_on_both_sides);
    RUN(a_ledger_in_a_file_is_one_for_both_sides);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
