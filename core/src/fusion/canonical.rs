//! One way to write what means the same: numbers, fractions, JSON, Python literals, and text whose case, width, quotes and
//! emphasis do not matter.

use serde_json::Value;

/// Nesting beyond this is not read.
const MAX_DEPTH: usize = 64;

/// JSON with sorted keys, and one way to write a number.
pub(crate) fn json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let inside: Vec<String> =
                entries.into_iter().map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), json(v))).collect();
            format!("{{{}}}", inside.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Number(n) if n.is_f64() => n.as_f64().map_or_else(|| n.to_string(), written),
        other => other.to_string(),
    }
}

/// One way to write a number: whole numbers exactly, others to seven digits, so that 0.3333333 and 1/3 are the same.
fn written(n: f64) -> String {
    if n.fract() == 0.0 && n.abs() < 1e15 { format!("{}", n as i64) } else { format!("{n:.6e}") }
}

/// A number as people and models write it: with currency, percent sign, thousands separators, as a fraction or in LaTeX.
pub(crate) fn number(text: &str) -> Option<String> {
    let mut plain = fold(text);
    for noise in ["\\$", "\\%", "\\!", "\\,", "\\ ", "$", "€", "£", "¥", "%", "~"] {
        plain = plain.replace(noise, "");
    }
    let plain = plain.trim().trim_end_matches('.').trim_start_matches('+').trim();
    decimal(plain).or_else(|| fraction(plain)).map(written)
}

fn decimal(text: &str) -> Option<f64> {
    let plain = if text.contains(',') { without_thousands(text)? } else { text.to_owned() };
    let starts = plain.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit() || c == '.');
    // `inf` and `nan` are words here.
    plain.parse::<f64>().ok().filter(|n| starts && n.is_finite())
}

/// The text without separators of thousands; `None` when its commas are something else.
fn without_thousands(text: &str) -> Option<String> {
    let (whole, rest) = text.find('.').map_or((text, ""), |at| text.split_at(at));
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next()?;
    let digits = |g: &str| !g.is_empty() && g.bytes().all(|b| b.is_ascii_digit());
    let fits = digits(first) && first.len() <= 3 && groups.all(|g| g.len() == 3 && digits(g)) && !rest.contains(',');
    fits.then(|| format!("{}{rest}", whole.replace(',', "")))
}

fn fraction(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let latex = ["\\frac{", "\\dfrac{", "\\tfrac{"].iter().find_map(|f| text.strip_prefix(f));
    let (above, below) = match latex {
        Some(inside) => inside.strip_suffix('}')?.split_once("}{")?,
        None => text.split_once('/')?,
    };
    let (above, below) = (decimal(above.trim())?, decimal(below.trim())?);
    (below != 0.0).then(|| sign * above / below)
}

/// Typographic characters as ASCII: full-width forms, quotes, dashes, spaces. Invisible characters are gone.
pub(crate) fn fold(text: &str) -> String {
    let folded = text.chars().filter_map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        '\u{3000}' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => Some(' '),
        '\u{2212}' | '\u{2010}'..='\u{2015}' => Some('-'),
        '\u{2018}' | '\u{2019}' | '\u{2032}' => Some('\''),
        '\u{201c}' | '\u{201d}' | '\u{2033}' => Some('"'),
        '\u{200b}'..='\u{200f}' | '\u{feff}' => None,
        c => Some(c),
    });
    folded.collect()
}

/// A short answer in one spelling: a literal, a number, or its words. `exact` keeps case and space, which matter in code.
pub(crate) fn answer(text: &str, exact: bool) -> String {
    let folded = if exact { text.to_owned() } else { fold(text) };
    let mut text = folded.trim();
    if !exact {
        text = text.trim_end_matches(['.', '!', '。']).trim_end();
    }
    for (open, close) in [("**", "**"), ("`", "`"), ("\\(", "\\)"), ("$", "$"), ("*", "*")] {
        if let Some(inside) = text.strip_prefix(open).and_then(|t| t.strip_suffix(close)) {
            text = inside.trim();
        }
    }
    if let Some(n) = number(text) {
        return n;
    }
    if let Some(value) = literal(text) {
        return value;
    }
    if exact {
        return text.to_owned();
    }
    let text = latex_words(text);
    let text = text.trim().trim_end_matches(['.', '!', '。']).trim();
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// LaTeX without what only sets its looks.
fn latex_words(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = text.to_owned();
    for (from, to) in
        [("\\left", ""), ("\\right", ""), ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("\\!", ""), ("\\,", "")]
    {
        plain = plain.replace(from, to);
    }
    for wrapper in ["\\text{", "\\mathrm{", "\\mathbf{", "\\textbf{"] {
        if let Some(inside) = plain.strip_prefix(wrapper).and_then(|t| t.strip_suffix('}')) {
            plain = inside.to_owned();
        }
    }
    plain.replace(' ', "")
}

/// A Python or JSON literal in one spelling; a text in quotes is the text itself.
pub(crate) fn literal(text: &str) -> Option<String> {
    let mut reader = Literal { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    if reader.at != text.len() {
        return None;
    }
    Some(match value {
        Item::Text(text) => text,
        other => other.written(),
    })
}

enum Item {
    Text(String),
    Other(String),
}

impl Item {
    fn written(self) -> String {
        match self {
            Item::Text(text) => Value::from(text).to_string(),
            Item::Other(text) => text,
        }
    }
}

struct Literal<'a> {
    text: &'a str,
    at: usize,
}

impl Literal<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Item> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest().chars().next()? {
            '\'' | '"' => self.string().map(Item::Text),
            '[' => self.list("[", "]", depth),
            '(' => self.list("(", ")", depth),
            '{' => self.braces(depth),
            _ => self.word(),
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest().char_indices();
        let (_, quote) = chars.next()?;
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    c @ ('\\' | '\'' | '"' | '/') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Option<Item> {
        self.eat(open);
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat(close) {
            items.push(self.value(depth + 1)?.written());
            comma = self.eat(",");
            if !comma && !self.rest().trim_start().starts_with(close) {
                return None;
            }
        }
        // One item in round brackets without a comma is only bracketed.
        if open == "(" && items.len() == 1 && !comma {
            return items.pop().map(Item::Other);
        }
        Some(Item::Other(format!("{open}{}{close}", items.join(","))))
    }

    /// A dictionary or a set, whose order does not matter.
    fn braces(&mut self, depth: usize) -> Option<Item> {
        self.eat("{");
        let mut items = Vec::new();
        while !self.eat("}") {
            let key = self.value(depth + 1)?.written();
            let entry = if self.eat(":") { format!("{key}:{}", self.value(depth + 1)?.written()) } else { key };
            items.push(entry);
            if !self.eat(",") && !self.rest().trim_start().starts_with('}') {
                return None;
            }
        }
        items.sort();
        Some(Item::Other(format!("{{{}}}", items.join(","))))
    }

    fn word(&mut self) -> Option<Item> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c))).unwrap_or(rest.len());
        let word = &rest[..end];
        let written = match word {
            "None" | "null" => "null".to_owned(),
            "True" | "true" => "true".to_owned(),
            "False" | "false" => "false".to_owned(),
            // `set()` is how an empty set is written.
            "set" if rest[end..].starts_with("()") => {
                self.at += end + 2;
                return Some(Item::Other("set()".to_owned()));
            }
            _ => decimal(word).map(written)?,
        };
        self.at += end;
        Some(Item::Other(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for (a, b) in [
            ("1,000", "1000.0"),
            ("$18", "18"),
            ("\\$1,234.50", "1234.5"),
            ("50\\%", "50"),
            ("1/2", "0.5"),
            ("\\dfrac{1}{2}", "\\frac{2}{4}"),
            ("−7", "-7"),
            ("１２", "12"),
            ("1/3", "0.33333333"),
            ("+4.", "4"),
        ] {
            assert_eq!(number(a), number(b), "{a} / {b}");
            assert!(number(a).is_some(), "{a}");
        }
        for text in ["inf", "nan", "1,5", "12,34", "1/0", "abc", "", "-", "1 2", "1,000,00"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_ne!(number("123456789"), number("123456788"), "whole numbers are exact");
    }

    #[test]
    fn a_literal_has_one_spelling() {
        for (a, b) in [
            ("[1, 2]", "[1.0,2]"),
            ("{'a': 1, 'b': None}", r#"{"b": null, "a": 1}"#),
            ("{2, 1}", "{1,2}"),
            ("'abc'", "\"abc\""),
            ("('a',)", "(\"a\", )"),
            ("(1)", "1"),
            ("[True, 'x\\n']", "[true, \"x\\n\"]"),
        ] {
            assert_eq!(literal(a), literal(b), "{a} / {b}");
            assert!(literal(a).is_some(), "{a}");
        }
        assert_eq!(answer("'abc'", true), answer("abc", true), "a text in quotes is the text");
        assert_ne!(literal("(1, 2)"), literal("[1, 2]"), "a tuple is no list");
        for text in ["[1", "[1 2]", "abc", "{'a' 1}", "'a", &"[".repeat(5000)] {
            assert_eq!(literal(text), None, "{text:.9}");
        }
    }

    #[test]
    fn words_are_compared_without_their_looks() {
        for (a, b) in [("**Bern**.", "bern"), ("“so”", "\"so\""), ("\\text{even}", "even"), ("$x + 1$", "x + 1")] {
            assert_eq!(answer(a, false), answer(b, false), "{a} / {b}");
        }
        assert_ne!(answer("aB", true), answer("ab", true));
        assert_eq!(answer("aB", false), answer("ab", false));
    }
}
