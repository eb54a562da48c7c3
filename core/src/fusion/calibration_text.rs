//! A calibration read from lines of JSON, and shown to people: what was measured, and the pool as configuration.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::types::{Calibration, Labelled, LabelledItems, Measured};

/// Labelled items, one JSON object a line; empty lines are skipped.
///
/// # Errors
/// `invalid_request` naming the line that is no such object.
pub fn labelled(jsonl: &str) -> Result<Vec<Labelled>> {
    let lines = jsonl.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Error::invalid_request(format!("line {}: no labelled item: {e}", i + 1)).with_param("items")
            })
        })
        .collect()
}

/// Items as they are given, or read from their file.
///
/// # Errors
/// `invalid_request` when the file cannot be read, or naming its line that is no such object.
pub fn items(given: LabelledItems) -> Result<Vec<Labelled>> {
    let path = match given {
        LabelledItems::List(items) => return Ok(items),
        LabelledItems::File(path) => path,
    };
    let wrong = |why: String| Error::invalid_request(format!("`items`: {path}: {why}")).with_param("items");
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
    labelled(&text).map_err(|e| wrong(e.message().to_owned()))
}

impl Calibration {
    /// Tables and advice for a terminal, and the pool as TOML to put into a configuration.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        rows(&mut out, "models", &self.models);
        rows(&mut out, "judges, where both orders agreed", &self.judges);
        for warning in &self.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        let _ = writeln!(out, "{}\n", self.advice);
        if !self.pool.is_empty() {
            let _ = writeln!(out, "[pools.calibrated]\nmode = \"auto\"\npool = [");
            for member in &self.pool {
                let prior = member.prior.map(|p| format!(", prior = {p}")).unwrap_or_default();
                let _ = writeln!(out, "  {{ model = {}{prior} }},", toml::Value::from(member.model.as_str()));
            }
            out.push_str("]\n");
            if let Some(judge) = self.judges.first() {
                let trust = judge.chance.max(0.5);
                let _ =
                    writeln!(out, "judge = {{ model = {}, trust = {trust} }}", toml::Value::from(judge.model.as_str()));
            }
        }
        out
    }
}

fn rows(out: &mut String, title: &str, rows: &[Measured]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}:");
    for row in rows {
        let _ = writeln!(out, "  {:>5.1} %  {} of {}  {}", row.chance * 100.0, row.right, row.of, row.model);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::calibrate;
    use crate::types::{Config, Pool};

    #[test]
    fn the_pool_it_prints_is_configuration() {
        let line = |a: &str, b: &str, c: &str| {
            format!(
                r#"{{"prompt": "How many?", "gold": "4", "answers": {{"a/m": "{a}", "b/m": "{b}", "c/m": "{c}"}}, "verdicts": {{"j/m": {{"as_given": "4", "swapped": "4"}}}}, "more": 1}}"#
            )
        };
        let lines: Vec<String> = (0..60)
            .map(|i| match i % 3 {
                0 => line("#### 4", "#### 4", "#### 1"),
                1 => line("#### 4", "#### 2", "#### 4"),
                _ => line("#### 3", "#### 4", "#### 4"),
            })
            .collect();
        let found = calibrate(&labelled(&lines.join("\n\n")).unwrap());
        assert_eq!(found.pool.len(), 3, "{found:?}");
        let text = found.to_text();
        let config = Config::parse(&text[text.find("[pools").unwrap()..]).unwrap();
        let pool = &config.pools["calibrated"];
        assert_eq!(pool.judge.as_ref().unwrap().trust, Some(found.judges[0].chance));
        assert!(matches!(&pool.pool, Some(Pool::Members(members)) if members.len() == 3 && members[0].prior.is_none()));
        assert!(text.contains("66.1 %  40 of 60  a/m"), "{text}");
    }

    #[test]
    fn a_line_that_is_no_item_is_named() {
        let error = labelled("{}\n\n{\"gold\": 3}").unwrap_err();
        assert!(error.message().contains("line 3"), "{error}");
    }
}
