/* The testing kit: scripted answers, faults, delays and prices, and a cassette; nobody is asked but where it is recorded. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

/* As few lines as a user needs. */
static void five_lines_script_an_answer_a_fault_a_delay_and_a_price(void) {
    interfuse_client *client = NULL;
    char *answer = NULL;
    CHECK(interfuse_client_scripted("[{\"status\": 429}, {\"answer\": \"In Bern.\", \"delay_ms\": 30}]",
                                    "{\"prices\": {\"up/m-a\": {\"input\": \"1\", \"output\": \"2\"}}}", &client, NULL) == INTERFUSE_OK);
    CHECK(interfuse_chat(client, CHAT, &answer, NULL) == INTERFUSE_OK);
    CHECK(json_is(answer, "/choices/0/message/content", "In Bern."));
    CHECK(json_is(answer, "/interfuse/attempts/0/status", "429"));
    CHECK(json_is(answer, "/interfuse/cost_nanos", "6000"));
    interfuse_string_free(answer);
    interfuse_client_free(client);
}

static void streams_and_fusions_follow_a_script(void) {
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    char *text = NULL, joined[64] = "";
    CHECK(interfuse_client_scripted("[{\"when\": {\"model\": \"m-b\"}, \"then\": {\"answer\": \"In Bern, it says.\"}},"
                                    " {\"answer\": \"In Bern.\", \"chunk_delay_ms\": 1}]", NULL, &client, NULL) == INTERFUSE_OK);
    CHECK(interfuse_chat_stream(client, CHAT, &stream, NULL) == INTERFUSE_OK);
    while (interfuse_stream_next(stream, GUARD_MS, &text, NULL) == INTERFUSE_OK) {
        char *part = NULL;
        if (interfuse_json_get(text, "/choices/0/delta/content", &part, NULL) == INTERFUSE_OK) {
            strcat(joined, part);
        }
        interfuse_string_free(part);
        interfuse_string_free(text);
    }
    CHECK(strcmp(joined, "In Bern.") == 0);
    CHECK(interfuse_fuse(client, "{\"prompt\": \"Where?\", \"pool\": [\"up/m-a\", \"up/m-c\"], \"mode\": \"vote\"}", &text, NULL) ==
          INTERFUSE_OK);
    CHECK(json_is(text, "/text", "In Bern."));
    interfuse_string_free(text);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
}

/* Makes a client of the script, asks once, and whether that failed as wanted. */
static int fails(const char *script, int32_t wanted, const char *code) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *answer = NULL;
    int32_t status = interfuse_client_scripted(script, "{\"retries\": {\"max_retries\": 0}, \"timeouts\": {\"idle_ms\": 100}}",
                                               &client, &err);
    if (status == INTERFUSE_OK) {
        status = interfuse_chat(client, CHAT, &answer, &err);
    }
    if (status == wanted && code != NULL && !json_is(interfuse_error_json(err), "/code", code)) {
        status = INTERFUSE_OK;
    }
    if (status != wanted) {
        printf("    %d: %s\n", (int)status, err ? interfuse_error_json(err) : answer);
    }
    interfuse_string_free(answer);
    interfuse_error_free(err);
    interfuse_client_free(client);
    return status == wanted;
}

static void faults_come_as_those_of_a_network(void) {
    CHECK(fails("[{\"status\": 401, \"json\": {\"error\": {\"message\": \"no\"}}}]", INTERFUSE_AUTHENTICATION, NULL));
    CHECK(fails("[{\"steps\": [{\"reset\": true}]}]", INTERFUSE_CONNECTION, NULL));
    CHECK(fails("[{\"answer\": \"In Bern, as ever.\", \"cut_after\": 40}]", INTERFUSE_INTERRUPTED, NULL));
    CHECK(fails("[{\"answer\": \"In Bern.\", \"breaks\": {\"after\": 1, \"then\": [{\"stall\": true}]}}]", INTERFUSE_TIMEOUT, NULL));
    CHECK(fails("[{\"when\": {\"model\": \"m-b\"}, \"then\": {}}]", INTERFUSE_NOT_FOUND, "script_without_route"));
}

static void what_is_not_understood_is_named(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    CHECK_STATUS(INTERFUSE_INVALID_REQUEST, interfuse_client_scripted("[{}, {\"anser\": \"x\"}]", NULL, &client, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/param", "[1].anser"));
    interfuse_error_free(err);
    CHECK_STATUS(INTERFUSE_INVALID_CONFIG, interfuse_client_recorded("tape.json", "play", NULL, &client, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/param", "mode"));
    interfuse_error_free(err);
    CHECK_STATUS(INTERFUSE_INVALID_CONFIG, interfuse_client_recorded("no-tape.json", "replay", NULL, &client, &err), err);
    CHECK(strstr(interfuse_error_message(err), "no-tape.json") != NULL);
    interfuse_error_free(err);
    CHECK(interfuse_client_scripted(NULL, NULL, &client, NULL) == INTERFUSE_MISUSE);
    CHECK(interfuse_client_recorded("tape.json", NULL, NULL, &client, NULL) == INTERFUSE_MISUSE);
    CHECK(interfuse_client_recorded(NULL, "auto", NULL, &client, NULL) == INTERFUSE_MISUSE && client == NULL);
}

static void a_cassette_is_recorded_once_and_replayed_without_anybody(void) {
    static const char TAPE[] = "interfuse-tape.json";
    static char tape[8192];
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *answer = NULL;
    FILE *file;
    remove(TAPE);
    /* A vendor that repeats the key. */
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"key-of-up opens Bern.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_recorded(TAPE, "auto", up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &answer, &err), err);
    interfuse_string_free(answer);
    interfuse_client_free(client);
    upstream_stop(&up);
    file = fopen(TAPE, "r");
    CHECK(file != NULL);
    tape[fread(tape, 1, sizeof tape - 1, file)] = '\0';
    fclose(file);
    CHECK(json_is(tape, "/interactions/0/provider", "up") && strstr(tape, "key-of-up") == NULL);
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_recorded(TAPE, "auto", NULL, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat(client, CHAT, &answer, &err), err);
    CHECK(json_is(answer, "/choices/0/message/content", "[scrubbed] opens Bern."));
    interfuse_string_free(answer);
    CHECK_STATUS(INTERFUSE_NOT_FOUND, interfuse_chat(client, CHAT, &answer, &err), err);
    CHECK(json_is(interfuse_error_json(err), "/code", "not_in_cassette"));
    interfuse_error_free(err);
    interfuse_client_free(client);
    remove(TAPE);
}

int main(void) {
    RUN(five_lines_script_an_answer_a_fault_a_delay_and_a_price);
    RUN(streams_and_fusions_follow_a_script);
    RUN(faults_come_as_those_of_a_network);
    RUN(what_is_not_understood_is_named);
    RUN(a_cassette_is_recorded_once_and_replayed_without_anybody);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
