/* Whole answers: chat, blocking and as a call, their errors, and the listings. */

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

static void chat_answers(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL, *usage = NULL, *log;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern. \\u00e9\\u4e2d\", "
                              "\"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 2}}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &response, &err), err);
    CHECK(err == NULL);
    CHECK(json_is(response, "/choices/0/message/content", "In Bern. \xc3\xa9\xe4\xb8\xad"));
    CHECK(json_is(response, "/usage/total_tokens", "9"));
    CHECK(json_is(response, "/interfuse/provider", "up"));
    CHECK(json_is(response, "/interfuse/cost_nanos", "11000"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_usage(client, "{\"by\": [\"provider\"]}", &usage, &err), err);
    CHECK(json_is(usage, "/rows/0/group/provider", "up"));
    CHECK(json_is(usage, "/total/cost_nanos", "11000"));
    interfuse_string_free(usage);
    CHECK_STATUS(INTERFUSE_OK, interfuse_flush(client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_usage(client, NULL, &usage, &err), err);
    CHECK(json_is(usage, "/total/attempts", "1"));
    log = upstream_get(&up, "/__log?settled");
    CHECK(json_is(log, "/0/body/messages/0/content", "Where?"));
    CHECK(json_is(log, "/0/headers/authorization", "Bearer key-of-up"));
    free(log);
    interfuse_string_free(usage);
    CHECK_STATUS(INTERFUSE_OK,
                 interfuse_load_prices(client, "{\"up/x\": {\"litellm_provider\": \"up\", \"input_cost_per_token\": 1e-06}}", &usage, &err),
                 err);
    CHECK(json_is(usage, "/format", "litellm"));
    CHECK(json_is(usage, "/rows", "1"));
    interfuse_string_free(usage);
    CHECK_STATUS(INTERFUSE_OK,
                 interfuse_reconcile(client, "{\"files\": [{\"name\": \"a.json\", \"content\": \"{\\\"data\\\": [{\\\"date\\\": "
                                             "\\\"2026-01-02\\\", \\\"model\\\": \\\"m\\\", \\\"usage\\\": 0.5}]}\"}], "
                                             "\"options\": {\"provider\": \"up\", \"post\": true}}", &usage, &err),
                 err);
    CHECK(json_is(usage, "/ok", "false"));
    CHECK(json_is(usage, "/offenders/0/residual", "missing_local"));
    CHECK(json_is(usage, "/posted", "1"));
    interfuse_string_free(usage);
    CHECK(interfuse_reconcile(client, "{\"files\": []}", &usage, &err) == INTERFUSE_INVALID_REQUEST);
    interfuse_error_free(err);
    err = NULL;
    CHECK(interfuse_load_prices(client, "{}", &usage, &err) == INTERFUSE_INVALID_REQUEST);
    interfuse_error_free(err);
    interfuse_string_free(response);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void errors_are_typed(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"status\": 404, \"headers\": {\"x-request-id\": \"r-1\"}, "
                              "\"json\": {\"error\": {\"message\": \"no such model\", \"code\": \"model_not_found\"}}}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_NOT_FOUND, interfuse_chat(client, CHAT, &response, &err), err);
    CHECK(response == NULL);
    CHECK(interfuse_error_kind(err) == INTERFUSE_NOT_FOUND);
    CHECK(strcmp(interfuse_error_kind_name(err), "not_found") == 0);
    CHECK(strstr(interfuse_error_message(err), "no such model") != NULL);
    CHECK(json_is(interfuse_error_json(err), "/kind", "not_found"));
    CHECK(json_is(interfuse_error_json(err), "/status", "404"));
    CHECK(json_is(interfuse_error_json(err), "/request_id", "r-1"));
    CHECK(strstr(interfuse_error_json(err), "key-of-up") == NULL);
    interfuse_error_free(err);
    /* Nobody has to want the error. */
    CHECK(interfuse_chat(client, CHAT, &response, NULL) == INTERFUSE_NOT_FOUND);
    /* A success clears what an earlier failure left in the caller's variable. */
    err = (interfuse_error *)&up;
    response = (char *)&up;
    CHECK(interfuse_models(client, &response, &err) == INTERFUSE_OK && err == NULL);
    interfuse_string_free(response);
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void a_call_runs_by_itself(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &call, &err), err);
    /* The call does not need the client any more. */
    interfuse_client_free(client);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(call, GUARD_MS, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(call, 0, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(call, &response, &err), err);
    CHECK(json_is(response, "/choices/0/message/content", "In Bern."));
    interfuse_string_free(response);
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_call_take(call, &response, &err), err);
    CHECK(response == NULL && strstr(interfuse_error_message(err), "taken") != NULL);
    interfuse_error_free(err);
    interfuse_call_free(call);
    upstream_stop(&up);
}

static void many_calls_at_once(void) {
    enum { N = 50 };
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_call *calls[N];
    interfuse_error *err = NULL;
    int i;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\", \"delay_ms\": 20}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    for (i = 0; i < N; i++) {
        CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &calls[i], &err), err);
    }
    for (i = 0; i < N; i++) {
        char *response = NULL;
        CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(calls[i], -1, &err), err);
        CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(calls[i], &response, &err), err);
        CHECK(json_is(response, "/choices/0/message/content", "In Bern."));
        interfuse_string_free(response);
        interfuse_call_free(calls[i]);
    }
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void listings(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *text = NULL;
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new("use_environment = false", &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_providers(client, &text, &err), err);
    CHECK(json_has(text, "", "\"openai\""));
    CHECK(json_is(text, "/0/ready", "false") || json_is(text, "/0/ready", "true"));
    interfuse_string_free(text);
    CHECK_STATUS(INTERFUSE_OK, interfuse_models(client, &text, &err), err);
    CHECK(text[0] == '[');
    interfuse_string_free(text);
    interfuse_client_free(client);
}

static void json_values(void) {
    const char json[] = "{\"a\": [{\"b\": \"text\"}, 2, null], \"n\": \"x\\u0000y\", \"\": {\"/\": true}}";
    interfuse_error *err = NULL;
    char *text = NULL;
    CHECK(json_is(json, "/a/0/b", "text"));
    CHECK(json_is(json, "/a/0", "{\"b\":\"text\"}"));
    CHECK(json_is(json, "/a/1", "2"));
    CHECK(json_is(json, "//~1", "true"));
    CHECK_STATUS(INTERFUSE_NOT_FOUND, interfuse_json_get(json, "/a/2", &text, NULL), NULL);
    CHECK_STATUS(INTERFUSE_NOT_FOUND, interfuse_json_get(json, "/a/3", &text, NULL), NULL);
    CHECK_STATUS(INTERFUSE_DECODE, interfuse_json_get(json, "/n", &text, NULL), NULL);
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_json_get("{", "", &text, &err), err);
    CHECK(text == NULL);
    interfuse_error_free(err);
}

int main(void) {
    RUN(chat_answers);
    RUN(errors_are_typed);
    RUN(a_call_runs_by_itself);
    RUN(many_calls_at_once);
    RUN(listings);
    RUN(json_values);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
