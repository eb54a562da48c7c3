/* What a host can do wrong without being undefined: NULL, bad UTF-8, handles of another type, wrong configuration. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

#define REFUSED(wanted, call)                         \
    do {                                              \
        interfuse_error *err = NULL;                  \
        CHECK_STATUS(wanted, call, err);              \
        CHECK(err != NULL);                           \
        CHECK(interfuse_error_message(err)[0] != 0);  \
        interfuse_error_free(err);                    \
    } while (0)

static void every_free_takes_null(void) {
    interfuse_client_free(NULL);
    interfuse_call_free(NULL);
    interfuse_call_cancel(NULL);
    interfuse_stream_free(NULL);
    interfuse_stream_cancel(NULL);
    interfuse_error_free(NULL);
    interfuse_string_free(NULL);
    CHECK(interfuse_error_kind(NULL) == 0);
    CHECK(interfuse_error_kind_name(NULL) == NULL);
    CHECK(interfuse_error_message(NULL) == NULL && interfuse_error_json(NULL) == NULL);
}

static void null_is_refused(void) {
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_stream *stream = NULL;
    char *text = NULL;
    REFUSED(INTERFUSE_MISUSE, interfuse_client_new(NULL, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_client_from_file(NULL, &client, &err));
    CHECK(interfuse_client_new("use_environment = false", &client, NULL) == INTERFUSE_OK);
    REFUSED(INTERFUSE_MISUSE, interfuse_chat(NULL, CHAT, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat(client, NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat(client, CHAT, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fuse(NULL, CHAT, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fuse(client, NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat_start(NULL, CHAT, &call, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat_start(client, CHAT, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fuse_start(client, NULL, &call, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat_stream(NULL, CHAT, &stream, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_chat_stream(client, CHAT, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fuse_stream(client, NULL, &stream, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_call_wait(NULL, 0, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_call_take(NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_stream_next(NULL, 0, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_usage(NULL, NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_usage(client, NULL, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_explain(NULL, "{}", &text, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_explain(client, "{}", &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_estimate(NULL, "{}", &text, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_estimate(client, "{}", &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fused_html(NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fused_html("{}", NULL, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_fused_html("{}", &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_budgets(NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_budgets(client, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_models(NULL, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_providers(client, NULL, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_json_get(NULL, "", &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_json_get("{}", NULL, &text, &err));
    /* With nobody to tell, the status tells. */
    CHECK(interfuse_chat(NULL, NULL, NULL, NULL) == INTERFUSE_MISUSE);
    CHECK(call == NULL && stream == NULL && text == NULL);
    interfuse_client_free(client);
}

static void a_handle_of_another_type_is_refused(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL, *other = NULL;
    char *text = NULL;
    CHECK(interfuse_client_new("use_environment = false", &client, NULL) == INTERFUSE_OK);
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_call_wait((const interfuse_call *)client, 0, &err), err);
    CHECK(strstr(interfuse_error_message(err), "another type") != NULL);
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_stream_next((const interfuse_stream *)client, 0, &text, &other), other);
    interfuse_error_free(other);
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_models((const interfuse_client *)err, &text, &other), other);
    interfuse_error_free(other);
    CHECK(interfuse_error_kind((const interfuse_error *)client) == 0);
    /* A wrong free leaves the handle alone. */
    interfuse_call_free((interfuse_call *)client);
    interfuse_stream_cancel((interfuse_stream *)client);
    CHECK(interfuse_models(client, &text, NULL) == INTERFUSE_OK);
    interfuse_string_free(text);
    interfuse_error_free(err);
    interfuse_client_free(client);
}

/* Freed, used and freed again: refused, and a handle made meanwhile is not hurt. */
static void a_freed_handle_is_refused(void) {
    interfuse_client *client = NULL, *other = NULL;
    interfuse_call *call = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL, *gone = NULL;
    char *text = NULL;
    CHECK(interfuse_client_new("use_environment = false", &client, NULL) == INTERFUSE_OK);
    CHECK(interfuse_chat_start(client, CHAT, &call, NULL) == INTERFUSE_OK);
    CHECK(interfuse_chat_stream(client, CHAT, &stream, NULL) == INTERFUSE_OK);
    CHECK(interfuse_chat(client, "", &text, &gone) == INTERFUSE_INVALID_REQUEST);
    interfuse_call_free(call);
    interfuse_stream_free(stream);
    interfuse_error_free(gone);
    interfuse_client_free(client);
    CHECK(interfuse_client_new("use_environment = false", &other, NULL) == INTERFUSE_OK);
    interfuse_call_free(call);
    interfuse_stream_free(stream);
    interfuse_error_free(gone);
    interfuse_client_free(client);
    CHECK_STATUS(INTERFUSE_MISUSE, interfuse_models(client, &text, &err), err);
    CHECK(strstr(interfuse_error_message(err), "freed before") != NULL);
    CHECK(json_is(interfuse_error_json(err), "/param", "client"));
    interfuse_error_free(err);
    REFUSED(INTERFUSE_MISUSE, interfuse_chat(client, CHAT, &text, &err));
    REFUSED(INTERFUSE_MISUSE, interfuse_fuse_start(client, CHAT, &call, &err));
    CHECK(call == NULL);
    REFUSED(INTERFUSE_MISUSE, interfuse_stream_next(stream, 0, &text, &err));
    interfuse_stream_cancel(stream);
    CHECK(interfuse_error_kind(gone) == 0 && interfuse_error_message(gone) == NULL);
    CHECK(interfuse_models(other, &text, NULL) == INTERFUSE_OK);
    interfuse_string_free(text);
    interfuse_client_free(other);
}

static void bad_utf8_is_refused(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *text = NULL;
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_client_new("tags = {a = \"\xff\"}", &client, &err), err);
    CHECK(client == NULL && strstr(interfuse_error_message(err), "UTF-8 from byte 13") != NULL);
    interfuse_error_free(err);
    CHECK(interfuse_client_new("use_environment = false", &client, NULL) == INTERFUSE_OK);
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_chat(client, "{\"model\": \"\xc3\x28\"}", &text, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_usage(client, "\xed\xa0\x80", &text, &err));
    interfuse_client_free(client);
}

static void bad_json_is_refused(void) {
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_stream *stream = NULL;
    char *text = NULL;
    CHECK(interfuse_client_new("use_environment = false", &client, NULL) == INTERFUSE_OK);
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_chat(client, "{\"model\": ", &text, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_chat_start(client, "[]", &call, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_chat_stream(client, "", &stream, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_fuse(client, "{\"pool\": 3}", &text, &err));
    REFUSED(INTERFUSE_INVALID_REQUEST, interfuse_usage(client, "{\"byy\": []}", &text, &err));
    CHECK(text == NULL && call == NULL && stream == NULL);
    interfuse_client_free(client);
}

static void bad_configuration_names_its_path(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    CHECK_STATUS(INTERFUSE_INVALID_CONFIG,
                 interfuse_client_new("{\"providers\": {\"x\": {\"base_urll\": 1}}}", &client, &err), err);
    CHECK(json_has(interfuse_error_json(err), "/param", "providers.x"));
    interfuse_error_free(err);
    CHECK_STATUS(INTERFUSE_INVALID_CONFIG, interfuse_client_new("retries = 3", &client, &err), err);
    interfuse_error_free(err);
    CHECK_STATUS(INTERFUSE_INVALID_CONFIG, interfuse_client_from_file("/no/such/file.toml", &client, &err), err);
    CHECK(strstr(interfuse_error_message(err), "/no/such/file.toml") != NULL);
    interfuse_error_free(err);
    CHECK(client == NULL);
}

static void configuration_from_a_file(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *text = NULL, path[] = "interfuse-test.toml";
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("use_environment = false\n[providers.mine]\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"k\"\n", file);
    fclose(file);
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_from_file(path, &client, &err), err);
    remove(path);
    CHECK_STATUS(INTERFUSE_OK, interfuse_providers(client, &text, &err), err);
    CHECK(json_has(text, "", "127.0.0.1:9"));
    interfuse_string_free(text);
    interfuse_client_free(client);
}

int main(void) {
    RUN(every_free_takes_null);
    RUN(null_is_refused);
    RUN(a_handle_of_another_type_is_refused);
    RUN(a_freed_handle_is_refused);
    RUN(bad_utf8_is_refused);
    RUN(bad_json_is_refused);
    RUN(bad_configuration_names_its_path);
    RUN(configuration_from_a_file);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
