// The library's log in the program's own: each line with its level to where the program writes, from warnings on, or from
// every attempt on when the first argument is -v.
#include <interfuse.hpp>
#include <iostream>
#include <mutex>
#include <string_view>

// What a program has already; here it writes to standard error.
class Journal {
public:
    void write(std::string_view level, std::string_view line) {
        const std::lock_guard<std::mutex> alone(lock_);
        std::cerr << "[" << level << "] " << line << std::endl;
    }

private:
    std::mutex lock_;
};

int main(int count, char **words) try {
    static Journal journal;
    const bool all = count > 1 && std::string_view(words[1]) == "-v";
    interfuse::set_log(all ? INTERFUSE_LOG_DEBUG : INTERFUSE_LOG_WARN, [](std::int32_t level, std::string_view line) {
        static constexpr std::string_view names[] = {"", "error", "warning", "info", "debug"};
        journal.write(names[level], line);
    });
    const interfuse::Client client;
    const std::string response = client.chat(R"({
        "model": "openai/gpt-5-mini",
        "messages": [{"role": "user", "content": "Where is the Aare?"}]
    })");
    std::cout << interfuse::get(response, "/choices/0/message/content") << "\n";
} catch (const interfuse::Error &error) {
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
