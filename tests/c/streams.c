/* Streams: chunks in order, the end, failures before and half-way, and what cannot be pulled yet. */

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

/* Pulls to the end; joins the text of the chunks. */
static int32_t drain(interfuse_stream *stream, char *joined, size_t room, int *chunks, interfuse_error **err) {
    joined[0] = '\0';
    *chunks = 0;
    for (;;) {
        char *chunk = NULL, *text = NULL;
        const int32_t status = interfuse_stream_next(stream, GUARD_MS, &chunk, err);
        if (status != INTERFUSE_OK) {
            return status;
        }
        ++*chunks;
        if (interfuse_json_get(chunk, "/choices/0/delta/content", &text, NULL) == INTERFUSE_OK) {
            strncat(joined, text, room - strlen(joined) - 1);
        }
        interfuse_string_free(text);
        interfuse_string_free(chunk);
    }
}

static void chunks_come_in_order(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char joined[256], *chunk = NULL;
    int chunks;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"One two three four.\", \"split\": 7}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_END, drain(stream, joined, sizeof joined, &chunks, &err), err);
    CHECK(strcmp(joined, "One two three four.") == 0 && chunks >= 4);
    /* The end stays the end. */
    CHECK_STATUS(INTERFUSE_END, interfuse_stream_next(stream, 0, &chunk, &err), err);
    CHECK(chunk == NULL && err == NULL);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_long_stream_is_whole(void) {
    enum { N = 2000 };
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *routes = malloc(N * 2 + 256), *joined = malloc(N * 2 + 256);
    int chunks, i;
    /* More than the buffer holds, pulled late: the reading has to stop and go on. */
    strcpy(routes, "[{\"then\": {\"answer\": \"");
    for (i = 0; i < N; i++) {
        strcat(routes, "x ");
    }
    strcat(routes, "\"}}]");
    CHECK(upstream_start(&up, routes));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK(upstream_saw(&up, 1));
    CHECK_STATUS(INTERFUSE_END, drain(stream, joined, N * 2 + 256, &chunks, &err), err);
    CHECK(strlen(joined) == N * 2);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
    free(routes);
    free(joined);
}

static void a_refusal_comes_from_next(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *chunk = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"status\": 401, \"json\": {\"error\": {\"message\": \"bad key\"}}}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_AUTHENTICATION, interfuse_stream_next(stream, GUARD_MS, &chunk, &err), err);
    CHECK(chunk == NULL);
    interfuse_error_free(err);
    /* And comes again. */
    CHECK_STATUS(INTERFUSE_AUTHENTICATION, interfuse_stream_next(stream, GUARD_MS, &chunk, &err), err);
    interfuse_error_free(err);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_cut_stream_is_no_success(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char joined[256];
    int chunks;
    CHECK(upstream_start(&up, "[{\"then\": {\"headers\": {\"content-type\": \"text/event-stream\"}, \"steps\": ["
                              "{\"send\": \"data: {\\\"id\\\":\\\"s\\\",\\\"object\\\":\\\"chat.completion.chunk\\\",\\\"created\\\":1,"
                              "\\\"model\\\":\\\"m-a\\\",\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":\\\"In \\\"},"
                              "\\\"finish_reason\\\":null}]}\\n\\n\"}, {\"reset\": true}]}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_INTERRUPTED, drain(stream, joined, sizeof joined, &chunks, &err), err);
    CHECK(strcmp(joined, "In ") == 0);
    CHECK(json_is(interfuse_error_json(err), "/partial/text", "In "));
    interfuse_error_free(err);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void nothing_yet_is_not_the_end(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *chunk = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_stream_next(stream, 0, &chunk, &err), err);
    CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_stream_next(stream, 10, &chunk, &err), err);
    CHECK(chunk == NULL && err == NULL);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

int main(void) {
    RUN(chunks_come_in_order);
    RUN(a_long_stream_is_whole);
    RUN(a_refusal_comes_from_next);
    RUN(a_cut_stream_is_no_success);
    RUN(nothing_yet_is_not_the_end);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
