//! Families of models, by their names: models of one family learn from the same data and err alike, whoever serves them.

/// A word in a model's name, and its family. A distilled model has the words of both; the one that stands later was
/// trained, so it counts.
const WORDS: &[(&str, &str)] = &[
    ("chatgpt", "gpt"),
    ("claude", "claude"),
    ("codestral", "mistral"),
    ("cogito", "cogito"),
    ("command", "command"),
    ("davinci", "gpt"),
    ("deepseek", "deepseek"),
    ("devstral", "mistral"),
    ("ernie", "ernie"),
    ("exaone", "exaone"),
    ("falcon", "falcon"),
    ("gemini", "gemini"),
    ("gemma", "gemini"),
    ("glm", "glm"),
    ("gpt", "gpt"),
    ("granite", "granite"),
    ("grok", "grok"),
    ("hunyuan", "hunyuan"),
    ("jamba", "jamba"),
    ("kimi", "kimi"),
    ("lfm", "lfm"),
    ("llama", "llama"),
    ("magistral", "mistral"),
    ("minimax", "minimax"),
    ("ministral", "mistral"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("nova", "nova"),
    ("olmo", "olmo"),
    ("phi", "phi"),
    ("pixtral", "mistral"),
    ("qvq", "qwen"),
    ("qwen", "qwen"),
    ("qwq", "qwen"),
    ("smollm", "smollm"),
    ("solar", "solar"),
    ("sonar", "sonar"),
    ("titan", "titan"),
    ("yi", "yi"),
];

/// The family of a model; `None` when its name tells none.
pub(crate) fn of(model: &str) -> Option<&'static str> {
    let bare = super::run::bare(model).to_ascii_lowercase();
    let words = bare.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let known = |word: &str| WORDS.iter().find(|(known, _)| *known == word).map(|(_, family)| *family);
    // OpenAI's o1, o3 and o4 are numbers behind a letter.
    let numbered = || {
        let first = bare.split(['-', ':']).next().unwrap_or_default();
        let is = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        first.strip_prefix('o').is_some_and(is).then_some("gpt")
    };
    words.filter_map(known).next_back().or_else(numbered)
}

/// The family that all of these models are of.
pub(crate) fn common<'a>(models: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    let mut families = models.into_iter().map(of);
    let first = families.next()??;
    families.all(|family| family == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_families() {
        for (model, family) in [
            ("openai/gpt-5-mini", Some("gpt")),
            ("openai/o3-mini", Some("gpt")),
            ("azure/o1", Some("gpt")),
            ("groq/openai/gpt-oss-120b", Some("gpt")),
            ("bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0", Some("claude")),
            ("gemini/gemini-2.5-flash", Some("gemini")),
            ("google/gemma-3-27b-it", Some("gemini")),
            ("meta-llama/Llama-3.3-70B-Instruct:groq", Some("llama")),
            ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", Some("llama")),
            ("Qwen/Qwen3-235B-A22B", Some("qwen")),
            ("mistral/ministral-8b-latest", Some("mistral")),
            ("up/m-a", None),
            ("acme/orca", None),
            ("acme/o", None),
            ("", None),
        ] {
            assert_eq!(of(model), family, "{model}");
        }
    }

    #[test]
    fn a_pool_is_of_one_family_only_if_all_are_known_to_be() {
        assert_eq!(common(["openai/gpt-5", "openai/o3"]), Some("gpt"));
        assert_eq!(common(["openai/gpt-5", "up/m"]), None);
        assert_eq!(common(["up/m", "up/m"]), None);
        assert_eq!(common([]), None);
    }
}
