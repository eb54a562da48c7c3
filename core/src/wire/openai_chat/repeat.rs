//! A short cut through streams: most events equal the one before but for the text of `content`.
//!
//! The bytes around that text are compared; where they are equal, parsing them again could give nothing new, so the chunk
//! before is copied with its text replaced. Everything else takes the long way.

use memchr::memmem;

use crate::types::ChatCompletionChunk;

/// The event before, cut at its text.
pub(super) struct Repeat {
    before: Vec<u8>,
    after: Vec<u8>,
    chunk: ChatCompletionChunk,
}

const KEY: &[u8] = b"\"content\"";

impl Repeat {
    /// Learns from an event and the chunk it gave: one choice that says text, and nothing that ends it or counts.
    pub fn learn(event: &[u8], chunk: &ChatCompletionChunk) -> Option<Self> {
        let [choice] = chunk.choices.as_slice() else { return None };
        let text = choice.delta.content.as_deref()?;
        if choice.finish_reason.is_some() || chunk.usage.is_some() || choice.delta.tool_calls.is_some() {
            return None;
        }
        // A second key of that name (a whole message beside the delta) could vary in step with the first.
        let mut keys = memmem::find_iter(event, KEY);
        let (key, None) = (keys.next()?, keys.next()) else { return None };
        let start = key + KEY.len() + event[key + KEY.len()..].iter().position(|b| *b == b'"')?;
        let between = &event[key + KEY.len()..start];
        let (literal, after) = literal(&event[start..])?;
        (between.trim_ascii() == b":" && literal == text).then(|| Repeat {
            before: event[..start].to_vec(),
            after: after.to_vec(),
            chunk: chunk.clone(),
        })
    }

    /// The chunk of an event that differs in its text alone.
    pub fn apply(&self, event: &[u8]) -> Option<ChatCompletionChunk> {
        let (text, after) = literal(event.strip_prefix(self.before.as_slice())?)?;
        if after != self.after {
            return None;
        }
        let mut chunk = self.chunk.clone();
        chunk.choices[0].delta.content = Some(text);
        Some(chunk)
    }
}

/// A JSON string at the start of some bytes, and what follows it.
fn literal(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut end = 1;
    loop {
        end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
        if bytes[end] == b'"' {
            break;
        }
        end += 2;
    }
    let (literal, after) = bytes.split_at(end + 1);
    Some((serde_json::from_slice(literal).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quirks;
    use crate::wire::{Frame, WireTarget, protocol};

    fn long_way(event: &str) -> ChatCompletionChunk {
        let quirks = Quirks::default();
        let target = WireTarget { provider: "p", model: "m", quirks: &quirks };
        let mut out = Vec::new();
        let mut decoder = protocol("openai-chat").unwrap().decoder(&target);
        decoder.frame(Frame { data: event.as_bytes(), ..Default::default() }, &mut out).unwrap();
        out.pop().unwrap()
    }

    fn event(text: &str, after: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{{"content": {text}}},"finish_reason":null{after}}}]}}"#)
    }

    #[test]
    fn the_short_way_gives_what_the_long_way_gives() {
        let first = event("a", "");
        let repeat = Repeat::learn(first.as_bytes(), &long_way(&first)).unwrap();
        for text in ["", "b", "\"quoted\" \\ \n", "é\u{2028}🌍", "}]}", "\\\""] {
            let next = event(text, "");
            assert_eq!(repeat.apply(next.as_bytes()), Some(long_way(&next)), "{text}");
        }
    }

    #[test]
    fn anything_else_goes_the_long_way() {
        let first = event("a", "");
        let repeat = Repeat::learn(first.as_bytes(), &long_way(&first)).unwrap();
        let other = [
            event("b", ",\"logprobs\":null"),
            first.replace("\"x\"", "\"y\""),
            first.replace("null", "\"stop\""),
            first.replace("\"a\"", "\"a"),
            first.replace("\"a\"", "7"),
            first[..first.len() - 1].to_owned(),
            String::new(),
        ];
        for event in other {
            assert_eq!(repeat.apply(event.as_bytes()), None, "{event}");
        }
        let twice = r#"{"choices":[{"delta":{"content":"a"},"message":{"content":"a"}}]}"#;
        assert!(Repeat::learn(twice.as_bytes(), &long_way(twice)).is_none());
        let last = first.replace("null", "\"stop\"");
        assert!(Repeat::learn(last.as_bytes(), &long_way(&last)).is_none());
    }
}
