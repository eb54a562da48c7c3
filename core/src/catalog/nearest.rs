//! "Did you mean": the known names nearest to a misspelt one.

/// At most three names worth suggesting, nearest first.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (similarity(&wanted, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.55)
        .collect();
    // Ties go to the shorter name, then the alphabet, so that the answer is always the same.
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.len().cmp(&b.1.len())).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1.eq_ignore_ascii_case(b.1));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// `; did you mean ...?`, or nothing when no name is near.
pub(crate) fn did_you_mean<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(wanted, names);
    if near.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
    format!("; did you mean {}?", quoted.join(" or "))
}

/// Similarity of the whole names, or of what follows the last `/` where only one of them has a folder.
fn similarity(a: &str, b: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(a, b);
    if a.contains('/') == b.contains('/') {
        return whole;
    }
    whole.max(strsim::normalized_damerau_levenshtein(last(a), last(b)))
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_near_ones_only() {
        let names = ["groq", "openrouter", "openai", "mistral"];
        assert_eq!(nearest("gorq", names.into_iter()), ["groq"]);
        assert_eq!(nearest("OpenAl", names.into_iter()), ["openai"]);
        assert_eq!(did_you_mean("zzzzzz", names.into_iter()), "");
        assert_eq!(did_you_mean("mistrall", names.into_iter()), "; did you mean `mistral`?");
    }

    #[test]
    fn a_missing_folder_does_not_hide_a_name() {
        assert_eq!(nearest("gpt-5-mimi", ["openai/gpt-5-mini", "x/y"].into_iter()), ["openai/gpt-5-mini"]);
    }
}
