// A question per line of standard input, several in flight at once, answers in the order of the questions. One that fails
// stops no other:  batch_cpp < questions.txt
#include <cstdio>
#include <interfuse.hpp>
#include <iostream>
#include <string>

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
    const interfuse::Client client;
    bool failed = false;
    // A line is read when there is room for it; a file to go on from would be one more option: "checkpoint".
    const auto next = [](std::string &request) {
        std::string line;
        if (!std::getline(std::cin, line)) {
            return false;
        }
        request = quoted(line);
        return true;
    };
    const auto on_row = [&](const std::string &row) {
        try {
            std::cout << interfuse::get(row, "/response/choices/0/message/content") << std::endl;
        } catch (const interfuse::Error &) {
            std::cout << "(" << interfuse::get(row, "/error/kind") << ")" << std::endl;
            std::cerr << interfuse::get(row, "/error/message") << "\n";
            failed = true;
        }
    };
    const std::string report = client.batch(R"({"common": {"model": "openai/gpt-5-mini"}, "concurrency": 8})", next, on_row);
    std::cerr << interfuse::batch_text(report) << "\n";
    return failed ? 1 : 0;
} catch (const interfuse::Error &error) {
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
