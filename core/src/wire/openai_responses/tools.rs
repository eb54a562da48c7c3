//! Tools and the choice among them, which have no level of their own for the function here.

use serde::Serialize;
use serde_json::{Value, json};

use crate::types::{ChatRequest, Extra, Tool};

/// One tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Offer<'a> {
    Function {
        r#type: &'static str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        parameters: Option<&'a Value>,
        /// Said always: here the vendor's default is `true`, there `false`.
        strict: bool,
        #[serde(flatten)]
        of_tool: &'a Extra,
        #[serde(flatten)]
        of_function: &'a Extra,
    },
    /// In the vendor's own words.
    Verbatim(&'a Tool),
    Made(Value),
}

/// The caller's tools.
pub(super) fn of(request: &ChatRequest) -> Vec<Offer<'_>> {
    let mut offers: Vec<Offer<'_>> = request.tools.iter().flatten().map(offer).collect();
    if let Some(search) = request.extra.get("web_search_options").filter(|o| !o.is_null()) {
        offers.push(Offer::Made(web_search(search)));
    }
    offers
}

fn offer(tool: &Tool) -> Offer<'_> {
    match (&tool.function, tool.extra.get("custom")) {
        (Some(function), _) => Offer::Function {
            r#type: "function",
            name: &function.name,
            description: function.description.as_deref(),
            parameters: function.parameters.as_ref(),
            strict: function.strict == Some(true),
            of_tool: &tool.extra,
            of_function: &function.extra,
        },
        (None, Some(Value::Object(custom))) => Offer::Made(flat("custom", custom)),
        _ => Offer::Verbatim(tool),
    }
}

/// `{"type": "custom", "custom": {...}}` without its second level, and the grammar in it likewise.
fn flat(kind: &str, inside: &Extra) -> Value {
    let mut out = Extra::new();
    out.insert("type".into(), kind.into());
    out.extend(inside.iter().map(|(name, value)| match value.get("grammar") {
        Some(Value::Object(grammar)) if name == "format" => (name.clone(), flat("grammar", grammar)),
        _ => (name.clone(), value.clone()),
    }));
    Value::Object(out)
}

/// The vendor's search tool, as the options of Chat Completions ask for it.
fn web_search(options: &Value) -> Value {
    let mut tool = json!({"type": "web_search"});
    if let Some(size) = options.get("search_context_size") {
        tool["search_context_size"] = size.clone();
    }
    if let Some(Value::Object(place)) = options.get("user_location").and_then(|l| l.get("approximate")) {
        tool["user_location"] = flat("approximate", place);
    }
    tool
}

/// The choice; a word, or the vendor's own form, stays as it is.
pub(super) fn choice(said: &Value) -> Value {
    let kind = said["type"].as_str().unwrap_or_default();
    match (kind, &said[kind]) {
        ("allowed_tools", Value::Object(allowed)) => {
            let mut allowed = allowed.clone();
            if let Some(Value::Array(tools)) = allowed.get_mut("tools") {
                tools.iter_mut().for_each(|tool| *tool = choice(tool));
            }
            flat("allowed_tools", &allowed)
        }
        ("function" | "custom", Value::Object(inside)) => flat(kind, inside),
        _ => said.clone(),
    }
}
