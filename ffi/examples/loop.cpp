// One answer drawn as it comes by the loop of a user interface: other threads post what is to be done, the loop does it. The
// library posts when there is something to draw; Ctrl-C stops the answer, not the program.
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <interfuse.hpp>
#include <iostream>
#include <mutex>

// What a toolkit brings; posting is all that the library's threads do.
class Loop {
public:
    void post(std::function<void()> task) {
        const std::lock_guard<std::mutex> alone(lock_);
        tasks_.push_back(std::move(task));
        news_.notify_one();
    }
    void quit() { running_ = false; }
    // Does what was posted, and `frame` at least every 50 ms.
    template <class F> void run(F frame) {
        while (running_) {
            std::deque<std::function<void()>> now;
            {
                std::unique_lock<std::mutex> alone(lock_);
                news_.wait_for(alone, std::chrono::milliseconds(50), [this] { return !tasks_.empty(); });
                now.swap(tasks_);
            }
            for (const auto &task : now) {
                task();
            }
            frame();
        }
    }

private:
    std::mutex lock_;
    std::condition_variable news_;
    std::deque<std::function<void()>> tasks_;
    bool running_ = true;
};

static volatile std::sig_atomic_t interrupted = 0;

// Draws what is there, and asks to be told of more.
static void draw(Loop &loop, interfuse::Stream &stream) {
    using Status = interfuse::Stream::Status;
    std::string chunk;
    Status status;
    while ((status = stream.next_for(std::chrono::milliseconds(0), chunk)) == Status::item) {
        try {
            std::cout << interfuse::get(chunk, "/choices/0/delta/content") << std::flush;
        } catch (const interfuse::Error &) {
            // A chunk without text, such as the last.
        }
    }
    if (status == Status::end) {
        loop.quit();
    } else {
        stream.on_ready([&loop, &stream] { loop.post([&loop, &stream] { draw(loop, stream); }); });
    }
}

int main() try {
    // Outlives the client, whose threads post to it.
    Loop loop;
    const interfuse::Client client;
    std::signal(SIGINT, [](int) { interrupted = 1; });
    auto stream = client.chat_stream(R"({
        "model": "openai/gpt-5-mini",
        "messages": [{"role": "user", "content": "Where is the Aare?"}]
    })");
    draw(loop, stream);
    loop.run([&] {
        // Here the rest of the interface is drawn. Cancelling tells the loop, as an item would.
        if (interrupted) {
            stream.cancel();
        }
    });
    std::cout << "\n";
} catch (const interfuse::Error &error) {
    if (error.kind() == INTERFUSE_CANCELLED) {
        std::cout << "\n(stopped)\n";
        return 0;
    }
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
