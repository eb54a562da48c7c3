/* A question per line of standard input, several in flight at once, answers in the order of the questions. One that fails
 * stops no other:  batch < questions.txt */
#include <interfuse.h>
#include <stdio.h>
#include <string.h>

enum { IN_FLIGHT = 8, LINE = 4096, REQUEST = 6 * LINE + 128 };

/* A chat about this text, which becomes a JSON string; a program with a JSON library uses that. */
static void write_request(char *request, const char *text) {
    char *at = request + sprintf(request, "{\"model\": \"openai/gpt-5-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"");
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20) {
            at += sprintf(at, "\\u%04x", (unsigned)*text);
        } else {
            if (*text == '"' || *text == '\\')
                *at++ = '\\';
            *at++ = *text;
        }
    }
    strcpy(at, "\"}]}");
}

/* Waits for an answer and prints it, or what became of it; whether it came. */
static int tell(interfuse_call *call, interfuse_error *err) {
    char *response = NULL, *text = NULL;
    int32_t status = err != NULL ? interfuse_error_kind(err) : interfuse_call_wait(call, -1, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_call_take(call, &response, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_json_get(response, "/choices/0/message/content", &text, &err);
    if (status == INTERFUSE_OK) {
        puts(text);
    } else {
        printf("(%s)\n", interfuse_error_kind_name(err));
        fprintf(stderr, "%s\n", interfuse_error_message(err));
    }
    interfuse_string_free(text);
    interfuse_string_free(response);
    interfuse_error_free(err);
    interfuse_call_free(call);
    return status == INTERFUSE_OK;
}

int main(void) {
    static char line[LINE], request[REQUEST];
    interfuse_client *client = NULL;
    interfuse_call *calls[IN_FLIGHT] = {NULL};
    interfuse_error *errors[IN_FLIGHT] = {NULL}, *err = NULL;
    size_t asked = 0, told = 0;
    int failed = 0;
    if (interfuse_client_new(NULL, &client, &err) != INTERFUSE_OK) {
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
        interfuse_error_free(err);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        const size_t place = asked % IN_FLIGHT;
        if (strchr(line, '\n') == NULL && !feof(stdin)) {
            fprintf(stderr, "a question is longer than %d bytes\n", LINE - 2);
            failed++;
            break;
        }
        line[strcspn(line, "\n")] = '\0';
        if (asked - told == IN_FLIGHT)
            failed += !tell(calls[place], errors[place]), told++;
        write_request(request, line);
        /* What cannot even begin is told in its turn. */
        interfuse_chat_start(client, request, &calls[place], &errors[place]);
        asked++;
    }
    for (; told < asked; told++)
        failed += !tell(calls[told % IN_FLIGHT], errors[told % IN_FLIGHT]);
    interfuse_client_free(client);
    return failed != 0;
}
