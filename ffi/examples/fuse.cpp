// One question to three models, and one answer made from theirs by a judge.
#include <interfuse.hpp>
#include <iostream>

int main() try {
    const interfuse::Client client;
    const std::string result = client.fuse(R"({
        "prompt": "Which rivers meet in Koblenz?",
        "pool": ["openai/gpt-5-mini", "groq/openai/gpt-oss-120b", "mistral/mistral-small-latest"],
        "judge": "mistral/mistral-large-latest",
        "mode": "merge"
    })");
    std::cout << interfuse::get(result, "/text") << "\n\nfrom " << interfuse::get(result, "/report/members") << "\n";
} catch (const interfuse::Error &error) {
    std::cerr << error.kind_name() << ": " << error.what() << "\n";
    return 1;
}
