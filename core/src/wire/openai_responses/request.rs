//! Request bodies.

use serde_json::{Value, json};

use super::{items, tools};
use crate::error::Result;
use crate::types::{ChatRequest, Extra, ResponseFormat};
use crate::wire::body::Body;
use crate::wire::fields::Fields;
use crate::wire::{Encoded, WireTarget, history, state};

/// OpenAI's own fields that this API takes too, some in another place.
const TAKEN: &[&str] = &[
    "metadata",
    "moderation",
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

/// Fields that have another place here, or say nothing where they are taken.
const ELSEWHERE: &[&str] = &["verbosity", "web_search_options", "modalities"];

/// Fields of Chat Completions that this API does not have. It knows no `stop` either: the answer is cut here.
const FOREIGN: &[&str] = &["n", "seed", "frequency_penalty", "presence_penalty"];

/// Beginnings of names of models that reason, and whether they do; the first that fits counts. Others refuse to give their
/// reasoning encrypted. Source: the vendor's list of models, state of September 2026.
const REASONING: &[(&str, bool)] = &[
    ("gpt-5-chat", false),
    ("gpt-5", true),
    ("gpt-oss", true),
    ("codex", true),
    ("o1", true),
    ("o3", true),
    ("o4", true),
    ("grok-4", true),
];

/// What an answer includes on request.
const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(TAKEN)?;
    FOREIGN.iter().try_for_each(|name| fields.without(name))?;
    history::note_foreign(&request.messages, items::KEPT, &mut fields)?;

    let said = |name: &str| {
        let body = request.extra_body.as_ref().and_then(|b| b.get(name));
        body.or_else(|| request.extra.get(name)).filter(|v| !v.is_null())
    };
    let stored = said("store").is_some_and(|s| s == true);
    // Instructions of the caller's own would hide those of the conversation.
    let (instructions, since) = match said("instructions") {
        None => items::instructions(request),
        Some(_) => (None, 0),
    };
    let input = items::of(request, since, stored, target, &fields)?;
    let tools = tools::of(request);

    let mut body = Body::new(request, target);
    body.put("model", target.model)?;
    if let Some(instructions) = &instructions {
        body.put("instructions", instructions)?;
    }
    body.put("input", &input)?;
    if let Some(limit) = request.max_completion_tokens.or(request.max_tokens) {
        body.put("max_output_tokens", &limit)?;
    }
    if let Some(temperature) = request.temperature {
        body.put("temperature", &temperature)?;
    }
    if let Some(top_p) = request.top_p {
        body.put("top_p", &top_p)?;
    }
    if let Some(most) = request.top_logprobs {
        body.put("top_logprobs", &most)?;
    }
    if !tools.is_empty() {
        body.put("tools", &tools)?;
    }
    if let Some(choice) = &request.tool_choice {
        body.put("tool_choice", &tools::choice(choice))?;
    }
    if let Some(parallel) = request.parallel_tool_calls {
        body.put("parallel_tool_calls", &parallel)?;
    }
    body.merge("text", text(request))?;
    body.merge("reasoning", reasoning(request))?;
    body.put("store", &stored)?;
    let include = include(request, target, stored);
    if !include.is_empty() {
        body.translated("include", &include)?;
    }
    if stream {
        body.put("stream", &true)?;
        if let Some(options) = request.stream_options.as_ref().filter(|o| !o.extra.is_empty()) {
            body.put("stream_options", &options.extra)?;
        }
    }
    let body = body.finish(|name| ELSEWHERE.contains(&name) || fields.is_dropped(name))?;
    Ok(Encoded { body, dropped: fields.into_dropped(), ..Default::default() })
}

/// Form and length of the text.
fn text(request: &ChatRequest) -> Extra {
    let mut text = Extra::new();
    if let Some(format) = request.response_format.as_ref().filter(|f| f.r#type != "text") {
        text.insert("format".into(), flat(format));
    }
    if let Some(verbosity) = request.extra.get("verbosity").filter(|v| !v.is_null()) {
        text.insert("verbosity".into(), verbosity.clone());
    }
    text
}

/// The form of the answer, without a level of its own for the schema.
fn flat(format: &ResponseFormat) -> Value {
    let mut out = Extra::new();
    out.insert("type".into(), format.r#type.clone().into());
    if let Some(held) = &format.json_schema {
        out.insert("name".into(), held.name.clone().into());
        out.insert("schema".into(), held.schema.clone().unwrap_or_else(|| json!({})));
        out.extend(held.description.clone().map(|d| ("description".to_owned(), d.into())));
        out.extend(held.strict.map(|s| ("strict".to_owned(), s.into())));
    }
    out.extend(format.extra.clone());
    Value::Object(out)
}

fn reasoning(request: &ChatRequest) -> Extra {
    request.reasoning_effort.iter().map(|effort| ("effort".to_owned(), Value::from(effort.as_str()))).collect()
}

/// What the answer includes: what the caller asks for, log probabilities, and the reasoning for the next turn where nothing
/// is stored.
fn include(request: &ChatRequest, target: &WireTarget<'_>, stored: bool) -> Vec<Value> {
    let mut include = match request.extra.get("include") {
        Some(Value::Array(said)) => said.clone(),
        _ => Vec::new(),
    };
    let mut add = |what: &str| {
        if !include.iter().any(|said| said == what) {
            include.push(what.into());
        }
    };
    if request.logprobs == Some(true) || request.top_logprobs.is_some_and(|n| n > 0) {
        add(LOGPROBS);
    }
    if !stored && reasons(request, target) {
        add(ENCRYPTED);
    }
    include
}

fn reasons(request: &ChatRequest, target: &WireTarget<'_>) -> bool {
    if let Some(effort) = &request.reasoning_effort {
        return effort != "none";
    }
    if request.messages.iter().any(|m| state::blocks(&m.extra, target).next().is_some()) {
        return true;
    }
    let name = target.model.rsplit('/').next().unwrap_or_default();
    REASONING.iter().find(|(start, _)| name.starts_with(start)).is_some_and(|(_, reasons)| *reasons)
}
