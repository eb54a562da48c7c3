/* What every C test uses: named tests with one line each, and a scripted upstream of their own. */

#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

#include "interfuse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Hangs are what it guards against; nothing is expected to take this long. */
#define GUARD_MS 60000

/* Ends the test as failed. */
#define CHECK(condition)                                     \
    do {                                                     \
        if (!(condition)) {                                  \
            check_failed(__FILE__, __LINE__, #condition);    \
            return;                                          \
        }                                                    \
    } while (0)

/* The status, and on failure what the library said. */
#define CHECK_STATUS(wanted, call, err)                                  \
    do {                                                                 \
        const int32_t status_ = (call);                                  \
        if (status_ != (wanted)) {                                       \
            check_status(__FILE__, __LINE__, #call, status_, (err));     \
            return;                                                      \
        }                                                                \
    } while (0)

/* ThreadSanitizer sees no code of the library, so the tests tell it what the library promises of the data of a callback: what
 * stood there when it was handed over stands there in the callback, and what that left there in the destructor. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
void __tsan_release(void *data);
void __tsan_acquire(void *data);
#define HANDED_OVER(data) __tsan_release(data)
#define RECEIVED(data) __tsan_acquire(data)
#else
#define HANDED_OVER(data) (void)(data)
#define RECEIVED(data) (void)(data)
#endif

void check_failed(const char *file, int line, const char *condition);
void check_status(const char *file, int line, const char *call, int32_t status, const interfuse_error *err);
/* Runs one test and prints its line. */
void check_run(const char *name, void (*test)(void));
/* The exit code of the program. */
int check_result(void);

#define RUN(test) check_run(#test, test)

/* Whether the value at the pointer is this text. */
int json_is(const char *json, const char *pointer, const char *expected);
/* Whether the value at the pointer contains this text. */
int json_has(const char *json, const char *pointer, const char *part);

struct upstream {
    int pid;
    int in;
    int port;
    /* A configuration whose provider `up` is this upstream. */
    char config[256];
};

/* Starts a server that answers as `routes` (a JSON list) says; 0 when that failed. */
int upstream_start(struct upstream *up, const char *routes);
/* Body of GET `path`, to be freed; NULL when that failed. "/__log?settled" is the log once no request is in flight. */
char *upstream_get(const struct upstream *up, const char *path);
void upstream_stop(struct upstream *up);
/* Waits until the server has seen `n` requests; 0 when that did not come. */
int upstream_saw(const struct upstream *up, int n);

/* A flag that callbacks raise and tests wait for. */
struct flag;
struct flag *flag_new(void);
void flag_raise(void *flag);
int flag_count(struct flag *flag);
/* Waits until it was raised `n` times; 0 when that did not come. */
int flag_wait(struct flag *flag, int n);
void flag_free(struct flag *flag);

#ifdef __cplusplus
}
#endif

#endif
