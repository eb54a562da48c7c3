//! Tools, the choice among them, and the tool that stands for an answer of a given form.

use serde::Serialize;
use serde_json::{Value, json};

use super::schema;
use crate::error::Result;
use crate::types::{ChatRequest, Extra, Tool};
use crate::wire::fields::Fields;

/// Name of the tool whose input is the answer, for models that hold no schema by themselves. No caller's tool may have
/// it: what is called by this name reaches the caller as text.
pub(super) const ANSWER: &str = "interfuse_answer";

/// Tools and the choice among them.
#[derive(Debug, Default)]
pub(super) struct Toolbox<'a> {
    /// As the vendor takes them.
    pub tools: Vec<Offer<'a>>,
    /// `tool_choice`.
    pub choice: Option<Value>,
}

/// One tool.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Offer<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(flatten)]
        of_tool: &'a Extra,
        #[serde(flatten)]
        of_function: &'a Extra,
    },
    /// In the vendor's own words (a tool that the vendor runs, ...).
    Verbatim(&'a Tool),
    Made(Value),
}

impl Offer<'_> {
    fn name(&self) -> Option<&str> {
        match self {
            Offer::Function { name, .. } => Some(name),
            Offer::Verbatim(tool) => tool.extra.get("name").and_then(Value::as_str),
            Offer::Made(tool) => tool.get("name").and_then(Value::as_str),
        }
    }
}

/// The caller's tools and choice. `strict` says whether the model holds schemas of tools.
///
/// # Errors
/// `unsupported` for a form of tool or of choice that has no place here.
pub(super) fn of<'a>(request: &'a ChatRequest, strict: bool, fields: &mut Fields<'_>) -> Result<Toolbox<'a>> {
    let mut out = Toolbox::default();
    for tool in request.tools.iter().flatten() {
        match (&tool.function, tool.r#type.as_str()) {
            (Some(function), "function") => {
                let held = function.strict == Some(true) && strict;
                if function.strict == Some(true) && !strict {
                    fields.drop("tools.function.strict")?;
                }
                let parameters = schema::root(function.parameters.as_ref());
                out.tools.push(Offer::Function {
                    name: &function.name,
                    description: function.description.as_deref(),
                    input_schema: if held { schema::strict(&parameters) } else { parameters },
                    strict: held.then_some(true),
                    of_tool: &tool.extra,
                    of_function: &function.extra,
                });
            }
            (_, "custom" | "function") => {
                return Err(
                    fields.refused("tools", &format!("it knows no tools of type `{}` in that form", tool.r#type))
                );
            }
            _ => out.tools.push(Offer::Verbatim(tool)),
        }
    }
    if let Some(search) = request.extra.get("web_search_options").filter(|o| !o.is_null()) {
        out.tools.push(Offer::Made(web_search(search)));
    }
    if let Some(choice) = &request.tool_choice {
        out.choose(choice, fields)?;
    }
    if request.parallel_tool_calls == Some(false) && !out.tools.is_empty() {
        out.one_at_a_time();
    }
    Ok(out)
}

/// The vendor's search tool, as OpenAI's options ask for it.
fn web_search(options: &Value) -> Value {
    let mut tool = json!({"type": "web_search_20250305", "name": "web_search"});
    if let Some(Value::Object(place)) = options.get("user_location").and_then(|l| l.get("approximate")) {
        let mut place = place.clone();
        place.insert("type".into(), "approximate".into());
        tool["user_location"] = Value::Object(place);
    }
    tool
}

impl Toolbox<'_> {
    fn choose(&mut self, choice: &Value, fields: &Fields<'_>) -> Result<()> {
        let name = |value: &Value| value["function"]["name"].as_str().map(str::to_owned);
        let of_word = |word: Option<&str>| match word {
            Some("none") => Some(json!({"type": "none"})),
            Some("auto") => Some(json!({"type": "auto"})),
            Some("required") => Some(json!({"type": "any"})),
            _ => None,
        };
        self.choice = match (choice.as_str(), choice["type"].as_str()) {
            (word @ Some(_), _) => of_word(word),
            (_, Some("function")) => name(choice).map(|name| json!({"type": "tool", "name": name})),
            (_, Some("allowed_tools")) => {
                let allowed = &choice["allowed_tools"];
                let names: Vec<String> = allowed["tools"].as_array().into_iter().flatten().filter_map(name).collect();
                self.tools.retain(|tool| tool.name().is_some_and(|n| names.iter().any(|name| name == n)));
                of_word(allowed["mode"].as_str())
            }
            // The vendor's own words.
            (_, Some("auto" | "any" | "tool" | "none")) => Some(choice.clone()),
            _ => None,
        };
        match &self.choice {
            None => Err(fields.refused("tool_choice", "it knows no choice of that form")),
            Some(_) => Ok(()),
        }
    }

    fn one_at_a_time(&mut self) {
        let choice = self.choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = true.into();
        }
    }

    /// Whether the model must call a tool; such a request excludes thinking.
    pub fn forced(&self) -> bool {
        self.choice.as_ref().is_some_and(|c| c["type"] == "any" || c["type"] == "tool")
    }

    /// Offers the tool that stands for the answer. Where the caller already forces a tool, the form of the answer does
    /// not matter.
    pub fn answer_in(&mut self, schema: Value, description: Option<&str>) {
        if self.forced() {
            return;
        }
        let silent = self.choice.as_ref().is_some_and(|c| c["type"] == "none");
        if silent {
            self.tools.clear();
        }
        self.choice = Some(match self.tools.is_empty() {
            true => json!({"type": "tool", "name": ANSWER, "disable_parallel_tool_use": true}),
            false => json!({"type": "any", "disable_parallel_tool_use":
                self.choice.as_ref().is_some_and(|c| c["disable_parallel_tool_use"] == true)}),
        });
        self.tools.push(Offer::Made(json!({
            "name": ANSWER,
            "description": description.unwrap_or("Gives the answer, and only the answer, as the input of this tool."),
            "input_schema": schema,
        })));
    }
}
