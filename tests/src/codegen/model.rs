//! The schemas read into the few shapes that every language has a word for.

use serde_json::{Map, Value};

use super::schema::{Definition, Direction};

/// A type, as a language writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Any JSON value.
    Any,
    /// JSON null.
    Null,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// Text.
    Text,
    /// This text and no other.
    Literal(String),
    /// A list.
    List(Box<Shape>),
    /// An object with free keys.
    Map(Box<Shape>),
    /// A definition by name.
    Named(String),
    /// One of several.
    Union(Vec<Shape>),
}

impl Shape {
    /// The same without null; `None` when null is all there is.
    pub fn without_null(&self) -> Shape {
        match self {
            Shape::Union(parts) => union(parts.iter().filter(|p| **p != Shape::Null).cloned().collect()),
            other => other.clone(),
        }
    }
}

/// One field of a record.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name, as in JSON.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// Whether it is always there.
    pub required: bool,
    /// What it holds.
    pub shape: Shape,
}

/// What a definition is.
#[derive(Debug, Clone)]
pub enum Body {
    /// An object with these fields; `open` when others may stand beside them.
    Record {
        /// The known fields.
        fields: Vec<Field>,
        /// Whether others may stand beside them.
        open: bool,
    },
    /// One of these words, each with its meaning.
    Words(Vec<(String, String)>),
    /// Another name for a shape.
    Alias(Shape),
}

/// One named type.
#[derive(Debug, Clone)]
pub struct Def {
    /// Its name.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// How it is made.
    pub body: Body,
    /// Directions in which it is used.
    pub used: Vec<Direction>,
}

impl Def {
    /// Whether interfuse hands it out.
    pub fn is_response(&self) -> bool {
        self.used.contains(&Direction::Response)
    }

    /// Whether users write it.
    pub fn is_request(&self) -> bool {
        self.used.contains(&Direction::Request)
    }
}

/// Methods of Python's responses (a `dict` with a few more): a field of that name could not be read as an attribute.
const RECORD_METHODS: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
    "model_dump",
    "model_dump_json",
    "to_dict",
    "to_html",
    "to_json",
    "to_text",
];

/// Words that cannot name an attribute in Python.
const PYTHON_KEYWORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
];

/// Reads every definition.
///
/// # Errors
/// A schema none of the shapes fits, or a field name that a language cannot have.
pub fn read(all: &[Definition]) -> Result<Vec<Def>, String> {
    let mut defs = Vec::new();
    for definition in all {
        read_one(definition, &mut defs).map_err(|why| format!("{}: {why}", definition.name))?;
    }
    let defs = inline_single_words(defs);
    for def in &defs {
        check_names(def)?;
        if defs.iter().filter(|d| d.name == def.name).count() > 1 {
            return Err(format!("{}: two types have this name", def.name));
        }
    }
    Ok(defs)
}

fn read_one(definition: &Definition, defs: &mut Vec<Def>) -> Result<(), String> {
    let schema = definition.schema.as_object().ok_or("not an object")?;
    let doc = doc(schema);
    let mut add = |name: &str, doc: String, body: Body| {
        defs.push(Def { name: name.to_owned(), doc, body, used: definition.used.clone() });
    };
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    let Some(branches) = branches else {
        let body = if schema.contains_key("properties") { record(schema)? } else { Body::Alias(shape(schema)?) };
        add(&definition.name, doc, body);
        return Ok(());
    };
    if let Some(words) = words(branches) {
        add(&definition.name, doc, Body::Words(words));
    } else if branches.iter().all(|b| b.get("title").is_some()) {
        // A tagged enum: each variant is a record of its own, with the fields common to all in front.
        let common = fields(schema)?;
        let mut names = Vec::new();
        for branch in branches {
            let branch = branch.as_object().ok_or("a variant is not an object")?;
            let title = branch["title"].as_str().ok_or("a title is not text")?;
            let mut all = fields(branch)?;
            all.extend(common.iter().cloned());
            add(title, self::doc(branch), Body::Record { fields: all, open: false });
            names.push(Shape::Named(title.to_owned()));
        }
        add(&definition.name, doc, Body::Alias(union(names)));
    } else {
        add(&definition.name, doc, Body::Alias(shape(schema)?));
    }
    Ok(())
}

fn record(schema: &Map<String, Value>) -> Result<Body, String> {
    let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    Ok(Body::Record { fields: fields(schema)?, open })
}

fn fields(schema: &Map<String, Value>) -> Result<Vec<Field>, String> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|n| n == name));
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(Vec::new()) };
    properties
        .iter()
        .map(|(name, value)| {
            let (shape, doc) = match value {
                Value::Object(object) => (shape(object).map_err(|why| format!("{name}: {why}"))?, doc(object)),
                _ => (Shape::Any, String::new()),
            };
            Ok(Field { name: name.clone(), doc, required: is_required(name), shape })
        })
        .collect()
}

fn shape(schema: &Map<String, Value>) -> Result<Shape, String> {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return Ok(Shape::Named(target.trim_start_matches("#/$defs/").to_owned()));
    }
    if let Some(Value::String(word)) = schema.get("const") {
        return Ok(Shape::Literal(word.clone()));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words
            .iter()
            .map(|w| match w {
                Value::String(word) => Ok(Shape::Literal(word.clone())),
                Value::Null => Ok(Shape::Null),
                other => Err(format!("an enum of {other}")),
            })
            .collect::<Result<_, _>>()
            .map(union);
    }
    if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        return branches
            .iter()
            .map(|b| b.as_object().ok_or("a branch is not an object".to_owned()).and_then(shape))
            .collect::<Result<_, _>>()
            .map(union);
    }
    match schema.get("type") {
        None => Ok(Shape::Any),
        Some(Value::String(kind)) => simple(kind, schema),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .map(|kind| simple(kind.as_str().unwrap_or_default(), schema))
            .collect::<Result<_, _>>()
            .map(union),
        Some(other) => Err(format!("type {other}")),
    }
}

fn simple(kind: &str, schema: &Map<String, Value>) -> Result<Shape, String> {
    let inner = |key: &str| match schema.get(key) {
        Some(Value::Object(object)) => shape(object),
        _ => Ok(Shape::Any),
    };
    match kind {
        "null" => Ok(Shape::Null),
        "boolean" => Ok(Shape::Boolean),
        "integer" => Ok(Shape::Integer),
        "number" => Ok(Shape::Number),
        "string" => Ok(Shape::Text),
        "array" => Ok(Shape::List(Box::new(inner("items")?))),
        "object" if schema.contains_key("properties") => Err("an object without a name of its own".to_owned()),
        "object" => Ok(Shape::Map(Box::new(inner("additionalProperties")?))),
        other => Err(format!("type {other}")),
    }
}

/// The words of an enumeration, where the branches are nothing else.
fn words(branches: &[Value]) -> Option<Vec<(String, String)>> {
    let word = |branch: &Value| {
        let object = branch.as_object()?;
        Some((object.get("const")?.as_str()?.to_owned(), doc(object)))
    };
    branches.iter().map(word).collect()
}

fn union(parts: Vec<Shape>) -> Shape {
    let mut flat: Vec<Shape> = Vec::new();
    for part in parts {
        let inner = if let Shape::Union(inner) = part { inner } else { vec![part] };
        for shape in inner {
            if !flat.contains(&shape) {
                flat.push(shape);
            }
        }
    }
    if flat.len() == 1 { flat.remove(0) } else { Shape::Union(flat) }
}

/// An enumeration of one word (a tag) is written where it is used.
fn inline_single_words(defs: Vec<Def>) -> Vec<Def> {
    let (single, mut rest): (Vec<Def>, Vec<Def>) =
        defs.into_iter().partition(|d| matches!(&d.body, Body::Words(words) if words.len() == 1));
    let word = |name: &str| {
        single.iter().find(|d| d.name == name).and_then(|d| match &d.body {
            Body::Words(words) => Some(Shape::Literal(words[0].0.clone())),
            _ => None,
        })
    };
    for def in &mut rest {
        match &mut def.body {
            Body::Record { fields, .. } => fields.iter_mut().for_each(|f| replace(&mut f.shape, &word)),
            Body::Alias(shape) => replace(shape, &word),
            Body::Words(_) => {}
        }
    }
    rest
}

fn replace(shape: &mut Shape, word: &impl Fn(&str) -> Option<Shape>) {
    match shape {
        Shape::Named(name) => {
            if let Some(literal) = word(name) {
                *shape = literal;
            }
        }
        Shape::List(inner) | Shape::Map(inner) => replace(inner, word),
        Shape::Union(parts) => parts.iter_mut().for_each(|p| replace(p, word)),
        _ => {}
    }
}

fn check_names(def: &Def) -> Result<(), String> {
    let Body::Record { fields, .. } = &def.body else { return Ok(()) };
    for field in fields {
        let name = field.name.as_str();
        if def.is_response() && RECORD_METHODS.contains(&name) {
            return Err(format!("{}.{name}: Python's responses have a method of this name; choose another", def.name));
        }
        if PYTHON_KEYWORDS.contains(&name) {
            return Err(format!("{}.{name}: a keyword of Python; choose another", def.name));
        }
    }
    Ok(())
}

fn doc(schema: &Map<String, Value>) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    // Rust's links between items mean nothing elsewhere.
    text.replace("[`", "`").replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, schema: Value) -> Result<Vec<Def>, String> {
        read(&[Definition { name: name.to_owned(), schema, used: vec![Direction::Response] }])
    }

    #[test]
    fn a_response_may_not_hide_a_method_of_dict() {
        let schema = json!({"type": "object", "properties": {"items": {"type": "string"}}});
        assert!(one("R", schema).unwrap_err().contains("R.items"));
    }

    #[test]
    fn a_tagged_enum_becomes_one_record_per_variant() {
        let schema = json!({
            "type": "object", "properties": {"seq": {"type": "integer"}}, "required": ["seq"],
            "oneOf": [{"type": "object", "title": "Began", "properties": {"type": {"const": "began"}}, "required": ["type"]},
                      {"type": "object", "title": "Ended", "properties": {"type": {"const": "ended"}}, "required": ["type"]}],
        });
        let defs = one("Event", schema).unwrap();
        assert_eq!(defs.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["Began", "Ended", "Event"]);
        let Body::Record { fields, .. } = &defs[0].body else { panic!("not a record") };
        assert_eq!(fields[0].shape, Shape::Literal("began".into()));
        assert_eq!(fields[1].name, "seq");
    }

    #[test]
    fn an_object_without_a_name_is_refused() {
        let schema = json!({"type": "object", "properties": {"x": {"type": "object", "properties": {}}}});
        assert!(one("R", schema).is_err());
    }
}
