/* See check.h. */

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failed_now, failed_all;

void check_failed(const char *file, int line, const char *condition) {
    printf("    %s:%d: not so: %s\n", file, line, condition);
    failed_now = 1;
}

void check_status(const char *file, int line, const char *call, int32_t status, const interfuse_error *err) {
    printf("    %s:%d: %s gave %d %s\n", file, line, call, (int)status, err ? interfuse_error_json(err) : "");
    failed_now = 1;
}

void check_run(const char *name, void (*test)(void)) {
    failed_now = 0;
    test();
    failed_all += failed_now;
    printf("%s %s\n", failed_now ? "FAIL" : "ok", name);
    fflush(stdout);
}

int check_result(void) {
    return failed_all != 0;
}

static char *json_at(const char *json, const char *pointer) {
    char *text = NULL;
    interfuse_error *err = NULL;
    if (interfuse_json_get(json, pointer, &text, &err) != INTERFUSE_OK) {
        printf("    %s\n", interfuse_error_message(err));
        interfuse_error_free(err);
    }
    return text;
}

int json_is(const char *json, const char *pointer, const char *expected) {
    char *text = json_at(json, pointer);
    const int same = text != NULL && strcmp(text, expected) == 0;
    if (!same) {
        printf("    at %s: %s\n", pointer, text ? text : "nothing");
    }
    interfuse_string_free(text);
    return same;
}

int json_has(const char *json, const char *pointer, const char *part) {
    char *text = json_at(json, pointer);
    const int has = text != NULL && strstr(text, part) != NULL;
    if (!has) {
        printf("    at %s: %s\n", pointer, text ? text : "nothing");
    }
    interfuse_string_free(text);
    return has;
}

static int write_all(int fd, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        const ssize_t n = write(fd, text, left);
        if (n < 0) {
            return 0;
        }
        text += n;
        left -= (size_t)n;
    }
    return 1;
}

/* A pipe whose ends no other child inherits: the server lives as long as its stdin is open. */
static int private_pipe(int ends[2]) {
    return pipe(ends) == 0 && fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
}

int upstream_start(struct upstream *up, const char *routes) {
    int to[2], from[2];
    char line[256];
    const char *program = getenv("INTERFUSE_UPSTREAM"), *colon;
    size_t used = 0;
    memset(up, 0, sizeof *up);
    up->in = -1;
    if (program == NULL || !private_pipe(to) || !private_pipe(from)) {
        printf("    INTERFUSE_UPSTREAM must name the scripted upstream\n");
        return 0;
    }
    up->pid = fork();
    if (up->pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl(program, program, "--script", "-", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    up->in = to[1];
    if (!write_all(up->in, "{\"routes\": ") || !write_all(up->in, routes) || !write_all(up->in, "}\n")) {
        return 0;
    }
    while (used < sizeof line - 1 && (used == 0 || line[used - 1] != '\n')) {
        const ssize_t n = read(from[0], line + used, sizeof line - 1 - used);
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    close(from[0]);
    line[used] = '\0';
    colon = strrchr(line, ':');
    if (colon == NULL) {
        printf("    the upstream did not start\n");
        return 0;
    }
    up->port = atoi(colon + 1);
    snprintf(up->config, sizeof up->config,
             "{\"providers\": {\"up\": {\"base_url\": \"http://127.0.0.1:%d/v1\", \"api_key\": \"key-of-up\"}},"
             " \"prices\": {\"up/m-a\": {\"input\": \"1\", \"output\": \"2\"}}, \"use_environment\": false}",
             up->port);
    return 1;
}

/* The text after the header's name; the server writes one, in this or that case. */
static char *content_length(char *head) {
    char *at = strstr(head, "content-length:");
    if (at == NULL) {
        at = strstr(head, "Content-Length:");
    }
    return at == NULL ? NULL : at + strlen("content-length:");
}

char *upstream_get(const struct upstream *up, const char *path) {
    struct sockaddr_in at;
    char request[256];
    char *answer = NULL, *body = NULL;
    size_t used = 0, room = 0, length = 0;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t)up->port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || !write_all(fd, request)) {
        return NULL;
    }
    while (body == NULL || used - (size_t)(body - answer) < length) {
        char *end;
        ssize_t n;
        if (room - used < 4096) {
            room = room * 2 + 8192;
            answer = realloc(answer, room);
        }
        n = read(fd, answer + used, room - used - 1);
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
        answer[used] = '\0';
        end = strstr(answer, "\r\n\r\n");
        body = end == NULL ? NULL : end + 4;
        end = content_length(answer);
        length = end == NULL ? 0 : strtoul(end, NULL, 10);
    }
    close(fd);
    if (body == NULL) {
        free(answer);
        return NULL;
    }
    memmove(answer, body, strlen(body) + 1);
    return answer;
}

void upstream_stop(struct upstream *up) {
    if (up->in >= 0) {
        close(up->in);
    }
    if (up->pid > 0) {
        while (waitpid(up->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
}

int upstream_saw(const struct upstream *up, int n) {
    const struct timespec pause = {0, 2000000};
    int tries;
    for (tries = 0; tries < GUARD_MS / 2; tries++) {
        char pointer[32], *log = upstream_get(up, "/__log"), *found = NULL;
        int32_t status;
        snprintf(pointer, sizeof pointer, "/%d", n - 1);
        status = log ? interfuse_json_get(log, pointer, &found, NULL) : -1;
        interfuse_string_free(found);
        free(log);
        if (status == INTERFUSE_OK) {
            return 1;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

struct flag {
    pthread_mutex_t lock;
    pthread_cond_t raised;
    int count;
};

struct flag *flag_new(void) {
    struct flag *flag = calloc(1, sizeof *flag);
    pthread_mutex_init(&flag->lock, NULL);
    pthread_cond_init(&flag->raised, NULL);
    return flag;
}

void flag_raise(void *data) {
    struct flag *flag = data;
    pthread_mutex_lock(&flag->lock);
    flag->count++;
    pthread_cond_broadcast(&flag->raised);
    pthread_mutex_unlock(&flag->lock);
}

int flag_count(struct flag *flag) {
    int count;
    pthread_mutex_lock(&flag->lock);
    count = flag->count;
    pthread_mutex_unlock(&flag->lock);
    return count;
}

int flag_wait(struct flag *flag, int n) {
    struct timespec until;
    int came;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GUARD_MS / 1000;
    pthread_mutex_lock(&flag->lock);
    while (flag->count < n && pthread_cond_timedwait(&flag->raised, &flag->lock, &until) == 0) {
    }
    came = flag->count >= n;
    pthread_mutex_unlock(&flag->lock);
    return came;
}

void flag_free(struct flag *flag) {
    pthread_mutex_destroy(&flag->lock);
    pthread_cond_destroy(&flag->raised);
    free(flag);
}
