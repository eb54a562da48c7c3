//! The JSON Schema of every public type, as schemars derives it, with the few things it cannot know added.

use interfuse::types::{
    BatchEvent, BatchOptions, BatchRequest, BudgetState, Calibration, ChatCompletion, ChatCompletionChunk, ChatRequest,
    Config, CostEstimate, EmbeddingRequest, EmbeddingResponse, ErrorBody, Evaluation, EvaluationEvent,
    EvaluationRequest, ExportRequest, Exported, Feedback, FuseRequest, Fused, FusionEvent, FusionReport, LedgerRecord,
    LoadedPrices, ModelInfo, ProviderInfo, ReconcileRequest, Reconciliation, UsageQuery, UsageReport,
};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::MARKER;

/// Which way a type crosses the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Written by the user.
    Request,
    /// Written by interfuse.
    Response,
}

/// One named schema, and who uses it.
pub struct Definition {
    /// Name of the type.
    pub name: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Directions in which it is used.
    pub used: Vec<Direction>,
}

/// Objects that may be written as one string instead (their `Deserialize` is hand-written, so schemars does not see it).
const MODEL_OR_OBJECT: &[&str] = &["Member", "Judge"];

/// Every definition. A type whose request and response forms differ appears twice, the request form as `...Param`.
///
/// # Errors
/// A type that is no longer what this file says about it.
pub fn collect() -> Result<Vec<Definition>, String> {
    let mut requests = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    requests.subschema_for::<ChatRequest>();
    requests.subschema_for::<EmbeddingRequest>();
    requests.subschema_for::<FuseRequest>();
    requests.subschema_for::<EvaluationRequest>();
    requests.subschema_for::<BatchRequest>();
    requests.subschema_for::<BatchOptions>();
    requests.subschema_for::<Feedback>();
    requests.subschema_for::<Config>();
    requests.subschema_for::<UsageQuery>();
    requests.subschema_for::<ReconcileRequest>();
    requests.subschema_for::<ExportRequest>();
    let mut responses = SchemaSettings::draft2020_12().for_serialize().into_generator();
    responses.subschema_for::<ChatCompletion>();
    responses.subschema_for::<ChatCompletionChunk>();
    responses.subschema_for::<EmbeddingResponse>();
    responses.subschema_for::<Fused>();
    responses.subschema_for::<FusionReport>();
    responses.subschema_for::<FusionEvent>();
    responses.subschema_for::<Evaluation>();
    responses.subschema_for::<EvaluationEvent>();
    responses.subschema_for::<BatchEvent>();
    responses.subschema_for::<Calibration>();
    responses.subschema_for::<UsageReport>();
    responses.subschema_for::<LedgerRecord>();
    responses.subschema_for::<Exported>();
    responses.subschema_for::<LoadedPrices>();
    responses.subschema_for::<BudgetState>();
    responses.subschema_for::<CostEstimate>();
    responses.subschema_for::<Reconciliation>();
    responses.subschema_for::<ModelInfo>();
    responses.subschema_for::<ProviderInfo>();
    responses.subschema_for::<ErrorBody>();

    let mut requests = take(requests);
    let responses = take(responses);
    let twins: Vec<String> = requests
        .iter()
        .filter(|(name, schema)| responses.get(*name).is_some_and(|other| other != *schema))
        .map(|(name, _)| name.clone())
        .collect();
    requests = rename(requests, &twins);
    for name in MODEL_OR_OBJECT {
        allow_model_name(&mut requests, name)?;
    }

    let mut all: Vec<Definition> = Vec::new();
    for (name, schema) in requests {
        let mut used = vec![Direction::Request];
        if responses.contains_key(&name) {
            used.push(Direction::Response);
        }
        all.push(Definition { name, schema, used });
    }
    for (name, schema) in responses {
        if !all.iter().any(|d| d.name == name) {
            all.push(Definition { name, schema, used: vec![Direction::Response] });
        }
    }
    Ok(all)
}

/// The schemas as one document, for editors, validators and other languages.
pub fn document(all: &[Definition]) -> String {
    let defs: Map<String, Value> = all.iter().map(|d| (d.name.clone(), d.schema.clone())).collect();
    let body = format!("{:#}", json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}));
    // The marker belongs on the first line, where JSON has room for no comment.
    format!("{{ \"$comment\": {},{}\n", json!(MARKER), &body[1..])
}

fn take(mut generator: SchemaGenerator) -> Map<String, Value> {
    generator.take_definitions(true)
}

/// Gives the request form of `names` their own name, wherever they are mentioned.
fn rename(definitions: Map<String, Value>, names: &[String]) -> Map<String, Value> {
    let renamed = |name: &str| if names.iter().any(|n| n == name) { format!("{name}Param") } else { name.to_owned() };
    definitions
        .into_iter()
        .map(|(name, mut schema)| {
            walk(&mut schema, &|object| {
                if let Some(Value::String(target)) = object.get_mut("$ref") {
                    let short = target.trim_start_matches("#/$defs/").to_owned();
                    *target = format!("#/$defs/{}", renamed(&short));
                }
            });
            (renamed(&name), schema)
        })
        .collect()
}

/// Wherever `name` is mentioned, a string may stand too.
fn allow_model_name(definitions: &mut Map<String, Value>, name: &str) -> Result<(), String> {
    if definitions.get(name).is_none_or(|schema| schema["type"] != "object") {
        return Err(format!("{name} is no object any more; correct MODEL_OR_OBJECT"));
    }
    let link = json!(format!("#/$defs/{name}"));
    for schema in definitions.values_mut() {
        walk(schema, &|object| {
            if object.get("$ref") == Some(&link) {
                object.remove("$ref");
                object.insert("anyOf".to_owned(), json!([{"type": "string"}, {"$ref": link.clone()}]));
            }
        });
    }
    Ok(())
}

fn walk(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            // Children first: what `change` inserts is not visited again.
            object.values_mut().for_each(|v| walk(v, change));
            change(object);
        }
        Value::Array(list) => list.iter_mut().for_each(|v| walk(v, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_one_string_parses_from_one() {
        let request = json!({"pool": ["a"], "judge": "b", "provider": "c"});
        let request: FuseRequest = serde_json::from_value(request).unwrap();
        assert_eq!(request.fusion.judge.unwrap().model, "b");
        assert_eq!(MODEL_OR_OBJECT, ["Member", "Judge"]);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let mut all = collect().unwrap();
        let names: Vec<String> = all.iter().map(|d| d.name.clone()).collect();
        for definition in &mut all {
            walk(&mut definition.schema, &|object| {
                if let Some(Value::String(target)) = object.get("$ref") {
                    let short = target.trim_start_matches("#/$defs/");
                    assert!(names.iter().any(|n| n == short), "{target}");
                }
            });
        }
    }
}
