// A fusion that may cost two cents at most: it does less rather than spend more, and tells what it left out.
#include <interfuse.hpp>
#include <iostream>

int main() try {
    const interfuse::Client client;
    const std::string result = client.fuse(R"({
        "prompt": "Which rivers meet in Koblenz?",
        "pool": ["openai/gpt-5-mini", "groq/openai/gpt-oss-120b", "mistral/mistral-small-latest"],
        "judge": "mistral/mistral-large-latest",
        "mode": "merge",
        "max_tokens": 500,
        "max_cost_usd": "0.02"
    })");
    std::cout << interfuse::get(result, "/text") << "\n\n";
    const auto tell = [&](const char *name, const char *pointer) {
        std::string value = "nothing told";
        try {
            value = interfuse::get(result, pointer);
        } catch (const interfuse::Error &) {
            // Not in the report.
        }
        std::cout << name << ": " << value << "\n";
    };
    tell("cost in USD", "/report/cost/total_usd");
    tell("left out", "/report/degraded");
} catch (const interfuse::Error &error) {
    if (error.kind() == INTERFUSE_BUDGET_EXCEEDED) {
        std::cerr << "not even a part of it is to be had for that: ";
    }
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
