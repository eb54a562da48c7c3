/* Readiness callbacks: once, with a destructor that runs once, whatever happens. */

#include <stdlib.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

struct note {
    struct flag *called;
    struct flag *dropped;
    interfuse_call *other;
    int32_t status;
};

static void called(void *data) {
    RECEIVED(data);
    flag_raise(((struct note *)data)->called);
}

static void dropped(void *data) {
    RECEIVED(data);
    flag_raise(((struct note *)data)->dropped);
}

/* A blocking call on a thread of the library would wait for itself. */
static void blocks(void *data) {
    struct note *note = data;
    RECEIVED(note);
    note->status = interfuse_call_wait(note->other, -1, NULL);
    flag_raise(note->called);
}

static struct note note_new(void) {
    struct note note = {flag_new(), flag_new(), NULL, 0};
    return note;
}

static void note_free(struct note *note) {
    flag_free(note->called);
    flag_free(note->dropped);
}

static void a_call_tells_when_it_is_ready(void) {
    struct upstream up;
    struct note note = note_new();
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    char *response = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\", \"delay_ms\": 20}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &call, &err), err);
    HANDED_OVER(&note);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_on_ready(call, called, &note, dropped, &err), err);
    CHECK(flag_wait(note.called, 1) && flag_wait(note.dropped, 1));
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_take(call, &response, &err), err);
    /* Asked after the end: at once, on this thread. */
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_on_ready(call, called, &note, dropped, &err), err);
    CHECK(flag_count(note.called) == 2 && flag_count(note.dropped) == 2);
    interfuse_string_free(response);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
    CHECK(flag_count(note.called) == 2 && flag_count(note.dropped) == 2);
    note_free(&note);
}

static void free_runs_callback_and_destructor(void) {
    struct upstream up;
    struct note note = note_new();
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    CHECK(upstream_start(&up, "[{\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &call, &err), err);
    HANDED_OVER(&note);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_on_ready(call, called, &note, dropped, &err), err);
    interfuse_call_free(call);
    CHECK(flag_count(note.called) == 1 && flag_count(note.dropped) == 1);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_stream_on_ready(stream, called, &note, dropped, &err), err);
    CHECK(flag_count(note.called) == 1);
    interfuse_stream_cancel(stream);
    CHECK(flag_count(note.called) == 2 && flag_count(note.dropped) == 2);
    interfuse_stream_free(stream);
    CHECK(flag_count(note.called) == 2 && flag_count(note.dropped) == 2);
    interfuse_client_free(client);
    upstream_stop(&up);
    note_free(&note);
}

static void the_destructor_runs_when_refused(void) {
    struct note note = note_new();
    CHECK(interfuse_call_on_ready(NULL, called, &note, dropped, NULL) == INTERFUSE_MISUSE);
    CHECK(interfuse_stream_on_ready(NULL, NULL, &note, dropped, NULL) == INTERFUSE_MISUSE);
    CHECK(flag_count(note.called) == 0 && flag_count(note.dropped) == 2);
    note_free(&note);
}

static void a_stream_tells_for_each_batch(void) {
    struct upstream up;
    struct note note = note_new();
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    int32_t status = INTERFUSE_OK;
    int wakes = 0, chunks = 0;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"One two three.\", \"chunk_delay_ms\": 5}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &stream, &err), err);
    while (status != INTERFUSE_END) {
        HANDED_OVER(&note);
        CHECK_STATUS(INTERFUSE_OK, interfuse_stream_on_ready(stream, called, &note, NULL, &err), err);
        CHECK(flag_wait(note.called, ++wakes));
        for (;;) {
            char *chunk = NULL;
            status = interfuse_stream_next(stream, 0, &chunk, &err);
            interfuse_string_free(chunk);
            if (status != INTERFUSE_OK) {
                break;
            }
            chunks++;
        }
        CHECK(err == NULL);
    }
    CHECK(chunks >= 3);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    upstream_stop(&up);
    note_free(&note);
}

static void a_callback_may_not_block(void) {
    struct upstream up;
    struct note note = note_new();
    interfuse_client *client = NULL;
    interfuse_call *call = NULL;
    interfuse_error *err = NULL;
    CHECK(upstream_start(&up, "[{\"when\": {\"model\": \"m-a\"}, \"then\": {\"answer\": \"In Bern.\", \"delay_ms\": 50}},"
                              " {\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    CHECK_STATUS(INTERFUSE_OK,
                 interfuse_chat_start(client, "{\"model\": \"up/m-b\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
                                      &note.other, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &call, &err), err);
    HANDED_OVER(&note);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_on_ready(call, blocks, &note, NULL, &err), err);
    CHECK(flag_wait(note.called, 1));
    CHECK(note.status == INTERFUSE_MISUSE);
    interfuse_call_free(note.other);
    interfuse_call_free(call);
    interfuse_client_free(client);
    upstream_stop(&up);
    note_free(&note);
}

static const char EMBED[] = "{\"model\": \"up/m-a\", \"input\": \"x\"}";
static const char FUSE[] = "{\"prompt\": \"Where?\", \"pool\": [\"up/m-a\", \"up/m-b\"], \"judge\": \"up/m-j\"}";

/* What a callback tries all the same. */
struct attempt {
    struct flag *called;
    interfuse_client *client;
    interfuse_call *call;
    interfuse_stream *stream;
    int refused;
};

static void tries_everything(void *data) {
    struct attempt *attempt = data;
    char *text = NULL;
    RECEIVED(attempt);
    attempt->refused = (interfuse_chat(attempt->client, CHAT, &text, NULL) == INTERFUSE_MISUSE) +
                       (interfuse_embeddings(attempt->client, EMBED, &text, NULL) == INTERFUSE_MISUSE) +
                       (interfuse_fuse(attempt->client, FUSE, &text, NULL) == INTERFUSE_MISUSE) +
                       (interfuse_stream_next(attempt->stream, -1, &text, NULL) == INTERFUSE_MISUSE) +
                       (interfuse_shutdown(-1, NULL) == INTERFUSE_MISUSE);
    /* To free is allowed, also what has just told. */
    interfuse_call_free(attempt->call);
    flag_raise(attempt->called);
}

static void everything_that_blocks_is_refused_in_a_callback(void) {
    struct upstream up;
    struct attempt attempt = {NULL, NULL, NULL, NULL, 0};
    interfuse_error *err = NULL;
    char *log, *text = NULL;
    attempt.called = flag_new();
    CHECK(upstream_start(&up, "[{\"when\": {\"body\": {\"stream\": true}}, \"then\": {\"steps\": [{\"stall\": true}]}},"
                              " {\"then\": {\"answer\": \"In Bern.\", \"delay_ms\": 50}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &attempt.client, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(attempt.client, CHAT, &attempt.stream, &err), err);
    CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(attempt.client, CHAT, &attempt.call, &err), err);
    HANDED_OVER(&attempt);
    CHECK_STATUS(INTERFUSE_OK, interfuse_call_on_ready(attempt.call, tries_everything, &attempt, NULL, &err), err);
    CHECK(flag_wait(attempt.called, 1));
    CHECK(attempt.refused == 5);
    /* And nothing was asked: there are the two from outside. */
    log = upstream_get(&up, "/__log");
    CHECK(json_has(log, "/1", "") && interfuse_json_get(log, "/2", &text, NULL) == INTERFUSE_NOT_FOUND);
    free(log);
    interfuse_stream_free(attempt.stream);
    interfuse_client_free(attempt.client);
    upstream_stop(&up);
    flag_free(attempt.called);
}

int main(void) {
    RUN(a_call_tells_when_it_is_ready);
    RUN(free_runs_callback_and_destructor);
    RUN(the_destructor_runs_when_refused);
    RUN(a_stream_tells_for_each_batch);
    RUN(a_callback_may_not_block);
    RUN(everything_that_blocks_is_refused_in_a_callback);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
