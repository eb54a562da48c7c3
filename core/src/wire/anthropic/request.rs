//! Request bodies.

use serde_json::{Value, json};

use super::content::{self, Conversation};
use super::model::{self, Effort, MAX_UNSTREAMED, MIN_BUDGET, Model, Sampling, Thinking};
use super::tools::{self, Toolbox};
use super::{beta, schema};
use crate::error::Result;
use crate::types::{ChatRequest, Extra, ResponseFormat, Stop};
use crate::wire::body::Body;
use crate::wire::fields::{self, Fields};
use crate::wire::{Encoded, WireTarget, history};

/// OpenAI's fields that have a counterpart here.
const TAKEN: &[&str] = &["user", "safety_identifier", "service_tier", "metadata", "web_search_options"];

/// OpenAI's fields that have none.
const FOREIGN: &[&str] = &["n", "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"];

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let model = model::of(target.model);
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(TAKEN)?;
    FOREIGN.iter().try_for_each(|name| fields.without(name))?;
    history::note_foreign(&request.messages, content::KEPT, &mut fields)?;

    let conversation = content::conversation(request, target, model.instructions, &fields)?;
    let mut toolbox = tools::of(request, model.schemas, &mut fields)?;
    let mut output = Extra::new();
    if let Some(format) = request.response_format.as_ref().filter(|f| f.r#type != "text") {
        answer_form(format, &model, &fields, &mut output, &mut toolbox)?;
    }
    let limit = request.max_completion_tokens.or(request.max_tokens).unwrap_or(match stream {
        true => model.max_output,
        false => model.max_output.min(MAX_UNSTREAMED),
    });
    let thinking = match request.extra.get("thinking") {
        Some(said) => {
            let on = said["type"] != "disabled";
            if on && toolbox.forced() {
                let which = if request.tool_choice.is_some() { "tool_choice" } else { "response_format" };
                return Err(fields.refused(which, "it would have to force a tool, which excludes `thinking`"));
            }
            Some(said.clone())
        }
        None => think(&model, limit, &conversation, &toolbox, &mut fields, request, &mut output)?,
    };
    let thinks = thinking.as_ref().is_some_and(|t| t["type"] != "disabled");
    ends_with_the_user(&conversation, &model, thinks, &fields)?;
    let (temperature, top_p) = sampling(request, &model, thinks, &mut fields)?;

    let mut body = Body::new(request, target);
    body.put("model", target.model)?;
    body.put("max_tokens", &limit)?;
    if !conversation.system.is_empty() {
        body.put("system", &conversation.system)?;
    }
    body.put("messages", &conversation.turns)?;
    if let Some(temperature) = temperature {
        body.put("temperature", &temperature)?;
    }
    if let Some(top_p) = top_p {
        body.put("top_p", &top_p)?;
    }
    if let Some(stop) = stop_sequences(request) {
        body.put("stop_sequences", &stop)?;
    }
    if !toolbox.tools.is_empty() {
        body.put("tools", &toolbox.tools)?;
    }
    if let Some(choice) = &toolbox.choice {
        body.put("tool_choice", choice)?;
    }
    if let Some(thinking) = &thinking {
        body.put("thinking", thinking)?;
    }
    if fields.takes("output_config") {
        body.merge("output_config", output)?;
    } else if output.contains_key("effort") {
        fields.drop("reasoning_effort")?;
    }
    if let Some(metadata) = metadata(request, &mut fields)? {
        body.translated("metadata", &metadata)?;
    }
    if let Some(tier) = service_tier(request, &mut fields)? {
        body.translated("service_tier", tier)?;
    }
    if stream {
        body.put("stream", &true)?;
    }
    let headers = beta::headers(request, conversation.uploaded);
    let taken = |name: &str| fields::is_openais_own(name) || fields.is_dropped(name);
    let body = body.finish(taken)?;
    Ok(Encoded { body, headers, dropped: fields.into_dropped() })
}

/// The form of the answer: held by the model itself, or the input of a tool it must call.
fn answer_form(
    format: &ResponseFormat,
    model: &Model,
    fields: &Fields<'_>,
    output: &mut Extra,
    toolbox: &mut Toolbox<'_>,
) -> Result<()> {
    let held = format.json_schema.as_ref();
    match (format.r#type.as_str(), held.and_then(|j| j.schema.as_ref())) {
        ("json_schema", Some(wanted)) => {
            if model.schemas && fields.takes("output_config") && fields.takes("output_config.format") {
                let format = json!({"type": "json_schema", "schema": schema::strict(wanted)});
                output.insert("format".into(), format);
            } else if wanted["type"] == "object" || wanted.get("properties").is_some() {
                toolbox.answer_in(schema::root(Some(wanted)), held.and_then(|j| j.description.as_deref()));
            } else {
                return Err(fields.refused("response_format", "that model takes no schema but of an object"));
            }
            Ok(())
        }
        ("json_object", _) => {
            toolbox.answer_in(json!({"type": "object", "additionalProperties": true}), None);
            Ok(())
        }
        _ => Err(fields.refused("response_format", "it knows no form of that kind")),
    }
}

/// How much to think, in the model's own terms; `None` where nothing is to be said.
fn think(
    model: &Model,
    limit: u64,
    conversation: &Conversation<'_>,
    toolbox: &Toolbox<'_>,
    fields: &mut Fields<'_>,
    request: &ChatRequest,
    output: &mut Extra,
) -> Result<Option<Value>> {
    let Some(said) = request.reasoning_effort.as_deref() else { return Ok(None) };
    if said == "none" {
        return Ok(matches!(model.thinking, Thinking::Adaptive(_)).then(|| json!({"type": "disabled"})));
    }
    let Some(wanted) = Effort::named(said) else {
        return Err(fields.refused("reasoning_effort", &format!("it knows no effort `{said}`")));
    };
    match model.thinking {
        Thinking::Adaptive(known) => {
            if !known.contains(&wanted) {
                fields.drop("reasoning_effort")?;
            }
            if let Some(effort) = known.iter().rfind(|e| **e <= wanted) {
                output.insert("effort".into(), effort.name().into());
            }
            // A forced tool excludes thinking, but not an effort.
            Ok((!toolbox.forced()).then(|| json!({"type": "adaptive"})))
        }
        Thinking::Budget if limit > MIN_BUDGET && !toolbox.forced() && !thoughts_are_lost(conversation) => {
            // The limit holds for thoughts and answer together; both get their share.
            let budget = wanted.budget().min(limit / 2).max(MIN_BUDGET);
            Ok(Some(json!({"type": "enabled", "budget_tokens": budget})))
        }
        _ => {
            fields.drop("reasoning_effort")?;
            Ok(None)
        }
    }
}

/// Whether the turn that the last tool results answer has lost the thoughts that the vendor wants back.
fn thoughts_are_lost(conversation: &Conversation<'_>) -> bool {
    match conversation.turns.as_slice() {
        [.., calls, results] if results.content.iter().any(|b| b.is_result()) => {
            calls.content.iter().any(|b| b.is_call()) && !calls.content.first().is_some_and(|b| b.is_thinking())
        }
        _ => false,
    }
}

fn ends_with_the_user(conversation: &Conversation<'_>, model: &Model, thinks: bool, fields: &Fields<'_>) -> Result<()> {
    let prefilled = conversation.turns.last().is_some_and(|turn| turn.role == "assistant");
    match prefilled && (thinks || !model.prefill) {
        true => Err(fields.refused("messages", "it does not go on with an answer that was begun for it")),
        false => Ok(()),
    }
}

/// `temperature` and `top_p` as the model takes them; what it does not take is noted.
fn sampling(
    request: &ChatRequest,
    model: &Model,
    thinks: bool,
    fields: &mut Fields<'_>,
) -> Result<(Option<f64>, Option<f64>)> {
    // The scale ends at 1, which is the default: said or not, it is the same.
    let temperature = request.temperature.filter(|t| *t != 1.0);
    if model.sampling == Sampling::None || thinks {
        if temperature.is_some() {
            fields.without("temperature")?;
        }
        fields.without("top_p")?;
        fields.without("top_k")?;
        return Ok((None, None));
    }
    if temperature.is_some_and(|t| t > 1.0) {
        fields.without("temperature")?;
    }
    let temperature = temperature.filter(|t| *t < 1.0);
    if model.sampling == Sampling::One && temperature.is_some() {
        fields.without("top_p")?;
        return Ok((temperature, None));
    }
    Ok((temperature, request.top_p))
}

/// Those that the vendor takes.
fn stop_sequences(request: &ChatRequest) -> Option<Vec<&str>> {
    let all: Vec<&str> = match request.stop.as_ref()? {
        Stop::One(one) => vec![one],
        Stop::Many(many) => many.iter().map(String::as_str).collect(),
    };
    let kept: Vec<&str> = all.into_iter().filter(|stop| takes_stop(stop)).collect();
    (!kept.is_empty()).then_some(kept)
}

/// The vendor refuses white space alone.
pub(super) fn takes_stop(text: &str) -> bool {
    !text.trim().is_empty()
}

/// The vendor knows only the user of all metadata.
fn metadata(request: &ChatRequest, fields: &mut Fields<'_>) -> Result<Option<Value>> {
    let said = |name: &str| request.extra.get(name).filter(|v| !v.is_null());
    if let Some(metadata) = said("metadata") {
        let own = metadata.as_object().is_some_and(|m| m.keys().all(|k| k == "user_id"));
        if own {
            return Ok(Some(metadata.clone()));
        }
        fields.drop("metadata")?;
    }
    Ok(said("safety_identifier").or_else(|| said("user")).map(|user| json!({"user_id": user})))
}

fn service_tier(request: &ChatRequest, fields: &mut Fields<'_>) -> Result<Option<&'static str>> {
    match request.extra.get("service_tier").and_then(Value::as_str) {
        None => Ok(None),
        Some("auto") => Ok(Some("auto")),
        Some("default" | "standard_only") => Ok(Some("standard_only")),
        Some(_) => fields.drop("service_tier").map(|()| None),
    }
}
