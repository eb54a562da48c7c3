/* Threads that share a client, and a process that ends with calls in flight. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 64, CALLS = 8 };

struct asking {
    interfuse_client *client;
    int number;
    /* Calls that gave the answer to this thread's own question. */
    int right;
};

/* The text of a stream; 0 when it did not end well. */
static int whole(interfuse_client *client, const char *request, char *joined, size_t room) {
    interfuse_stream *stream = NULL;
    char *chunk = NULL, *text = NULL;
    int32_t status = interfuse_chat_stream(client, request, &stream, NULL);
    joined[0] = '\0';
    while (status == INTERFUSE_OK && (status = interfuse_stream_next(stream, GUARD_MS, &chunk, NULL)) == INTERFUSE_OK) {
        if (interfuse_json_get(chunk, "/choices/0/delta/content", &text, NULL) == INTERFUSE_OK) {
            strncat(joined, text, room - strlen(joined) - 1);
        }
        interfuse_string_free(text);
        interfuse_string_free(chunk);
        text = chunk = NULL;
    }
    interfuse_stream_free(stream);
    return status == INTERFUSE_END;
}

static void *ask(void *argument) {
    struct asking *me = argument;
    int call;
    for (call = 0; call < CALLS; call++) {
        char request[256], expected[64], joined[64], *response = NULL;
        interfuse_stream *dropped = NULL;
        snprintf(request, sizeof request,
                 "{\"model\": \"up/m\", \"messages\": [{\"role\": \"user\", \"content\": \"number %d\"}]}",
                 me->number * CALLS + call);
        snprintf(expected, sizeof expected, "It is %d.", me->number * CALLS + call);
        if (call % 2 == 0) {
            me->right += interfuse_chat(me->client, request, &response, NULL) == INTERFUSE_OK &&
                         json_is(response, "/choices/0/message/content", expected);
            interfuse_string_free(response);
        } else {
            me->right += whole(me->client, request, joined, sizeof joined) && strcmp(joined, expected) == 0;
        }
        /* Half-read and dropped: the others must not notice. */
        if (call % 4 == 3 && interfuse_chat_stream(me->client, request, &dropped, NULL) == INTERFUSE_OK) {
            if (interfuse_stream_next(dropped, GUARD_MS, &response, NULL) == INTERFUSE_OK) {
                interfuse_string_free(response);
            }
            interfuse_stream_free(dropped);
        }
    }
    return NULL;
}

static void sixty_four_threads_share_a_client(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    struct asking asking[THREADS];
    pthread_t threads[THREADS];
    int i, right = 0;
    CHECK(upstream_start(&up, "[{\"then\": {\"capture\": {\"n\": \"number (\\\\d+)\"}, \"answer\": \"It is {{n}}.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    for (i = 0; i < THREADS; i++) {
        asking[i].client = client;
        asking[i].number = i;
        asking[i].right = 0;
        CHECK(pthread_create(&threads[i], NULL, ask, &asking[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        right += asking[i].right;
    }
    CHECK(right == THREADS * CALLS);
    interfuse_client_free(client);
    upstream_stop(&up);
}

/* In a process of its own: calls and streams begun, nothing freed, and out. */
static void end_in_the_middle(const char *config) {
    static const char REQUEST[] = "{\"model\": \"up/m\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";
    interfuse_client *client = NULL;
    int i;
    if (interfuse_client_new(config, &client, NULL) != INTERFUSE_OK) _exit(2);
    for (i = 0; i < 8; i++) {
        interfuse_call *call = NULL;
        interfuse_stream *stream = NULL;
        if (interfuse_chat_start(client, REQUEST, &call, NULL) != INTERFUSE_OK) _exit(3);
        if (interfuse_chat_stream(client, REQUEST, &stream, NULL) != INTERFUSE_OK) _exit(4);
    }
    exit(0);
}

static void a_process_may_end_with_calls_in_flight(void) {
    struct upstream up;
    int child, status = 0, round;
    CHECK(upstream_start(&up, "[{\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    for (round = 0; round < 5; round++) {
        fflush(stdout);
        child = fork();
        if (child == 0) {
            alarm(GUARD_MS / 1000);
            end_in_the_middle(up.config);
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    upstream_stop(&up);
}

int main(void) {
    /* First, while there is no thread yet. */
    RUN(a_process_may_end_with_calls_in_flight);
    RUN(sixty_four_threads_share_a_client);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
