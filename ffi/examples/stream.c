/* One answer, printed as it comes. */
#include <interfuse.h>
#include <stdio.h>

int main(void) {
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    char *chunk = NULL, *text = NULL;
    int32_t status = interfuse_client_new(NULL, &client, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_chat_stream(client,
                                       "{\"model\": \"openai/gpt-5-mini\","
                                       " \"messages\": [{\"role\": \"user\", \"content\": \"Where is the Aare?\"}]}",
                                       &stream, &err);
    while (status == INTERFUSE_OK) {
        status = interfuse_stream_next(stream, -1, &chunk, &err);
        if (status == INTERFUSE_OK && interfuse_json_get(chunk, "/choices/0/delta/content", &text, NULL) == INTERFUSE_OK) {
            fputs(text, stdout);
            fflush(stdout);
            interfuse_string_free(text);
        }
        interfuse_string_free(chunk);
    }
    puts("");
    if (status != INTERFUSE_END)
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
    interfuse_error_free(err);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    return status != INTERFUSE_END;
}
