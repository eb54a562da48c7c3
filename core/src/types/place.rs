//! Reading JSON text so that a fault is told with its place, as a path (`providers.aws.keys[1].name`).
//!
//! serde_json tells how far it had read. Tracking the path while reading instead would compile every type a second time,
//! half a megabyte of each library, and cost every sound request.

use std::ops::Range;

use serde::de::DeserializeOwned;

/// What is wrong, and the path of the value that is; `.` is the whole.
pub(crate) struct Fault {
    pub path: String,
    pub why: serde_json::Error,
}

/// Reads a value.
///
/// # Errors
/// What is wrong and where.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|why| {
        let again = |text: &str| serde_json::from_str::<T>(text).err();
        Fault { path: path(text, &why, &again), why }
    })
}

/// The path of what `why` complains about. `again` reads another text into the same type.
fn path(text: &str, why: &serde_json::Error, again: &dyn Fn(&str) -> Option<serde_json::Error>) -> String {
    let Some(end) = offset(text, why) else { return ".".to_owned() };
    let mut walk = Walk::default();
    walk.to(text.as_bytes(), end);
    // At the end of a container either itself is complained of, or its last value by somebody who did not know where it
    // stands. Only the latter would still be if there were no end.
    let of_last = walk.closed.take().filter(|(_, bracket)| {
        let without_end = format!("{}!{}", &text[..*bracket], &text[*bracket..]);
        again(&without_end).is_some_and(|e| super::unplaced(&e) == super::unplaced(why))
    });
    let mut path = String::new();
    for step in walk.open.iter().chain(of_last.iter().map(|(step, _)| step)) {
        step.write(text, &mut path);
    }
    if path.is_empty() { ".".to_owned() } else { path }
}

/// How many bytes had been read.
fn offset(text: &str, error: &serde_json::Error) -> Option<usize> {
    let before = error.line().checked_sub(1)?;
    let line: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    Some((line + error.column()).min(text.len()))
}

/// From a container to one of its values.
enum Step {
    /// Before an object's first key, and after a comma.
    Nowhere,
    /// The key's text, with its quotes.
    Key(Range<usize>),
    Index(usize),
}

impl Step {
    fn write(&self, text: &str, path: &mut String) {
        match self {
            Step::Nowhere => {}
            Step::Key(at) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let quoted = text.get(at.clone()).unwrap_or_default();
                let key = serde_json::from_str::<String>(quoted);
                path.push_str(key.as_deref().unwrap_or(quoted));
            }
            Step::Index(at) => {
                path.push('[');
                path.push_str(&at.to_string());
                path.push(']');
            }
        }
    }
}

/// Where the reader stopped.
#[derive(Default)]
struct Walk {
    /// Through the containers that are open there.
    open: Vec<Step>,
    /// The way to the last value of the container that was closed just there, and where its bracket is.
    closed: Option<(Step, usize)>,
}

impl Walk {
    /// Reads tokens as long as they end at or before `end`.
    fn to(&mut self, text: &[u8], end: usize) {
        let mut at = 0;
        while let Some(first) = text.get(at).filter(|_| at < end) {
            let next = match first {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    at += 1;
                    continue;
                }
                b'"' => string_end(text, at),
                b'{' | b'}' | b'[' | b']' | b',' | b':' => at + 1,
                _ => word_end(text, at),
            };
            if next > end {
                return;
            }
            self.token(*first, at..next);
            at = next;
        }
    }

    fn token(&mut self, first: u8, at: Range<usize>) {
        self.closed = None;
        match (first, self.open.last_mut()) {
            (b'{', _) => self.open.push(Step::Nowhere),
            (b'[', _) => self.open.push(Step::Index(0)),
            (b'}' | b']', _) => self.closed = self.open.pop().map(|step| (step, at.start)),
            (b',', Some(Step::Index(index))) => *index += 1,
            (b',', Some(step)) => *step = Step::Nowhere,
            (b'"', Some(step @ Step::Nowhere)) => *step = Step::Key(at),
            _ => {}
        }
    }
}

/// Just after the closing quote of the string that begins at `at`.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while let Some(byte) = text.get(next) {
        match byte {
            b'"' => return next + 1,
            b'\\' => next += 2,
            _ => next += 1,
        }
    }
    text.len() + 1
}

/// Just after the number, `true`, `false` or `null` that begins at `at`.
fn word_end(text: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':') || byte.is_ascii_whitespace();
    // Whatever it begins with is part of it: there is whitespace that JSON does not know.
    text.get(at + 1..).and_then(|rest| rest.iter().position(ends)).map_or(text.len(), |length| at + 1 + length)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Whole {
        name: String,
        #[serde(default)]
        rows: Vec<Row>,
        #[serde(default)]
        pair: Option<(u8, bool)>,
        #[serde(default)]
        sum: Option<Sum>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Parts")]
    struct Sum;

    #[derive(Deserialize)]
    struct Parts {
        parts: Vec<u8>,
        of: u8,
    }

    impl TryFrom<Parts> for Sum {
        type Error = &'static str;
        fn try_from(given: Parts) -> Result<Self, Self::Error> {
            if given.parts.iter().sum::<u8>() == given.of { Ok(Sum) } else { Err("does not add up") }
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Row {
        count: u8,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        even: Option<Even>,
        #[serde(default)]
        rest: Option<Box<Row>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Small,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "u8")]
    struct Even;

    impl TryFrom<u8> for Even {
        type Error = &'static str;
        fn try_from(n: u8) -> Result<Self, Self::Error> {
            if n.is_multiple_of(2) { Ok(Even) } else { Err("odd") }
        }
    }

    /// The same place, however the text is spaced.
    fn place(text: &str) -> String {
        let at = |text: &str| super::read::<Whole>(text).err().unwrap().path;
        let found = at(text);
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            assert_eq!(at(&serde_json::to_string_pretty(&value).unwrap()), found, "{text}");
        }
        found
    }

    #[test]
    fn a_fault_is_found_by_its_path() {
        for (text, path) in [
            (r#"{}"#, "."),
            (r#"[]"#, "."),
            (r#"{"name":1}"#, "name"),
            (r#"{"name":"a","nam":1}"#, "nam"),
            (r#"{"name":"a","a.b":{"c":1},"rows":[]}"#, "a.b"),
            (r#"{"name":"a","q\"\u0065":0}"#, "q\"e"),
            (r#"{"name":"a","rows":{"count":1}}"#, "rows"),
            (r#"{"name":"a","rows":[1]}"#, "rows[0]"),
            (r#"{"name":"a","rows":[{"count":1},{"count":300}]}"#, "rows[1].count"),
            (r#"{"name":"a","rows":[{"count":1},{"count":"x"},{}]}"#, "rows[1].count"),
            (r#"{"name":"a","rows":[{"count":1},{}]}"#, "rows[1]"),
            (r#"{"name":"a","rows":[{"count":1,"kind":"large"}]}"#, "rows[0].kind"),
            (r#"{"name":"a","rows":[{"count":1,"even":3}]}"#, "rows[0].even"),
            (r#"{"name":"a","rows":[{"even":3,"count":1}]}"#, "rows[0].even"),
            (
                r#"{"name":"a","rows":[{"count":1,"rest":{"count":2,"rest":{"even":1,"count":2}}}]}"#,
                "rows[0].rest.rest.even",
            ),
            (r#"{"name":"a","rows":[{"count":1,"rest":{"kind":"small"}}]}"#, "rows[0].rest"),
            (r#"{"name":"a","pair":[1,"x"]}"#, "pair[1]"),
            (r#"{"name":"a","pair":"x]}{["}"#, "pair"),
            (r#"{"name":"a\"]","pair":[1]}"#, "pair"),
            (r#"{"name":"a","all":[]}"#, "all"),
            (r#"{"name":"a","sum":{"parts":[1,2],"of":4}}"#, "sum"),
            (r#"{"sum":{"parts":[1,2],"of":4},"name":"a"}"#, "sum"),
            (r#"{"name":"a","sum":{"of":4,"parts":[1,300]}}"#, "sum.parts[1]"),
        ] {
            assert_eq!(place(text), path, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_placed_where_it_ends() {
        for (text, path) in [
            ("", "."),
            ("{", "."),
            (r#"{"name":"a","rows":[{"count":"#, "rows[0].count"),
            (r#"{"name":"a","rows":[{"count":1}"#, "rows[0]"),
            (r#"{"name":"a""#, "name"),
            ("{\n\n\"name\": nul}", "name"),
            // A form feed is no whitespace of JSON.
            ("{\"name\"\u{c}: 1}", "name"),
        ] {
            assert_eq!(place(text), path, "{text}");
        }
    }
}
