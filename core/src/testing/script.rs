//! The words of a script, their check, and which answer a request gets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::types::{fault, from_value};

/// Conditions on a request; all that are given must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    provider: Option<String>,
    method: Option<String>,
    path: Option<String>,
    path_ends: Option<String>,
    model: Option<String>,
    header: BTreeMap<String, String>,
    body: Option<Value>,
    body_contains: Option<String>,
    last_role: Option<String>,
}

/// One answer, with at most one body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    pub status: Option<u16>,
    pub headers: BTreeMap<String, String>,
    pub delay_ms: u64,
    pub answer: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: Option<String>,
    pub usage: Option<Usage>,
    pub embeddings: Option<Vec<Vec<f64>>>,
    pub json: Option<Value>,
    pub body: Option<String>,
    pub sse: Option<Vec<Value>>,
    pub steps: Option<Vec<Step>>,
    pub breaks: Option<Break>,
    pub done: Option<bool>,
    pub chunk_delay_ms: u64,
    pub cut_after: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolCall {
    pub name: String,
    /// Text is sent as it is (to script a malformed one).
    pub arguments: Value,
    pub id: Option<String>,
}

/// `false`: the answer carries none. Fields are laid over the counted ones.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Usage {
    Shown(bool),
    Fields(Map<String, Value>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Send(String),
    DelayMs(u64),
    Stall(bool),
    Reset(bool),
    Close(bool),
}

/// Something that happens in the midst of an answer; of a whole one at the same share of its bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Break {
    /// After this many words.
    pub after: usize,
    /// This many events of a stream are then left out.
    #[serde(default)]
    pub skip: usize,
    #[serde(default)]
    pub then: Vec<Step>,
}

/// What a route looks at.
pub(super) struct Asked<'a> {
    pub provider: &'a str,
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    pub text: &'a str,
    pub body: &'a Value,
}

/// The routes, and how far each has come.
#[derive(Debug)]
pub(super) struct Script(Vec<Route>);

#[derive(Debug)]
struct Route {
    when: When,
    then: Vec<Answer>,
    used: AtomicUsize,
}

impl Script {
    pub fn parse(text: &str) -> Result<Self> {
        let items: Vec<Value> = crate::types::from_json("script", text)?;
        let (mut routes, mut bare) = (Vec::new(), Vec::new());
        for (at, item) in items.iter().enumerate() {
            let Some(fields) =
                item.as_object().filter(|fields| fields.contains_key("then") || fields.contains_key("when"))
            else {
                bare.push(answer(item, &format!("[{at}]"))?);
                continue;
            };
            if let Some(other) = fields.keys().find(|key| !["when", "then"].contains(&key.as_str())) {
                return Err(refused(&format!("[{at}].{other}"), "a route has `when` and `then`"));
            }
            let when =
                fields.get("when").map_or_else(|| Ok(When::default()), |when| read(when, &format!("[{at}].when")))?;
            let then = match fields.get("then") {
                Some(Value::Array(many)) if !many.is_empty() => many
                    .iter()
                    .enumerate()
                    .map(|(n, each)| answer(each, &format!("[{at}].then[{n}]")))
                    .collect::<Result<_>>()?,
                Some(one @ Value::Object(_)) => vec![answer(one, &format!("[{at}].then"))?],
                _ => return Err(refused(&format!("[{at}].then"), "at least one answer is needed")),
            };
            routes.push(Route { when, then, used: AtomicUsize::new(0) });
        }
        // Bare answers are those of every request that no route took.
        if !bare.is_empty() {
            routes.push(Route { when: When::default(), then: bare, used: AtomicUsize::new(0) });
        }
        Ok(Script(routes))
    }

    /// The answer to a request, this time.
    pub fn take(&self, asked: &Asked<'_>) -> Option<&Answer> {
        let route = self.0.iter().find(|route| route.when.holds(asked))?;
        let turn = route.used.fetch_add(1, Ordering::Relaxed);
        route.then.get(turn.min(route.then.len() - 1))
    }
}

fn answer(value: &Value, at: &str) -> Result<Answer> {
    let answer: Answer = read(value, at)?;
    answer.check().map_err(|why| refused(at, why))?;
    Ok(answer)
}

fn read<T: serde::de::DeserializeOwned>(value: &Value, at: &str) -> Result<T> {
    from_value("script", value).map_err(|e| {
        let inner = e.body().param.as_deref().unwrap_or(".").trim_start_matches('.').to_owned();
        let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        let why = e.message().split_once("`: ").map_or(e.message(), |(_, why)| why);
        fault("script", &format!("{at}{dot}{inner}"), &why)
    })
}

fn refused(at: &str, why: &str) -> Error {
    fault("script", at, &why)
}

impl Answer {
    /// Whether it is a chat completion.
    pub fn says(&self) -> bool {
        self.answer.is_some() || !self.tool_calls.is_empty()
    }

    /// What serde cannot see.
    fn check(&self) -> std::result::Result<(), &'static str> {
        let bodies = [
            self.says(),
            self.embeddings.is_some(),
            self.json.is_some(),
            self.body.is_some(),
            self.sse.is_some(),
            self.steps.is_some(),
        ];
        if bodies.into_iter().filter(|there| *there).count() > 1 {
            return Err("only one of `answer`, `embeddings`, `json`, `body`, `sse` and `steps` is possible");
        }
        if !self.says() && (self.usage.is_some() || self.finish_reason.is_some()) {
            return Err("`finish_reason` and `usage` need `answer` or `tool_calls`");
        }
        if self.breaks.is_some() && self.answer.is_none() {
            return Err("`breaks` needs `answer`");
        }
        if self.done.is_some() && !self.says() && self.sse.is_none() {
            return Err("`done` needs `sse`, `answer` or `tool_calls`");
        }
        if self.embeddings.as_ref().is_some_and(Vec::is_empty) {
            return Err("`embeddings` needs at least one vector");
        }
        if self.status.is_some_and(|status| !(100..=599).contains(&status)) {
            return Err("`status` is no status of HTTP");
        }
        Ok(())
    }
}

impl When {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        let bare = asked.path.split('?').next().unwrap_or_default();
        let is = |wanted: &Option<String>, there: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == there);
        let last = asked.body["messages"].as_array().and_then(|all| all.last());
        is(&self.provider, Some(asked.provider))
            && is(&self.method, Some(asked.method))
            && self.path.as_deref().is_none_or(|p| p == if p.contains('?') { asked.path } else { bare })
            && self.path_ends.as_deref().is_none_or(|end| bare.ends_with(end))
            && is(&self.model, asked.body["model"].as_str())
            && self.header.iter().all(|(name, value)| {
                asked.headers.get(name.as_str()).and_then(|there| there.to_str().ok()) == Some(value)
            })
            && self.body.as_ref().is_none_or(|part| is_part(part, asked.body))
            && self.body_contains.as_deref().is_none_or(|part| asked.text.contains(part))
            && is(&self.last_role, last.and_then(|message| message["role"].as_str()))
    }
}

/// Whether one JSON value is a part of another: objects may have more keys.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|there| is_part(value, there)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part(part, whole))
        }
        _ => part == whole,
    }
}
