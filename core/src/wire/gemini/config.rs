//! How the answer is to be made: `generationConfig`.

use serde_json::{Value, json};

use super::model::{Model, Thinking};
use super::schema;
use crate::error::Result;
use crate::types::quirks::JsonSchemaForm;
use crate::types::{ChatRequest, Extra, ResponseFormat, Stop};
use crate::wire::WireTarget;
use crate::wire::fields::Fields;

/// `generationConfig` of a request.
pub(super) fn read(
    request: &ChatRequest,
    target: &WireTarget<'_>,
    model: Model,
    fields: &mut Fields<'_>,
) -> Result<Extra> {
    let mut config = Extra::new();
    let stop = request.stop.as_ref().map(|stop| match stop {
        Stop::One(one) => json!([one]),
        Stop::Many(many) => json!(many),
    });
    let limit = request.max_completion_tokens.or(request.max_tokens);
    let told = [
        ("temperature", "temperature", request.temperature.map(Value::from)),
        ("top_p", "topP", request.top_p.map(Value::from)),
        ("top_k", "topK", request.extra.get("top_k").cloned()),
        ("max_tokens", "maxOutputTokens", limit.map(Value::from)),
        ("n", "candidateCount", request.n.map(Value::from)),
        ("stop", "stopSequences", stop),
        ("seed", "seed", request.seed.map(Value::from)),
        ("presence_penalty", "presencePenalty", request.presence_penalty.map(Value::from)),
        ("frequency_penalty", "frequencyPenalty", request.frequency_penalty.map(Value::from)),
        ("logprobs", "responseLogprobs", request.logprobs.map(Value::from)),
        ("top_logprobs", "logprobs", request.top_logprobs.filter(|n| *n > 0).map(Value::from)),
    ];
    for (openai, google, value) in told {
        if let Some(value) = value.filter(|_| fields.takes(openai)) {
            config.insert(google.to_owned(), value);
        }
    }
    if let Some(Value::Array(kinds)) = request.extra.get("modalities").filter(|_| fields.takes("modalities")) {
        let kinds = kinds.iter().filter_map(Value::as_str).map(|k| Value::from(k.to_ascii_uppercase())).collect();
        config.insert("responseModalities".to_owned(), kinds);
    }
    if let Some(format) = request.response_format.as_ref().filter(|_| fields.takes("response_format")) {
        form(format, request, target, model, fields, &mut config)?;
    }
    if let Some(effort) = request.reasoning_effort.as_deref().filter(|_| fields.takes("reasoning_effort")) {
        match thinking(effort, model, fields)? {
            Some(thinking) => {
                config.insert("thinkingConfig".to_owned(), thinking);
            }
            // What it does anyway.
            None if effort == "none" && model.never_thinks() => {}
            None => fields.without("reasoning_effort")?,
        }
    }
    Ok(config)
}

/// The form of the answer.
fn form(
    format: &ResponseFormat,
    request: &ChatRequest,
    target: &WireTarget<'_>,
    model: Model,
    fields: &Fields<'_>,
    config: &mut Extra,
) -> Result<()> {
    match format.r#type.as_str() {
        "text" => return Ok(()),
        "json_object" | "json_schema" => {}
        other => return Err(fields.refused("response_format", &format!("it knows no form `{other}`"))),
    }
    if model.form_or_tools() && request.tools.as_ref().is_some_and(|t| !t.is_empty()) {
        return Err(fields.refused("response_format", "this model takes either a form of answer or tools, not both"));
    }
    config.insert("responseMimeType".to_owned(), json!("application/json"));
    if let Some(given) = format.json_schema.as_ref().and_then(|j| j.schema.as_ref()) {
        let (name, schema) =
            schema_for(given, "responseJsonSchema", "responseSchema", target, model.json_schema_of_answers())
                .map_err(|why| fields.refused("response_format", &why))?;
        config.insert(name.to_owned(), schema);
    }
    Ok(())
}

/// A schema, and the name of the field for it: as it is where the model takes that, or in OpenAPI's subset.
///
/// # Errors
/// A sentence that says what the subset cannot say.
pub(super) fn schema_for(
    given: &Value,
    whole: &'static str,
    subset: &'static str,
    target: &WireTarget<'_>,
    as_it_is: bool,
) -> Result<(&'static str, Value), String> {
    if as_it_is && target.quirks.json_schema != Some(JsonSchemaForm::OpenApi) {
        Ok((whole, given.clone()))
    } else {
        Ok((subset, schema::to_openapi(given)?))
    }
}

/// Tokens for thinking, as Google's own OpenAI layer translates the words.
const BUDGETS: &[(&str, u32)] = &[
    ("none", 0),
    ("minimal", 1024),
    ("low", 1024),
    ("medium", 8192),
    ("high", 24_576),
    ("xhigh", 24_576),
    ("max", 24_576),
];

/// Levels for the smaller and the larger models; the larger ones know no `minimal`.
const LEVELS: &[(&str, &str, &str)] = &[
    ("minimal", "minimal", "low"),
    ("low", "low", "low"),
    ("medium", "medium", "medium"),
    ("high", "high", "high"),
    ("xhigh", "high", "high"),
    ("max", "high", "high"),
];

/// `thinkingConfig`; `None` where the model does not think.
fn thinking(effort: &str, model: Model, fields: &Fields<'_>) -> Result<Option<Value>> {
    let unknown = || fields.refused("reasoning_effort", &format!("it knows no effort `{effort}`"));
    let include = effort != "none";
    let always = model.thinking() == Thinking::Level || (model.thinking() == Thinking::Budget && model.pro);
    if always && !include {
        return Err(fields.refused("reasoning_effort", "the model cannot answer without reasoning"));
    }
    Ok(match model.thinking() {
        Thinking::None => None,
        Thinking::Budget => {
            let (_, tokens) = BUDGETS.iter().find(|(word, _)| *word == effort).ok_or_else(unknown)?;
            Some(json!({"thinkingBudget": tokens, "includeThoughts": include}))
        }
        Thinking::Level => {
            let (_, small, large) = LEVELS.iter().find(|(word, ..)| *word == effort).ok_or_else(unknown)?;
            Some(json!({"thinkingLevel": if model.pro { large } else { small }, "includeThoughts": include}))
        }
    })
}
