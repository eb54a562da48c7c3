//! Reports as CSV: rows by the names of their columns.

use std::collections::HashMap;

use csv::StringRecord;

use super::{Reader, cur, focus, openrouter};

/// Names of columns, by lower case and without what spellings differ in.
pub(super) struct Head(HashMap<String, usize>);

impl Head {
    fn of(names: &StringRecord) -> Self {
        Head(names.iter().enumerate().map(|(at, name)| (plain(name), at)).collect())
    }
}

/// `lineItem/UsageType`, `line_item_usage_type` and `LineItemUsageType` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// One row, by column.
pub(super) struct Line<'a> {
    head: &'a Head,
    cells: &'a StringRecord,
}

impl<'a> Line<'a> {
    /// Whether there is such a column.
    pub fn has(&self, name: &str) -> bool {
        self.head.0.contains_key(&plain(name))
    }

    /// What stands in a column; `None` where it is empty.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let at = self.head.0.get(&plain(name))?;
        // `null` is how some writers leave a cell empty; an apostrophe in front keeps spreadsheets from computing.
        let cell = self.cells.get(*at)?.trim();
        let cell = cell.strip_prefix('\'').unwrap_or(cell);
        (!cell.is_empty() && !cell.eq_ignore_ascii_case("null")).then_some(cell)
    }

    /// The first of several columns that holds something.
    pub fn first(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.get(name))
    }
}

/// Reads one line of a form.
type ReadLine = fn(&mut Reader, u64, &Line<'_>) -> Result<(), String>;

/// Reads a CSV of any known form.
pub(super) fn read(reader: &mut Reader, bytes: &[u8]) -> Result<(), String> {
    // Some tools write tabs or semicolons.
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let most = [b',', b'\t', b';'].into_iter().max_by_key(|mark| first.iter().filter(|byte| *byte == mark).count());
    let mut csv = csv::ReaderBuilder::new().delimiter(most.unwrap_or(b',')).from_reader(bytes);
    let head = csv.headers().map(Head::of).map_err(|e| format!("its heading cannot be read: {e}"))?;
    let empty = StringRecord::new();
    let heading = Line { head: &head, cells: &empty };
    let forms: [(bool, ReadLine); 3] = [
        (cur::fits(&heading), cur::read),
        (focus::fits(&heading), focus::read),
        (openrouter::is_list(&heading), openrouter::read_line),
    ];
    let Some((_, read_line)) = forms.into_iter().find(|(fits, _)| *fits) else {
        return Err(format!("its columns are of no known form; known are {}", super::KNOWN));
    };
    let mut cells = StringRecord::new();
    loop {
        let read = csv.read_record(&mut cells);
        if matches!(read, Ok(false)) {
            return Ok(());
        }
        let row = reader.next();
        let taken = match read {
            Ok(_) => read_line(reader, row, &Line { head: &head, cells: &cells }),
            Err(e) if matches!(e.kind(), csv::ErrorKind::Io(_)) => return Err(e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(why) = taken {
            reader.refuse(why);
        }
    }
}
