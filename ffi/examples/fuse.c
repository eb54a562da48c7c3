/* One question to three models, and one answer made from theirs by a judge. */
#include <interfuse.h>
#include <stdio.h>

int main(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *result = NULL, *text = NULL, *members = NULL;
    int32_t status = interfuse_client_new(NULL, &client, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_fuse(client,
                                "{\"prompt\": \"Which rivers meet in Koblenz?\", \"mode\": \"merge\","
                                " \"pool\": [\"openai/gpt-5-mini\", \"groq/openai/gpt-oss-120b\","
                                " \"mistral/mistral-small-latest\"], \"judge\": \"mistral/mistral-large-latest\"}",
                                &result, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_json_get(result, "/text", &text, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_json_get(result, "/report/members", &members, &err);
    if (status == INTERFUSE_OK)
        printf("%s\n\nfrom %s\n", text, members);
    else
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
    interfuse_string_free(members);
    interfuse_string_free(text);
    interfuse_string_free(result);
    interfuse_error_free(err);
    interfuse_client_free(client);
    return status != INTERFUSE_OK;
}
