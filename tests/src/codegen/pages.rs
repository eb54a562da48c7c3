//! Pages that follow from a table or from other pages: the errors, `llms.txt`, and the Rust of all pages as one program.

use std::fs;

use interfuse::error::KINDS;

use super::{MARKER, root};
use crate::docs;

/// What stands before the tables of `docs/errors.md`.
const ERRORS: &str = include_str!("errors_page.md");

/// `docs/errors.md`.
pub fn errors() -> String {
    let mut out = format!("<!-- {MARKER} -->\n{ERRORS}\n## What happened, and what to do\n\n");
    out += "| kind | what happened | what to do |\n|---|---|---|\n";
    for row in KINDS {
        out += &format!("| `{}` | {} | {} |\n", row.name, row.doc, row.remedy);
    }
    out += "\n## What a kind is called\n\n\
            The status is that of a vendor's answer, or the one here where none came. Retryable: the same call may succeed if made again; interfuse has done \
            that already, as often as it may.\n\n\
            | kind | HTTP | retryable | Python, Node | a kind of | C | Rust (`ErrorKind`) |\n|---|---|---|---|---|---|---|\n";
    for row in KINDS {
        let retryable = if row.retryable { "yes" } else { "" };
        out += &format!(
            "| `{}` | {} | {retryable} | `{}` | `{}` | `INTERFUSE_{}` ({}) | `{:?}` |\n",
            row.name,
            row.status,
            row.class,
            row.parent,
            row.name.to_uppercase(),
            row.number,
            row.kind
        );
    }
    out
}

/// What is made of the pages themselves. Those that are generated are taken from `generated`, so that one run writes all.
///
/// # Errors
/// A page or `mkdocs.yml` that cannot be read.
pub fn from_pages(generated: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    let page = |name: &str| {
        let path = format!("docs/{name}");
        match generated.iter().find(|(made, _)| *made == path) {
            Some((_, text)) => Ok(text.clone()),
            None => fs::read_to_string(root().join(&path)).map_err(|why| format!("{path}: {why}")),
        }
    };
    let mut snippets = Vec::new();
    let mut list = String::new();
    for name in docs::order().map_err(|why| format!("mkdocs.yml: {why}"))? {
        let text = page(&name)?;
        list += &format!("- [{}]({name}): {}\n", title(&text), sentence(&text));
        snippets.extend(docs::read(&name, &text)?);
    }
    list += "\n## Providers\n\n";
    for (path, text) in
        generated.iter().filter(|(path, _)| path.starts_with("docs/providers/") && !path.ends_with("/index.md"))
    {
        list += &format!("- [{}]({}): {}\n", title(text), path.trim_start_matches("docs/"), paragraph(text));
    }
    let about = page("index.md").map(|text| sentence(&text))?;
    let llms = format!("<!-- {MARKER} -->\n# interfuse\n\n> {about}\n\n## Pages\n\n{list}");
    Ok(vec![
        ("docs/llms.txt".to_owned(), llms),
        ("tests/src/bin/docs-rust.rs".to_owned(), rust(&docs::programs(&snippets, "rust"))),
    ])
}

/// What a page of a provider begins with, which is short.
fn paragraph(page: &str) -> String {
    let line = page.lines().find(|line| line.starts_with('`')).unwrap_or_default();
    line.split(" [").next().unwrap_or_default().to_owned()
}

fn title(page: &str) -> &str {
    page.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default()
}

/// The first sentence of a page.
fn sentence(page: &str) -> String {
    let plain =
        |line: &&str| !line.is_empty() && !line.starts_with(['#', '<', '|', '=', '-']) && !line.starts_with("```");
    let first: Vec<&str> = page.lines().skip_while(|line| !plain(line)).take_while(plain).collect();
    let text = first.join(" ");
    match text.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => text,
    }
}

/// `docs-rust.rs`: a module for each page.
fn rust(programs: &[docs::Program]) -> String {
    let mut out = format!(
        "//! {MARKER}\n//! The Rust of the documentation: `docs-rust PAGE` runs what stands on that page.\n\n\
         #![allow(clippy::all, clippy::print_stdout, unused)]\n\nuse std::io::Write as _;\nuse std::process::ExitCode;\n"
    );
    let mut arms = String::new();
    for docs::Program { page, source } in programs {
        let module = page.replace('-', "_");
        let source = source.replace("async fn main(", "pub async fn main(");
        out += &format!("\n#[rustfmt::skip]\nmod {module} {{\n{source}}}\n");
        arms += &format!("        Some(\"{page}\") => {module}::main(),\n");
    }
    out + "\nfn main() -> ExitCode {\n    let done = match std::env::args().nth(1).as_deref() {\n"
        + &arms
        + "        _ => return ExitCode::from(2),\n    };\n    match done {\n        Ok(()) => ExitCode::SUCCESS,\n        Err(error) => {\n            \
           let _ = writeln!(std::io::stderr(), \"{error}\");\n            ExitCode::FAILURE\n        }\n    }\n}\n"
}
