//! Request bodies.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::messages;
use crate::error::Result;
use crate::types::{ChatRequest, Extra, ResponseFormat, Stop};
use crate::wire::body::Body;
use crate::wire::fields::{self, Fields};
use crate::wire::{Encoded, WireTarget, history};

/// Settings in common use beside OpenAI's that Ollama takes among its options.
const OPTIONS: &[&str] = &["top_k", "min_p", "repeat_penalty", "num_ctx"];

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(&[])?;
    fields.without("n")?;
    if request.parallel_tool_calls == Some(false) {
        fields.without("parallel_tool_calls")?;
    }
    history::note_foreign(&request.messages, &[], &mut fields)?;

    let mut body = Body::new(request, target);
    body.put("model", target.model)?;
    body.put("messages", &messages::read(&request.messages, target, &fields)?)?;
    // Its default is a stream.
    body.put("stream", &stream)?;
    tools(request, &mut fields, &mut body)?;
    if let Some(format) =
        request.response_format.as_ref().filter(|f| f.r#type != "text" && fields.takes("response_format"))
    {
        body.put("format", &form(format, &fields)?)?;
    }
    if let Some(effort) = request.reasoning_effort.as_deref().filter(|_| fields.takes("reasoning_effort")) {
        if effort == "none" && target.model.contains("gpt-oss") {
            return Err(fields.refused("reasoning_effort", "the model cannot answer without reasoning"));
        }
        body.put("think", &think(effort, target.model))?;
    }
    if request.logprobs == Some(true) {
        body.put("logprobs", &true)?;
    }
    if let Some(count) = request.top_logprobs {
        body.put("top_logprobs", &count)?;
    }
    body.merge("options", options(request, &fields))?;
    let body = body.finish(|name| OPTIONS.contains(&name) || fields::is_openais_own(name))?;
    Ok(Encoded { body, dropped: fields.into_dropped(), ..Default::default() })
}

fn options(request: &ChatRequest, fields: &Fields<'_>) -> Extra {
    let stop = request.stop.as_ref().map(|stop| match stop {
        Stop::One(one) => json!([one]),
        Stop::Many(many) => json!(many),
    });
    let limit = request.max_completion_tokens.or(request.max_tokens);
    let told = [
        ("max_tokens", "num_predict", limit.map(Value::from)),
        ("temperature", "temperature", request.temperature.map(Value::from)),
        ("top_p", "top_p", request.top_p.map(Value::from)),
        ("seed", "seed", request.seed.map(Value::from)),
        ("stop", "stop", stop),
        ("presence_penalty", "presence_penalty", request.presence_penalty.map(Value::from)),
        ("frequency_penalty", "frequency_penalty", request.frequency_penalty.map(Value::from)),
    ];
    let own = OPTIONS.iter().map(|name| (*name, *name, request.extra.get(*name).cloned()));
    told.into_iter()
        .chain(own)
        .filter(|(openai, ..)| fields.takes(openai))
        .filter_map(|(_, ollama, value)| Some((ollama.to_owned(), value?)))
        .collect()
}

/// Tools as OpenAI has them. The model cannot be made to call one; that it must not is said by giving it none.
fn tools(request: &ChatRequest, fields: &mut Fields<'_>, body: &mut Body<'_>) -> Result<()> {
    match request.tool_choice.as_ref().map(Value::as_str) {
        Some(Some("none")) => return Ok(()),
        None | Some(Some("auto")) => {}
        Some(_) => fields.without("tool_choice")?,
    }
    let tools = request.tools.as_deref().unwrap_or_default();
    for tool in tools {
        match &tool.function {
            None => return Err(fields.refused("tools", &format!("it knows no tools of type `{}`", tool.r#type))),
            Some(function) if function.strict == Some(true) => fields.drop("tools.function.strict")?,
            Some(_) => {}
        }
    }
    if tools.is_empty() { Ok(()) } else { body.put("tools", tools) }
}

fn form<'a>(format: &'a ResponseFormat, fields: &Fields<'_>) -> Result<Cow<'a, Value>> {
    match format.r#type.as_str() {
        "json_object" | "json_schema" => {}
        other => return Err(fields.refused("response_format", &format!("it knows no form `{other}`"))),
    }
    let schema = format.json_schema.as_ref().and_then(|j| j.schema.as_ref());
    Ok(schema.map_or_else(|| Cow::Owned(json!("json")), Cow::Borrowed))
}

/// Whether to think; OpenAI's open models take a level, and always think.
fn think(effort: &str, model: &str) -> Value {
    match effort {
        "minimal" | "low" if model.contains("gpt-oss") => json!("low"),
        "medium" if model.contains("gpt-oss") => json!("medium"),
        _ if model.contains("gpt-oss") => json!("high"),
        effort => json!(effort != "none"),
    }
}
