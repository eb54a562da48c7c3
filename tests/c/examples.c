/* The examples of ffi/examples, run as they are. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char ROUTES[] =
    "[{\"when\": {\"body\": {\"response_format\": {\"type\": \"json_schema\"}}},"
    "  \"then\": {\"answer\": \"{\\\"consensus\\\": [], \\\"contradictions\\\": [], \\\"partial_coverage\\\": [],"
    " \\\"unique_insights\\\": [], \\\"blind_spots\\\": []}\"}},"
    " {\"when\": {\"body_contains\": \"a \\\\\\\"slow\\\\\\\" one\"}, \"then\": {\"answer\": \"At last.\", \"delay_ms\": 30}},"
    " {\"when\": {\"body_contains\": \"a wrong one\"}, \"then\": {\"status\": 400, \"json\": {\"error\": {\"message\": \"no\"}}}},"
    " {\"when\": {\"model\": \"mistral-large-latest\"}, \"then\": {\"answer\": \"Rhine and Moselle.\"}},"
    " {\"when\": {\"model\": \"gpt-5-mini\"}, \"then\": {\"answer\": \"In Bern.\"}},"
    " {\"then\": {\"answer\": \"Rhine and Aare.\"}}]";

/* Whether the example ends with success and says this; or, without an upstream, fails and names the kind of error. */
static int says(const char *example, const char *config, const char *part, int wanted) {
    char command[1024], said[8192];
    size_t used;
    FILE *pipe;
    int code;
    snprintf(command, sizeof command, "INTERFUSE_CONFIG=%s %s/%s 2>&1", config, getenv("INTERFUSE_EXAMPLES"), example);
    pipe = popen(command, "r");
    if (pipe == NULL) {
        return 0;
    }
    used = fread(said, 1, sizeof said - 1, pipe);
    said[used] = '\0';
    code = pclose(pipe);
    if ((code == 0) != wanted || strstr(said, part) == NULL) {
        printf("    %s ended with %d and said: %s\n", example, code, said);
        return 0;
    }
    return 1;
}

static const char CONFIG[] = "interfuse-example.toml";

/* Leads the vendors of the examples to the upstream. */
static int configure(const struct upstream *up) {
    static const char *const providers[] = {"openai", "groq", "mistral"};
    size_t i;
    FILE *file = fopen(CONFIG, "w");
    if (file == NULL) {
        return 0;
    }
    fputs("use_environment = false\n", file);
    for (i = 0; i < sizeof providers / sizeof *providers; i++) {
        fprintf(file, "[providers.%s]\nbase_url = \"http://127.0.0.1:%d/v1\"\napi_key = \"k\"\n", providers[i], up->port);
    }
    return fclose(file) == 0;
}

static void example(const char *name, const char *part) {
    struct upstream up;
    CHECK(upstream_start(&up, ROUTES));
    CHECK(configure(&up));
    CHECK(says(name, CONFIG, part, 1));
    remove(CONFIG);
    CHECK(says(name, "/no/such/file.toml", "invalid_config: ", 0));
    upstream_stop(&up);
}

static void example_chat(void) { example("chat", "In Bern."); }
static void example_stream(void) { example("stream", "In Bern."); }
static void example_fuse(void) { example("fuse", "Rhine and Moselle."); }
static void example_loop(void) { example("loop", "In Bern."); }

/* Ctrl-C while nothing comes stops the answer, and the program ends well. */
static void is_interrupted(const char *name) {
    struct upstream up;
    char command[1024], said[256];
    size_t used = 0;
    ssize_t n;
    int ends[2], code = -1;
    pid_t pid;
    CHECK(upstream_start(&up, "[{\"then\": {\"steps\": [{\"stall\": true}]}}]"));
    CHECK(configure(&up) && pipe(ends) == 0);
    snprintf(command, sizeof command, "%s/%s", getenv("INTERFUSE_EXAMPLES"), name);
    pid = fork();
    if (pid == 0) {
        setenv("INTERFUSE_CONFIG", CONFIG, 1);
        dup2(ends[1], 1);
        execl(command, command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    /* Once the request is there, so is the handler of the signal. */
    CHECK(upstream_saw(&up, 1));
    CHECK(kill(pid, SIGINT) == 0);
    while ((n = read(ends[0], said + used, sizeof said - 1 - used)) > 0) {
        used += (size_t)n;
    }
    said[used] = '\0';
    close(ends[0]);
    CHECK(waitpid(pid, &code, 0) == pid && code == 0);
    CHECK(strstr(said, "(stopped)") != NULL);
    remove(CONFIG);
    upstream_stop(&up);
}

static void example_loop_is_interrupted(void) { is_interrupted("loop"); }
static void cpp_example_loop_is_interrupted(void) { is_interrupted("loop-cpp"); }

/* Writes the questions that the batch reads. */
static int ask(const char *lines) {
    FILE *file = fopen("questions.txt", "w");
    return file != NULL && fputs(lines, file) >= 0 && fclose(file) == 0;
}

static void keeps_the_order(const char *batch) {
    CHECK(ask("a \"slow\" one\nWhere?\n"));
    example(batch, "At last.\nIn Bern.\n");
}

static void goes_on_after_a_failure(const char *batch) {
    struct upstream up;
    CHECK(ask("a wrong one\nWhere?\n"));
    CHECK(upstream_start(&up, ROUTES));
    CHECK(configure(&up));
    CHECK(says(batch, CONFIG, "(invalid_request)\n", 0));
    CHECK(says(batch, CONFIG, "\nIn Bern.\n", 0));
    remove(CONFIG);
    upstream_stop(&up);
}

static void example_batch_keeps_the_order(void) { keeps_the_order("batch <questions.txt"); }
static void cpp_example_batch_keeps_the_order(void) { keeps_the_order("batch-cpp <questions.txt"); }
static void example_batch_goes_on_after_a_failure(void) { goes_on_after_a_failure("batch <questions.txt"); }
static void cpp_example_batch_goes_on_after_a_failure(void) { goes_on_after_a_failure("batch-cpp <questions.txt"); }

/* Nothing to tell of an answer, unless everything is wanted; of a failure, that it is one. */
static void tells_its_log(const char *name, const char *all) {
    struct upstream up;
    CHECK(upstream_start(&up, "[{\"then\": [{\"answer\": \"In Bern.\"}, {\"status\": 400, \"json\": {\"error\": {\"message\": \"no\"}}}]}]"));
    CHECK(configure(&up));
    CHECK(says(all, CONFIG, "[debug] an attempt was answered provider=openai ", 1));
    CHECK(says(all, CONFIG, "[info] an attempt failed provider=openai ", 0));
    CHECK(says(name, CONFIG, "invalid_request: ", 0));
    remove(CONFIG);
    upstream_stop(&up);
}

static void example_log_tells(void) { tells_its_log("log", "log -v"); }
static void cpp_example_log_tells(void) { tells_its_log("log-cpp", "log-cpp -v"); }
static void example_log(void) { example("log", "In Bern."); }
static void cpp_example_log(void) { example("log-cpp", "In Bern."); }
static void example_budget(void) { example("budget", "Rhine and Moselle."); }
static void cpp_example_budget(void) { example("budget-cpp", "Rhine and Moselle."); }
static void cpp_example_chat(void) { example("chat-cpp", "In Bern."); }
static void cpp_example_loop(void) { example("loop-cpp", "In Bern."); }
static void cpp_example_fuse(void) { example("fuse-cpp", "Rhine and Moselle."); }

int main(void) {
    RUN(example_chat);
    RUN(example_stream);
    RUN(example_loop);
    RUN(example_loop_is_interrupted);
    RUN(example_fuse);
    RUN(example_budget);
    RUN(example_batch_keeps_the_order);
    RUN(example_batch_goes_on_after_a_failure);
    RUN(example_log);
    RUN(example_log_tells);
    RUN(cpp_example_chat);
    RUN(cpp_example_loop);
    RUN(cpp_example_loop_is_interrupted);
    RUN(cpp_example_fuse);
    RUN(cpp_example_budget);
    RUN(cpp_example_batch_keeps_the_order);
    RUN(cpp_example_batch_goes_on_after_a_failure);
    RUN(cpp_example_log);
    RUN(cpp_example_log_tells);
    return check_result();
}
