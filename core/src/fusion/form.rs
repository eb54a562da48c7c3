//! What a request binds its answer to, and whether an answer keeps to it. The same measure for members and for who merges.

use serde_json::Value;

use crate::schema;
use crate::types::{ChatRequest, Tool, ToolCall};

use super::parse::{self, Step};

/// The form that every answer of a run must have.
#[derive(Debug, Default)]
pub(crate) struct Form {
    json: bool,
    schema: Option<Value>,
    /// Names of the functions that may be called; `None`: any.
    functions: Option<Vec<String>>,
    /// A tool must be called.
    must_call: bool,
    /// One tool at most.
    one_call: bool,
}

impl Form {
    /// What a request asks for, and a warning where its schema cannot be held here.
    pub fn of(request: &ChatRequest) -> (Self, Option<String>) {
        let name = |tool: &Tool| tool.function.as_ref().map(|f| f.name.clone());
        let functions = request.tools.as_ref().filter(|tools| !tools.is_empty());
        let calls = Form {
            // A tool that is no function has a name that only its vendor knows.
            functions: functions.and_then(|tools| tools.iter().map(name).collect()),
            must_call: functions.is_some()
                && match &request.tool_choice {
                    Some(Value::String(choice)) => matches!(choice.as_str(), "required" | "any"),
                    Some(Value::Object(choice)) => choice.contains_key("function"),
                    _ => false,
                },
            one_call: request.parallel_tool_calls == Some(false),
            ..Form::default()
        };
        let Some(format) = &request.response_format else { return (calls, None) };
        let json = matches!(format.r#type.as_str(), "json_object" | "json_schema");
        let given =
            format.json_schema.as_ref().and_then(|f| f.schema.as_ref()).filter(|_| format.r#type == "json_schema");
        let (schema, warning) = match given.map(|schema| (schema, schema::resolvable(schema))) {
            Some((schema, Ok(()))) => (Some(schema.clone()), None),
            Some((_, Err(why))) => {
                (None, Some(format!("schema_unchecked: answers cannot be held to `response_format`: {why}")))
            }
            None => (None, None),
        };
        (Form { json, schema, ..calls }, warning)
    }

    /// Whether tools are called as the request says.
    ///
    /// # Errors
    /// What is wrong with the calls, or that there are none.
    pub fn called(&self, calls: &[ToolCall]) -> Result<(), String> {
        if self.must_call && calls.is_empty() {
            return Err("it calls no tool, though tool_choice asks for it".to_owned());
        }
        if self.one_call && calls.len() > 1 {
            return Err(format!("it calls {} tools at once, though parallel_tool_calls is false", calls.len()));
        }
        for function in calls.iter().filter_map(|call| call.function.as_ref()) {
            let name = &function.name;
            if self.functions.as_ref().is_some_and(|known| !known.contains(name)) {
                return Err(format!("it calls `{name}`, which is none of the request's tools"));
            }
            let arguments = function.arguments.trim();
            if !arguments.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_err() {
                return Err(format!("the arguments of its call of `{name}` are not JSON"));
            }
        }
        Ok(())
    }

    /// Whether the answer must be JSON.
    pub fn binds_json(&self) -> bool {
        self.json
    }

    /// The schema that it must obey.
    pub fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    /// Whether a value obeys the schema, if there is one.
    ///
    /// # Errors
    /// Where it departs from it.
    pub fn obeyed(&self, value: &Value) -> Result<(), String> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema::check(value, schema).map_err(|why| format!("the answer does not obey the schema asked for: {why}"))
    }

    /// Whether a text keeps to the form: as it is (`None`), or as the document found in it. Of a text that was cut off
    /// (`whole` is false) no end is invented.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn held(&self, text: &str, whole: bool) -> Result<Option<String>, String> {
        if !self.json {
            return Ok(None);
        }
        if let Ok(value) = serde_json::from_str::<Value>(text.trim()) {
            return self.obeyed(&value).map(|()| None);
        }
        let stripped = parse::strip(text);
        if let Ok(value) = serde_json::from_str::<Value>(stripped) {
            return self.obeyed(&value).map(|()| Some(stripped.to_owned()));
        }
        // What obeys a schema is what was asked for; without one, any braces in prose would do.
        if self.schema.is_some()
            && let Some((object, step)) = parse::object(text, &|o| self.obeyed(&Value::Object(o.clone())).is_ok())
            && (whole || step != Step::Repaired)
        {
            return Ok(Some(Value::Object(object).to_string()));
        }
        Err("the answer is not JSON, though response_format asks for it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(format: Value) -> (Form, Option<String>) {
        let request = json!({"model": "m", "messages": [], "response_format": format});
        Form::of(&serde_json::from_value(request).unwrap())
    }

    fn city() -> Form {
        let schema = json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
        form(json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})).0
    }

    #[test]
    fn what_keeps_to_the_form_stays_and_what_only_wraps_it_is_taken_off() {
        let held = |text: &str| city().held(text, true);
        assert_eq!(held(r#" {"city": "Bern"} "#), Ok(None));
        let plain = Ok(Some(r#"{"city":"Bern"}"#.to_owned()));
        assert_eq!(held("```json\n{\"city\":\"Bern\"}\n```"), plain);
        assert_eq!(held("<think>hm</think>{\"city\":\"Bern\"}"), plain);
        assert_eq!(held("Of course: {\"city\": \"Bern\"}. Anything else?"), plain);
        assert_eq!(held("{'city': 'Bern',}"), plain);
        assert!(held(r#"{"city": 3}"#).unwrap_err().contains("`/city`"));
        assert!(held("```json\n{\"city\":3}\n```").unwrap_err().contains("`/city`"));
        assert!(held("Bern {of course}").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn no_end_is_invented_for_what_was_cut_off() {
        let cut = r#"Here: {"city": "Be"#;
        assert!(city().held(cut, true).unwrap().is_some());
        assert!(city().held(cut, false).is_err());
    }

    #[test]
    fn without_a_schema_any_json_will_do_but_not_braces_in_prose() {
        let (object, _) = form(json!({"type": "json_object"}));
        assert_eq!(object.held("{\"a\": 1}", true), Ok(None));
        assert!(object.held("Use {\"a\": 1} here", true).is_err());
        assert_eq!(form(json!({"type": "text"})).0.held("anything", true), Ok(None));
    }

    #[test]
    fn calls_are_those_that_the_request_allows() {
        let of = |more: Value| {
            let mut request =
                json!({"model": "m", "messages": [], "tools": [{"type": "function", "function": {"name": "f"}}]});
            request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            Form::of(&serde_json::from_value(request).unwrap()).0
        };
        let calls = |all: &[(&str, &str)]| -> Vec<ToolCall> {
            let call = |(name, arguments): &(&str, &str)| json!({"id": "1", "function": {"name": name, "arguments": arguments}});
            all.iter().map(|c| serde_json::from_value(call(c)).unwrap()).collect()
        };
        let (fine, two) = (calls(&[("f", "{}")]), calls(&[("f", ""), ("f", "{\"x\":1}")]));
        let plain = of(json!({}));
        assert!(plain.called(&[]).is_ok() && plain.called(&fine).is_ok() && plain.called(&two).is_ok());
        assert!(plain.called(&calls(&[("g", "{}")])).unwrap_err().contains("`g`"));
        assert!(plain.called(&calls(&[("f", "{\"x\":")])).unwrap_err().contains("not JSON"));
        assert!(of(json!({"parallel_tool_calls": false})).called(&two).unwrap_err().contains("2 tools"));
        for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
            assert!(of(json!({"tool_choice": choice})).called(&[]).unwrap_err().contains("tool_choice"));
        }
        assert!(of(json!({"tools": null})).called(&calls(&[("g", "{}")])).is_ok());
    }

    #[test]
    fn a_schema_that_leads_out_of_itself_is_told_and_not_held() {
        let schema = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
        let (form, warning) = form(json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}));
        assert!(warning.unwrap().contains("example.com"));
        assert!(form.schema().is_none() && form.binds_json());
    }
}
