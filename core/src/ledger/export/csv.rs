//! CSV (RFC 4180, lines end with LF) that no spreadsheet takes for formulas.

use std::io::Write;

use super::unwritten;
use crate::error::Result;

/// A cell.
pub(super) enum Cell<'a> {
    /// Nothing.
    None,
    /// What anybody may have written.
    Text(&'a str),
    /// The same, put together here.
    Made(String),
    /// What was written here: a number, a time, a word of ours.
    Plain(String),
}

impl Cell<'_> {
    /// A number or word, or nothing.
    pub fn of(value: Option<impl ToString>) -> Self {
        value.map_or(Cell::None, |value| Cell::Plain(value.to_string()))
    }
}

/// Text, or nothing.
impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Cell::None, Cell::Text)
    }
}

/// Writes lines of cells.
pub(super) struct Csv<'a> {
    out: &'a mut dyn Write,
    line: String,
}

impl<'a> Csv<'a> {
    /// Begins with a line of headings.
    ///
    /// # Errors
    /// `storage` when it cannot be written.
    pub fn new<'n>(out: &'a mut dyn Write, headings: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let mut csv = Csv { out, line: String::new() };
        csv.row(headings.into_iter().map(Cell::Text))?;
        Ok(csv)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// `storage` when it cannot be written.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = Cell<'c>>) -> Result<()> {
        self.line.clear();
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                self.line.push(',');
            }
            match cell {
                Cell::None => {}
                Cell::Plain(plain) => self.line.push_str(&plain),
                Cell::Text(text) => text_into(&mut self.line, text),
                Cell::Made(text) => text_into(&mut self.line, &text),
            }
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes()).map_err(|e| unwritten(&e))
    }
}

/// A text that begins like a formula gets an apostrophe before it, which spreadsheets take for "this is text" (OWASP, CSV
/// injection).
fn text_into(line: &mut String, text: &str) {
    let guard =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        line.push('"');
        line.push_str(guard);
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(guard);
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_never_formulas() {
        let mut out = Vec::new();
        let mut csv = Csv::new(&mut out, ["a", "b,c"]).unwrap();
        for text in
            ["plain", "a \"b\", c", "=1+1", "+1", "-1", "@x", "\t=1", "\r", "two\nlines", " x", "＝1", "a=1", ""]
        {
            csv.row([Cell::Text(text), Cell::Plain("-1.0".into()), Cell::None]).unwrap();
        }
        let wanted = "a,\"b,c\"\nplain,-1.0,\n\"a \"\"b\"\", c\",-1.0,\n'=1+1,-1.0,\n'+1,-1.0,\n'-1,-1.0,\n'@x,-1.0,\n\
                      '\t=1,-1.0,\n\"'\r\",-1.0,\n\"two\nlines\",-1.0,\n\" x\",-1.0,\n'＝1,-1.0,\na=1,-1.0,\n,-1.0,\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
