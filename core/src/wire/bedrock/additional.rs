//! What the models themselves take beside Converse's fields (`additionalModelRequestFields`), and how hard they think.

use serde_json::{Value, json};

use super::family::{Effort, Family, TopK};
use super::tools::Tools;
use super::{block, turns};
use crate::error::Result;
use crate::types::{ChatRequest, Extra};
use crate::wire::WireTarget;
use crate::wire::anthropic::model::{self, Sampling};
use crate::wire::fields::{self, Fields};

/// Converse's own fields, which a request may say in Converse's words.
const CONVERSE: &[&str] = &[
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];

/// Whether a field of the request that has no name here goes to the model, not to Converse.
pub(super) fn is_the_models(name: &str) -> bool {
    !CONVERSE.contains(&name) && !block::CACHE.contains(&name) && !fields::is_openais_own(name)
}

/// How an answer is thought over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// As the model does by itself.
    Unsaid,
    /// With this many tokens, beside those of the answer; 0 where the model measures them.
    Claude(u64),
    /// As hard as it can, for which Nova wants no limit and no sampling.
    NovaHigh,
}

/// What goes to the model beside Converse's fields, and how it thinks.
///
/// # Errors
/// `unsupported` when something is left out that the request says must not be.
pub(super) fn read(
    request: &ChatRequest,
    target: &WireTarget<'_>,
    family: &'static Family,
    tools: &mut Tools<'_>,
    fields: &mut Fields<'_>,
) -> Result<(Extra, Thinking)> {
    let mut own = Extra::new();
    let thinking = effort(request, target, family, tools.forced, &mut own, fields)?;
    if let Some(choice) = tools.claude_choice.take() {
        own.insert("tool_choice".to_owned(), choice);
    }
    for (name, value) in request.extra.iter().filter(|(name, _)| is_the_models(name)) {
        match (name.as_str(), family.top_k) {
            ("top_k", TopK::Nova) => {
                own.insert("inferenceConfig".to_owned(), json!({ "topK": value }));
            }
            ("top_k", TopK::None) => fields.drop("top_k")?,
            _ => {
                own.insert(name.clone(), value.clone());
            }
        }
    }
    let asked = |extra: &Extra| extra.get("thinking").and_then(|t| t.get("type")).is_some_and(|t| t != "disabled");
    match thinking {
        Thinking::Unsaid if asked(&own) => Ok((own, Thinking::Claude(0))),
        thinking => Ok((own, thinking)),
    }
}

fn effort(
    request: &ChatRequest,
    target: &WireTarget<'_>,
    family: &'static Family,
    forced: bool,
    own: &mut Extra,
    fields: &mut Fields<'_>,
) -> Result<Thinking> {
    let Some(effort) = request.reasoning_effort.as_deref() else { return Ok(Thinking::Unsaid) };
    match family.effort {
        // What it does anyway.
        Effort::None if effort == "none" => {}
        Effort::None | Effort::Untold => fields.without("reasoning_effort")?,
        Effort::OpenAi => {
            own.insert("reasoning_effort".to_owned(), effort.into());
        }
        Effort::Nova => {
            let level = match effort {
                "none" => None,
                "minimal" | "low" => Some("low"),
                "medium" => Some("medium"),
                _ => Some("high"),
            };
            own.insert(
                "reasoningConfig".to_owned(),
                match level {
                    None => json!({"type": "disabled"}),
                    Some(level) => json!({"type": "enabled", "maxReasoningEffort": level}),
                },
            );
            if level == Some("high") {
                return Ok(Thinking::NovaHigh);
            }
        }
        Effort::Claude => return claude_effort(effort, request, target, forced, own, fields),
    }
    Ok(Thinking::Unsaid)
}

fn claude_effort(
    effort: &str,
    request: &ChatRequest,
    target: &WireTarget<'_>,
    forced: bool,
    own: &mut Extra,
    fields: &mut Fields<'_>,
) -> Result<Thinking> {
    let kind = model::of(target.model).thinking;
    let level = model::Effort::named(effort);
    if effort == "none" {
        if kind != model::Thinking::None {
            own.insert("thinking".to_owned(), json!({"type": "disabled"}));
        }
        return Ok(Thinking::Unsaid);
    }
    match (kind, level) {
        // A tool that must be called leaves no room to think.
        (model::Thinking::Adaptive(taken), Some(level)) if !forced => {
            if !taken.contains(&level) {
                fields.drop("reasoning_effort")?;
            }
            let level = taken.iter().rfind(|known| **known <= level).copied().unwrap_or(level);
            own.insert("thinking".to_owned(), json!({"type": "adaptive"}));
            own.insert("output_config".to_owned(), json!({ "effort": level.name() }));
            Ok(Thinking::Claude(0))
        }
        (model::Thinking::Budget, Some(level)) if !forced && !turns::lacks_reasoning(&request.messages, target) => {
            own.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": level.budget()}));
            Ok(Thinking::Claude(level.budget()))
        }
        _ => {
            fields.drop("reasoning_effort")?;
            Ok(Thinking::Unsaid)
        }
    }
}

/// Limits and sampling in Converse's words.
///
/// # Errors
/// As for [`read`].
pub(super) fn inference(
    request: &ChatRequest,
    target: &WireTarget<'_>,
    family: &'static Family,
    thinking: Thinking,
    fields: &mut Fields<'_>,
) -> Result<Extra> {
    let mut out = Extra::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    let limit = request.max_completion_tokens.or(request.max_tokens);
    match (limit, thinking) {
        (None, _) => {}
        (Some(_), Thinking::NovaHigh) => fields.drop("max_completion_tokens")?,
        (Some(limit), Thinking::Claude(budget)) => {
            put("maxTokens", limit.saturating_add(budget).into());
        }
        (Some(limit), Thinking::Unsaid) => {
            put("maxTokens", limit.into());
        }
    }
    // Claude samples by itself while it thinks, and its newest models always.
    let sampling = match family.effort {
        Effort::Claude => model::of(target.model).sampling,
        _ => Sampling::Both,
    };
    if sampling == Sampling::None || thinking != Thinking::Unsaid {
        fields.without("temperature")?;
        fields.without("top_p")?;
    } else {
        if let Some(temperature) = request.temperature {
            if temperature > 1.0 {
                fields.drop("temperature")?;
            }
            put("temperature", temperature.min(1.0).into());
        }
        match request.top_p {
            Some(_) if sampling == Sampling::One && request.temperature.is_some() => fields.drop("top_p")?,
            Some(top_p) => {
                put("topP", top_p.into());
            }
            None => {}
        }
    }
    let stops = match &request.stop {
        None => Vec::new(),
        Some(crate::types::chat::Stop::One(stop)) => vec![stop.as_str()],
        Some(crate::types::chat::Stop::Many(stops)) => stops.iter().map(String::as_str).collect(),
    };
    if !stops.is_empty() {
        put("stopSequences", stops.into());
    }
    Ok(out)
}
