/* Several threads at one handle, and at the log: whoever cancels, waits and listens, each callback and each destructor runs
 * once, and none after the destructor. */

#include <pthread.h>
#include <stdlib.h>

#include "check.h"

static const char CHAT[] = "{\"model\": \"up/m-a\", \"messages\": [{\"role\": \"user\", \"content\": \"Where?\"}]}";

enum { THREADS = 9, LISTENERS = THREADS / 3, ROUNDS = 20 };

/* One call or one stream, and what its listeners saw. */
struct shared {
    interfuse_call *call;
    interfuse_stream *stream;
    struct flag *called;
    struct flag *dropped;
};

struct hand {
    struct shared *shared;
    int role;
    int32_t status;
};

static void called(void *data) {
    RECEIVED(data);
    flag_raise(((struct shared *)data)->called);
}

static void dropped(void *data) {
    RECEIVED(data);
    flag_raise(((struct shared *)data)->dropped);
}

static struct shared shared_new(void) {
    struct shared shared = {NULL, NULL, flag_new(), flag_new()};
    return shared;
}

static void shared_free(struct shared *shared) {
    flag_free(shared->called);
    flag_free(shared->dropped);
}

static void *at_a_call(void *data) {
    struct hand *hand = data;
    switch (hand->role % 3) {
    case 0:
        interfuse_call_cancel(hand->shared->call);
        hand->status = INTERFUSE_OK;
        break;
    case 1:
        hand->status = interfuse_call_wait(hand->shared->call, GUARD_MS, NULL);
        break;
    default:
        HANDED_OVER(hand->shared);
        hand->status = interfuse_call_on_ready(hand->shared->call, called, hand->shared, dropped, NULL);
    }
    return NULL;
}

static void *at_a_stream(void *data) {
    struct hand *hand = data;
    char *chunk = NULL;
    switch (hand->role % 3) {
    case 0:
        interfuse_stream_cancel(hand->shared->stream);
        hand->status = INTERFUSE_OK;
        break;
    case 1:
        /* One thread reads. */
        hand->status = INTERFUSE_OK;
        while (hand->role == 1 && hand->status == INTERFUSE_OK) {
            hand->status = interfuse_stream_next(hand->shared->stream, GUARD_MS, &chunk, NULL);
            interfuse_string_free(chunk);
        }
        if (hand->status == INTERFUSE_END || hand->status == INTERFUSE_CANCELLED) {
            hand->status = INTERFUSE_OK;
        }
        break;
    default:
        HANDED_OVER(hand->shared);
        hand->status = interfuse_stream_on_ready(hand->shared->stream, called, hand->shared, dropped, NULL);
    }
    return NULL;
}

/* Has all threads at it at once; how many of them were content. */
static int all_at(void *(*work)(void *), struct shared *shared) {
    pthread_t threads[THREADS];
    struct hand hands[THREADS];
    int i, content = 0;
    for (i = 0; i < THREADS; i++) {
        hands[i].shared = shared;
        hands[i].role = i;
        if (pthread_create(&threads[i], NULL, work, &hands[i]) != 0) {
            return -1;
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        content += hands[i].status == INTERFUSE_OK;
    }
    return content;
}

static void threads_cancel_wait_and_listen_at_one_call(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    int round;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    for (round = 0; round < ROUNDS; round++) {
        struct shared shared = shared_new();
        char *response = NULL;
        int32_t status;
        CHECK_STATUS(INTERFUSE_OK, interfuse_chat_start(client, CHAT, &shared.call, &err), err);
        /* Sometimes the answer is there first. */
        if (round % 2 == 0) {
            CHECK_STATUS(INTERFUSE_OK, interfuse_call_wait(shared.call, GUARD_MS, &err), err);
        }
        CHECK(all_at(at_a_call, &shared) == THREADS);
        status = interfuse_call_take(shared.call, &response, NULL);
        CHECK(status == (round % 2 == 0 ? INTERFUSE_OK : INTERFUSE_CANCELLED) || status == INTERFUSE_OK);
        interfuse_string_free(response);
        interfuse_call_free(shared.call);
        CHECK(flag_wait(shared.called, LISTENERS) && flag_wait(shared.dropped, LISTENERS));
        CHECK(flag_count(shared.called) == LISTENERS && flag_count(shared.dropped) == LISTENERS);
        shared_free(&shared);
    }
    interfuse_client_free(client);
    upstream_stop(&up);
}

static void threads_cancel_read_and_listen_at_one_stream(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    int round;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"One two three four.\", \"chunk_delay_ms\": 1}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    for (round = 0; round < ROUNDS; round++) {
        struct shared shared = shared_new();
        CHECK_STATUS(INTERFUSE_OK, interfuse_chat_stream(client, CHAT, &shared.stream, &err), err);
        CHECK(all_at(at_a_stream, &shared) == THREADS);
        interfuse_stream_free(shared.stream);
        CHECK(flag_wait(shared.called, LISTENERS) && flag_wait(shared.dropped, LISTENERS));
        CHECK(flag_count(shared.called) == LISTENERS && flag_count(shared.dropped) == LISTENERS);
        shared_free(&shared);
    }
    interfuse_client_free(client);
    upstream_stop(&up);
}

/* What gets lines; it is gone once its destructor has run, so that a line that comes later is a wrong access. */
struct sink {
    struct flag *lines;
    struct flag *dropped;
};

static void note(int32_t level, const char *line, void *data) {
    struct sink *sink = data;
    RECEIVED(sink);
    if (level == INTERFUSE_LOG_DEBUG && line[0] != '\0') {
        flag_raise(sink->lines);
    }
    HANDED_OVER(sink);
}

static void sink_free(void *data) {
    struct sink *sink = data;
    RECEIVED(sink);
    flag_raise(sink->dropped);
    free(sink);
}

static void *chat(void *client) {
    int call;
    for (call = 0; call < ROUNDS; call++) {
        char *response = NULL;
        if (interfuse_chat(client, CHAT, &response, NULL) != INTERFUSE_OK) {
            return client;
        }
        interfuse_string_free(response);
    }
    return NULL;
}

static void the_log_is_changed_while_calls_are_told(void) {
    struct upstream up;
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    struct flag *lines = flag_new(), *dropped = flag_new();
    pthread_t threads[LISTENERS];
    void *failed = NULL;
    int i, changes = 0;
    CHECK(upstream_start(&up, "[{\"then\": {\"answer\": \"In Bern.\"}}]"));
    CHECK_STATUS(INTERFUSE_OK, interfuse_client_new(up.config, &client, &err), err);
    for (i = 0; i < LISTENERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, chat, client) == 0);
    }
    do {
        struct sink *sink = malloc(sizeof *sink);
        sink->lines = lines;
        sink->dropped = dropped;
        HANDED_OVER(sink);
        CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_DEBUG, note, sink, sink_free, &err), err);
        changes++;
    } while (changes < ROUNDS * ROUNDS && flag_count(lines) < ROUNDS);
    for (i = 0; i < LISTENERS; i++) {
        CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
    CHECK_STATUS(INTERFUSE_OK, interfuse_set_log(INTERFUSE_LOG_ERROR, NULL, NULL, NULL, &err), err);
    CHECK(flag_wait(dropped, changes) && flag_count(dropped) == changes);
    CHECK(flag_count(lines) > 0);
    interfuse_client_free(client);
    upstream_stop(&up);
    flag_free(lines);
    flag_free(dropped);
}

int main(void) {
    RUN(threads_cancel_wait_and_listen_at_one_call);
    RUN(threads_cancel_read_and_listen_at_one_stream);
    RUN(the_log_is_changed_while_calls_are_told);
    interfuse_shutdown(GUARD_MS, NULL);
    return check_result();
}
