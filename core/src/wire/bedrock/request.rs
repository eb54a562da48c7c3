//! Request bodies of Converse.

use serde_json::{Value, json};

use super::additional::{self, Thinking, is_the_models};
use super::block::CACHE;
use super::family::{self, Effort};
use super::{tools, turns};
use crate::error::Result;
use crate::types::{ChatRequest, Extra, JsonSchemaFormat};
use crate::wire::anthropic::model;
use crate::wire::body::Body;
use crate::wire::fields::Fields;
use crate::wire::{Encoded, WireTarget};

/// OpenAI's own fields that have a place here.
const TAKEN: &[&str] = &["metadata", "service_tier"];
/// Fields of every request that Converse has no word for.
const UNKNOWN: &[&str] = &["n", "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"];

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let family = family::of(target.model);
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(TAKEN)?;
    UNKNOWN.iter().try_for_each(|name| fields.without(name))?;

    let mut tools = tools::plan(request, family, family.effort == Effort::Claude, &mut fields)?;
    let (own, thinking) = additional::read(request, target, family, &mut tools, &mut fields)?;
    let inference = additional::inference(request, target, family, thinking, &mut fields)?;
    let conversation = turns::read(request, target, family, tools.as_text, &mut fields)?;
    let claude = family.effort == Effort::Claude;
    let goes_on = !claude || (model::of(target.model).prefill && !matches!(thinking, Thinking::Claude(_)));
    if conversation.begins_the_answer() && !goes_on {
        return Err(fields.refused("messages", "it does not go on with an answer that was begun for it"));
    }

    let mut body = Body::new(request, target);
    body.put("messages", &conversation.turns)?;
    if !conversation.system.is_empty() {
        body.put("system", &conversation.system)?;
    }
    body.merge("inferenceConfig", inference)?;
    if let Some(config) = &tools.config {
        body.put("toolConfig", config)?;
    }
    body.merge("additionalModelRequestFields", own)?;
    body.merge("outputConfig", tools.schema.map(text_format).unwrap_or_default())?;
    match request.extra.get("service_tier").and_then(Value::as_str) {
        None | Some("auto") => {}
        Some(tier) => body.put("serviceTier", &json!({ "type": tier }))?,
    }
    if let Some(metadata) = request.extra.get("metadata").filter(|metadata| metadata.is_object()) {
        body.put("requestMetadata", metadata)?;
    }
    let said = |name: &str| is_the_models(name) || CACHE.contains(&name) || crate::wire::fields::is_openais_own(name);
    Ok(Encoded { body: body.finish(said)?, dropped: fields.into_dropped(), ..Default::default() })
}

/// A schema as `outputConfig` takes it, as text.
fn text_format(format: &JsonSchemaFormat) -> Extra {
    let mut schema = Extra::new();
    schema.insert("name".to_owned(), format.name.clone().into());
    schema.insert("schema".to_owned(), format.schema.as_ref().map(Value::to_string).into());
    if let Some(description) = &format.description {
        schema.insert("description".to_owned(), description.clone().into());
    }
    let mut out = Extra::new();
    out.insert("textFormat".to_owned(), json!({"type": "json_schema", "structure": {"jsonSchema": schema}}));
    out
}
