//! What a target does not take of a request. A field that changes the answer is an `unsupported` error, so that another
//! target is tried; a sampling detail is left out and told in `interfuse.dropped`, or refused where the caller asked for
//! `strict_params`.

use serde_json::Value;

use super::WireTarget;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChatRequest, EmbeddingRequest};

/// Fields that change the answer: a target that does not take them is no substitute for one that does.
const CHANGE_THE_ANSWER: &[&str] = &[
    "tools",
    "tool_choice",
    "response_format",
    "n",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "dimensions",
];

/// OpenAI's request fields that have no field of their own in [`ChatRequest`]; vendors with words of their own refuse
/// them, or take them for something else.
const OPENAIS_OWN: &[&str] = &[
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "metadata",
    "modalities",
    "moderation",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    "verbosity",
    "web_search_options",
];

/// What can be asked of a request, whatever it is for.
pub trait Asked: std::fmt::Debug {
    /// Whether it sets a field.
    fn sets(&self, name: &str) -> bool;

    /// Whether a field that a target would leave out is an error there.
    fn strict(&self) -> bool;

    /// Whether the answer would be another one without this field.
    fn changes_the_answer(&self, name: &str) -> bool {
        CHANGE_THE_ANSWER.contains(&name)
    }

    /// Whether it wants an answer that obeys a schema.
    fn has_schema(&self) -> bool {
        false
    }
}

impl Asked for ChatRequest {
    fn sets(&self, name: &str) -> bool {
        is_set(self, name)
    }

    fn strict(&self) -> bool {
        self.strict_params == Some(true)
    }

    /// That there is to be no reasoning is more than a shade of it.
    fn changes_the_answer(&self, name: &str) -> bool {
        CHANGE_THE_ANSWER.contains(&name)
            || (name == "reasoning_effort" && self.reasoning_effort.as_deref() == Some("none"))
    }

    fn has_schema(&self) -> bool {
        self.response_format.as_ref().and_then(|f| f.json_schema.as_ref()?.schema.as_ref()).is_some()
    }
}

impl Asked for EmbeddingRequest {
    fn sets(&self, name: &str) -> bool {
        match name {
            "dimensions" => self.dimensions.is_some(),
            "user" => self.user.is_some(),
            name => self.extra.contains_key(name),
        }
    }

    fn strict(&self) -> bool {
        self.strict_params == Some(true)
    }
}

/// The fields of one request that one target does not take.
#[derive(Debug)]
pub struct Fields<'a> {
    request: &'a dyn Asked,
    target: &'a WireTarget<'a>,
    dropped: Vec<String>,
}

impl<'a> Fields<'a> {
    /// None so far.
    pub fn new(request: &'a dyn Asked, target: &'a WireTarget<'a>) -> Self {
        Fields { request, target, dropped: Vec::new() }
    }

    /// Notes that the target does not take `name`, if the request sets it.
    ///
    /// # Errors
    /// `unsupported` when the field changes the answer, or when the request says `strict_params`.
    pub fn without(&mut self, name: &str) -> Result<()> {
        if !self.request.sets(name) {
            return Ok(());
        }
        if self.request.changes_the_answer(name) {
            return Err(self.refused(name, "it does not honour that field"));
        }
        self.drop(name)
    }

    /// Notes what the provider's row says that the target does not take. That it does nothing with a schema is no fault
    /// where the whole answer can be held against it, which the engine does.
    ///
    /// # Errors
    /// As for [`Fields::without`].
    pub fn declared(&mut self, stream: bool) -> Result<()> {
        let quirks = self.target.quirks;
        let held = self.request.has_schema() && !stream;
        let ignored = quirks.ignores.iter().filter(|name| !(held && *name == "response_format"));
        quirks.drop.iter().chain(ignored).try_for_each(|name| self.without(name))
    }

    /// Notes OpenAI's own fields that a vendor with words of its own does not take, but for those in `taken`.
    ///
    /// # Errors
    /// As for [`Fields::without`].
    pub fn foreign(&mut self, taken: &[&str]) -> Result<()> {
        OPENAIS_OWN.iter().filter(|name| !taken.contains(name)).try_for_each(|name| self.without(name))
    }

    /// Whether the provider's row lets this field through.
    pub fn takes(&self, name: &str) -> bool {
        !self.target.quirks.drop.iter().any(|d| d == name)
    }

    /// Notes that `name` is left out, set or not, because what it says cannot be said to this target.
    ///
    /// # Errors
    /// `unsupported` when the request says `strict_params`.
    pub fn drop(&mut self, name: &str) -> Result<()> {
        if self.request.strict() {
            return Err(self.refused(name, "it would be left out, and `strict_params` forbids that"));
        }
        if !self.dropped.iter().any(|d| d == name) {
            self.dropped.push(name.to_owned());
        }
        Ok(())
    }

    /// Whether `name` was noted.
    pub fn is_dropped(&self, name: &str) -> bool {
        self.dropped.iter().any(|d| d == name)
    }

    /// The error for a request that this target cannot serve because of `field`.
    pub fn refused(&self, field: &str, why: &str) -> Error {
        let message = format!(
            "`{}` cannot serve a request with `{field}`: {why}; choose another provider or leave it out",
            self.target.provider
        );
        self.target.at(Error::new(ErrorKind::Unsupported, message).with_param(field))
    }

    /// Names of what was left out.
    pub fn into_dropped(self) -> Vec<String> {
        self.dropped
    }
}

/// Fields that the target's row puts into every body (`quirks.set`), less those that the request says itself.
pub fn preset<'a>(
    request: &'a ChatRequest,
    target: &WireTarget<'a>,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let said = |name: &str| {
        request.extra_body.as_ref().is_some_and(|b| b.contains_key(name))
            || ALWAYS.contains(&name)
            || is_set(request, name)
    };
    target.quirks.set.iter().filter(move |(name, _)| !said(name))
}

/// Whether this is one of OpenAI's own fields, which no other vendor gets under that name.
pub fn is_openais_own(name: &str) -> bool {
    OPENAIS_OWN.contains(&name)
}

/// Fields that every request says.
const ALWAYS: &[&str] = &["model", "messages", "stream"];

fn is_set(r: &ChatRequest, name: &str) -> bool {
    match name {
        "temperature" => r.temperature.is_some(),
        "top_p" => r.top_p.is_some(),
        "max_tokens" => r.max_tokens.is_some(),
        "max_completion_tokens" => r.max_completion_tokens.is_some(),
        "n" => r.n.is_some_and(|n| n > 1),
        "stop" => r.stop.is_some(),
        "seed" => r.seed.is_some(),
        "frequency_penalty" => r.frequency_penalty.is_some(),
        "presence_penalty" => r.presence_penalty.is_some(),
        "logprobs" => r.logprobs == Some(true),
        "top_logprobs" => r.top_logprobs.is_some_and(|n| n > 0),
        "tools" => r.tools.as_ref().is_some_and(|t| !t.is_empty()),
        // What every server does by itself.
        "tool_choice" => r.tool_choice.as_ref().is_some_and(|choice| *choice != "auto"),
        "parallel_tool_calls" => r.parallel_tool_calls.is_some(),
        "response_format" => r.response_format.as_ref().is_some_and(|f| f.r#type != "text"),
        "reasoning_effort" => r.reasoning_effort.is_some(),
        "modalities" => {
            r.extra.get("modalities").and_then(|m| m.as_array()).is_some_and(|m| m.iter().any(|m| m != "text"))
        }
        name => r.extra.contains_key(name),
    }
}
