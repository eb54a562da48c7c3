// A question per line of standard input, several in flight at once, answers in the order of the questions. One that fails
// stops no other:  batch_cpp < questions.txt
#include <cstdio>
#include <deque>
#include <interfuse.hpp>
#include <iostream>

// Text as a JSON string; a program with a JSON library uses that.
static std::string quoted(const std::string &text) {
    std::string json = "\"";
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            json += escape;
        } else {
            if (c == '"' || c == '\\') {
                json += '\\';
            }
            json += c;
        }
    }
    return json + '"';
}

int main() try {
    constexpr std::size_t in_flight = 8;
    const interfuse::Client client;
    std::deque<interfuse::Call> calls;
    int failed = 0;
    const auto tell_first = [&] {
        try {
            std::cout << interfuse::get(calls.front().get(), "/choices/0/message/content") << std::endl;
        } catch (const interfuse::Error &error) {
            std::cout << "(" << error.kind_name() << ")" << std::endl;
            std::cerr << error.what() << "\n";
            ++failed;
        }
        calls.pop_front();
    };
    for (std::string line; std::getline(std::cin, line);) {
        if (calls.size() == in_flight) {
            tell_first();
        }
        calls.push_back(client.chat_start(R"({"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": )" +
                                          quoted(line) + "}]}"));
    }
    while (!calls.empty()) {
        tell_first();
    }
    return failed == 0 ? 0 : 1;
} catch (const interfuse::Error &error) {
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
