/* The log: what comes at which level, what never comes, and what may not be done in its callback. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"a secret question\"}]}";
/* Refused once, then answered; retries do not wait long. */
static const char ROUTES[] = "[{\"then\": [{\"status\": 429, \"headers\": {\"retry-after-ms\": \"1\"}, \"json\": {\"error\": "
                             "{\"message\": \"slow\"}}}, {\"answer\": \"a secret answer\"}]}]";

/* Lines as they came, one below the other, with the level before each. */
struct pad {
    char text[4096];
    struct flag *lines;
    struct flag *dropped;
    interfuse_client *client;
    int32_t status;
};

static void write_down(int32_t level, const char *line, void *data) {
    struct pad *pad = data;
    size_t used;
    RECEIVED(pad);
    used = strlen(pad->text);
    snprintf(pad->text + used, sizeof pad->text - used, "%d %s\n", (int)level, line);
    HANDED_OVER(pad);
    flag_raise(pad->lines);
}

static void ask(int32_t level, const char *line, void *data) {
    struct pad *pad = data;
    char *response = NULL;
    (void)level;
    (void)line;
    RECEIVED(pad);
    pad->status = interfuse_chat(pad->client, CHAT, &response, NULL);
    interfuse_string_free(response);
    HANDED_OVER(pad);
    flag_raise(pad->lines);
}

static void dropped(void *data) {
    RECEIVED(data);
    flag_raise(((struct pad *)data)->dropped);
}

static struct pad pad_new(void) {
    struct pad pad;
    memset(&pad, 0, sizeof pad);
    pad.lines = flag_new();
    pad.dropped = flag_new();
    return pad;
}

static void pad_free(struct pad *pad) {
    flag_free(pad->lines);
    flag_free(pad->dropped);
}

static void attempts_are_told_and_secrets_are_not(void) {
    struct upstream up;
    struct pad pad = pad_new();
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    HANDED_OVER(&pad);
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_DEBUG, write_down, &pad, dropped, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    interfuse_string_free(response);
    CHECK(flag_wait(pad.lines, 2));
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, NULL, NULL, NULL, &err), err);
    CHECK(flag_wait(pad.dropped, 1));
    CHECK(strstr(pad.text, "3 an attempt failed provider=up model=up/m-a attempt=1 kind=rate_limited ") == pad.text);
    CHECK(strstr(pad.text, "\n4 an attempt was answered provider=up model=up/m-a attempt=2 ") != NULL);
    CHECK(strstr(pad.text, "secret") == NULL && strstr(pad.text, "key-of-up") == NULL);
    /* Nobody listens any more. */
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    interfuse_string_free(response);
    CHECK(flag_count(pad.lines) == 2 && flag_count(pad.dropped) == 1);
    interfuse_client_free(client);
    upstream_stop(&up);
    pad_free(&pad);
}

static void only_the_wanted_levels_come(void) {
    struct upstream up;
    struct pad pad = pad_new();
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    HANDED_OVER(&pad);
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_INFO, write_down, &pad, dropped, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    interfuse_string_free(response);
    CHECK(flag_wait(pad.lines, 1));
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, NULL, NULL, NULL, &err), err);
    CHECK(flag_wait(pad.dropped, 1));
    CHECK(strstr(pad.text, "3 an attempt failed ") == pad.text && strstr(pad.text, "\n4 ") == NULL);
    interfuse_client_free(client);
    upstream_stop(&up);
    pad_free(&pad);
}

static void a_level_there_is_not_is_refused(void) {
    struct pad pad = pad_new();
    interfuse_error *err = NULL;
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_set_log(0, write_down, &pad, dropped, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/param", "level"));
    interfuse_error_free(err);
    CHECK(interfuse_set_log(5, NULL, &pad, dropped, NULL) == INTERFUSE_INVALID_REQUEST);
    CHECK(flag_count(pad.lines) == 0 && flag_count(pad.dropped) == 2);
    /* Without a callback there is nothing to keep the data for. */
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_WARN, NULL, &pad, dropped, &err), err);
    CHECK(flag_count(pad.dropped) == 3);
    pad_free(&pad);
}

static void its_callback_may_not_block(void) {
    struct upstream up;
    struct pad pad = pad_new();
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &pad.client, &err), err);
    HANDED_OVER(&pad);
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_DEBUG, ask, &pad, dropped, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(pad.client, CHAT, &response, &err), err);
    interfuse_string_free(response);
    CHECK(flag_wait(pad.lines, 1));
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, NULL, NULL, NULL, &err), err);
    CHECK(flag_wait(pad.dropped, 1));
    CHECK(pad.status == INTERFUSE_MISUSE);
    interfuse_client_free(pad.client);
    upstream_stop(&up);
    pad_free(&pad);
}

static void a_second_free_is_told(void) {
    struct pad pad = pad_new();
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new("use_environment = false", &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, write_down, &pad, NULL, &err), err);
    interfuse_client_free(client);
    interfuse_client_free(client);
    interfuse_stream_free((interfuse_stream *)client);
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, NULL, NULL, NULL, &err), err);
    CHECK(strcmp(pad.text, "1 nothing is freed: the `client` handle was freed before\n"
                           "1 nothing is freed: the `stream` handle was freed before\n") == 0);
    pad_free(&pad);
}

int main(void) {
    RUN(attempts_are_told_and_secrets_are_not);
    RUN(only_the_wanted_levels_come);
    RUN(a_level_there_is_not_is_refused);
    RUN(its_callback_may_not_block);
    RUN(a_second_free_is_told);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
