//! Tools, and which of them the model may call.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::config::schema_for;
use super::model::Model;
use super::schema::is_empty_object;
use crate::error::Result;
use crate::types::{ChatRequest, Extra, Tool};
use crate::wire::WireTarget;
use crate::wire::fields::Fields;

/// One entry of `tools`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// All functions.
    #[serde(rename_all = "camelCase")]
    Functions {
        /// The functions.
        function_declarations: Vec<Extra>,
    },
    /// A tool of Google's own.
    Own(Extra),
}

/// All tools of a request.
pub(super) fn read(
    request: &ChatRequest,
    target: &WireTarget<'_>,
    model: Model,
    fields: &mut Fields<'_>,
) -> Result<Vec<Entry>> {
    let (mut functions, mut own) = (Vec::new(), Vec::new());
    for tool in request.tools.iter().flatten() {
        match &tool.function {
            Some(_) => functions.push(declaration(tool, target, model, fields)?),
            None if tool.r#type == "custom" => {
                return Err(fields.refused("tools", "it knows no tools of type `custom`"));
            }
            // `{"type": "google_search"}`, or with settings under the tool's name.
            None if tool.extra.is_empty() => {
                own.push(Entry::Own([(tool.r#type.clone(), json!({}))].into_iter().collect()))
            }
            None => own.push(Entry::Own(tool.extra.clone())),
        }
    }
    if let Some(search) = request.extra.get("web_search_options").filter(|_| fields.takes("web_search_options")) {
        for name in search.as_object().into_iter().flat_map(|s| s.keys()) {
            fields.drop(&format!("web_search_options.{name}"))?;
        }
        if model.form_or_tools() && !functions.is_empty() {
            return Err(fields.refused("web_search_options", "this model either searches or calls functions, not both"));
        }
        own.push(Entry::Own([("googleSearch".to_owned(), json!({}))].into_iter().collect()));
    }
    if !functions.is_empty() {
        own.insert(0, Entry::Functions { function_declarations: functions });
    }
    Ok(own)
}

fn declaration(tool: &Tool, target: &WireTarget<'_>, model: Model, fields: &Fields<'_>) -> Result<Extra> {
    let mut out = Map::new();
    let Some(function) = &tool.function else { return Ok(out) };
    out.insert("name".to_owned(), json!(function.name));
    if let Some(description) = &function.description {
        out.insert("description".to_owned(), json!(description));
    }
    if let Some(parameters) = function.parameters.as_ref().filter(|p| !is_empty_object(p)) {
        let (name, schema) = schema_for(parameters, "parametersJsonSchema", "parameters", target, model.json_schema())
            .map_err(|why| fields.refused("tools", &format!("function `{}`: {why}", function.name)))?;
        out.insert(name.to_owned(), schema);
    }
    out.extend(function.extra.clone());
    Ok(out)
}

/// `toolConfig`, where the request says anything about which tool is to be called.
pub(super) fn choice(request: &ChatRequest, model: Model, fields: &Fields<'_>) -> Result<Option<Value>> {
    let tools = request.tools.as_deref().unwrap_or_default();
    let strict =
        model.json_schema() && tools.iter().any(|t| t.function.as_ref().is_some_and(|f| f.strict == Some(true)));
    let auto = if strict { "VALIDATED" } else { "AUTO" };
    let (mode, names) = match request.tool_choice.as_ref() {
        None if strict => (auto, Vec::new()),
        None => return Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "none" => ("NONE", Vec::new()),
            "auto" => (auto, Vec::new()),
            "required" => ("ANY", Vec::new()),
            other => return Err(fields.refused("tool_choice", &format!("it knows no choice `{other}`"))),
        },
        Some(choice) => match (choice.get("type").and_then(Value::as_str), choice.get("allowed_tools")) {
            (Some("function"), _) => ("ANY", name(choice).into_iter().collect()),
            (Some("allowed_tools"), Some(allowed)) => {
                let required = allowed.get("mode").is_some_and(|m| m == "required");
                let names = allowed.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(name);
                (if required { "ANY" } else { "VALIDATED" }, names.collect())
            }
            _ => return Err(fields.refused("tool_choice", "it can be told to call functions only")),
        },
    };
    let mut calling = json!({"mode": mode});
    if !names.is_empty() {
        calling["allowedFunctionNames"] = json!(names);
    }
    Ok(Some(calling))
}

fn name(choice: &Value) -> Option<&str> {
    choice.get("function")?.get("name")?.as_str()
}
