//! `types.d.ts`: the public types as TypeScript interfaces.

use super::MARKER;
use super::model::{Body, Def, Field, Shape};

/// The whole file.
pub fn types(model: &[Def]) -> String {
    let mut out = format!("// {MARKER}\n");
    for def in model {
        out.push('\n');
        doc(&mut out, "", &def.doc);
        match &def.body {
            Body::Record { fields, open } => interface(&mut out, def, fields, *open),
            Body::Words(words) => {
                out += &format!("export type {} =\n", def.name);
                for (word, meaning) in words {
                    doc(&mut out, "  ", meaning);
                    out += &format!("  | '{word}'\n");
                }
            }
            Body::Alias(Shape::Union(parts))
                if parts.len() > 4 && parts.iter().all(|p| matches!(p, Shape::Named(_))) =>
            {
                let lines: String = parts.iter().map(|p| format!("\n  | {}", write(p, def.is_request()))).collect();
                out += &format!("export type {} ={lines}\n", def.name);
            }
            Body::Alias(shape) => out += &format!("export type {} = {}\n", def.name, write(shape, def.is_request())),
        }
    }
    out
}

fn interface(out: &mut String, def: &Def, fields: &[Field], open: bool) {
    *out += &format!("export interface {} {{\n", def.name);
    for field in fields {
        doc(out, "  ", &field.doc);
        // Responses leave out what is unknown, so a field that may be absent is never null there.
        let shape = if def.is_request() || field.required { field.shape.clone() } else { field.shape.without_null() };
        let mark = if field.required { "" } else { "?" };
        *out += &format!("  {}{mark}: {}\n", field.name, write(&shape, def.is_request()));
    }
    // Where `extra_body` is there for a vendor's own fields, a misspelt field is an error.
    if open && !fields.iter().any(|f| f.name == "extra_body") {
        *out += "  /** The vendor's other fields. */\n  [field: string]: unknown\n";
    }
    *out += "}\n";
}

fn write(shape: &Shape, request: bool) -> String {
    match shape {
        Shape::Any => "unknown".into(),
        Shape::Null => "null".into(),
        Shape::Boolean => "boolean".into(),
        Shape::Integer | Shape::Number => "number".into(),
        Shape::Text => "string".into(),
        Shape::Literal(word) => format!("'{word}'"),
        Shape::Named(name) => name.clone(),
        Shape::Map(inner) => format!("{{ [key: string]: {} }}", write(inner, request)),
        Shape::List(inner) => {
            let item = write(inner, request);
            let compound = matches!(**inner, Shape::Union(_)) || (request && matches!(**inner, Shape::List(_)));
            let item = if compound { format!("({item})") } else { item };
            if request { format!("readonly {item}[]") } else { format!("{item}[]") }
        }
        Shape::Union(parts) => {
            // `string` beside words would swallow them; this spelling keeps them in completions.
            let words = parts.iter().any(|p| matches!(p, Shape::Literal(_)));
            let part = |p: &Shape| match p {
                Shape::Text if words => "(string & {})".to_owned(),
                other => write(other, request),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" | ")
        }
    }
}

pub(super) fn doc(out: &mut String, indent: &str, text: &str) {
    let text = text.replace("*/", "* /");
    match text.lines().collect::<Vec<_>>()[..] {
        [] => {}
        [line] => *out += &format!("{indent}/** {line} */\n"),
        ref lines => {
            *out += &format!("{indent}/**\n");
            for line in lines {
                *out += &format!("{indent} * {line}\n");
            }
            *out += &format!("{indent} */\n");
        }
    }
}
