//! What a request binds its answer to, and whether an answer keeps to it. The same measure for members and for who merges.

use serde_json::Value;

use crate::schema;
use crate::types::ChatRequest;

use super::parse::{self, Step};

/// The form that every answer of a run must have.
#[derive(Debug, Default)]
pub(crate) struct Form {
    json: bool,
    schema: Option<Value>,
}

impl Form {
    /// What a request asks for, and a warning where its schema cannot be held here.
    pub fn of(request: &ChatRequest) -> (Self, Option<String>) {
        let Some(format) = &request.response_format else { return (Form::default(), None) };
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
        (Form { json, schema }, warning)
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
    fn a_schema_that_leads_out_of_itself_is_told_and_not_held() {
        let schema = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
        let (form, warning) = form(json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}));
        assert!(warning.unwrap().contains("example.com"));
        assert!(form.schema().is_none() && form.binds_json());
    }
}
