//! The script of an upstream: which request gets which answer, as JSON. Reading and checking only; `plan` turns an
//! answer into bytes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::capture;

/// What an upstream answers: the first route that matches a request wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Tried in order.
    pub routes: Vec<Route>,
}

/// One rule: requests that look like `when` get `then`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What the request must look like; empty matches every request.
    #[serde(default)]
    pub when: When,
    /// The answers, used in order; the last one repeats.
    #[serde(deserialize_with = "one_or_many")]
    pub then: Vec<Response>,
}

/// Conditions on a request; all that are given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Exact method.
    pub method: Option<String>,
    /// Exact path; compared with the query string only if it contains a `?` itself.
    pub path: Option<String>,
    /// How the path ends, without the query string.
    pub path_ends: Option<String>,
    /// `model` of the JSON body.
    pub model: Option<String>,
    /// Exact header values, names in any case.
    pub header: BTreeMap<String, String>,
    /// A part of the JSON body: objects may have more keys, everything else is equal.
    pub body: Option<Value>,
    /// Text that occurs in the raw body.
    pub body_contains: Option<String>,
    /// `role` of the last of the body's `messages`.
    pub last_role: Option<String>,
    /// Only requests that come earlier than this many milliseconds after the first one this script was asked.
    pub before_ms: Option<u64>,
}

/// One scripted answer. At most one body form may be given (`answer` and `tool_calls` go together).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Response {
    /// HTTP status; 200 when absent.
    pub status: Option<u16>,
    /// Headers; a name given here replaces the one the server would write.
    pub headers: BTreeMap<String, String>,
    /// Milliseconds to wait before the head is sent.
    pub delay_ms: u64,

    /// Body form: a whole chat completion with this text, streamed if the request asks for it.
    pub answer: Option<String>,
    /// Body form: the same with these tool calls, alone or after `answer`.
    pub tool_calls: Option<Vec<ToolCall>>,
    /// `finish_reason` of `answer` and `tool_calls`; `stop` or `tool_calls` when absent.
    pub finish_reason: Option<String>,
    /// Usage fields of `answer` and `tool_calls`, laid over the counted ones; `false` leaves usage out.
    pub usage: Option<Usage>,

    /// With `answer` or `body`: patterns, by name, whose one group is looked for in the texts of the request's messages;
    /// `{{name}}` becomes what it found. A request in which one finds nothing is answered like one without a route.
    pub capture: BTreeMap<String, String>,

    /// Body form: a JSON document.
    pub json: Option<Value>,
    /// Body form: text.
    pub body: Option<String>,
    /// Body form: bytes.
    pub body_base64: Option<String>,
    /// Body form: server-sent events. Text and JSON become `data:`, an object made only of `event`, `data` and `id`
    /// becomes those lines.
    pub sse: Option<Vec<Value>>,
    /// Body form: what happens after the head, by hand.
    pub steps: Option<Vec<Step>>,

    /// With `answer` and `tool_calls`: what happens in the midst of it.
    pub breaks: Option<Break>,

    /// Whether a stream ends with `data: [DONE]`; when absent, that of `answer` and `tool_calls` does and that of `sse` does not.
    pub done: Option<bool>,
    /// After the last event of a stream the connection is held until the client leaves.
    pub hold: bool,
    /// Milliseconds between the events of a stream.
    pub chunk_delay_ms: u64,
    /// `content-length` to claim, true or not; the connection is closed afterwards if it was not.
    pub content_length: Option<u64>,
    /// Chunked framing or not; when absent, streams and steps are chunked and the rest is not.
    pub chunked: Option<bool>,
    /// Steps include the head themselves: nothing is added.
    pub raw: bool,
    /// Writes the body in pieces of this many bytes.
    pub split: Option<usize>,
    /// Closes the connection after this many bytes of the body.
    pub cut_after: Option<usize>,
}

/// Something that happens in the midst of an answer. In a whole answer it happens at the same share of the bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// After this many words of `answer`.
    pub after: usize,
    /// This many events of the stream are then left out.
    #[serde(default)]
    pub skip: usize,
    /// What happens; the answer goes on after it, unless it ends the connection.
    #[serde(default)]
    pub then: Vec<Step>,
}

/// A tool call of the scripted model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Identifier; `call_<position>` when absent.
    pub id: Option<String>,
    /// Name of the function.
    pub name: String,
    /// Arguments: JSON, or a text sent as it is (to script a malformed one).
    pub arguments: Value,
}

/// Usage of a scripted answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Usage {
    /// `false`: the answer carries none.
    Shown(bool),
    /// Fields laid over the counted ones.
    Fields(Map<String, Value>),
}

/// One step of an answer written by hand.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Sends text.
    Send(String),
    /// Sends bytes.
    SendBase64(String),
    /// Waits.
    DelayMs(u64),
    /// Holds the socket until the client closes it (`true`).
    Stall(bool),
    /// Ends the connection with a TCP reset (`true`).
    Reset(bool),
    /// Closes the connection (`true`).
    Close(bool),
}

/// Why a script was refused: the JSON path and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// Where, for example `routes[0].then.sttus`; `.` is the document.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upstream script, at {}: {}", self.path, self.message)
    }
}

impl std::error::Error for ScriptError {}

impl Script {
    /// Reads a script from JSON text.
    ///
    /// # Errors
    /// The JSON path of the first thing that is not as described in this module.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        Self::read(&mut serde_json::Deserializer::from_str(text))
    }

    /// Reads a script from a JSON value.
    ///
    /// # Errors
    /// As [`Script::from_json`].
    pub fn from_value(value: Value) -> Result<Self, ScriptError> {
        Self::read(value)
    }

    fn read<'de, D>(input: D) -> Result<Self, ScriptError>
    where
        D: Deserializer<'de>,
        D::Error: fmt::Display,
    {
        let script: Script = serde_path_to_error::deserialize(input)
            .map_err(|error| ScriptError { path: error.path().to_string(), message: error.inner().to_string() })?;
        for (at, route) in script.routes.iter().enumerate() {
            for (nth, response) in route.then.iter().enumerate() {
                response
                    .check()
                    .map_err(|message| ScriptError { path: format!("routes[{at}].then[{nth}]"), message })?;
            }
        }
        Ok(script)
    }
}

impl Response {
    /// What serde cannot see: forms that exclude each other, and values no byte stream can have.
    fn check(&self) -> Result<(), String> {
        let sugar = self.answer.is_some() || self.tool_calls.is_some();
        let forms: Vec<&str> = [
            ("answer", sugar),
            ("json", self.json.is_some()),
            ("body", self.body.is_some()),
            ("body_base64", self.body_base64.is_some()),
            ("sse", self.sse.is_some()),
            ("steps", self.steps.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
        if forms.len() > 1 {
            return Err(format!("only one body form is possible, found {}", forms.join(", ")));
        }
        if !sugar && (self.finish_reason.is_some() || self.usage.is_some()) {
            return Err("`finish_reason` and `usage` need `answer` or `tool_calls`".into());
        }
        if (self.done.is_some() || self.hold) && !sugar && self.sse.is_none() {
            return Err("`done` and `hold` need `sse`, `answer` or `tool_calls`".into());
        }
        if self.breaks.is_some() && self.answer.is_none() {
            return Err("`breaks` needs `answer`".into());
        }
        if !self.capture.is_empty() && self.answer.is_none() && self.body.is_none() {
            return Err("`capture` needs `answer` or `body`".into());
        }
        self.capture.values().try_for_each(|pattern| capture::compile(pattern).map(drop))?;
        if self.raw && self.steps.is_none() {
            return Err("`raw` needs `steps`".into());
        }
        if self.split == Some(0) {
            return Err("`split` must be at least 1".into());
        }
        let breaks = self.breaks.iter().flat_map(|breaks| &breaks.then);
        let steps = self.steps.iter().flatten().chain(breaks).filter_map(|step| match step {
            Step::SendBase64(text) => Some(text),
            _ => None,
        });
        for text in self.body_base64.iter().chain(steps) {
            bytes_of(text).map_err(|error| format!("not base64: {error}"))?;
        }
        Ok(())
    }
}

/// Decodes base64; a script that passed its check cannot fail here.
pub(super) fn bytes_of(base64: &str) -> Result<Vec<u8>, base64::DecodeError> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64)
}

/// `X` or `[X, ...]`. Written by hand because an untagged enum would lose the JSON path.
fn one_or_many<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Response>, D::Error> {
    struct OneOrMany;
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<Response>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a response or a list of at least one")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Response::deserialize(value::MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut many = Vec::new();
            while let Some(response) = seq.next_element()? {
                many.push(response);
            }
            if many.is_empty() {
                return Err(serde::de::Error::invalid_length(0, &self));
            }
            Ok(many)
        }
    }
    input.deserialize_any(OneOrMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ScriptError {
        Script::from_json(text).unwrap_err()
    }

    #[test]
    fn one_response_or_a_list() {
        let script = Script::from_json(
            r#"{"routes":[{"then":{"answer":"a"}},{"when":{"model":"m"},"then":[{"status":429},{"answer":"b"}]}]}"#,
        )
        .unwrap();
        assert_eq!(script.routes[0].then.len(), 1);
        assert_eq!(script.routes[1].then[0].status, Some(429));
    }

    #[test]
    fn unknown_fields_are_named_with_their_path() {
        let one = refused(r#"{"routes":[{"then":{"sttus":200}}]}"#);
        assert_eq!(one.path, "routes[0].then.sttus");
        assert!(one.message.contains("sttus"), "{one}");
        let many = refused(r#"{"routes":[{"then":[{},{"tool_calls":[{"nam":"x"}]}]}]}"#);
        assert_eq!(many.path, "routes[0].then[1].tool_calls[0].nam");
        let step = refused(r#"{"routes":[{"then":{"steps":[{"sleep":1}]}}]}"#);
        assert!(step.message.contains("sleep"), "{step}");
        let when = refused(r#"{"routes":[{"when":{"modle":"x"},"then":{}}]}"#);
        assert_eq!(when.path, "routes[0].when.modle");
    }

    #[test]
    fn contradictions_are_refused() {
        for (response, says) in [
            (r#"{"json":{},"sse":[]}"#, "only one body form is possible, found json, sse"),
            (r#"{"body":"x","usage":false}"#, "need `answer`"),
            (r#"{"json":{},"capture":{"a":"(b)"}}"#, "`capture` needs"),
            (r#"{"answer":"x","capture":{"a":"b"}}"#, "exactly one group"),
            (r#"{"body":"x","done":true}"#, "`done` and `hold` need"),
            (r#"{"json":{},"hold":true}"#, "`done` and `hold` need"),
            (r#"{"json":{},"breaks":{"after":1}}"#, "`breaks` needs"),
            (r#"{"answer":"x","breaks":{"after":1,"then":[{"send_base64":"?"}]}}"#, "not base64"),
            (r#"{"body":"x","raw":true}"#, "`raw` needs"),
            (r#"{"body":"x","split":0}"#, "at least 1"),
            (r#"{"body_base64":"?"}"#, "not base64"),
            (r#"{"steps":[{"send_base64":"?"}]}"#, "not base64"),
        ] {
            let error = refused(&format!(r#"{{"routes":[{{"then":[{{}},{response}]}}]}}"#));
            assert_eq!(error.path, "routes[0].then[1]");
            assert!(error.message.contains(says), "{error}");
        }
        assert!(refused(r#"{"routes":[{"then":[]}]}"#).message.contains("at least one"));
    }
}
