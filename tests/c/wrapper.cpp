// The C++ wrapper: answers, errors as exceptions, range-for, callbacks, moves.

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "check.h"
#include "interfuse.hpp"

namespace {

const char CHAT[] = R"({"model": "up/m-a", "messages": [{"role": "user", "content": "Where?"}]})";
const char FUSE[] = R"({"prompt": "Where?", "pool": ["up/m-a", "up/m-b"], "judge": "up/m-j", "mode": "merge"})";

class Upstream {
public:
    explicit Upstream(const char *routes) : started_(upstream_start(&up_, routes) != 0) {}
    ~Upstream() { upstream_stop(&up_); }
    Upstream(const Upstream &) = delete;
    Upstream &operator=(const Upstream &) = delete;
    bool started() const { return started_; }
    std::string config() const { return up_.config; }
    // Whether the client left each of the first `requests` before its answer was whole.
    bool abandoned(int requests) const {
        char *log = upstream_get(&up_, "/__log?settled");
        bool all = log != nullptr;
        for (int i = 0; all && i < requests; i++) {
            all = json_has(log, ("/" + std::to_string(i) + "/client_closed_ms").c_str(), "") != 0;
        }
        std::free(log);
        return all;
    }

private:
    upstream up_;
    bool started_;
};

// A test that throws has failed.
template <void (*test)()> void guarded() {
    try {
        test();
    } catch (const interfuse::Error &error) {
        check_failed(__FILE__, __LINE__, error.json().c_str());
    } catch (const std::exception &error) {
        check_failed(__FILE__, __LINE__, error.what());
    }
}

template <class F> std::int32_t kind_of(F f) {
    try {
        f();
    } catch (const interfuse::Error &error) {
        return error.kind();
    }
    return INTERFUSE_OK;
}

void chat_answers() {
    const Upstream up(R"([{"then": {"answer": "In Bern."}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    CHECK(interfuse::get(client.chat(CHAT), "/choices/0/message/content") == "In Bern.");
    CHECK(interfuse::get(client.usage(), "/total/attempts") == "1");
    CHECK(interfuse::get(client.usage(R"({"by": ["model"]})"), "/rows/0/attempts") == "1");
    CHECK(interfuse::get(client.explain(R"({"model": "up/m"})"), "/order/0") == "up/m");
    CHECK(interfuse::get(client.estimate(R"({"model": "up/m"})"), "/routes/0/unknown") == "price_unknown");
    CHECK(client.budgets() == "[]");
    CHECK(!client.models().empty() && !client.providers().empty() && !interfuse::version().empty());
}

void embeddings_too() {
    const Upstream up(R"([{"when": {"path": "/v1/embeddings"}, "then": {"json": {"data": [{"index": 0, "embedding": [0.5]}]}}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    const std::string asked = R"({"model": "up/m-a", "input": "one"})";
    CHECK(interfuse::get(client.embeddings(asked), "/data/0/embedding") == "[0.5]");
    CHECK(interfuse::get(client.embeddings_start(asked).get(), "/data/0/embedding") == "[0.5]");
}

void failures_are_exceptions() {
    CHECK(kind_of([] { interfuse::Client("nonsense = 1"); }) == INTERFUSE_INVALID_CONFIG);
    CHECK(kind_of([] { interfuse::Client::from_file("/no/such/file"); }) == INTERFUSE_INVALID_CONFIG);
    const interfuse::Client client("use_environment = false");
    CHECK(kind_of([&] { client.chat("{"); }) == INTERFUSE_INVALID_REQUEST);
    CHECK(kind_of([&] { client.chat(std::string("{}\0", 3)); }) == INTERFUSE_MISUSE);
    try {
        interfuse::get("{}", "/a");
        CHECK(false);
    } catch (const std::runtime_error &error) {
        const auto &typed = dynamic_cast<const interfuse::Error &>(error);
        CHECK(typed.kind_name() == "not_found");
        CHECK(interfuse::get(typed.json(), "/kind") == "not_found");
        CHECK(std::string(typed.what()).find("/a") != std::string::npos);
    }
}

void a_stream_is_a_range() {
    const Upstream up(R"([{"then": {"answer": "One two three."}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    std::string joined;
    for (const std::string &chunk : client.chat_stream(CHAT)) {
        if (kind_of([&] { joined += interfuse::get(chunk, "/choices/0/delta/content"); }) != INTERFUSE_OK) {
            continue; // the last chunk carries usage only
        }
    }
    CHECK(joined == "One two three.");
}

void a_loop_left_early_cancels() {
    // One chunk, and then nothing.
    const Upstream up(R"([{"then": {"headers": {"content-type": "text/event-stream"}, "steps": [{"send": "data: )"
                      R"({\"choices\":[{\"index\":0,\"delta\":{\"content\":\"In \"}}]}\n\n"}, {"stall": true}]}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    int chunks = 0;
    for (const std::string &chunk : client.chat_stream(CHAT)) {
        chunks += chunk.empty() ? 0 : 1;
        break;
    }
    CHECK(chunks == 1 && up.abandoned(1));
    auto stream = client.chat_stream(CHAT);
    std::string item;
    CHECK(stream.next_for(std::chrono::minutes(1), item) == interfuse::Stream::Status::item);
    CHECK(stream.next_for(std::chrono::milliseconds(0), item) == interfuse::Stream::Status::not_ready);
    stream.cancel();
    CHECK(kind_of([&] { stream.next(); }) == INTERFUSE_CANCELLED);
}

void a_batch_asks_for_its_requests() {
    const Upstream up(R"([{"when": {"body_contains": "bad"}, "then": {"status": 401, "json": {"error": {"message": "no"}}}},)"
                      R"( {"then": {"answer": "In Bern."}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    const std::string options = R"({"common": {"model": "up/m-a", "max_retries": 0}, "total": 300})";
    int asked = 0, rows = 0, failed = 0;
    std::string last;
    const auto next = [&](std::string &request) {
        request = asked == 3 ? R"("bad")" : R"("Where?")";
        return asked++ < 300;
    };
    const auto on_row = [&](const std::string &row) {
        CHECK(interfuse::get(row, "/index") == std::to_string(rows));
        failed += kind_of([&] { interfuse::get(row, "/error/kind"); }) == INTERFUSE_OK ? 1 : 0;
        rows++;
    };
    const std::string report = client.batch(options, next, on_row, [&](const std::string &progress) { last = progress; });
    CHECK(rows == 300 && failed == 1 && interfuse::get(report, "/answered") == "299");
    CHECK(interfuse::get(last, "/done") == "300" && interfuse::get(last, "/failed") == "1");
    CHECK(interfuse::batch_text(report).find("299 of 300 rows answered") == 0);
    CHECK(kind_of([&] { client.batch(R"({"concurrency": 0})"); }) == INTERFUSE_INVALID_REQUEST);
}

void calls_move_and_tell() {
    const Upstream up(R"([{"then": {"answer": "In Bern.", "delay_ms": 20}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    auto first = client.chat_start(CHAT);
    auto call = std::move(first);
    auto *flag = flag_new();
    const auto alive = std::make_shared<int>(0);
    call.on_ready([flag, alive] { flag_raise(flag); });
    CHECK(flag_wait(flag, 1));
    CHECK(call.wait_for(std::chrono::minutes(1)) && call.ready());
    CHECK(interfuse::get(call.get(), "/choices/0/message/content") == "In Bern.");
    CHECK(kind_of([&] { call.get(); }) == INTERFUSE_MISUSE);
    CHECK(kind_of([&] { first.ready(); }) == INTERFUSE_MISUSE);
    auto cancelled = client.chat_start(CHAT);
    cancelled.cancel();
    CHECK(kind_of([&] { cancelled.get(); }) == INTERFUSE_CANCELLED);
    // Only our own reference is left once a call is gone.
    { const auto gone = std::move(call); }
    interfuse_shutdown(GUARD_MS, nullptr);
    CHECK(alive.use_count() == 1);
    flag_free(flag);
}

void a_pool_is_fused() {
    const Upstream up(R"([{"when": {"model": "m-j", "body": {"response_format": {"type": "json_schema"}}},
        "then": {"answer": "{\"consensus\": [], \"contradictions\": [], \"partial_coverage\": [], \"unique_insights\": [], \"blind_spots\": []}"}},
        {"when": {"model": "m-b"}, "then": {"answer": "Zurich."}},
        {"then": {"answer": "Bern."}}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    CHECK(interfuse::get(client.fuse(FUSE), "/text") == "Bern.");
    CHECK(interfuse::get(client.fuse_start(FUSE).get(), "/text") == "Bern.");
    std::string last;
    for (const std::string &event : client.fuse_stream(FUSE)) {
        last = event;
    }
    CHECK(interfuse::get(last, "/type") == "run_done");
}

void lines_of_the_log_come() {
    const Upstream up(R"([{"then": [{"status": 429, "headers": {"retry-after-ms": "1"}, "json": {"error": {"message": "slow"}}},
        {"answer": "In Bern."}]}])");
    CHECK(up.started());
    const interfuse::Client client(up.config());
    const auto alive = std::make_shared<int>(0);
    auto *flag = flag_new();
    std::string first;
    interfuse::set_log(INTERFUSE_LOG_INFO, [flag, alive, &first](std::int32_t level, std::string_view line) {
        first = std::to_string(level) + " " + std::string(line);
        flag_raise(flag);
    });
    CHECK(!client.chat(CHAT).empty() && flag_wait(flag, 1));
    interfuse::end_log();
    interfuse_shutdown(GUARD_MS, nullptr);
    CHECK(alive.use_count() == 1 && flag_count(flag) == 1);
    CHECK(first.rfind("3 an attempt failed provider=up model=up/m-a attempt=1 kind=rate_limited ", 0) == 0);
    CHECK(kind_of([&] { interfuse::set_log(9, [alive](std::int32_t, std::string_view) {}); }) == INTERFUSE_INVALID_REQUEST);
    CHECK(alive.use_count() == 1);
    flag_free(flag);
}

void scripts_and_cassettes_stand_in() {
    const auto client = interfuse::Client::scripted(R"([{"status": 429}, {"answer": "In Bern."}])");
    CHECK(interfuse::get(client.chat(CHAT), "/choices/0/message/content") == "In Bern.");
    CHECK(kind_of([] { interfuse::Client::scripted("{}"); }) == INTERFUSE_INVALID_REQUEST);
    CHECK(kind_of([] { interfuse::Client::recorded("no-tape.json", "replay"); }) == INTERFUSE_INVALID_CONFIG);
}

} // namespace

int main() {
    check_run("cpp_chat_answers", guarded<chat_answers>);
    check_run("cpp_embeddings_too", guarded<embeddings_too>);
    check_run("cpp_failures_are_exceptions", guarded<failures_are_exceptions>);
    check_run("cpp_a_stream_is_a_range", guarded<a_stream_is_a_range>);
    check_run("cpp_a_loop_left_early_cancels", guarded<a_loop_left_early_cancels>);
    check_run("cpp_a_batch_asks_for_its_requests", guarded<a_batch_asks_for_its_requests>);
    check_run("cpp_calls_move_and_tell", guarded<calls_move_and_tell>);
    check_run("cpp_lines_of_the_log_come", guarded<lines_of_the_log_come>);
    check_run("cpp_scripts_and_cassettes_stand_in", guarded<scripts_and_cassettes_stand_in>);
    check_run("cpp_a_pool_is_fused", guarded<a_pool_is_fused>);
    interfuse_shutdown(GUARD_MS, nullptr);
    return check_result();
}
