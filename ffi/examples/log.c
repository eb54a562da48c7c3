/* The library's log in the program's own: each line with its level to where the program writes, from warnings on, or from
 * every attempt on when the first argument is -v. */
#include <interfuse.h>
#include <stdio.h>
#include <string.h>

/* On whatever thread the line comes from; `to` is ours. One call of fprintf writes one line whole. */
static void note(int32_t level, const char *line, void *to) {
    static const char *const names[] = {"", "error", "warning", "info", "debug"};
    fprintf(to, "[%s] %s\n", names[level], line);
}

int main(int count, char **words) {
    const int32_t level = count > 1 && strcmp(words[1], "-v") == 0 ? INTERFUSE_LOG_DEBUG : INTERFUSE_LOG_WARN;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    char *response = NULL, *text = NULL;
    int32_t status = interfuse_set_log(level, note, stderr, NULL, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_client_new(NULL, &client, &err);
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
