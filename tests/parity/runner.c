/* Parity runner of the C ABI: `parity-c OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]`, JSON lines on stdout.
 * `parity-c calls CONFIG_JSON CALLS_JSON` makes calls one after another through one client. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interfuse.h"

typedef int32_t start_call(const interfuse_client *, const char *, interfuse_call **, interfuse_error **);
typedef int32_t start_stream(const interfuse_client *, const char *, interfuse_stream **, interfuse_error **);
typedef int32_t ask(const interfuse_client *, const char *, char **, interfuse_error **);

static void line(const char *name, const char *json) {
    printf("{\"%s\": %s}\n", name, json);
    fflush(stdout);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One answer: the blocking function, or a call handle that is cancelled when its time is up. */
static int32_t once(const interfuse_client *client, const char *request, ask *blocking, start_call *start, int64_t cancel_ms,
                    interfuse_error **err) {
    interfuse_call *call = NULL;
    char *result = NULL;
    int32_t status;
    if (cancel_ms < 0) {
        status = blocking(client, request, &result, err);
    } else {
        status = start(client, request, &call, err);
        if (status == INTERFUSE_OK) {
            status = interfuse_call_wait(call, cancel_ms, err);
            if (status == INTERFUSE_NOT_READY) {
                interfuse_call_cancel(call);
            }
            status = interfuse_call_take(call, &result, err);
        }
    }
    if (status == INTERFUSE_OK) {
        line("result", result);
    }
    interfuse_string_free(result);
    interfuse_call_free(call);
    return status;
}

static int32_t many(const interfuse_client *client, const char *request, start_stream *start, const char *name,
                    int64_t cancel_ms, interfuse_error **err) {
    interfuse_stream *stream = NULL;
    const int64_t deadline = now_ms() + cancel_ms;
    int32_t status = start(client, request, &stream, err);
    while (status == INTERFUSE_OK) {
        char *item = NULL;
        int64_t left = -1;
        if (cancel_ms >= 0) {
            left = deadline - now_ms();
            if (left < 0) {
                left = 0;
            }
        }
        status = interfuse_stream_next(stream, left, &item, err);
        if (status == INTERFUSE_OK) {
            line(name, item);
        }
        if (status == INTERFUSE_NOT_READY) {
            interfuse_stream_cancel(stream);
            cancel_ms = -1;
            status = INTERFUSE_OK;
        }
        interfuse_string_free(item);
    }
    if (status == INTERFUSE_END) {
        line("result", "null");
    }
    interfuse_stream_free(stream);
    return status;
}

/* Leaves an evaluation once an item is done, and makes it again. */
static int32_t again(const interfuse_client *client, const char *request, interfuse_error **err) {
    interfuse_stream *stream = NULL;
    int left = 0;
    int32_t status = interfuse_evaluate_stream(client, request, &stream, err);
    while (status == INTERFUSE_OK && !left) {
        char *event = NULL, *done = NULL;
        status = interfuse_stream_next(stream, -1, &event, err);
        if (status == INTERFUSE_OK && interfuse_json_get(event, "/done", &done, NULL) == INTERFUSE_OK) {
            left = strcmp(done, "0") != 0;
        }
        interfuse_string_free(done);
        interfuse_string_free(event);
    }
    interfuse_stream_free(stream);
    return status == INTERFUSE_OK ? once(client, request, interfuse_evaluate, interfuse_evaluate_start, -1, err) : status;
}

/* Reads a batch to its end, or to its first row; shows its rows and its report if it is read to its end. */
static int32_t read_batch(const interfuse_client *client, const char *asked, int only_first, int64_t cancel_ms,
                          interfuse_error **err) {
    interfuse_feed *feed = NULL;
    interfuse_stream *events = NULL;
    char *options = NULL, *request = NULL;
    size_t at = 0;
    int over = 0;
    const int64_t deadline = now_ms() + cancel_ms;
    interfuse_json_get(asked, "/options", &options, NULL);
    int32_t status = interfuse_batch(client, options, &feed, &events, err);
    while (status == INTERFUSE_OK && !over) {
        char *event = NULL, *type = NULL, *told = NULL;
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/requests/%zu", at);
        /* A text comes without its quotes, which make it a request. */
        if (feed != NULL && interfuse_json_get(asked, pointer, &request, NULL) != INTERFUSE_OK) {
            interfuse_feed_free(feed);
            feed = NULL;
        }
        if (feed != NULL) {
            char quoted[1024];
            const int plain = request[0] != '{' && request[0] != '[';
            snprintf(quoted, sizeof quoted, plain ? "\"%s\"" : "%s", request);
            status = interfuse_feed_push(feed, quoted, err);
            interfuse_string_free(request);
            request = NULL;
            at += status == INTERFUSE_OK;
            if (status != INTERFUSE_NOT_READY) {
                continue;
            }
        }
        int64_t left = cancel_ms < 0 ? -1 : deadline - now_ms();
        status = interfuse_stream_next(events, cancel_ms >= 0 && left < 0 ? 0 : left, &event, err);
        if (status == INTERFUSE_NOT_READY) {
            interfuse_stream_cancel(events);
            cancel_ms = -1;
            status = INTERFUSE_OK;
        } else if (status == INTERFUSE_OK) {
            interfuse_json_get(event, "/type", &type, NULL);
            if (strcmp(type, "row") == 0 && only_first) {
                over = 1;
            } else if (strcmp(type, "row") == 0 && interfuse_json_get(event, "/row", &told, err) == INTERFUSE_OK) {
                line("event", told);
            } else if (strcmp(type, "done") == 0 && interfuse_json_get(event, "/report", &told, err) == INTERFUSE_OK) {
                line("result", told);
                over = 1;
            }
        }
        interfuse_string_free(told);
        interfuse_string_free(type);
        interfuse_string_free(event);
    }
    interfuse_feed_free(feed);
    interfuse_stream_free(events);
    interfuse_string_free(options);
    return status;
}

/* A fusion, what became of it, and the same fusion again by a client that is made anew. */
static int32_t feedback(const interfuse_client *client, const char *asked, const char *config, interfuse_error **err) {
    interfuse_client *anew = NULL;
    char *fuse = NULL, *outcome = NULL, *run = NULL, *fused = NULL;
    interfuse_json_get(asked, "/fuse", &fuse, NULL);
    interfuse_json_get(asked, "/outcome", &outcome, NULL);
    int32_t status = interfuse_fuse(client, fuse, &fused, err);
    if (status == INTERFUSE_OK) {
        if (interfuse_json_get(asked, "/run_id", &run, NULL) != INTERFUSE_OK) {
            interfuse_json_get(fused, "/id", &run, NULL);
        }
        status = interfuse_feedback(client, run, outcome, err);
    }
    interfuse_string_free(fused);
    fused = NULL;
    if (status == INTERFUSE_OK) {
        status = interfuse_client_new(config, &anew, err);
    }
    if (status == INTERFUSE_OK) {
        status = interfuse_fuse(anew, fuse, &fused, err);
    }
    if (status == INTERFUSE_OK) {
        line("result", fused);
    }
    interfuse_string_free(fuse);
    interfuse_string_free(outcome);
    interfuse_string_free(run);
    interfuse_string_free(fused);
    interfuse_client_free(anew);
    return status;
}

/* A fusion, and its stored answers combined once more, or its decision made again. */
static int32_t once_more(const interfuse_client *client, const char *asked, int replays, interfuse_error **err) {
    char *fuse = NULL, *again = NULL, *report = NULL, *fused = NULL, *result = NULL;
    int32_t status = INTERFUSE_OK;
    if (interfuse_json_get(asked, "/report", &report, NULL) != INTERFUSE_OK) {
        interfuse_json_get(asked, "/fuse", &fuse, NULL);
        status = interfuse_fuse(client, fuse, &fused, err);
        if (status == INTERFUSE_OK) {
            status = interfuse_json_get(fused, "/report", &report, err);
        }
    }
    if (status == INTERFUSE_OK && replays) {
        status = interfuse_replay(report, &result, err);
    } else if (status == INTERFUSE_OK) {
        interfuse_json_get(asked, "/again", &again, NULL);
        status = interfuse_rejudge(client, report, again, &result, err);
    }
    if (status == INTERFUSE_OK) {
        line("result", result);
    }
    interfuse_string_free(fuse);
    interfuse_string_free(again);
    interfuse_string_free(report);
    interfuse_string_free(fused);
    interfuse_string_free(result);
    return status;
}

static int32_t calibrate(const char *items, interfuse_error **err) {
    char *found = NULL;
    const int32_t status = interfuse_calibrate(items, &found, err);
    if (status == INTERFUSE_OK) {
        line("result", found);
    }
    interfuse_string_free(found);
    return status;
}

/* One question that is answered at once. */
static int32_t told(const interfuse_client *client, const char *request, ask *question, interfuse_error **err) {
    char *answer = NULL;
    const int32_t status = question(client, request, &answer, err);
    if (status == INTERFUSE_OK) {
        line("result", answer);
    }
    interfuse_string_free(answer);
    return status;
}

/* A fusion, and its answer as a page, written as a JSON text. */
static int32_t fuse_html(const interfuse_client *client, const char *request, interfuse_error **err) {
    char *fused = NULL, *page = NULL;
    int32_t status = interfuse_fuse(client, request, &fused, err);
    if (status == INTERFUSE_OK) {
        status = interfuse_fused_html(fused, &page, err);
    }
    if (status == INTERFUSE_OK) {
        printf("{\"result\": \"");
        for (const char *at = page; *at != '\0'; at++) {
            if (*at == '"' || *at == '\\') {
                printf("\\%c", *at);
            } else if ((unsigned char)*at < ' ') {
                printf("\\u%04x", (unsigned)*at);
            } else {
                putchar(*at);
            }
        }
        printf("\"}\n");
        fflush(stdout);
    }
    interfuse_string_free(fused);
    interfuse_string_free(page);
    return status;
}

/* Leaves a stream after its first chunk; then where the budgets stand, once nothing is under way any more. */
static int32_t budgets(const interfuse_client *client, const char *request, interfuse_error **err) {
    interfuse_stream *stream = NULL;
    char *text = NULL;
    int32_t status = interfuse_chat_stream(client, request, &stream, err);
    if (status == INTERFUSE_OK) {
        interfuse_stream_next(stream, -1, &text, NULL);
    }
    interfuse_string_free(text);
    interfuse_stream_free(stream);
    for (int turn = 0; status == INTERFUSE_OK && turn < 500; turn++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        char *held = NULL;
        text = NULL;
        status = interfuse_budgets(client, &text, err);
        interfuse_json_get(text, "/0/held_nanos", &held, NULL);
        const int over = held == NULL || strcmp(held, "0") == 0;
        interfuse_string_free(held);
        if (over) {
            line("result", text);
            interfuse_string_free(text);
            return status;
        }
        interfuse_string_free(text);
        nanosleep(&pause, NULL);
    }
    return status;
}

/* A chat, and then what the ledger says of it: `{"usage": ..., "records": [...], "export": ...}`. */
static int32_t ledger(const interfuse_client *client, const char *asked, interfuse_error **err) {
    char *chat = NULL, *query = NULL, *export = NULL, *answer = NULL, *usage = NULL, *document = NULL, *item = NULL;
    interfuse_stream *records = NULL;
    int first = 1;
    interfuse_json_get(asked, "/chat", &chat, NULL);
    interfuse_json_get(asked, "/query", &query, NULL);
    interfuse_json_get(asked, "/export", &export, NULL);
    int32_t status = interfuse_chat(client, chat, &answer, err);
    if (status == INTERFUSE_OK) {
        status = interfuse_usage(client, query, &usage, err);
    }
    if (status == INTERFUSE_OK) {
        status = interfuse_export(client, export, &document, err);
    }
    if (status == INTERFUSE_OK) {
        status = interfuse_records(client, query, &records, err);
    }
    if (status == INTERFUSE_OK) {
        /* The harness reads one document a line. */
        for (char *at = document; *at != '\0'; at++) {
            *at = *at == '\n' ? ' ' : *at;
        }
        printf("{\"result\": {\"usage\": %s, \"export\": %s, \"records\": [", usage, document);
        while ((status = interfuse_stream_next(records, -1, &item, err)) == INTERFUSE_OK) {
            printf("%s%s", first ? "" : ", ", item);
            interfuse_string_free(item);
            first = 0;
        }
        printf("]}}\n");
        fflush(stdout);
    }
    interfuse_string_free(chat);
    interfuse_string_free(query);
    interfuse_string_free(export);
    interfuse_string_free(answer);
    interfuse_string_free(usage);
    interfuse_string_free(document);
    interfuse_stream_free(records);
    return status == INTERFUSE_END ? INTERFUSE_OK : status;
}

/* One operation; 2 when there is no such. */
static int32_t make(const interfuse_client *client, const char *op, const char *request, int64_t cancel_ms, const char *config,
                    interfuse_error **err) {
    if (strcmp(op, "chat") == 0) {
        return once(client, request, interfuse_chat, interfuse_chat_start, cancel_ms, err);
    } else if (strcmp(op, "embeddings") == 0) {
        return once(client, request, interfuse_embeddings, interfuse_embeddings_start, cancel_ms, err);
    } else if (strcmp(op, "fuse") == 0) {
        return once(client, request, interfuse_fuse, interfuse_fuse_start, cancel_ms, err);
    } else if (strcmp(op, "fuse_html") == 0) {
        return fuse_html(client, request, err);
    } else if (strcmp(op, "chat_stream") == 0) {
        return many(client, request, interfuse_chat_stream, "chunk", cancel_ms, err);
    } else if (strcmp(op, "fuse_stream") == 0) {
        return many(client, request, interfuse_fuse_stream, "event", cancel_ms, err);
    } else if (strcmp(op, "evaluate") == 0) {
        return once(client, request, interfuse_evaluate, interfuse_evaluate_start, cancel_ms, err);
    } else if (strcmp(op, "evaluate_stream") == 0) {
        return many(client, request, interfuse_evaluate_stream, "event", cancel_ms, err);
    } else if (strcmp(op, "evaluate_again") == 0) {
        return again(client, request, err);
    } else if (strcmp(op, "batch") == 0) {
        return read_batch(client, request, 0, cancel_ms, err);
    } else if (strcmp(op, "batch_again") == 0) {
        const int32_t status = read_batch(client, request, 1, -1, err);
        return status == INTERFUSE_OK ? read_batch(client, request, 0, -1, err) : status;
    } else if (strcmp(op, "feedback") == 0) {
        return feedback(client, request, config, err);
    } else if (strcmp(op, "rejudge") == 0) {
        return once_more(client, request, 0, err);
    } else if (strcmp(op, "replay") == 0) {
        return once_more(client, request, 1, err);
    } else if (strcmp(op, "calibrate") == 0) {
        return calibrate(request, err);
    } else if (strcmp(op, "explain") == 0) {
        return told(client, request, interfuse_explain, err);
    } else if (strcmp(op, "estimate") == 0) {
        return told(client, request, interfuse_estimate, err);
    } else if (strcmp(op, "budgets") == 0) {
        return budgets(client, request, err);
    } else if (strcmp(op, "ledger") == 0) {
        return ledger(client, request, err);
    } else if (strcmp(op, "reconcile") == 0) {
        return told(client, request, interfuse_reconcile, err);
    } else if (strcmp(op, "client") == 0) {
        line("result", "null");
        return INTERFUSE_OK;
    }
    fprintf(stderr, "no operation `%s`\n", op);
    return 2;
}

/* The field of a call in the list; NULL when the list has no such call. */
static char *field(const char *list, int at, const char *name) {
    char pointer[64], *text = NULL;
    snprintf(pointer, sizeof pointer, "/%d/%s", at, name);
    interfuse_json_get(list, pointer, &text, NULL);
    return text;
}

/* Makes each call at its time, or when the one before it has ended; then tells what the ledger says of them all. */
static int32_t calls(const interfuse_client *client, const char *list, const char *config, interfuse_error **err) {
    const int64_t start = now_ms();
    char *at_ms, *report = NULL;
    int32_t status;
    for (int at = 0; (at_ms = field(list, at, "at_ms")) != NULL; at++) {
        char *op = field(list, at, "op"), *request = field(list, at, "request");
        const int64_t wait = strtoll(at_ms, NULL, 10) - (now_ms() - start);
        if (wait > 0) {
            const struct timespec pause = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
            nanosleep(&pause, NULL);
        }
        const int64_t started = now_ms() - start;
        interfuse_error *failed = NULL;
        status = make(client, op, request, -1, config, &failed);
        const int64_t ended = now_ms() - start;
        if (status < 0) {
            line("error", interfuse_error_json(failed));
        }
        printf("{\"made\": {\"started_ms\": %lld, \"ended_ms\": %lld}}\n", (long long)started, (long long)ended);
        fflush(stdout);
        interfuse_error_free(failed);
        interfuse_string_free(op);
        interfuse_string_free(request);
        interfuse_string_free(at_ms);
        if (status == 2) {
            return status;
        }
    }
    status = interfuse_usage(client, "{\"by\": [\"provider\"]}", &report, err);
    if (status == INTERFUSE_OK) {
        line("result", report);
    }
    interfuse_string_free(report);
    return status;
}

int main(int argc, char **argv) {
    interfuse_client *client = NULL;
    interfuse_error *err = NULL;
    int32_t status;
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: parity-c OP CONFIG_JSON REQUEST_JSON [CANCEL_AFTER_MS]\n");
        return 2;
    }
    const char *op = argv[1], *request = argv[3];
    const int64_t cancel_ms = argc == 5 ? strtoll(argv[4], NULL, 10) : -1;

    status = interfuse_client_new(argv[2], &client, &err);
    if (status == INTERFUSE_OK) {
        status = strcmp(op, "calls") == 0 ? calls(client, request, argv[2], &err)
                                          : make(client, op, request, cancel_ms, argv[2], &err);
    }
    if (status < 0) {
        line("error", interfuse_error_json(err));
    }
    interfuse_error_free(err);
    interfuse_client_free(client);
    return status == 2 ? 2 : 0;
}
