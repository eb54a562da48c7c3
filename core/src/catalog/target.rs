//! The grammar of model names: what a suffix and a first segment mean.

/// How to choose among the backends of a model (`model:cheapest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Lowest expected cost of the request; unknown prices last (`:cheapest`).
    Cheapest,
    /// Fastest, as measured (`:fastest`).
    Fastest,
    /// The user's order of preference; the catalogue's order where there is none (`:preferred`).
    Preferred,
    /// Most tokens per second, as measured (`:nitro`).
    Throughput,
    /// Lowest expected cost, strictly (`:floor`).
    Price,
}

impl Policy {
    /// By its word in a suffix.
    pub fn parse(word: &str) -> Option<Policy> {
        match word.to_ascii_lowercase().as_str() {
            "cheapest" => Some(Policy::Cheapest),
            "fastest" => Some(Policy::Fastest),
            "preferred" => Some(Policy::Preferred),
            "nitro" => Some(Policy::Throughput),
            "floor" => Some(Policy::Price),
            _ => None,
        }
    }
}

/// Whether a model's name means a fusion (`interfuse/best-of`, ...), which no pool member and no judge may be.
pub fn is_virtual(model: &str) -> bool {
    let name = model.trim();
    name.get(..10).is_some_and(|head| head.eq_ignore_ascii_case("interfuse/"))
}

/// `stem:suffix`; the suffix is what follows the last colon, and holds no `/`.
pub(super) fn split_suffix(model: &str) -> Option<(&str, &str)> {
    let (stem, suffix) = model.rsplit_once(':')?;
    (!stem.is_empty() && !suffix.is_empty() && !suffix.contains('/')).then_some((stem, suffix))
}

/// `head/rest`.
pub(super) fn split_head(model: &str) -> Option<(&str, &str)> {
    let (head, rest) = model.split_once('/')?;
    (!head.is_empty() && !rest.is_empty()).then_some((head, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fusions_are_recognised() {
        for name in ["interfuse/best-of", "Interfuse/merge", " interfuse/x"] {
            assert!(is_virtual(name), "{name}");
        }
        for name in ["interfuse", "openai/gpt-5", "my/interfuse/x", "", "日本語のモデル"] {
            assert!(!is_virtual(name), "{name}");
        }
    }

    #[test]
    fn suffix_and_head() {
        assert_eq!(split_suffix("a/b:groq"), Some(("a/b", "groq")));
        assert_eq!(split_suffix("a:b:c"), Some(("a:b", "c")));
        assert_eq!(split_suffix("host:80/model"), None);
        assert_eq!((split_suffix("a:"), split_suffix(":a"), split_suffix("a")), (None, None, None));
        assert_eq!(split_head("groq/openai/x"), Some(("groq", "openai/x")));
        assert_eq!((split_head("/x"), split_head("x/"), split_head("x")), (None, None, None));
    }
}
