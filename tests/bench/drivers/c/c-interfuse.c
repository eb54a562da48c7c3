/* bench: label="interfuse C (blocking, JSON text out)" group=c order=4 libs=-linterfuse inc=../../include libdir=../../target/release prepare="cargo build --release --manifest-path ../../Cargo.toml -p interfuse-ffi"
 * Needs the library as a release build; `run.py setup` makes it. */
#include "harness.h"
#include <interfuse.h>

static interfuse_client *g_client;

static char *put(char *o, const char *s) { /* JSON string */
    *o++ = '"';
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') *o++ = '\\', *o++ = *s;
        else if (*s == '\n') *o++ = '\\', *o++ = 'n';
        else *o++ = *s;
    }
    *o++ = '"';
    return o;
}

static char *request(const char *model, const bench_msg *m, size_t n) {
    size_t size = 256;
    for (size_t i = 0; i < n; i++) size += 2 * strlen(m[i].content) + 64;
    char *text = malloc(size), *o = text;
    o += sprintf(o, "{\"model\":\"up/%s\",\"messages\":[", model);
    for (size_t i = 0; i < n; i++) {
        o += sprintf(o, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", m[i].role);
        o = put(o, m[i].content);
        *o++ = '}';
    }
    strcpy(o, "]}");
    return text;
}

static void drv_init(const char *base, const char *key) {
    char config[512];
    snprintf(config, sizeof config, "{\"providers\":{\"up\":{\"base_url\":\"%s\",\"api_key\":\"%s\"}},\"retries\":{\"max_retries\":0}}", base, key);
    if (interfuse_client_new(config, &g_client, NULL)) exit(1);
}

static int drv_chat(const char *model, const bench_msg *m, size_t n, char **answer) {
    char *text = request(model, m, n), *response = NULL, *content = NULL;
    int status = interfuse_chat(g_client, text, &response, NULL);
    if (!status) status = interfuse_json_get(response, "/choices/0/message/content", &content, NULL);
    *answer = status ? NULL : strdup(content);
    interfuse_string_free(content);
    interfuse_string_free(response);
    free(text);
    return status;
}

static int drv_stream(const char *model, const bench_msg *m, size_t n, void (*first)(void *), void *arg, size_t *chunks) {
    char *text = request(model, m, n), *item = NULL;
    interfuse_stream *stream = NULL;
    int status = interfuse_chat_stream(g_client, text, &stream, NULL);
    *chunks = 0;
    while (!status && !(status = interfuse_stream_next(stream, -1, &item, NULL))) {
        const char *content = strstr(item, "\"content\":\"");
        if (content && content[11] != '"' && !(*chunks)++) first(arg);
        interfuse_string_free(item);
    }
    interfuse_stream_free(stream);
    free(text);
    return status == 1 ? 0 : status;
}

int main(int argc, char **argv) { return bench_main(argc, argv); }
