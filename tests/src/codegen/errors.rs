//! The error classes of Python and Node, one per row of the core's table of kinds. The base class `InterfuseError` is
//! written by hand in each language; here are only the families.

use interfuse::error::{KINDS, KindInfo};

use super::MARKER;
use super::typescript;

/// A class of the family tree.
struct Class {
    name: &'static str,
    parent: &'static str,
    doc: &'static str,
    kind: Option<&'static KindInfo>,
}

impl Class {
    /// What happened and what to do.
    fn about(&self) -> String {
        self.kind.map_or_else(|| self.doc.to_owned(), |row| format!("{} {}", row.doc, row.remedy))
    }
}

const BASE: &str = "InterfuseError";

/// Classes that stand for several kinds, so that one `except` or `instanceof` catches them all.
const GROUPS: &[Class] = &[
    Class { name: "APIError", parent: BASE, doc: "A call failed at a provider or on the way to it.", kind: None },
    Class { name: "APIStatusError", parent: "APIError", doc: "A provider answered with an error.", kind: None },
];

/// Python's own errors that ours also are, so that `except TimeoutError` works.
const PYTHON_BUILT_INS: &[(&str, &str)] =
    &[("APITimeoutError", "TimeoutError"), ("APIConnectionError", "ConnectionError"), ("ConfigError", "ValueError")];

/// Every class, parents before children.
fn classes() -> Vec<Class> {
    let kinds = KINDS.iter().map(|row| Class { name: row.class, parent: row.parent, doc: row.doc, kind: Some(row) });
    let groups = GROUPS.iter().map(|c| Class { kind: None, ..*c });
    let mut waiting: Vec<Class> = groups.chain(kinds).collect();
    let mut placed: Vec<Class> = Vec::new();
    while !waiting.is_empty() {
        let (ready, later): (Vec<Class>, Vec<Class>) =
            waiting.into_iter().partition(|c| c.parent == BASE || placed.iter().any(|p| p.name == c.parent));
        assert!(!ready.is_empty(), "the table of kinds names a parent that is no class: {}", later[0].parent);
        placed.extend(ready);
        waiting = later;
    }
    placed
}

/// A text as Python and JavaScript write it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `errors.py`.
pub fn python() -> String {
    let mut out = format!(
        "# {MARKER}\n\"\"\"Every error interfuse raises: one class per kind, named as openai's where one exists.\"\"\"\n\n\
         from __future__ import annotations\n\nfrom ._error import {BASE} as {BASE}\n"
    );
    for class in classes() {
        let built_in = PYTHON_BUILT_INS.iter().find(|(name, _)| *name == class.name);
        let also = built_in.map(|(_, other)| format!(", {other}")).unwrap_or_default();
        out += &format!("\n\nclass {}({}{also}):\n    \"\"\"{}\"\"\"\n", class.name, class.parent, class.about());
        if let Some(row) = class.kind {
            out += &format!("\n    kind = \"{}\"\n    remedy = {}\n", row.name, quoted(row.remedy));
        }
    }
    out += "\n\nBY_KIND: dict[str, type[InterfuseError]] = {\n";
    for row in KINDS {
        out += &format!("    \"{}\": {},\n", row.name, row.class);
    }
    out += "}\n\nSTATUS: dict[str, int] = {\n";
    for row in KINDS {
        out += &format!("    \"{}\": {},\n", row.name, row.status);
    }
    out + "}\n\"\"\"HTTP status of a kind, where no vendor gave one.\"\"\"\n"
}

/// `errors.cjs`.
pub fn javascript() -> String {
    let mut out = format!(
        "// {MARKER}\n// Every error interfuse throws: one class per kind, named as openai's where one exists.\n'use strict'\n\n\
         const {{ {BASE} }} = require('./error.cjs')\n"
    );
    for class in classes() {
        out += &format!("\n/** {} */\nclass {} extends {} {{", class.about(), class.name, class.parent);
        if let Some(row) = class.kind {
            out += &format!("\n  get remedy() {{\n    return {}\n  }}\n", quoted(row.remedy));
        }
        out += "}\n";
    }
    out += "\nconst BY_KIND = {\n";
    for row in KINDS {
        out += &format!("  {}: {},\n", row.name, row.class);
    }
    out += "}\n\n// HTTP status of a kind, where no vendor gave one.\nconst STATUS = {\n";
    for row in KINDS {
        out += &format!("  {}: {},\n", row.name, row.status);
    }
    out += "}\n\nmodule.exports = {\n  BY_KIND,\n  STATUS,\n  InterfuseError,\n";
    for class in classes() {
        out += &format!("  {},\n", class.name);
    }
    out + "}\n"
}

/// What `index.cjs` gives beside the errors of the table.
const WRITTEN: [&str; 9] = [
    "Interfuse",
    "calibrate",
    "fusedHtml",
    "replay",
    "standardFunction",
    "standardResponseFormat",
    "ChatCompletionStream",
    "Stream",
    "VERSION",
];

/// Errors that JavaScript makes itself, and names that OpenAI has for others.
const TYPED: [&str; 9] = [
    "APIConnectionTimeoutError",
    "APIUserAbortError",
    "AnswerFormatError",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "LengthFinishReasonError",
    "MaxStepsError",
    "SchemaError",
    "UnprocessableEntityError",
];

/// `index.mjs`: the names of `index.cjs` for `import`. One implementation, so that `instanceof` holds across both.
pub fn esm() -> String {
    let mut out = format!("// {MARKER}\nimport interfuse from './index.cjs'\n\nexport const {{\n");
    let errors = classes();
    let errors = errors.iter().map(|class| class.name);
    for name in WRITTEN.into_iter().chain([BASE]).chain(errors).chain(TYPED) {
        out += &format!("  {name},\n");
    }
    out + "} = interfuse\n"
}

/// `errors.d.cts`.
pub fn typescript() -> String {
    let mut out = format!("// {MARKER}\nimport {{ {BASE} }} from './error.cjs'\nexport {{ {BASE} }}\n");
    for class in classes() {
        out.push('\n');
        typescript::doc(&mut out, "", &class.about());
        match class.kind.filter(|row| !KINDS.iter().any(|other| other.parent == row.class)) {
            Some(row) => {
                out += &format!(
                    "export class {} extends {} {{\n  readonly kind: '{}'\n}}\n",
                    class.name, class.parent, row.name
                );
            }
            // A parent has the kinds of its children too.
            None => out += &format!("export class {} extends {} {{}}\n", class.name, class.parent),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_class_after_its_parent() {
        let names: Vec<&str> = classes().iter().map(|c| c.name).collect();
        assert_eq!(names.len(), KINDS.len() + GROUPS.len());
        for class in classes() {
            let at = |name: &str| names.iter().position(|n| *n == name);
            assert!(class.parent == BASE || at(class.parent) < at(class.name), "{}", class.name);
        }
    }
}
