/* Cancelling from any place closes the connection; what waits wakes. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";
static const char FUSE[] = "{\"prompt\": \"Where?\", \"pool\": [\"up/m-a\", \"up/m-b\"], \"judge\": \"up/m-j\"}";
/* One chunk, and then nothing. */
static const char STOPS[] =
    "[{\"then\": {\"headers\": {\"content-type\": \"text/event-stream\"}, \"steps\": [{\"send\": \"data: "
    "{\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":\\\"In \\\"}}]}\\n\\n\"}, {\"stall\": true}]}}]";
static const char STALLS[] = "[{\"then\": {\"steps\": [{\"stall\": true}]}}]";

struct waiter {
    interfuse_call *call;
    int32_t status;
};

static void *wait_for_ever(void *data) {
    struct waiter *waiter = data;
    waiter->status = interfuse_call_wait(waiter->call, -1, NULL);
    return NULL;
}

static void cancel_closes_the_socket(void) {
    struct upstream up;
    struct waiter waiter = {NULL, -1};
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    pthread_t thread;
    char *response = NULL, *log;
    CHECK(upstream_start(&up, STALLS));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &waiter.call, &err), err);
    CHECK(upstream_saw(&up, 1));
    CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_call_wait(waiter.call, 0, &err), err);
    CHECK_STATUS(INTERFUSE_NOT_READY, interfuse_call_take(waiter.call, &response, &err), err);
    CHECK(pthread_create(&thread, NULL, wait_for_ever, &waiter) == 0);
    interfuse_call_cancel(waiter.call);
    interfuse_call_cancel(waiter.call);
    CHECK(pthread_join(thread, NULL) == 0 && waiter.status == INTERFUSE_OK);
    CHECK_STATUS(INTERFUSE_CANCELLED, interfuse_call_take(waiter.call, &response, &err), err);
    log = upstream_get(&up, "/__log?settled");
    CHECK(json_is(log, "/0/completed", "false"));
    CHECK(json_has(log, "/0/client_closed_ms", ""));
    free(log);
    interfuse_error_free(err);
    interfuse_call_free(waiter.call);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void free_cancels_a_stream(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *log;
    CHECK(upstream_start(&up, STALLS));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK(upstream_saw(&up, 1));
    interfuse_stream_free(stream);
    log = upstream_get(&up, "/__log?settled");
    CHECK(json_has(log, "/0/client_closed_ms", ""));
    free(log);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_cancelled_stream_says_so(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *chunk = NULL;
    CHECK(upstream_start(&up, STOPS));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_stream_next(stream, GUARD_MS, &chunk, &err), err);
    interfuse_string_free(chunk);
    interfuse_stream_cancel(stream);
    CHECK_STATUS(INTERFUSE_CANCELLED, interfuse_stream_next(stream, GUARD_MS, &chunk, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/kind", "cancelled"));
    interfuse_error_free(err);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void cancel_stops_a_whole_fusion(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *result = NULL, *log;
    CHECK(upstream_start(&up, STALLS));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse_start(client, FUSE, &call, &err), err);
    CHECK(upstream_saw(&up, 2));
    interfuse_call_cancel(call);
    CHECK_STATUS(INTERFUSE_CANCELLED, interfuse_call_take(call, &result, &err), err);
    log = upstream_get(&up, "/__log?settled");
    CHECK(json_has(log, "/0/client_closed_ms", "") && json_has(log, "/1/client_closed_ms", ""));
    free(log);
    interfuse_error_free(err);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void shutdown_cancels_and_a_later_call_starts_anew(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, "[{\"then\": [{\"steps\": [{\"stall\": true}]}, {\"answer\": \"In Bern.\"}]}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &call, &err), err);
    CHECK(upstream_saw(&up, 1));
    CHECK_STATUS(INTERFUSE_OK, interfuse_shutdown(GUARD_MS, &err), err);
    CHECK_STATUS(INTERFUSE_CANCELLED, interfuse_call_take(call, &response, NULL), NULL);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    CHECK(json_is(response, "/choices/0/message/content", "In Bern."));
    interfuse_string_free(response);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
}

int main(void) {
    RUN(cancel_closes_the_socket);
    RUN(free_cancels_a_stream);
    RUN(a_cancelled_stream_says_so);
    RUN(cancel_stops_a_whole_fusion);
    RUN(shutdown_cancels_and_a_later_call_starts_anew);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
