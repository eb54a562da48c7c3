//! Turns almost-JSON into JSON: commas, quotes, comments, Python words, bare words, and an end that was cut off.
//! One pass, no recursion; what it cannot mend stays broken and is refused by the parser after it.

/// Repaired text of the value that starts at the beginning of `text`; whatever follows that value is left out.
pub(crate) fn json(text: &str) -> String {
    let mut r = Repair { out: String::with_capacity(text.len() + 16), open: Vec::new() };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '{' | '[' => r.opens(c, rest),
            '}' | ']' => {
                r.closes(c);
                &rest[1..]
            }
            '"' | '\'' | '“' | '”' | '‘' => r.string(c, rest),
            '/' | '#' => comment(rest),
            ',' | ':' => {
                r.out.push(c);
                &rest[1..]
            }
            c if c.is_whitespace() => &rest[c.len_utf8()..],
            _ => r.word(rest),
        };
        if r.open.is_empty() {
            break;
        }
    }
    r.finish()
}

/// Deeper nesting than any answer needs; the parser behind it refuses it anyway.
const MAX_DEPTH: usize = 100;

struct Repair {
    out: String,
    open: Vec<char>,
}

impl Repair {
    fn opens<'a>(&mut self, c: char, rest: &'a str) -> &'a str {
        if self.open.len() >= MAX_DEPTH {
            return "";
        }
        self.separate();
        self.out.push(c);
        self.open.push(if c == '{' { '}' } else { ']' });
        &rest[1..]
    }

    fn closes(&mut self, c: char) {
        // A bracket of the wrong kind closes what stands open inside it; one that matches nothing is left out.
        if !self.open.contains(&c) {
            return;
        }
        while let Some(expected) = self.open.pop() {
            self.complete(expected);
            if expected == c {
                break;
            }
        }
    }

    /// Takes off a comma that nothing follows, gives a key without a value its null, and closes.
    fn complete(&mut self, bracket: char) {
        self.drop_comma();
        if self.out.ends_with(':') {
            self.out.push_str("null");
        } else if bracket == '}' && self.ends_with_key() {
            self.out.push_str(":null");
        }
        self.out.push(bracket);
    }

    fn drop_comma(&mut self) {
        while self.out.ends_with(',') {
            self.out.pop();
        }
    }

    /// Whether the object's last thing is a string in the place of a key.
    fn ends_with_key(&self) -> bool {
        if !self.out.ends_with('"') {
            return false;
        }
        let bytes = self.out.as_bytes();
        let mut at = bytes.len() - 1;
        while at > 0 {
            at -= 1;
            let escaped = bytes[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
            if bytes[at] == b'"' && !escaped {
                break;
            }
        }
        at > 0 && matches!(bytes[at - 1], b'{' | b',')
    }

    /// A comma where two values stand side by side.
    fn separate(&mut self) {
        if matches!(self.out.chars().last(), Some(c) if !matches!(c, '{' | '[' | ',' | ':')) {
            self.out.push(',');
        }
    }

    fn string<'a>(&mut self, quote: char, rest: &'a str) -> &'a str {
        self.separate();
        let close = match quote {
            '“' | '”' => '”',
            '‘' => '’',
            c => c,
        };
        self.out.push('"');
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'u')) => {
                        let hex = rest[at..].get(2..6).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
                        match hex {
                            Some(hex) => {
                                self.out.push_str("\\u");
                                self.out.push_str(hex);
                                chars.by_ref().nth(3);
                            }
                            None => self.out.push_str("\\\\u"),
                        }
                    }
                    Some((_, e)) if "\"\\/bfnrt".contains(e) => {
                        self.out.push('\\');
                        self.out.push(e);
                    }
                    Some((_, '\'')) => self.out.push('\''),
                    Some((_, e)) => {
                        self.out.push_str("\\\\");
                        self.push_escaped(e);
                    }
                    None => break,
                },
                c if c == close && (c != '\'' || ends_here(&rest[at + 1..])) => {
                    self.out.push('"');
                    return &rest[at + c.len_utf8()..];
                }
                c => self.push_escaped(c),
            }
        }
        self.out.push('"');
        ""
    }

    fn push_escaped(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            c if (c as u32) < 0x20 => self.out.push(' '),
            c => self.out.push(c),
        }
    }

    fn word<'a>(&mut self, rest: &'a str) -> &'a str {
        let end = rest
            .find(|c: char| c.is_whitespace() || "{}[],:\"'/#“”‘".contains(c))
            .unwrap_or(rest.len())
            .max(rest.chars().next().map_or(0, char::len_utf8));
        let word = &rest[..end];
        self.separate();
        match word {
            "true" | "True" | "TRUE" => self.out.push_str("true"),
            "false" | "False" | "FALSE" => self.out.push_str("false"),
            "null" | "None" | "NaN" | "nan" | "undefined" | "Infinity" | "-Infinity" => self.out.push_str("null"),
            w if serde_json::from_str::<serde_json::Number>(w).is_ok() => self.out.push_str(w),
            w => {
                self.out.push('"');
                w.chars().for_each(|c| match c {
                    '\\' => self.out.push_str("\\\\"),
                    c => self.push_escaped(c),
                });
                self.out.push('"');
            }
        }
        &rest[end..]
    }

    fn finish(mut self) -> String {
        while let Some(bracket) = self.open.pop() {
            self.complete(bracket);
        }
        self.out
    }
}

/// A single quote ends a string only before something that can follow one; otherwise it is an apostrophe.
fn ends_here(rest: &str) -> bool {
    matches!(rest.trim_start().chars().next(), None | Some(',' | ':' | '}' | ']'))
}

/// What follows a comment, or a lone `/` or `#`.
fn comment(rest: &str) -> &str {
    if rest.starts_with("/*") {
        return rest.split_once("*/").map_or("", |(_, after)| after);
    }
    if rest.starts_with("//") || rest.starts_with('#') {
        return rest.split_once('\n').map_or("", |(_, after)| after);
    }
    &rest[1..]
}
