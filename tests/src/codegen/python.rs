//! The Python types: `TypedDict`s for what users write, class stubs for what they get.

use std::collections::BTreeSet;

use super::MARKER;
use super::model::{Body, Def, Field, Shape};

/// `types.py`: requests and configuration. Importable, but nothing of interfuse imports it at run time.
pub fn requests(model: &[Def]) -> String {
    let defs: Vec<Def> = model.iter().filter(|d| d.is_request()).flat_map(as_arguments).collect();
    let mut out = format!(
        "# {MARKER}\n\"\"\"What users write: requests and configuration, as typed dictionaries.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from collections.abc import Mapping, Sequence\n\
         from typing import TYPE_CHECKING, Any, Literal, Required, TypeAlias, TypedDict\n\n\
         if TYPE_CHECKING:\n    from ._record import Record\n\n__all__ = [\n"
    );
    for def in &defs {
        out += &format!("    \"{}\",\n", def.name);
    }
    out += "]\n";
    for def in &defs {
        match &def.body {
            Body::Record { fields, .. } => {
                let parent = if def.name == "ChatRequest" { "ChatParams" } else { "TypedDict" };
                out += &format!("\n\nclass {}({parent}, total=False):\n", def.name);
                doc(&mut out, &def.doc);
                out.push('\n');
                for field in fields {
                    let shape = write(&field.shape, true);
                    let shape = if field.required { format!("Required[{shape}]") } else { shape };
                    attribute(&mut out, field, &shape);
                }
            }
            // A text, because names defined further down may stand in it.
            _ => alias(&mut out, def, true),
        }
    }
    out
}

/// The requests as keyword arguments: `ChatParams`, `EmbeddingParams`, `FuseParams` and `EvaluationParams` leave out what the
/// methods decide (`stream`) or take by position (`prompt`, `items`), and a reply may stand among the messages as it came.
fn as_arguments(def: &Def) -> Vec<Def> {
    let Body::Record { fields, open } = &def.body else { return vec![def.clone()] };
    let made = |name: &str, fields: Vec<Field>| Def {
        name: name.to_owned(),
        body: Body::Record { fields, open: *open },
        ..def.clone()
    };
    let without = |names: &[&str]| -> Vec<Field> {
        let mut rest: Vec<Field> = fields.iter().filter(|f| !names.contains(&f.name.as_str())).cloned().collect();
        for field in rest.iter_mut().filter(|f| f.name == "messages") {
            let message = Shape::Union(vec![Shape::Named("Message".to_owned()), Shape::Named("Record".to_owned())]);
            field.shape = Shape::List(Box::new(message));
        }
        rest
    };
    match def.name.as_str() {
        "ChatRequest" => {
            let params = required(without(&["stream"]), &["model", "messages"]);
            let stream = fields.iter().filter(|f| f.name == "stream").cloned().collect();
            vec![made("ChatParams", params), made("ChatRequest", stream)]
        }
        "EmbeddingRequest" => vec![made("EmbeddingParams", required(fields.clone(), &["model", "input"]))],
        "EvaluationRequest" => vec![made("EvaluationParams", required(without(&["items"]), &["models"]))],
        "FuseRequest" => vec![made("FuseParams", without(&["prompt", "stream", "model"]))],
        _ => vec![def.clone()],
    }
}

fn required(mut fields: Vec<Field>, names: &[&str]) -> Vec<Field> {
    for field in fields.iter_mut().filter(|f| names.contains(&f.name.as_str())) {
        field.required = true;
    }
    fields
}

/// What a class can do beside telling its fields; `Record` does it at run time.
const METHODS: &[(&str, &str)] = &[(
    "Fused",
    "def to_html(self) -> str:\n        \"\"\"The whole story as one HTML page that needs no network and runs no script.\"\"\"",
)];

/// `_responses.pyi`: what interfuse hands out, as classes over `Record`; for type checkers only.
pub fn responses(model: &[Def]) -> String {
    let mut out = format!(
        "# {MARKER}\n# What interfuse hands out. At run time each of these is a `Record`; a field that is absent reads as None.\n\n\
         from typing import Any, Literal, TypeAlias\n\nfrom ._record import Record\n"
    );
    for def in model.iter().filter(|d| d.is_response()) {
        match &def.body {
            Body::Record { fields, .. } => {
                out += &format!("\nclass {}(Record):\n", def.name);
                doc(&mut out, &def.doc);
                out.push('\n');
                for (_, method) in METHODS.iter().filter(|(class, _)| *class == def.name) {
                    out += &format!("    {method}\n");
                }
                for field in fields {
                    let shape = write(&field.shape, false);
                    let absent = !field.required && !shape.ends_with("| None") && shape != "Any";
                    let shape = if absent { format!("{shape} | None") } else { shape };
                    attribute(&mut out, field, &shape);
                }
            }
            _ => alias(&mut out, def, false),
        }
    }
    out
}

/// `httpx2.py`: what `httpx.py` is, for the library that openai 3 uses, which has the same names.
pub fn httpx2() -> String {
    let written = include_str!("../../../bindings-python/python/interfuse/httpx.py");
    format!("# {MARKER}\n{}", written.replace("httpx", "httpx2"))
}

/// `_fields.py`: names of the response fields that may be absent.
pub fn fields(model: &[Def]) -> String {
    let mut names = BTreeSet::new();
    for def in model.iter().filter(|d| d.is_response()) {
        if let Body::Record { fields, .. } = &def.body {
            names.extend(fields.iter().filter(|f| !f.required).map(|f| f.name.as_str()));
        }
    }
    let mut out = format!(
        "# {MARKER}\n\"\"\"Response fields that may be absent: as attributes they read as None then.\"\"\"\n\n\
         OPTIONAL: frozenset[str] = frozenset(\n    (\n"
    );
    for name in names {
        out += &format!("        \"{name}\",\n");
    }
    out + "    )\n)\n"
}

fn alias(out: &mut String, def: &Def, request: bool) {
    let shape = match &def.body {
        // Long unions one part a line.
        Body::Alias(Shape::Union(parts)) if parts.len() > 6 => {
            let parts: Vec<String> = parts.iter().map(|p| write(p, request)).collect();
            format!("(\n    {}\n)", parts.join("\n    | "))
        }
        Body::Alias(shape) => write(shape, request),
        Body::Words(words) if words.len() > 6 && !request => {
            let lines: String = words.iter().map(|(word, _)| format!("    \"{word}\",\n")).collect();
            format!("Literal[\n{lines}]")
        }
        Body::Words(words) => {
            write(&Shape::Union(words.iter().map(|(word, _)| Shape::Literal(word.clone())).collect()), request)
        }
        Body::Record { .. } => return,
    };
    // A text in a module that runs, because names defined further down may stand in it.
    let shape = if request { format!("\"{}\"", shape.replace('"', "'")) } else { shape };
    let gap = if request { "\n\n" } else { "\n" };
    *out += &format!("{gap}{}: TypeAlias = {shape}\n", def.name);
    if !def.doc.is_empty() {
        *out += &format!("\"\"\"{}\"\"\"\n", escape(&def.doc));
    }
}

fn attribute(out: &mut String, field: &Field, shape: &str) {
    *out += &format!("    {}: {shape}\n", field.name);
    doc(out, &field.doc);
}

fn doc(out: &mut String, text: &str) {
    if !text.is_empty() {
        *out += &format!("    \"\"\"{}\"\"\"\n", escape(text).replace('\n', "\n    "));
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace("\"\"\"", "'''");
    if text.ends_with('"') { format!("{text} ") } else { text }
}

fn write(shape: &Shape, request: bool) -> String {
    match shape {
        Shape::Any => "Any".into(),
        Shape::Null => "None".into(),
        Shape::Boolean => "bool".into(),
        Shape::Integer => "int".into(),
        Shape::Number => "float".into(),
        Shape::Text => "str".into(),
        Shape::Literal(word) => format!("Literal[\"{word}\"]"),
        Shape::Named(name) => name.clone(),
        // Covariant where users write: a list[str] is a pool too.
        Shape::List(inner) => format!("{}[{}]", if request { "Sequence" } else { "list" }, write(inner, request)),
        Shape::Map(inner) => format!("{}[str, {}]", if request { "Mapping" } else { "dict" }, write(inner, request)),
        Shape::Union(parts) => {
            let words: Vec<String> = parts
                .iter()
                .filter_map(|p| if let Shape::Literal(w) = p { Some(format!("\"{w}\"")) } else { None })
                .collect();
            let literal = (!words.is_empty()).then(|| format!("Literal[{}]", words.join(", ")));
            let others =
                parts.iter().filter(|p| !matches!(p, Shape::Literal(_) | Shape::Null)).map(|p| write(p, request));
            let null = parts.contains(&Shape::Null).then(|| "None".to_owned());
            literal.into_iter().chain(others).chain(null).collect::<Vec<_>>().join(" | ")
        }
    }
}
