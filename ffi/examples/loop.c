/* One answer drawn as it comes by the loop of a user interface: the loop sleeps in poll(), the library wakes it through a
 * pipe when there is something to draw, and Ctrl-C stops the answer, not the program. POSIX. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <interfuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { FRAME_MS = 50 };
static int pipe_ends[2];

/* May be called from anywhere, also a signal handler. A full pipe has woken the loop already. */
static void wake(char why) {
    const ssize_t written = write(pipe_ends[1], &why, 1);
    (void)written;
}

/* On a thread of the library: it only signals. */
static void ready(void *unused) {
    (void)unused;
    wake('r');
}

static void interrupted(int number) {
    (void)number;
    wake('c');
}

/* Draws what is there. INTERFUSE_NOT_READY: that was all for now. */
static int32_t draw(interfuse_stream *stream, interfuse_error **err) {
    char *chunk = NULL, *text = NULL;
    int32_t status;
    while ((status = interfuse_stream_next(stream, 0, &chunk, err)) == INTERFUSE_OK) {
        if (interfuse_json_get(chunk, "/choices/0/delta/content", &text, NULL) == INTERFUSE_OK) {
            fputs(text, stdout);
            fflush(stdout);
            interfuse_string_free(text);
        }
        interfuse_string_free(chunk);
    }
    return status;
}

int main(void) {
    interfuse_client *client = NULL;
    interfuse_stream *stream = NULL;
    interfuse_error *err = NULL;
    int32_t status;
    if (pipe(pipe_ends) != 0 || fcntl(pipe_ends[1], F_SETFL, O_NONBLOCK) != 0)
        return 1;
    signal(SIGINT, interrupted);
    status = interfuse_client_new(NULL, &client, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_chat_stream(client,
                                       "{\"model\": \"openai/gpt-5-mini\","
                                       " \"messages\": [{\"role\": \"user\", \"content\": \"Where is the Aare?\"}]}",
                                       &stream, &err);
    if (status == INTERFUSE_OK)
        status = interfuse_stream_on_ready(stream, ready, NULL, NULL, &err);
    while (status == INTERFUSE_OK) {
        struct pollfd news = {pipe_ends[0], POLLIN, 0};
        char why = 0;
        if (poll(&news, 1, FRAME_MS) <= 0 || read(pipe_ends[0], &why, 1) != 1)
            continue; /* Here the rest of the interface is drawn. */
        if (why == 'c')
            interfuse_stream_cancel(stream);
        status = draw(stream, &err);
        /* Asked for once, told once. */
        if (status == INTERFUSE_NOT_READY)
            status = interfuse_stream_on_ready(stream, ready, NULL, NULL, &err);
    }
    puts("");
    if (status == INTERFUSE_CANCELLED)
        puts("(stopped)");
    else if (status != INTERFUSE_END)
        fprintf(stderr, "%s: %s\n", interfuse_error_kind_name(err), interfuse_error_message(err));
    interfuse_error_free(err);
    interfuse_stream_free(stream);
    interfuse_client_free(client);
    return status != INTERFUSE_END && status != INTERFUSE_CANCELLED;
}
