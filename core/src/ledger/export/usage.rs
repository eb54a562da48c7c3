//! Sums as CSV, as JSON, and as a table for people.

use std::fmt::Write as _;
use std::io::Write;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::csv::{Cell, Csv};
use crate::error::{Error, ErrorKind, Result};
use crate::figures::{rounded, seconds, thousands};
use crate::money::NanoUsd;
use crate::types::{UsageReport, UsageRow};

impl UsageReport {
    /// CSV: a line of headings, then a line for each row, without the total. A text that begins like a formula gets an
    /// apostrophe before it.
    ///
    /// # Errors
    /// `storage` when `out` cannot be written to.
    pub fn to_csv(&self, out: &mut dyn Write) -> Result<()> {
        let latencies = self.rows.iter().any(has_latencies);
        let figures = || FIGURES.iter().chain(if latencies { LATENCIES } else { &[] });
        let mut csv = Csv::new(out, self.by.iter().map(String::as_str).chain(figures().map(|(name, _)| *name)))?;
        for row in &self.rows {
            let values = self.by.iter().map(|name| row.group.get(name).and_then(Option::as_deref).into());
            csv.row(values.chain(figures().map(|(_, cell)| cell(row))))?;
        }
        Ok(())
    }

    /// JSON text, indented.
    ///
    /// # Errors
    /// `internal`, which would be a defect.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("sums are no JSON text: {e}")))
    }

    /// A table for a terminal of `width` columns (at least 60): the dearest group first, times in their order. With `color`
    /// the text holds ANSI colours. Costs are rounded; `to_csv` and `to_json` have them exactly.
    pub fn to_text(&self, width: usize, color: bool) -> String {
        Table { report: self, width: width.max(60), color }.text()
    }
}

type Figure = (&'static str, fn(&UsageRow) -> Cell<'static>);

const FIGURES: &[Figure] = &[
    ("calls", |r| Cell::Plain(r.calls.to_string())),
    ("attempts", |r| Cell::Plain(r.attempts.to_string())),
    ("failed", |r| Cell::Plain(r.failed.to_string())),
    ("prompt_tokens", |r| Cell::Plain(r.prompt_tokens.to_string())),
    ("completion_tokens", |r| Cell::Plain(r.completion_tokens.to_string())),
    ("cached_tokens", |r| Cell::Plain(r.cached_tokens.to_string())),
    ("reasoning_tokens", |r| Cell::Plain(r.reasoning_tokens.to_string())),
    ("cost_usd", |r| Cell::Plain(r.cost_usd.clone())),
    ("waste_usd", |r| usd(r.waste_nanos)),
    ("estimated_usd", |r| usd(r.estimated_nanos)),
    ("cost_unknown", |r| Cell::Plain(r.cost_unknown.to_string())),
    ("corrections_usd", |r| Cell::Plain(signed(r.corrections_nanos))),
];

const LATENCIES: &[Figure] = &[
    ("latency_p50_ms", |r| Cell::of(r.latency_p50_ms)),
    ("latency_p95_ms", |r| Cell::of(r.latency_p95_ms)),
    ("ttft_p50_ms", |r| Cell::of(r.ttft_p50_ms)),
];

fn usd(nanos: u64) -> Cell<'static> {
    Cell::of(NanoUsd::from_nanos(nanos))
}

/// USD with its sign where it is negative.
fn signed(nanos: i64) -> String {
    let amount = NanoUsd::from_nanos(nanos.unsigned_abs()).unwrap_or(NanoUsd::MAX);
    if nanos < 0 { format!("-{amount}") } else { amount.to_string() }
}

fn has_latencies(row: &UsageRow) -> bool {
    row.latency_p50_ms.is_some() || row.ttft_p50_ms.is_some()
}

/// Columns of a group's values are not wider than this.
const VALUE_WIDTH: usize = 36;
/// Columns of the bar that shows a row's share of the cost.
const BAR: usize = 12;

struct Table<'a> {
    report: &'a UsageReport,
    width: usize,
    color: bool,
}

impl Table<'_> {
    fn text(&self) -> String {
        let report = self.report;
        if report.total.attempts == 0 && report.total.corrections_nanos == 0 {
            let hints: String = report.hints.iter().map(|hint| format!("{}\n", clean(hint))).collect();
            return format!("nothing was booked that this asks for\n{hints}");
        }
        let mut rows: Vec<&UsageRow> = report.rows.iter().collect();
        if !report.by.iter().any(|name| matches!(name.as_str(), "hour" | "day" | "week" | "month")) {
            rows.sort_by(|a, b| b.cost_nanos.cmp(&a.cost_nanos).then(b.attempts.cmp(&a.attempts)));
        }
        let values = report.by.len();
        let mut lines = vec![self.headings()];
        lines.extend(rows.iter().map(|row| self.cells(row)));
        if values > 0 {
            let mut total = self.cells(&report.total);
            total[0] = "total".to_owned();
            total[1..values].iter_mut().for_each(String::clear);
            lines.push(total);
        } else {
            lines.truncate(2);
        }
        let widths: Vec<usize> =
            (0..lines[0].len()).map(|at| lines.iter().map(|cells| cells[at].width()).max().unwrap_or(0)).collect();
        let used = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        let bars = values > 0 && report.total.cost_nanos > 0 && used + 2 + BAR <= self.width;
        let mut out = String::new();
        for (at, cells) in lines.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let room = " ".repeat(width - cell.width());
                let gap = if column == 0 { "" } else { "  " };
                let _ =
                    if column < values { write!(line, "{gap}{cell}{room}") } else { write!(line, "{gap}{room}{cell}") };
            }
            let last = values > 0 && at == lines.len() - 1;
            if bars && at > 0 && !last {
                let bar = bar(rows[at - 1].cost_nanos, report.total.cost_nanos);
                let _ = write!(line, "  {}", self.ink("36", &bar));
            }
            if last {
                let _ = writeln!(out, "{}", self.ink("2", &"─".repeat(used)));
            }
            let line = line.trim_end();
            let _ = writeln!(out, "{}", if at == 0 || last { self.ink("1", line) } else { line.to_owned() });
        }
        for note in self.notes() {
            let _ = writeln!(out, "{}", self.ink("33", &note));
        }
        out
    }

    fn headings(&self) -> Vec<String> {
        let values = self.report.by.iter().map(|name| clean(name));
        values.chain(self.figures().into_iter().map(|(name, _)| name.to_owned())).collect()
    }

    fn cells(&self, row: &UsageRow) -> Vec<String> {
        let value = |name: &String| match row.group.get(name) {
            Some(Some(value)) => cut(&clean(value), VALUE_WIDTH),
            _ => "–".to_owned(),
        };
        let values = self.report.by.iter().map(value);
        values.chain(self.figures().into_iter().map(|(_, figure)| figure(row))).collect()
    }

    /// Columns of numbers; those that would be empty all the way down are left out.
    #[allow(clippy::type_complexity)]
    fn figures(&self) -> Vec<(&'static str, Box<dyn Fn(&UsageRow) -> String>)> {
        let total = &self.report.total;
        let decimals = decimals(total.cost_nanos);
        let ms = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), seconds);
        let mut figures: Vec<(&'static str, Box<dyn Fn(&UsageRow) -> String>)> =
            vec![("calls", Box::new(|row| thousands(row.calls)))];
        if total.attempts != total.calls {
            figures.push(("attempts", Box::new(|row| thousands(row.attempts))));
        }
        if total.failed > 0 {
            figures.push(("failed", Box::new(|row| thousands(row.failed))));
        }
        figures.push(("prompt", Box::new(|row| thousands(row.prompt_tokens))));
        if total.cached_tokens > 0 {
            figures.push(("cached", Box::new(|row| thousands(row.cached_tokens))));
        }
        figures.push(("completion", Box::new(|row| thousands(row.completion_tokens))));
        if self.report.rows.iter().any(has_latencies) {
            figures.push(("p50", Box::new(move |row| ms(row.latency_p50_ms))));
            figures.push(("p95", Box::new(move |row| ms(row.latency_p95_ms))));
        }
        if total.waste_nanos > 0 {
            figures.push(("wasted USD", Box::new(move |row| rounded(row.waste_nanos, decimals))));
        }
        figures.push(("cost USD", Box::new(move |row| rounded(row.cost_nanos, decimals))));
        if self.report.rows.iter().any(|row| row.corrections_nanos != 0) {
            let told = move |row: &UsageRow| {
                let sign = if row.corrections_nanos < 0 { "-" } else { "" };
                format!("{sign}{}", rounded(row.corrections_nanos.unsigned_abs(), decimals))
            };
            figures.push(("corrected USD", Box::new(told)));
        }
        if total.cost_unknown > 0 {
            figures.push(("unknown", Box::new(|row| thousands(row.cost_unknown))));
        }
        figures
    }

    fn notes(&self) -> Vec<String> {
        let report = self.report;
        let mut notes: Vec<String> = report.hints.iter().map(|hint| clean(hint)).collect();
        if report.total.cost_unknown > 0 {
            let unknown = thousands(report.total.cost_unknown);
            notes.push(format!("{unknown} attempts of unknown cost are not in the sum"));
        }
        if !report.complete {
            notes.push("older attempts are missing: they are no longer kept one by one".to_owned());
        }
        notes
    }

    fn ink(&self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// So many decimals that the total has four figures.
fn decimals(total_nanos: u64) -> usize {
    match total_nanos {
        1_000_000_000_000.. => 2,
        1_000_000_000.. => 4,
        1_000_000.. => 6,
        _ => 9,
    }
}

/// A bar as long as the share of the whole, to an eighth of a column.
fn bar(part: u64, whole: u64) -> String {
    let eighths = (u128::from(part) * BAR as u128 * 8 / u128::from(whole.max(1))) as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// Without control characters: a tag or a model's name must not steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.width() + c.width().unwrap_or(0) >= width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
