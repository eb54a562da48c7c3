/* Batches: requests are put in, rows and the report come out. */

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char ROUTES[] =
    "[{\"when\": {\"body_contains\": \"bad\"}, \"then\": {\"status\": 401, \"json\": {\"error\": {\"message\": \"no\"}}}},"
    " {\"then\": {\"answer\": \"Bern.\"}}]";
static const char OPTIONS[] = "{\"common\": {\"model\": \"up/m-a\", \"max_retries\": 0}, \"concurrency\": 4}";

static void rows_come_in_the_order_of_the_requests(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_feed *feed = NULL;
    interfuse_stream *events = NULL;
    interfuse_error *err = NULL;
    char *event = NULL, *report = NULL, *told = NULL;
    int32_t status;
    int rows = 0;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_batch(client, OPTIONS, &feed, &events, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_feed_push(feed, "\"Where?\"", &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_feed_push(feed, "\"bad\"", &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_feed_push(feed, "no JSON", &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_feed_push(feed, "[{\"role\": \"user\", \"content\": \"Where?\"}]", &err), err);
    interfuse_feed_free(feed);
    while ((status = interfuse_stream_next(events, GUARD_MS, &event, &err)) == INTERFUSE_OK) {
        char *type = NULL;
        CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(event, "/type", &type, &err), err);
        if (strcmp(type, "row") == 0) {
            const int answered = rows == 0 || rows == 3;
            CHECK(!answered || json_is(event, "/row/response/choices/0/message/content", "Bern."));
            CHECK(answered || json_is(event, "/row/error/kind", rows == 1 ? "authentication" : "invalid_request"));
            rows++;
        } else if (strcmp(type, "done") == 0) {
            CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(event, "/report", &report, &err), err);
        }
        interfuse_string_free(type);
        interfuse_string_free(event);
    }
    CHECK_STATUS(INTERFUSE_END, status, err);
    CHECK(rows == 4 && json_is(report, "/answered", "2") && json_is(report, "/not_asked", "1"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_batch_text(report, &told, &err), err);
    CHECK(strstr(told, "2 of 4 rows answered (1 authentication, 1 invalid_request)") != NULL);
    interfuse_string_free(told);
    interfuse_string_free(report);
    interfuse_stream_free(events);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_full_feed_waits_for_its_reader(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_feed *feed = NULL;
    interfuse_stream *events = NULL;
    interfuse_error *err = NULL;
    char *event = NULL, *told = NULL;
    int32_t status;
    int pushed = 0, rows = 0;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_batch(client, OPTIONS, &feed, &events, &err), err);
    while (rows < 300) {
        status = pushed < 300 ? interfuse_feed_push(feed, "\"Where?\"", &err) : INTERFUSE_NOT_READY;
        if (status == INTERFUSE_OK) {
            pushed++;
            continue;
        }
        CHECK_STATUS(INTERFUSE_NOT_READY, status, err);
        CHECK_STATUS(INTERFUSE_OK, interfuse_stream_next(events, GUARD_MS, &event, &err), err);
        rows += interfuse_json_get(event, "/row/index", &told, NULL) == INTERFUSE_OK;
        interfuse_string_free(told);
        interfuse_string_free(event);
    }
    CHECK(pushed == 300);
    interfuse_feed_free(feed);
    interfuse_stream_free(events);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void what_is_wrong_is_told_at_once(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_feed *feed = NULL;
    interfuse_stream *events = NULL;
    interfuse_error *err = NULL;
    char *told = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_batch(client, "{\"concurrency\": 0}", &feed, &events, &err), err);
    CHECK(feed == NULL && events == NULL && json_is(interfuse_error_json(err), "/param", "concurrency"));
    interfuse_error_free(err);
    err = NULL;
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_batch(client, "{}", NULL, &events, &err), err);
    interfuse_error_free(err);
    err = NULL;
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_feed_push(NULL, "{}", &err), err);
    interfuse_error_free(err);
    err = NULL;
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_batch_text("[]", &told, &err), err);
    interfuse_error_free(err);
    interfuse_feed_free(NULL);
    interfuse_client_free(client);
    upstream_stop(&up);
}

int main(void) {
    RUN(rows_come_in_the_order_of_the_requests);
    RUN(a_full_feed_waits_for_its_reader);
    RUN(what_is_wrong_is_told_at_once);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
