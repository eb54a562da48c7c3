// C++17 over interfuse.h: handles that free themselves, exceptions, and range-for over a stream. Header-only.
//
//     interfuse::Client client;
//     for (const std::string &chunk : client.chat_stream(request)) { ... }
//
// Requests and results are JSON text in UTF-8; bring any JSON library, or read single values with interfuse::get.

#ifndef INTERFUSE_HPP
#define INTERFUSE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "interfuse.h"

namespace interfuse {

/// Any failure of interfuse. what() says what happened and what to do.
class Error : public std::runtime_error {
public:
    Error(std::int32_t kind, std::string name, const std::string &message, std::string json)
        : std::runtime_error(message), kind_(kind), name_(std::move(name)), json_(std::move(json)) {}

    /// The kind of failure: one of INTERFUSE_INVALID_REQUEST, INTERFUSE_RATE_LIMITED, ...
    std::int32_t kind() const noexcept { return kind_; }
    /// The kind's name, such as "rate_limited".
    const std::string &kind_name() const noexcept { return name_; }
    /// Everything the error tells, as a JSON object.
    const std::string &json() const noexcept { return json_; }

private:
    std::int32_t kind_;
    std::string name_;
    std::string json_;
};

namespace detail {

struct Free {
    void operator()(interfuse_client *client) const noexcept { interfuse_client_free(client); }
    void operator()(interfuse_call *call) const noexcept { interfuse_call_free(call); }
    void operator()(interfuse_stream *stream) const noexcept { interfuse_stream_free(stream); }
    void operator()(interfuse_feed *feed) const noexcept { interfuse_feed_free(feed); }
    void operator()(interfuse_error *error) const noexcept { interfuse_error_free(error); }
    void operator()(char *text) const noexcept { interfuse_string_free(text); }
};

template <class T> using Owned = std::unique_ptr<T, Free>;

/// Throws when a status is a failure; gives it back otherwise.
inline std::int32_t check(std::int32_t status, interfuse_error *raw) {
    const Owned<interfuse_error> error(raw);
    if (status >= 0) {
        return status;
    }
    throw Error(status, interfuse_error_kind_name(raw), interfuse_error_message(raw), interfuse_error_json(raw));
}

[[noreturn]] inline void misuse(const char *message) {
    throw Error(INTERFUSE_MISUSE, "misuse", message,
                std::string("{\"kind\":\"misuse\",\"message\":\"") + message + "\",\"retryable\":false}");
}

/// Text for C, which would silently end at a NUL.
inline const char *text(const std::string &text) {
    if (text.find('\0') != std::string::npos) {
        misuse("the text contains a NUL");
    }
    return text.c_str();
}

/// Calls a function that gives a text.
template <class Function, class... Arguments> std::string give(Function function, Arguments... arguments) {
    char *out = nullptr;
    interfuse_error *error = nullptr;
    const std::int32_t status = function(arguments..., &out, &error);
    const Owned<char> owned(out);
    check(status, error);
    return out;
}

/// Calls a function that gives a handle.
template <class T, class Function, class... Arguments> Owned<T> make(Function function, Arguments... arguments) {
    T *out = nullptr;
    interfuse_error *error = nullptr;
    const std::int32_t status = function(arguments..., &out, &error);
    Owned<T> owned(out);
    check(status, error);
    return owned;
}

/// Hands a callable over to C; its destructor runs once whatever happens.
template <class Function, class T, class F> void on_ready(Function function, const T *handle, F &&ready) {
    using Ready = std::decay_t<F>;
    auto boxed = std::make_unique<Ready>(std::forward<F>(ready));
    interfuse_error *error = nullptr;
    const std::int32_t status = function(
        handle, [](void *data) noexcept { (*static_cast<Ready *>(data))(); }, boxed.release(),
        [](void *data) noexcept { delete static_cast<Ready *>(data); }, &error);
    check(status, error);
}

} // namespace detail

/// Version of the library that is loaded, such as "0.1.0".
inline std::string_view version() noexcept { return interfuse_version(); }

/// Throws when the library that is loaded does not fit the header this program was compiled with. Client does it.
inline void check_abi() {
    if (interfuse_abi_version() != INTERFUSE_ABI_VERSION) {
        detail::misuse("the loaded library has another ABI version than the header this program was compiled with");
    }
}

/// Has `log` get each line of the library's log up to `level` (INTERFUSE_LOG_ERROR, ...), in place of the one before:
/// `log(std::int32_t level, std::string_view line)`, on any thread and on several at once. It does not block and does not
/// throw (that would end the program); its destructor runs when it has run for the last time. See interfuse_set_log.
template <class F> void set_log(std::int32_t level, F &&log) {
    using Log = std::decay_t<F>;
    auto boxed = std::make_unique<Log>(std::forward<F>(log));
    interfuse_error *error = nullptr;
    const std::int32_t status = interfuse_set_log(
        level,
        [](std::int32_t of, const char *line, void *data) noexcept { (*static_cast<Log *>(data))(of, std::string_view(line)); },
        boxed.release(), [](void *data) noexcept { delete static_cast<Log *>(data); }, &error);
    detail::check(status, error);
}

/// Ends what set_log began.
inline void end_log() {
    interfuse_error *error = nullptr;
    detail::check(interfuse_set_log(INTERFUSE_LOG_ERROR, nullptr, nullptr, nullptr, &error), error);
}

/// The value at a JSON Pointer, such as get(response, "/choices/0/message/content"): the text of a JSON string, any other
/// value as JSON.
inline std::string get(const std::string &json, const std::string &pointer) {
    return detail::give(interfuse_json_get, detail::text(json), detail::text(pointer));
}

/// An evaluation as tables for a terminal of `width` columns.
inline std::string evaluation_text(const std::string &evaluation, std::uint32_t width = 100) {
    return detail::give(interfuse_evaluation_text, detail::text(evaluation), width);
}

/// From answers to known questions (JSON): how good each model is, and whom to ask. See interfuse_calibrate.
inline std::string calibrate(const std::string &items) {
    return detail::give(interfuse_calibrate, detail::text(items));
}

/// Makes a fusion's decision again from what its report (JSON) holds; nobody is asked. See interfuse_replay.
inline std::string replay(const std::string &report) {
    return detail::give(interfuse_replay, detail::text(report));
}

/// A question in flight or answered. Destroying it cancels it.
class Call {
public:
    /// Waits until the result is there; false when it did not come in time.
    bool wait_for(std::chrono::milliseconds timeout) const { return wait(timeout.count() < 0 ? 0 : timeout.count()); }
    /// Whether the result is there.
    bool ready() const { return wait(0); }
    /// Waits for the result and takes it, once.
    std::string get() {
        wait(-1);
        return detail::give(interfuse_call_take, handle_.get());
    }
    /// Stops the call; get() then throws INTERFUSE_CANCELLED. Any thread.
    void cancel() const noexcept { interfuse_call_cancel(handle_.get()); }
    /// Runs `ready` once when the result is there, on a thread of the library or on this one. It only signals: it returns
    /// at once and does not throw (that would end the program).
    template <class F> void on_ready(F &&ready) const {
        detail::on_ready(interfuse_call_on_ready, handle_.get(), std::forward<F>(ready));
    }

private:
    friend class Client;
    explicit Call(detail::Owned<interfuse_call> handle) : handle_(std::move(handle)) {}

    bool wait(std::int64_t timeout_ms) const {
        interfuse_error *error = nullptr;
        const std::int32_t status = interfuse_call_wait(handle_.get(), timeout_ms, &error);
        return detail::check(status, error) == INTERFUSE_OK;
    }

    detail::Owned<interfuse_call> handle_;
};

/// Chunks of an answer or events of a fusion, pulled one at a time. Destroying it cancels it.
class Stream {
public:
    /// What next() found.
    enum class Status { item, end, not_ready };

    /// Waits for the next item; nothing at the end.
    std::optional<std::string> next() {
        std::string item;
        return pull(-1, item) == Status::item ? std::optional<std::string>(std::move(item)) : std::nullopt;
    }
    /// Waits up to `timeout` for the next item.
    Status next_for(std::chrono::milliseconds timeout, std::string &item) {
        return pull(timeout.count() < 0 ? 0 : timeout.count(), item);
    }
    /// Stops the stream; next() then throws INTERFUSE_CANCELLED. Any thread.
    void cancel() const noexcept { interfuse_stream_cancel(handle_.get()); }
    /// Runs `ready` once when there is something to pull; as Call::on_ready.
    template <class F> void on_ready(F &&ready) const {
        detail::on_ready(interfuse_stream_on_ready, handle_.get(), std::forward<F>(ready));
    }

    /// Pulls while the loop runs.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = std::string;
        using difference_type = std::ptrdiff_t;
        using pointer = const std::string *;
        using reference = const std::string &;

        reference operator*() const noexcept { return *item_; }
        pointer operator->() const noexcept { return &*item_; }
        Iterator &operator++() {
            item_ = stream_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return !a.item_ && !b.item_; }
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }

    private:
        friend class Stream;
        explicit Iterator(Stream *stream) : stream_(stream) {
            if (stream_ != nullptr) {
                ++*this;
            }
        }

        Stream *stream_;
        std::optional<std::string> item_;
    };

    Iterator begin() { return Iterator(this); }
    Iterator end() noexcept { return Iterator(nullptr); }

private:
    friend class Client;
    explicit Stream(detail::Owned<interfuse_stream> handle) : handle_(std::move(handle)) {}

    Status pull(std::int64_t timeout_ms, std::string &item) {
        char *out = nullptr;
        interfuse_error *error = nullptr;
        const std::int32_t status = interfuse_stream_next(handle_.get(), timeout_ms, &out, &error);
        const detail::Owned<char> owned(out);
        switch (detail::check(status, error)) {
        case INTERFUSE_OK:
            item.assign(out);
            return Status::item;
        case INTERFUSE_END:
            return Status::end;
        default:
            return Status::not_ready;
        }
    }

    detail::Owned<interfuse_stream> handle_;
};

/// Where the requests of a batch are put in. Destroying it says that there are no more.
class Feed {
public:
    /// Puts in a request (JSON: a chat request, a list of messages, or a text); false when there is no room before another row
    /// is read. What cannot be read becomes a row with that error.
    bool push(const std::string &request) const {
        interfuse_error *error = nullptr;
        const std::int32_t status = interfuse_feed_push(handle_.get(), detail::text(request), &error);
        return detail::check(status, error) == INTERFUSE_OK;
    }
    /// There are no more requests.
    void close() noexcept { handle_.reset(); }

private:
    friend class Client;
    explicit Feed(detail::Owned<interfuse_feed> handle) : handle_(std::move(handle)) {}

    detail::Owned<interfuse_feed> handle_;
};

/// A batch under way: what goes in, and events in JSON: `row`, `progress`, and last `done` with the report.
struct Batch {
    Feed feed;
    Stream events;
};

/// What a batch came to (its report, JSON), as a line for people.
inline std::string batch_text(const std::string &report) {
    return detail::give(interfuse_batch_text, detail::text(report));
}

/// A client. Any number of threads may use it at once.
class Client {
public:
    /// A client of the file that INTERFUSE_CONFIG names, or else every vendor at its usual address, with the key from its
    /// usual environment variable.
    Client() : handle_(open(interfuse_client_new, nullptr)) {}
    /// A client of a TOML or JSON document.
    explicit Client(const std::string &config) : handle_(open(interfuse_client_new, detail::text(config))) {}
    /// A client of a configuration file.
    static Client from_file(const std::string &path) {
        return Client(open(interfuse_client_from_file, detail::text(path)));
    }

    /// Asks one model; the response in JSON.
    std::string chat(const std::string &request) const {
        return detail::give(interfuse_chat, handle_.get(), detail::text(request));
    }
    /// Embeds one or several inputs; the embeddings in JSON.
    std::string embeddings(const std::string &request) const {
        return detail::give(interfuse_embeddings, handle_.get(), detail::text(request));
    }
    /// Asks a pool of models and combines their answers; the result with its report in JSON.
    std::string fuse(const std::string &request) const {
        return detail::give(interfuse_fuse, handle_.get(), detail::text(request));
    }
    /// As chat, without waiting.
    Call chat_start(const std::string &request) const {
        return Call(detail::make<interfuse_call>(interfuse_chat_start, handle_.get(), detail::text(request)));
    }
    /// As embeddings, without waiting.
    Call embeddings_start(const std::string &request) const {
        return Call(detail::make<interfuse_call>(interfuse_embeddings_start, handle_.get(), detail::text(request)));
    }
    /// As fuse, without waiting.
    Call fuse_start(const std::string &request) const {
        return Call(detail::make<interfuse_call>(interfuse_fuse_start, handle_.get(), detail::text(request)));
    }
    /// Asks one model for a streamed answer: chunks in JSON.
    Stream chat_stream(const std::string &request) const {
        return Stream(detail::make<interfuse_stream>(interfuse_chat_stream, handle_.get(), detail::text(request)));
    }
    /// Asks a pool and tells the progress: events in JSON, of which the last, `run_done`, carries the result.
    Stream fuse_stream(const std::string &request) const {
        return Stream(detail::make<interfuse_stream>(interfuse_fuse_stream, handle_.get(), detail::text(request)));
    }
    /// A fused answer (JSON) as one HTML page for people; see interfuse_fused_html.
    static std::string fused_html(const std::string &fused) {
        return detail::give(interfuse_fused_html, detail::text(fused));
    }
    /// Asks models and fusions the same questions; what each is worth, in JSON. See interfuse_evaluate.
    std::string evaluate(const std::string &request) const {
        return detail::give(interfuse_evaluate, handle_.get(), detail::text(request));
    }
    /// As evaluate, without waiting.
    Call evaluate_start(const std::string &request) const {
        return Call(detail::make<interfuse_call>(interfuse_evaluate_start, handle_.get(), detail::text(request)));
    }
    /// As evaluate, told as it goes on: events in JSON, of which the last, `done`, carries the result.
    Stream evaluate_stream(const std::string &request) const {
        return Stream(detail::make<interfuse_stream>(interfuse_evaluate_stream, handle_.get(), detail::text(request)));
    }
    /// Starts a batch; `options` are JSON. See interfuse_batch.
    Batch batch(const std::string &options) const {
        interfuse_feed *feed = nullptr;
        interfuse_stream *events = nullptr;
        interfuse_error *error = nullptr;
        const std::int32_t status = interfuse_batch(handle_.get(), detail::text(options), &feed, &events, &error);
        Batch batch{Feed(detail::Owned<interfuse_feed>(feed)), Stream(detail::Owned<interfuse_stream>(events))};
        detail::check(status, error);
        return batch;
    }
    /// Runs a batch to its end and gives its report. `next(request)` writes the next request and is false when there is none; it
    /// is asked as there is room. `on_row` gets each row and `on_progress` how far it is, both as JSON.
    template <class Next, class OnRow, class OnProgress>
    std::string batch(const std::string &options, Next &&next, OnRow &&on_row, OnProgress &&on_progress) const {
        Batch batch = this->batch(options);
        std::string request, event, report;
        bool open = true, waiting = false;
        while (report.empty()) {
            if (open && !waiting) {
                waiting = next(request);
                open = waiting;
                if (!open) {
                    batch.feed.close();
                }
            }
            if (waiting && batch.feed.push(request)) {
                waiting = false;
            }
            // With room for more, rows are only looked for.
            const auto patience = open && !waiting ? std::chrono::milliseconds(0) : std::chrono::milliseconds(1000);
            while (report.empty() && batch.events.next_for(patience, event) == Stream::Status::item) {
                const std::string type = get(event, "/type");
                if (type == "row") {
                    on_row(get(event, "/row"));
                } else if (type == "progress") {
                    on_progress(get(event, "/progress"));
                } else {
                    report = get(event, "/report");
                }
                if (open) {
                    break;
                }
            }
        }
        return report;
    }
    /// The same without progress.
    template <class Next, class OnRow> std::string batch(const std::string &options, Next &&next, OnRow &&on_row) const {
        return batch(options, std::forward<Next>(next), std::forward<OnRow>(on_row), [](const std::string &) {});
    }
    /// Combines the answers of a report once more, as the request says; both are JSON. See interfuse_rejudge.
    std::string rejudge(const std::string &report, const std::string &request) const {
        return detail::give(interfuse_rejudge, handle_.get(), detail::text(report), detail::text(request));
    }
    /// As rejudge, without waiting.
    Call rejudge_start(const std::string &report, const std::string &request) const {
        return Call(detail::make<interfuse_call>(interfuse_rejudge_start, handle_.get(), detail::text(report), detail::text(request)));
    }
    /// Tells what became of a fusion; `outcome` is JSON such as {"right": true}. See interfuse_feedback.
    void feedback(const std::string &run_id, const std::string &outcome) const {
        interfuse_error *error = nullptr;
        detail::check(interfuse_feedback(handle_.get(), detail::text(run_id), detail::text(outcome), &error), error);
    }
    /// How the backend of a chat would be chosen now, in JSON; sends nothing.
    std::string explain(const std::string &request) const {
        return detail::give(interfuse_explain, handle_.get(), detail::text(request));
    }
    /// What a chat or a fusion may cost, in JSON; sends nothing.
    std::string estimate(const std::string &request) const {
        return detail::give(interfuse_estimate, handle_.get(), detail::text(request));
    }
    /// Where the configured budgets stand, as a JSON list.
    std::string budgets() const { return detail::give(interfuse_budgets, handle_.get()); }
    /// Takes the prices of a published list; see interfuse_load_prices.
    std::string load_prices(const std::string &list) const {
        return detail::give(interfuse_load_prices, handle_.get(), detail::text(list));
    }
    /// Sums over the ledger; one sum over everything without a query.
    std::string usage() const { return detail::give(interfuse_usage, handle_.get(), nullptr); }
    /// Sums over the ledger, as the query (JSON) asks.
    std::string usage(const std::string &query) const {
        return detail::give(interfuse_usage, handle_.get(), detail::text(query));
    }
    /// Compares vendors' own reports with the ledger; request and report are JSON, see interfuse_reconcile.
    std::string reconcile(const std::string &request) const {
        return detail::give(interfuse_reconcile, handle_.get(), detail::text(request));
    }
    /// Returns when everything booked so far is in the ledger's file for good.
    void flush() const {
        interfuse_error *error = nullptr;
        detail::check(interfuse_flush(handle_.get(), &error), error);
    }
    /// The records of the ledger, oldest first, as the query (JSON; "{}" for all) asks.
    Stream records(const std::string &query = "{}") const {
        return Stream(detail::make<interfuse_stream>(interfuse_records, handle_.get(), detail::text(query)));
    }
    /// Records, sums, charges (FOCUS) or a page out of the ledger; see interfuse_export.
    std::string export_text(const std::string &request) const {
        return detail::give(interfuse_export, handle_.get(), detail::text(request));
    }
    /// The same into a file; what was written, in JSON.
    std::string export_file(const std::string &request, const std::string &path) const {
        return detail::give(interfuse_export_file, handle_.get(), detail::text(request), detail::text(path));
    }
    /// The models of the catalogue, as a JSON list.
    std::string models() const { return detail::give(interfuse_models, handle_.get()); }
    /// The backends with whether a key was found, as a JSON list.
    std::string providers() const { return detail::give(interfuse_providers, handle_.get()); }

private:
    explicit Client(detail::Owned<interfuse_client> handle) : handle_(std::move(handle)) {}

    template <class Function> static detail::Owned<interfuse_client> open(Function function, const char *argument) {
        check_abi();
        return detail::make<interfuse_client>(function, argument);
    }

    detail::Owned<interfuse_client> handle_;
};

} // namespace interfuse

#endif // INTERFUSE_HPP
