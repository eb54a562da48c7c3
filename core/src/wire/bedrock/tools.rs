//! Tools, the choice among them, and answers held to a schema by way of a tool.

use serde::Serialize;
use serde_json::{Value, json};

use super::block::{self, CachePoint};
use super::family::{Choice, Family, Schema};
use super::turns;
use crate::error::Result;
use crate::types::{ChatRequest, JsonSchemaFormat, Tool};
use crate::wire::fields::Fields;

/// Name of the tool whose arguments are the answer, where a family holds to a schema in no other way. The decoders
/// know it, too.
pub(super) const ANSWER: &str = "answer_in_json";

/// What of a request is about tools, in Converse's words.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub config: Option<ToolConfig<'a>>,
    /// A schema for `outputConfig`.
    pub schema: Option<&'a JsonSchemaFormat>,
    /// A tool must be called, which Claude does not do while it thinks.
    pub forced: bool,
    /// The history speaks of tools and none go with it.
    pub as_text: bool,
    /// Claude's own choice of tools, where it says more than Converse can.
    pub claude_choice: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    tools: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Entry<'a> {
    ToolSpec(Spec<'a>),
    SystemTool {
        name: &'a str,
    },
    CachePoint(CachePoint<'a>),
    #[serde(untagged)]
    Own(Value),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: InputSchema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum InputSchema<'a> {
    Given { json: &'a Value },
    Empty(Value),
}

/// Reads what a request says of tools and of the form of its answer.
///
/// # Errors
/// `unsupported` for what the family cannot be held to.
pub(super) fn plan<'a>(
    request: &'a ChatRequest,
    family: &'static Family,
    is_claude: bool,
    fields: &mut Fields<'_>,
) -> Result<Tools<'a>> {
    let mut plan = Tools::default();
    let format = request.response_format.as_ref().filter(|format| format.r#type != "text");
    let schema = format.and_then(|format| format.json_schema.as_ref());
    let given = request.tools.as_deref().unwrap_or_default();
    let choice = choice(request);
    let offered = if matches!(choice, Some(Wanted::None)) { &[] } else { given };
    match (format, family.schema) {
        (None, _) => {}
        (Some(_), Schema::Native) if schema.is_some_and(|s| s.schema.is_some()) => plan.schema = schema,
        (Some(_), Schema::None) => return Err(fields.refused("response_format", "this model cannot be held to it")),
        (Some(_), _) if !offered.is_empty() => {
            return Err(fields.refused("response_format", "this model cannot be held to it while it has tools"));
        }
        (Some(_), _) => {
            plan.config = Some(ToolConfig { tools: vec![answer_tool(schema)], tool_choice: None });
            plan.force(Some(ANSWER), family);
            return Ok(plan);
        }
    }
    if offered.is_empty() {
        plan.as_text = turns::has_tools(&request.messages);
        if request.parallel_tool_calls.is_some() && !given.is_empty() {
            fields.drop("parallel_tool_calls")?;
        }
        return Ok(plan);
    }

    let mut tools = Vec::with_capacity(offered.len());
    for tool in offered.iter().filter(|tool| choice.as_ref().is_none_or(|choice| choice.offers(tool, family))) {
        tools.push(entry(tool, family, fields)?);
        tools.extend(block::cache_point(&tool.extra, family, fields)?.map(Entry::CachePoint));
    }
    plan.config = Some(ToolConfig { tools, tool_choice: None });
    let forced = match &choice {
        Some(Wanted::Named(name)) => Some(Some(*name)),
        Some(Wanted::Required) | Some(Wanted::Of { required: true, .. }) => Some(None),
        _ => None,
    };
    match forced {
        Some(_) if family.choice == Choice::None => {
            return Err(fields.refused("tool_choice", "this model cannot be made to call a tool"));
        }
        Some(name) => plan.force(name, family),
        None => {}
    }
    match request.parallel_tool_calls {
        Some(false) if is_claude => plan.claude_choice = Some(one_at_a_time(forced)),
        Some(false) => fields.drop("parallel_tool_calls")?,
        _ => {}
    }
    Ok(plan)
}

impl Tools<'_> {
    /// Makes the model call this tool, or any.
    fn force(&mut self, name: Option<&str>, family: &Family) {
        self.forced = true;
        let choice = match name {
            Some(name) if family.choice == Choice::Named => json!({"tool": {"name": name}}),
            // Only that one is offered.
            _ => json!({"any": {}}),
        };
        if let Some(config) = &mut self.config {
            config.tool_choice = Some(choice);
        }
    }
}

/// Claude's choice with one call at most.
fn one_at_a_time(forced: Option<Option<&str>>) -> Value {
    match forced {
        None => json!({"type": "auto", "disable_parallel_tool_use": true}),
        Some(None) => json!({"type": "any", "disable_parallel_tool_use": true}),
        Some(Some(name)) => json!({"type": "tool", "name": name, "disable_parallel_tool_use": true}),
    }
}

/// A choice of tools in OpenAI's words.
enum Wanted<'a> {
    None,
    Auto,
    Required,
    Named(&'a str),
    Of { names: Vec<&'a str>, required: bool },
}

impl Wanted<'_> {
    /// Whether the tool goes with the request. Where a family cannot be told a name, the others stay away.
    fn offers(&self, tool: &Tool, family: &Family) -> bool {
        let name = tool.function.as_ref().map_or(tool.r#type.as_str(), |f| f.name.as_str());
        match self {
            Wanted::Named(wanted) => family.choice == Choice::Named || name == *wanted,
            Wanted::Of { names, .. } => names.contains(&name),
            _ => true,
        }
    }
}

fn choice(request: &ChatRequest) -> Option<Wanted<'_>> {
    let choice = request.tool_choice.as_ref()?;
    let named = |value: &'_ Value| value.get("function").and_then(|f| f.get("name")).is_some();
    if named(choice) {
        return choice["function"]["name"].as_str().map(Wanted::Named);
    }
    if let Some(allowed) = choice.get("allowed_tools") {
        let listed = allowed.get("tools").and_then(Value::as_array).into_iter().flatten();
        let names = listed.filter_map(|tool| tool.get("function")?.get("name")?.as_str()).collect();
        return Some(Wanted::Of { names, required: allowed.get("mode").and_then(Value::as_str) == Some("required") });
    }
    match choice.as_str() {
        Some("none") => Some(Wanted::None),
        Some("required" | "any") => Some(Wanted::Required),
        _ => Some(Wanted::Auto),
    }
}

fn entry<'a>(tool: &'a Tool, family: &Family, fields: &mut Fields<'_>) -> Result<Entry<'a>> {
    if let Some(function) = &tool.function {
        let strict = match (function.strict, family.schema) {
            (Some(true), Schema::Native) => Some(true),
            (Some(true), _) => {
                fields.drop("tools.function.strict")?;
                None
            }
            _ => None,
        };
        return Ok(Entry::ToolSpec(Spec {
            name: &function.name,
            description: function.description.as_deref().filter(|text| !text.trim().is_empty()),
            input_schema: match &function.parameters {
                Some(json) => InputSchema::Given { json },
                None => InputSchema::Empty(json!({"json": {"type": "object", "properties": {}}})),
            },
            strict,
        }));
    }
    for name in ["systemTool", "toolSpec"] {
        if let Some(own) = tool.extra.get(name) {
            return Ok(Entry::Own(json!({ name: own })));
        }
    }
    // Tools that Nova runs itself, such as `nova_code_interpreter`.
    if tool.r#type.starts_with("nova_") {
        return Ok(Entry::SystemTool { name: &tool.r#type });
    }
    Err(fields.refused("tools", &format!("it has no tool of type `{}`", tool.r#type)))
}

/// The tool whose arguments are the answer.
fn answer_tool(format: Option<&JsonSchemaFormat>) -> Entry<'_> {
    let schema = format.and_then(|format| format.schema.as_ref());
    Entry::ToolSpec(Spec {
        name: ANSWER,
        description: Some(
            format
                .and_then(|format| format.description.as_deref())
                .unwrap_or("Gives the answer: its fields are this tool's arguments."),
        ),
        input_schema: match schema {
            Some(json) => InputSchema::Given { json },
            None => InputSchema::Empty(json!({"json": {"type": "object"}})),
        },
        strict: None,
    })
}
