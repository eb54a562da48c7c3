/* One question to one model. Keys come from the vendors' usual variables, or from the configuration file that
 * INTERFUSE_CONFIG names. */
#include <interfuse.h>
#include <stdio.h>

int main(void) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL, *text = NULL;
    int32_t status = interfuse_client_new(NULL, &client, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_chat(client,
                                "{\"model\": \"openai/gpt-5-mini\","
                                " \"messages\": [{\"role\": \"user\", \"content\": \"Where is the Aare?\"}]}",
                                &response, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_json_get(response, "/choices/0/message/content", &text, &err);
    if (status == INTERFUSE_OK)
        puts(text);
    else
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
    interfuse_string_free(text);
    interfuse_string_free(response);
    interfuse_error_free(err);
    interfuse_client_free(client);
    return status != INTERFUSE_OK;
}
