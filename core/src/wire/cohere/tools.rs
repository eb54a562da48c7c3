//! Tools, and which of them the model may call.

use serde_json::{Value, json};

use super::names;
use crate::error::Result;
use crate::types::{ChatRequest, Tool};
use crate::wire::fields::Fields;

/// The tools as Cohere takes them, the choice among them, and whether it holds the model to their schemas.
pub(super) struct Tools {
    pub list: Vec<Value>,
    pub choice: Option<&'static str>,
    pub strict: bool,
}

pub(super) fn read(request: &ChatRequest, fields: &mut Fields<'_>) -> Result<Tools> {
    let tools = request.tools.as_deref().unwrap_or_default();
    let (choice, only) = choice(request.tool_choice.as_ref(), fields)?;
    let named = |tool: &&Tool| {
        let name = tool.function.as_ref().map_or("", |f| f.name.as_str());
        only.as_ref().is_none_or(|only| only.contains(&name))
    };
    let list: Result<Vec<_>> = tools.iter().filter(named).map(|tool| declaration(tool, fields)).collect();
    let is_strict = |tool: &Tool| tool.function.as_ref().is_some_and(|f| f.strict == Some(true));
    let strict = !tools.is_empty() && tools.iter().all(|tool| is_strict(tool) && requires_something(tool));
    if !strict && tools.iter().any(is_strict) {
        fields.drop("tools.function.strict")?;
    }
    Ok(Tools { list: list?, choice, strict })
}

/// Cohere holds the model to all schemas or none, and only to those that require something.
fn requires_something(tool: &Tool) -> bool {
    let parameters = tool.function.as_ref().and_then(|f| f.parameters.as_ref());
    parameters.and_then(|p| p.get("required")?.as_array()).is_some_and(|required| !required.is_empty())
}

fn declaration(tool: &Tool, fields: &Fields<'_>) -> Result<Value> {
    let Some(function) = &tool.function else {
        return Err(fields.refused("tools", &format!("it knows no tools of type `{}`", tool.r#type)));
    };
    let parameters = function.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let mut out = json!({"name": names::to_cohere(&function.name), "parameters": parameters});
    if let Some(description) = &function.description {
        out["description"] = json!(description);
    }
    for (name, value) in &function.extra {
        out[name] = value.clone();
    }
    Ok(json!({"type": "function", "function": out}))
}

/// Cohere's word, and the names of the tools that remain where not all do: it cannot be told to call a certain one.
fn choice<'a>(choice: Option<&'a Value>, fields: &Fields<'_>) -> Result<(Option<&'static str>, Option<Vec<&'a str>>)> {
    let Some(choice) = choice else { return Ok((None, None)) };
    Ok(match (choice.as_str(), choice.get("type").and_then(Value::as_str)) {
        (Some("auto"), _) => (None, None),
        (Some("none"), _) => (Some("NONE"), None),
        (Some("required"), _) => (Some("REQUIRED"), None),
        (_, Some("function")) => (Some("REQUIRED"), Some(name(choice).into_iter().collect())),
        (_, Some("allowed_tools")) => {
            let allowed = choice.get("allowed_tools").unwrap_or(choice);
            let names = allowed.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(name);
            let required = allowed.get("mode").is_some_and(|mode| mode == "required");
            (required.then_some("REQUIRED"), Some(names.collect()))
        }
        _ => return Err(fields.refused("tool_choice", "it can be told to call functions only")),
    })
}

fn name(choice: &Value) -> Option<&str> {
    choice.get("function")?.get("name")?.as_str()
}
