//! Request bodies.

use serde_json::{Value, json};

use super::{messages, tools};
use crate::error::Result;
use crate::types::{ChatRequest, ResponseFormat, Stop};
use crate::wire::body::Body;
use crate::wire::fields::{self, Fields};
use crate::wire::{Encoded, WireTarget, history};

/// Sampling settings: OpenAI's name, Cohere's, and the least and the largest value Cohere takes (source: its API
/// reference).
const RANGES: &[(&str, &str, f64, f64)] = &[
    ("temperature", "temperature", 0.0, 1.0),
    ("top_p", "p", 0.01, 0.99),
    ("frequency_penalty", "frequency_penalty", 0.0, 1.0),
    ("presence_penalty", "presence_penalty", 0.0, 1.0),
];

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(&[])?;
    for name in ["n", "top_logprobs"] {
        fields.without(name)?;
    }
    if request.parallel_tool_calls == Some(false) {
        fields.without("parallel_tool_calls")?;
    }
    history::note_foreign(&request.messages, &["detail"], &mut fields)?;

    let mut body = Body::new(request, target);
    body.put("model", target.model)?;
    body.put("messages", &messages::read(&request.messages, &fields)?)?;
    if stream {
        body.put("stream", &true)?;
    }
    sampling(request, &mut fields, &mut body)?;
    if let Some(limit) = request.max_completion_tokens.or(request.max_tokens) {
        body.put("max_tokens", &limit)?;
    }
    match request.stop.as_ref().filter(|_| fields.takes("stop")) {
        Some(Stop::One(one)) => body.put("stop_sequences", &[one])?,
        Some(Stop::Many(many)) => body.put("stop_sequences", many)?,
        None => {}
    }
    if let Some(seed) = request.seed {
        body.put("seed", &seed)?;
    }
    if let Some(k) = request.extra.get("top_k") {
        body.put("k", k)?;
    }
    if request.logprobs == Some(true) {
        body.put("logprobs", &true)?;
    }
    let tools = tools::read(request, &mut fields)?;
    if !tools.list.is_empty() {
        body.put("tools", &tools.list)?;
        if tools.strict {
            body.put("strict_tools", &true)?;
        }
    }
    // That one of none must be called is refused.
    if let Some(choice) = tools.choice.filter(|choice| *choice == "NONE" || !tools.list.is_empty()) {
        body.put("tool_choice", choice)?;
    }
    if let Some(format) = request.response_format.as_ref().filter(|f| f.r#type != "text") {
        body.put("response_format", &form(format, &fields)?)?;
    }
    if let Some(effort) = request.reasoning_effort.as_deref().filter(|_| fields.takes("reasoning_effort")) {
        let word = if effort == "none" { "disabled" } else { "enabled" };
        body.put("thinking", &json!({"type": word}))?;
    }
    let body = body.finish(|name| name == "top_k" || fields::is_openais_own(name))?;
    Ok(Encoded { body, dropped: fields.into_dropped(), ..Default::default() })
}

/// Settings within Cohere's ranges. The nearest value stands for one outside, and the caller is told.
fn sampling(request: &ChatRequest, fields: &mut Fields<'_>, body: &mut Body<'_>) -> Result<()> {
    let told = [request.temperature, request.top_p, request.frequency_penalty, request.presence_penalty];
    for ((openai, cohere, least, most), value) in RANGES.iter().zip(told) {
        let Some(value) = value.filter(|_| fields.takes(openai)) else { continue };
        let near = value.clamp(*least, *most);
        // Only one of the penalties may be in force.
        if *openai == "presence_penalty" && near > 0.0 && told[2].is_some_and(|other| other > 0.0) {
            fields.drop(openai)?;
            continue;
        }
        // No model tells a `top_p` of 1 from one of 0.99.
        if (value - near).abs() > 0.011 {
            fields.drop(openai)?;
        }
        body.put(cohere, &near)?;
    }
    Ok(())
}

fn form(format: &ResponseFormat, fields: &Fields<'_>) -> Result<Value> {
    match format.r#type.as_str() {
        "json_object" | "json_schema" => {}
        other => return Err(fields.refused("response_format", &format!("it knows no form `{other}`"))),
    }
    let mut out = json!({"type": "json_object"});
    if let Some(schema) = format.json_schema.as_ref().and_then(|j| j.schema.as_ref()) {
        out["json_schema"] = schema.clone();
    }
    for (name, value) in &format.extra {
        out[name] = value.clone();
    }
    Ok(out)
}
