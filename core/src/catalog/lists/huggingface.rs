//! Hugging Face's router `GET /v1/models`: per model the backends, each with its price in USD per million tokens.

use serde_json::Value;

use super::{Per, Reader, priced, set};
use crate::types::{Class, Price};

const NAMES: &[(&str, Class, Per)] = &[
    ("input", Class::Input, Per::Million),
    ("output", Class::Output, Per::Million),
    // The same under the names that backends use in their own lists.
    ("prompt", Class::Input, Per::Million),
    ("completion", Class::Output, Per::Million),
];

pub(super) fn fits(document: &Value) -> bool {
    let list = document.get("data").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|model| model.get("providers").is_some_and(Value::is_array)))
}

/// A row is of a model at a backend, `model:backend`; a model with one backend has it under its own name, too.
pub(super) fn read(reader: &mut Reader<'_>, document: &Value) {
    let router = reader.provider("hf-router").unwrap_or_else(|| "hf-router".to_owned());
    for (place, model) in document["data"].as_array().into_iter().flatten().enumerate() {
        let Some(id) = model["id"].as_str() else {
            reader.refused.push(format!("data[{place}].id: no text"));
            continue;
        };
        let backends: Vec<&Value> = model["providers"].as_array().into_iter().flatten().collect();
        for (number, backend) in backends.iter().enumerate() {
            let path = format!("data[{place}].providers[{number}].pricing ({id})");
            let Some(name) = backend["provider"].as_str() else {
                reader.refused.push(format!("{path}: no `provider` beside it"));
                continue;
            };
            let row = row(&backend["pricing"]).map(|row| row.and_then(|row| priced(row, false)));
            if backends.len() == 1 && matches!(row, Ok(Some(_))) {
                reader.take(&path, &router, id, row.clone());
            }
            reader.take(&path, &router, &format!("{id}:{name}"), row);
        }
    }
}

fn row(pricing: &Value) -> Result<Option<Price>, String> {
    if pricing.is_null() {
        return Ok(None);
    }
    let mut price = Price { source: Some("huggingface".to_owned()), ..Price::default() };
    set(&mut price.rates, pricing, NAMES, false)?;
    Ok(Some(price))
}
