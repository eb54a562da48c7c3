/* bench: label="interfuse C (blocking, JSON text out)" group=c order=4 libs=-linterfuse inc=../../include libdir=../../target/release prepare="cargo build --release --manifest-path ../../Cargo.toml -p interfuse-ffi"
 * Needs the library as a release build; `run.py setup` makes it. */
#define BENCH_OWN_FUSE
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

/* `opening` is the request up to its messages. */
static char *request(const char *opening, const bench_msg *m, size_t n) {
    size_t size = strlen(opening) + 32;
    for (size_t i = 0; i < n; i++) size += 2 * strlen(m[i].content) + 64;
    char *text = malloc(size), *o = text;
    o += sprintf(o, "%s\"messages\":[", opening);
    for (size_t i = 0; i < n; i++) {
        o += sprintf(o, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", m[i].role);
        o = put(o, m[i].content);
        *o++ = '}';
    }
    strcpy(o, "]}");
    return text;
}

static char *chat_request(const char *model, const bench_msg *m, size_t n) {
    char opening[256];
    snprintf(opening, sizeof opening, "{\"model\":\"up/%s\",", model);
    return request(opening, m, n);
}

static void drv_init(const char *base, const char *key) {
    char config[512];
    snprintf(config, sizeof config, "{\"providers\":{\"up\":{\"base_url\":\"%s\",\"api_key\":\"%s\"}},\"retries\":{\"max_retries\":0}}", base, key);
    if (interfuse_client_new(config, &g_client, NULL)) exit(1);
}

static int drv_chat(const char *model, const bench_msg *m, size_t n, char **answer) {
    char *text = chat_request(model, m, n), *response = NULL, *content = NULL;
    int status = interfuse_chat(g_client, text, &response, NULL);
    if (!status) status = interfuse_json_get(response, "/choices/0/message/content", &content, NULL);
    *answer = status ? NULL : strdup(content);
    interfuse_string_free(content);
    interfuse_string_free(response);
    free(text);
    return status;
}

static int drv_stream(const char *model, const bench_msg *m, size_t n, void (*first)(void *), void *arg, size_t *chunks) {
    char *text = chat_request(model, m, n), *item = NULL;
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

/* Five answers, two verdicts in opposite orders: less than that would measure something else. */
static int whole(const char *fused) {
    char *judge = NULL, *degraded = NULL;
    int two = !interfuse_json_get(fused, "/report/judges/1", &judge, NULL);
    int less = !interfuse_json_get(fused, "/report/degraded/0", &degraded, NULL);
    interfuse_string_free(judge);
    interfuse_string_free(degraded);
    return two && !less;
}

static int drv_fuse(char **models, size_t nmodels, const char *judge, const bench_msg *m, size_t n) {
    char opening[2048], *o = opening, *fused = NULL;
    o += sprintf(o, "{\"mode\":\"best_of\",\"judge\":\"up/%s-verdict\",\"pool\":[", judge);
    for (size_t i = 0; i < nmodels; i++) o += sprintf(o, "%s\"up/%s-vary\"", i ? "," : "", models[i]);
    strcpy(o, "],");
    char *text = request(opening, m, n);
    int status = interfuse_fuse(g_client, text, &fused, NULL);
    if (!status && !whole(fused)) status = -1;
    interfuse_string_free(fused);
    free(text);
    return status;
}

int main(int argc, char **argv) { return bench_main(argc, argv); }
