//! Request bodies of `generateContent`. The model stands in the address.

use serde_json::{Value, json};

use super::model::Model;
use super::{config, conversation, tools};
use crate::error::Result;
use crate::types::{ChatRequest, Extra};
use crate::wire::body::Body;
use crate::wire::fields::{self, Fields};
use crate::wire::{Encoded, WireTarget, history};

/// OpenAI's own fields that have a place in Google's requests.
const TAKEN: &[&str] = &["modalities", "service_tier", "web_search_options"];

pub(super) fn encode(request: &ChatRequest, target: &WireTarget<'_>, stream: bool) -> Result<Encoded> {
    let model = Model::named(target.model);
    let mut fields = Fields::new(request, target);
    fields.declared(stream)?;
    fields.foreign(TAKEN)?;
    if request.parallel_tool_calls == Some(false) {
        fields.without("parallel_tool_calls")?;
    }
    history::note_foreign(&request.messages, conversation::KEPT, &mut fields)?;
    let config = config::read(request, target, model, &mut fields)?;
    let (system, turns) = conversation::read(request, target, model, &fields)?;

    let mut body = Body::new(request, target);
    if let Some(system) = system {
        body.put("systemInstruction", &system)?;
    }
    body.put("contents", &turns)?;
    let entries = tools::read(request, target, model, &mut fields)?;
    if !entries.is_empty() {
        body.put("tools", &entries)?;
    }
    let mut tool_config = Extra::new();
    if let Some(calling) = tools::choice(request, model, &fields)?.filter(|_| !entries.is_empty()) {
        tool_config.insert("functionCallingConfig".to_owned(), calling);
    }
    body.merge("toolConfig", tool_config)?;
    body.merge("generationConfig", config)?;
    if let Some(tier) = tier(request).filter(|_| fields.takes("service_tier")) {
        body.put("serviceTier", &tier)?;
    }
    let body = body.finish(|name| name == "top_k" || fields::is_openais_own(name))?;
    Ok(Encoded { body, dropped: fields.into_dropped(), ..Default::default() })
}

/// The tier asked for, unless it is the usual one.
fn tier(request: &ChatRequest) -> Option<Value> {
    let tier = request.extra.get("service_tier")?.as_str()?;
    (!matches!(tier, "auto" | "default")).then(|| json!(tier))
}
