// One question to one model. Keys come from the vendors' usual variables, or from the configuration file that
// INTERFUSE_CONFIG names.
#include <interfuse.hpp>
#include <iostream>

int main() try {
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
