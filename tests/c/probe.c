/* Faults made on purpose, one per name: a leg of run.sh is worth something only if it catches each that is its own. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static volatile int shared;
static volatile int places = 33;

static int past_the_heap(void) {
    char *volatile text = malloc(8);
    text[8] = 'x';
    free(text);
    return 0;
}

static int a_leak(void) {
    char *volatile text = malloc(8);
    text = NULL;
    return text != NULL;
}

static int an_undefined_shift(void) {
    return (1 << places) == 0;
}

static void *add(void *unused) {
    int i;
    (void)unused;
    for (i = 0; i < 1000; i++) {
        shared = shared + 1;
    }
    return NULL;
}

static int a_race(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, add, NULL);
    add(NULL);
    pthread_join(thread, NULL);
    return 0;
}

/* The library is not compiled with the sanitizer, but what it allocates is watched. */
static int a_leak_of_the_library(void) {
    interfuse_client *client = NULL;
    return interfuse_client_new("use_environment = false", &client, NULL) != INTERFUSE_OK;
}

static int a_text_freed_twice(void) {
    char *text = NULL;
    if (interfuse_json_get("{\"a\": \"a text of some length\"}", "/a", &text, NULL) != INTERFUSE_OK) {
        return 1;
    }
    interfuse_string_free(text);
    interfuse_string_free(text);
    return 0;
}

static int a_text_used_late(void) {
    char *text = NULL;
    if (interfuse_json_get("{\"a\": \"a text of some length\"}", "/a", &text, NULL) != INTERFUSE_OK) {
        return 1;
    }
    interfuse_string_free(text);
    return text[3] == 'x';
}

static void note(int32_t level, const char *line, void *data) {
    (void)level;
    (void)line;
    RECEIVED(data);
    add(NULL);
    flag_raise(*(struct flag **)data);
}

/* A callback on a thread of the library, and the host, write the same. */
static int a_race_with_a_callback(void) {
    struct flag *flag = flag_new();
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    HANDED_OVER(&flag);
    if (interfuse_set_log(INTERFUSE_LOG_INFO, note, &flag, NULL, NULL) != INTERFUSE_OK ||
        interfuse_client_new("{\"providers\": {\"up\": {\"base_url\": \"http://127.0.0.1:9/v1\", \"api_key\": \"k\"}},"
                             " \"retries\": {\"max_attempts\": 1}, \"use_environment\": false}", &client, NULL) != INTERFUSE_OK ||
        interfuse_chat_start(client, "{\"model\": \"up/m\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", &call,
                             NULL) != INTERFUSE_OK) {
        return 1;
    }
    add(NULL);
    flag_wait(flag, 1);
    interfuse_call_free(call);
    interfuse_client_free(client);
    return interfuse_set_log(INTERFUSE_LOG_INFO, NULL, NULL, NULL, NULL);
}

int main(int count, char **words) {
    static const struct {
        const char *name;
        int (*fault)(void);
    } faults[] = {
        {"past_the_heap", past_the_heap},
        {"a_leak", a_leak},
        {"an_undefined_shift", an_undefined_shift},
        {"a_race", a_race},
        {"a_leak_of_the_library", a_leak_of_the_library},
        {"a_text_freed_twice", a_text_freed_twice},
        {"a_text_used_late", a_text_used_late},
        {"a_race_with_a_callback", a_race_with_a_callback},
    };
    size_t i;
    for (i = 0; count == 2 && i < sizeof faults / sizeof *faults; i++) {
        if (strcmp(words[1], faults[i].name) == 0) {
            return faults[i].fault();
        }
    }
    fputs("no such fault\n", stderr);
    return 64;
}
