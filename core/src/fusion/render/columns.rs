//! Text in columns of a terminal, where some characters are two wide.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// To `width` columns, cut with a mark.
pub(super) fn pad(text: &str, width: usize) -> String {
    let text =
        if text.width() > width { format!("{}…", cut(text, width.saturating_sub(1)).0) } else { text.to_owned() };
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// The longest start of `text` that fits in `width` columns, and the rest.
fn cut(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        // One character at least, or nothing would ever fit.
        if used > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Lines of at most `width` columns, broken at spaces where there are any; empty lines are left out.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut word = word;
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            while word.width() > width {
                let (start, rest) = cut(word, width);
                lines.push(start.to_owned());
                word = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_and_narrow_pages_end() {
        assert_eq!(wrap("aaaaaaaaaaaaaaaaaaaaaaaaa bb", 10), ["aaaaaaaaaa", "aaaaaaaaaa", "aaaaa bb"]);
        assert_eq!(wrap("漢字漢字漢字漢字", 10), ["漢字漢字漢", "字漢字"]);
    }
}
