//! Function calls whose arguments come piece by piece: values at JSON paths, texts in several pieces.

use serde_json::{Map, Value};

use super::raw::{Call, PartialArg};

/// Longest list that arguments may hold: a path is no reason to fill the memory.
const MAX_ITEMS: usize = 65_536;

/// A call that is not whole yet.
#[derive(Default)]
pub(super) struct PartialCall {
    pub id: Option<String>,
    pub name: Option<String>,
    pub signature: Option<String>,
    args: Value,
}

impl PartialCall {
    /// Takes what is new; says whether more is to come.
    pub fn take(&mut self, call: Call, signature: Option<String>) -> bool {
        let more = call.will_continue == Some(true);
        self.id = self.id.take().or(call.id);
        self.name = self.name.take().or(call.name);
        self.signature = self.signature.take().or(signature);
        if let Some(args) = call.args {
            self.args = args;
        }
        for piece in call.partial_args.into_iter().flatten() {
            self.put(piece);
        }
        more
    }

    /// The arguments so far, as JSON text.
    pub fn arguments(&self) -> String {
        if self.args.is_null() { "{}".to_owned() } else { self.args.to_string() }
    }

    fn put(&mut self, piece: PartialArg) {
        // One of `stringValue`, `numberValue`, `boolValue`, `nullValue`.
        let Some((kind, value)) = piece.extra.into_iter().next() else { return };
        let value = if kind == "nullValue" { Value::Null } else { value };
        let Some(place) = piece.path.as_deref().and_then(|path| at(&mut self.args, path)) else { return };
        match (place, value) {
            (Value::String(text), Value::String(more)) => text.push_str(&more),
            (place, value) => *place = value,
        }
    }
}

/// The place a path such as `$.steps[2].name` leads to, made where it is missing.
fn at<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut place = root;
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            place = field(place, &name[..end])?;
            rest = &name[end..];
            continue;
        }
        let (step, after) = rest.strip_prefix('[')?.split_once(']')?;
        rest = after;
        let quoted = step.strip_prefix(['\'', '"']).and_then(|s| s.strip_suffix(['\'', '"']));
        place = match quoted {
            Some(name) => field(place, name)?,
            None => item(place, step.parse().ok()?)?,
        };
    }
    Some(place)
}

fn field<'a>(place: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    Some(place.as_object_mut()?.entry(name).or_insert(Value::Null))
}

fn item(place: &mut Value, index: usize) -> Option<&mut Value> {
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    let items = place.as_array_mut()?;
    if index >= MAX_ITEMS {
        return None;
    }
    if items.len() <= index {
        items.resize(index + 1, Value::Null);
    }
    items.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_make_the_arguments() {
        let mut call = PartialCall::default();
        let pieces = json!([
            {"name": "cook", "willContinue": true},
            {"partialArgs": [{"jsonPath": "$.steps[1].text", "stringValue": "Bo", "willContinue": true}], "willContinue": true},
            {"partialArgs": [{"jsonPath": "$.steps[1].text", "stringValue": "il"}], "willContinue": true},
            {"partialArgs": [{"jsonPath": "$['n']", "numberValue": 2}, {"jsonPath": "$.b", "nullValue": "NULL_VALUE"}], "willContinue": true},
            {}
        ]);
        let more: Vec<bool> =
            serde_json::from_value::<Vec<Call>>(pieces).unwrap().into_iter().map(|p| call.take(p, None)).collect();
        assert_eq!(more, [true, true, true, true, false]);
        let args: Value = serde_json::from_str(&call.arguments()).unwrap();
        assert_eq!(args, json!({"steps": [null, {"text": "Boil"}], "n": 2, "b": null}));
    }
}
