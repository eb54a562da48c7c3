//! The documentation's snippets: read out of the Markdown in `docs/`, and put together into programs.
//!
//! What stands on one page in one language is one program, read from top to bottom: a block goes on from those before it. A
//! block with a `main` is that page's program as it stands. A block that is not run has the line `<!-- not run: WHY -->`
//! before it, or `<!-- run by: WHO -->` where another test runs it.

use std::fmt;
use std::fs;
use std::io;

use crate::codegen::root;

/// A block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// Its page, from the folder `docs`.
    pub page: String,
    /// Line of the page where it begins.
    pub line: usize,
    /// Word behind the fence: `python`, `js`, `c`, `cpp`, `rust`, `sh`, `toml`, `json`, `text`.
    pub language: String,
    /// Text without the indentation of the fence.
    pub code: String,
    /// Of `text` in a tab: the language that prints it, that of the block before; otherwise every language of the page does.
    pub printed_by: Option<String>,
    /// Who runs it.
    pub run: Run,
}

/// Who runs a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// The tests of the documentation.
    Here,
    /// Another test, of this name.
    By(String),
    /// Nobody, and why.
    Not(String),
}

/// One page in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The page, without its ending.
    pub page: String,
    /// The whole source.
    pub source: String,
}

impl fmt::Display for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docs/{}:{} ({})", self.page, self.line, self.language)
    }
}

/// The pages from the folder `docs` in the order of the site's navigation, which names all but those of single providers.
///
/// # Errors
/// `mkdocs.yml` cannot be read.
pub fn order() -> io::Result<Vec<String>> {
    let site = fs::read_to_string(root().join("mkdocs.yml"))?;
    let entries = site.lines().skip_while(|line| *line != "nav:").skip(1).take_while(|line| line.starts_with("  - "));
    Ok(entries.filter_map(|line| line.rsplit_once(": ")).map(|(_, page)| page.trim().to_owned()).collect())
}

/// Every block of every page.
///
/// # Errors
/// What cannot be read, and a fence that is not closed.
pub fn snippets() -> io::Result<Vec<Snippet>> {
    let mut all = Vec::new();
    for page in order()? {
        let text = fs::read_to_string(root().join("docs").join(&page))?;
        all.extend(read(&page, &text).map_err(io::Error::other)?);
    }
    Ok(all)
}

/// The blocks of one page.
///
/// # Errors
/// A fence that is not closed.
pub fn read(page: &str, text: &str) -> Result<Vec<Snippet>, String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Snippet)> = None;
    let mut run = Run::Here;
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some((fence, snippet)) = &mut open {
            match trimmed == "```" && indent == *fence {
                true => found.extend(open.take().map(|(_, snippet)| snippet)),
                false => snippet.code += &format!("{}\n", line.get(indent.min(*fence)..).unwrap_or_default()),
            }
        } else if let Some(language) = trimmed.strip_prefix("```") {
            let run = std::mem::replace(&mut run, Run::Here);
            let printed_by = found.last().filter(|_| indent > 0).map(|before: &Snippet| before.language.clone());
            let (page, language) = (page.to_owned(), language.trim().to_owned());
            let printed_by = printed_by.filter(|_| language == "text");
            open = Some((indent, Snippet { page, line: at + 1, language, code: String::new(), printed_by, run }));
        } else if let Some(why) = comment(trimmed, "not run: ") {
            run = Run::Not(why.to_owned());
        } else if let Some(who) = comment(trimmed, "run by: ") {
            run = Run::By(who.to_owned());
        }
    }
    match open {
        None => Ok(found),
        Some((_, snippet)) => Err(format!("{snippet}: the fence is not closed")),
    }
}

fn comment<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(word)
}

/// The programs of a language: one for each page that has any.
pub fn programs(snippets: &[Snippet], language: &str) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    for snippet in snippets.iter().filter(|s| s.language == language && s.run == Run::Here) {
        let page = snippet.page.trim_end_matches(".md");
        match programs.last_mut().filter(|program| program.page == page) {
            Some(program) => program.source += &snippet.code,
            None => programs.push(Program { page: page.to_owned(), source: snippet.code.clone() }),
        }
    }
    for program in &mut programs {
        program.source = match language {
            "c" if !program.source.contains("int main(") => {
                within(&program.source, "int main(void) {\n", "return 0;\n}\n")
            }
            "cpp" if !program.source.contains("int main(") => within(&program.source, "int main() {\n", "}\n"),
            "rust" if !program.source.contains("async fn main(") => format!(
                "#[tokio::main(flavor = \"current_thread\")]\nasync fn main() -> interfuse::Result<()> {{\n{}Ok(())\n}}\n",
                program.source
            ),
            _ => continue,
        };
    }
    programs
}

/// C's lines inside a function, those for the preprocessor before it.
fn within(lines: &str, before: &str, after: &str) -> String {
    let (includes, rest): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| line.starts_with('#'));
    format!("{}\n{before}{}\n{after}", includes.join("\n"), rest.join("\n"))
}

/// What a page shows as printed by a language, line by line.
pub fn printed(snippets: &[Snippet], page: &str, language: &str) -> Vec<String> {
    let by = |s: &&Snippet| {
        let here = s.language == "text" && s.run == Run::Here && s.page.trim_end_matches(".md") == page;
        here && s.printed_by.as_deref().is_none_or(|name| name == language)
    };
    let lines = snippets.iter().filter(by).flat_map(|s| s.code.lines());
    lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n=== \"Python\"\n\n    ```python\n    if a:\n        b()\n    ```\n\n=== \"C\"\n\n    ```c\n    #include <x.h>\n    f();\n    ```\n\n<!-- not run: no network -->\n```sh\nmake\n```\n\n```python\nc()\n```\n\n```text\nBern\n```\n";

    #[test]
    fn blocks_are_read_with_their_place_and_who_runs_them() {
        let found = read("a.md", PAGE).unwrap_or_default();
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        let places =
            ["5 (python)", "12 (c)", "18 (sh)", "22 (python)", "26 (text)"].map(|place| format!("docs/a.md:{place}"));
        assert_eq!(said, places);
        assert_eq!(found[0].code, "if a:\n    b()\n");
        assert_eq!(found[2].run, Run::Not("no network".into()));
        assert!(read("a.md", "```c\nint x;").is_err());
    }

    #[test]
    fn a_page_is_one_program_for_each_language() {
        let found = read("a.md", PAGE).unwrap_or_default();
        let python = programs(&found, "python");
        assert_eq!((python.len(), python[0].source.as_str()), (1, "if a:\n    b()\nc()\n"));
        assert_eq!(programs(&found, "c")[0].source, "#include <x.h>\nint main(void) {\nf();\nreturn 0;\n}\n");
        assert!(programs(&found, "sh").is_empty());
        assert_eq!(printed(&found, "a", "c"), ["Bern"]);
    }
}
