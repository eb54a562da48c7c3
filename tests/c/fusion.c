/* Fusions: blocking, as a call, and as a stream of events. */

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char ROUTES[] =
    "[{\"when\": {\"model\": \"m-a\"}, \"then\": {\"answer\": \"Zurich.\"}},"
    " {\"when\": {\"model\": \"m-b\"}, \"then\": {\"answer\": \"Bern.\"}},"
    " {\"when\": {\"model\": \"m-j\", \"body\": {\"response_format\": {\"type\": \"json_schema\"}}},"
    "  \"then\": {\"answer\": \"{\\\"consensus\\\": [\\\"A city.\\\"], \\\"contradictions\\\": [], \\\"partial_coverage\\\": [],"
    " \\\"unique_insights\\\": [], \\\"blind_spots\\\": []}\"}},"
    " {\"when\": {\"model\": \"m-j\"}, \"then\": {\"answer\": \"Bern, not Zurich.\"}}]";
static const char FUSE[] =
    "{\"prompt\": \"What is the capital?\", \"pool\": [\"up/m-a\", \"up/m-b\"], \"judge\": \"up/m-j\", \"mode\": \"merge\"}";

static void a_pool_is_fused(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *result = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse(client, FUSE, &result, &err), err);
    CHECK(json_is(result, "/text", "Bern, not Zurich."));
    CHECK(json_is(result, "/report/decision/source", "merged"));
    CHECK(json_is(result, "/report/members/0/status", "ok") && json_is(result, "/report/members/1/status", "ok"));
    CHECK(json_is(result, "/report/analysis/consensus/0", "A city."));
    interfuse_string_free(result);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse_start(client, FUSE, &call, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(call, GUARD_MS, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(call, &result, &err), err);
    CHECK(json_is(result, "/text", "Bern, not Zurich."));
    interfuse_string_free(result);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void progress_comes_as_events(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    int32_t status;
    int started = 0, members = 0, done = 0;
    char joined[256] = "", *event = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse_stream(client, FUSE, &stream, &err), err);
    while ((status = interfuse_stream_next(stream, GUARD_MS, &event, &err)) == INTERFUSE_OK) {
        char *type = NULL, *text = NULL;
        CHECK(done == 0);
        CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(event, "/type", &type, &err), err);
        started += strcmp(type, "run_started") == 0;
        members += strcmp(type, "member_done") == 0;
        if (strcmp(type, "final_delta") == 0) {
            CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(event, "/text", &text, &err), err);
            strncat(joined, text, sizeof joined - strlen(joined) - 1);
            interfuse_string_free(text);
        }
        if (strcmp(type, "run_done") == 0) {
            done = 1;
            CHECK(json_is(event, "/result/text", "Bern, not Zurich."));
        }
        interfuse_string_free(type);
        interfuse_string_free(event);
    }
    CHECK_STATUS(INTERFUSE_END, status, err);
    CHECK(started == 1 && members == 2 && done == 1);
    CHECK(strcmp(joined, "Bern, not Zurich.") == 0);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_pool_that_fails_lists_each_reason(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *result = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"status\": 401, \"json\": {\"error\": {\"message\": \"bad key\"}}}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_ALL_MEMBERS_FAILED, interfuse_fuse(client, FUSE, &result, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/members/0/kind", "authentication"));
    CHECK(json_is(interfuse_error_json(err), "/members/1/kind", "authentication"));
    interfuse_error_free(err);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static const char EVALUATE[] =
    "{\"items\": [{\"prompt\": \"What is the capital?\", \"gold\": \"Bern.\"}], \"models\": [\"up/m-a\", \"up/m-b\"]}";

static void an_evaluation_says_what_to_use(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *found = NULL, *table = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_evaluate(client, EVALUATE, &found, &err), err);
    CHECK(json_is(found, "/best_single", "up/m-b") && json_is(found, "/contenders/0/right", "1"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_evaluation_text(found, 100, &table, &err), err);
    CHECK(strstr(table, "up/m-b") != NULL && strstr(table, "use up/m-b") != NULL);
    interfuse_string_free(table);
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_evaluation_text("[]", 100, &table, &err), err);
    CHECK(table == NULL);
    interfuse_error_free(err);
    err = NULL;
    interfuse_string_free(found);
    CHECK_STATUS(INTERFUSE_OK, interfuse_evaluate_start(client, EVALUATE, &call, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(call, GUARD_MS, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(call, &found, &err), err);
    CHECK(json_is(found, "/counted", "1"));
    interfuse_string_free(found);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void an_evaluation_tells_how_far_it_is(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *event = NULL;
    int32_t status;
    int told = 0;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_evaluate_stream(client, EVALUATE, &stream, &err), err);
    while ((status = interfuse_stream_next(stream, GUARD_MS, &event, &err)) == INTERFUSE_OK) {
        CHECK(json_is(event, "/type", told == 2 ? "done" : "progress"));
        CHECK(told != 1 || json_is(event, "/done", "1"));
        CHECK(told != 2 || json_is(event, "/result/counted", "1"));
        interfuse_string_free(event);
        told++;
    }
    CHECK_STATUS(INTERFUSE_END, status, err);
    CHECK(told == 3);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void feedback_counts_once(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *result = NULL, *id = NULL;
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse(client, FUSE, &result, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(result, "/id", &id, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_feedback(client, id, "{\"member\": \"up/m-b\"}", &err), err);
    CHECK_STATUS(INTERFUSE_NOT_FOUND, interfuse_feedback(client, id, "{\"member\": \"up/m-b\"}", &err), err);
    interfuse_error_free(err);
    err = NULL;
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_feedback(client, NULL, "{}", &err), err);
    interfuse_error_free(err);
    interfuse_string_free(id);
    interfuse_string_free(result);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void stored_answers_are_judged_anew_and_replayed(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    interfuse_call *call = NULL;
    char *result = NULL, *report = NULL, *again = NULL, *taken = NULL, *replayed = NULL;
    const char *request = "{\"prompt\": \"Why?\", \"mode\": \"vote\", \"judge\": \"up/m-j\"}";
    CHECK(upstream_start(&up, ROUTES));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_fuse(client, FUSE, &result, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_json_get(result, "/report", &report, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_rejudge(client, report, request, &again, &err), err);
    CHECK(json_is(again, "/report/earlier/how", "rejudged") && json_is(again, "/report/mode", "vote"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_rejudge_start(client, report, request, &call, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(call, -1, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(call, &taken, &err), err);
    CHECK(json_is(taken, "/report/earlier/how", "rejudged"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_replay(report, &replayed, &err), err);
    CHECK(json_is(replayed, "/report/earlier/how", "replayed") && json_is(replayed, "/report/cost/calls", "0"));
    interfuse_string_free(replayed);
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_replay("{}", &replayed, &err), err);
    CHECK(replayed == NULL);
    interfuse_error_free(err);
    err = NULL;
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_rejudge(client, NULL, request, &replayed, &err), err);
    interfuse_error_free(err);
    interfuse_call_free(call);
    interfuse_string_free(result);
    interfuse_string_free(report);
    interfuse_string_free(again);
    interfuse_string_free(taken);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_calibration_says_whom_to_ask(void) {
    interfuse_error *err = NULL;
    char *found = NULL;
    CHECK_STATUS(INTERFUSE_OK, interfuse_calibrate("[{\"gold\": \"4\", \"answers\": {\"a\": \"4\"}}]", &found, &err), err);
    CHECK(json_is(found, "/models/0/model", "a") && json_is(found, "/counted", "1"));
    interfuse_string_free(found);
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_calibrate("\"none.jsonl\"", &found, &err), err);
    CHECK(found == NULL);
    interfuse_error_free(err);
}

int main(void) {
    RUN(feedback_counts_once);
    RUN(stored_answers_are_judged_anew_and_replayed);
    RUN(a_calibration_says_whom_to_ask);
    RUN(an_evaluation_says_what_to_use);
    RUN(an_evaluation_tells_how_far_it_is);
    RUN(a_pool_is_fused);
    RUN(progress_comes_as_events);
    RUN(a_pool_that_fails_lists_each_reason);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
