/* A fusion that may cost two cents at most: it does less rather than spend more, and tells what it left out. */
#include <interfuse.h>
#include <stdio.h>

static void tell(const char *name, const char *result, const char *pointer) {
    char *value = NULL;
    if (interfuse_json_get(result, pointer, &value, NULL) == INTERFUSE_OK)
        printf("%s: %s\n", name, value);
    else
        printf("%s: nothing told\n", name);
    interfuse_string_free(value);
}

int main(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *result = NULL, *text = NULL;
    int32_t status = interfuse_client_new(NULL, &client, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_fuse(client,
                                "{\"prompt\": \"Which rivers meet in Koblenz?\", \"mode\": \"merge\","
                                " \"pool\": [\"openai/gpt-5-mini\", \"groq/openai/gpt-oss-120b\","
                                " \"mistral/mistral-small-latest\"], \"judge\": \"mistral/mistral-large-latest\","
                                " \"max_tokens\": 500, \"max_cost_usd\": \"0.02\"}",
                                &result, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_json_get(result, "/text", &text, &err);
    if (status == INTERFUSE_OK) {
        printf("%s\n\n", text);
        tell("cost in USD", result, "/report/cost/total_usd");
        tell("left out", result, "/report/degraded");
    } else {
        if (status == INTERFUSE_BUDGET_EXCEEDED)
            fputs("not even a part of it is to be had for that: ", stderr);
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
    }
    interfuse_string_free(text);
    interfuse_string_free(result);
    interfuse_error_free(err);
    interfuse_client_free(client);
    return status != INTERFUSE_OK;
}
