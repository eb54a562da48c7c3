/* The examples that the README shows, run as they are. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char ROUTES[] =
    "[{\"when\": {\"body\": {\"response_format\": {\"type\": \"json_schema\"}}},"
    "  \"then\": {\"answer\": \"{\\\"consensus\\\": [], \\\"contradictions\\\": [], \\\"partial_coverage\\\": [],"
    " \\\"unique_insights\\\": [], \\\"blind_spots\\\": []}\"}},"
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

static void example(const char *name, const char *part) {
    const char path[] = "interfuse-example.toml";
    struct upstream up;
    FILE *file;
    CHECK(upstream_start(&up, ROUTES));
    file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("use_environment = false\n", file);
    fprintf(file, "[providers.openai]\nbase_url = \"http://127.0.0.1:%d/v1\"\napi_key = \"k\"\n", up.port);
    fprintf(file, "[providers.groq]\nbase_url = \"http://127.0.0.1:%d/v1\"\napi_key = \"k\"\n", up.port);
    fprintf(file, "[providers.mistral]\nbase_url = \"http://127.0.0.1:%d/v1\"\napi_key = \"k\"\n", up.port);
    fclose(file);
    CHECK(says(name, path, part, 1));
    remove(path);
    CHECK(says(name, "/no/such/file.toml", "invalid_config: ", 0));
    upstream_stop(&up);
}

static void example_chat(void) { example("chat", "In Bern."); }
static void example_stream(void) { example("stream", "In Bern."); }
static void example_fuse(void) { example("fuse", "Rhine and Moselle."); }
static void cpp_example_fuse(void) { example("fuse-cpp", "Rhine and Moselle."); }

int main(void) {
    RUN(example_chat);
    RUN(example_stream);
    RUN(example_fuse);
    RUN(cpp_example_fuse);
    return check_result();
}
