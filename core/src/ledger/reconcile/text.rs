//! A reconciliation as text for people.

use std::fmt::Write as _;

use super::report::explained;
use crate::money::usd;
use crate::types::{Difference, ModelDay, ReconciledSum, Reconciliation};

/// Days that are told one by one; those that do not agree come first.
const DAYS: usize = 60;

impl Reconciliation {
    /// The report as text: what was read, every model's day that does not agree, the sum, the worst differences, and prices
    /// that would explain them.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).map(|()| out).unwrap_or_default()
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        for file in &self.files {
            let repeated = file.refused.iter().filter(|row| row.repeated).count();
            let broken = file.refused.len() - repeated;
            write!(out, "{}: {}, {} rows", file.name, file.format, file.rows)?;
            for (number, what) in
                [(file.skipped as usize, "of other services"), (repeated, "repeated"), (broken, "broken")]
            {
                if number > 0 {
                    write!(out, ", {number} {what}")?;
                }
            }
            if file.corrections_before > 0 {
                write!(out, "; {} corrections were posted from it before", file.corrections_before)?;
            }
            writeln!(out, " (sha256 {})", file.sha256.get(..12).unwrap_or_default())?;
            for row in file.refused.iter().filter(|row| !row.repeated).take(10) {
                writeln!(out, "  row {}: {}", row.row, row.reason)?;
            }
        }
        let (agree, differ): (Vec<&ModelDay>, Vec<&ModelDay>) =
            self.days.iter().partition(|day| day.ok && day.sum.delta_nanos == 0);
        let mut rows = vec![
            ["DAY", "PROVIDER", "MODEL", "LEDGER", "CORRECTED", "VENDOR", "DELTA", "EXPLAINED", "WHY"]
                .map(str::to_owned),
        ];
        rows.extend(differ.iter().take(DAYS).map(|day| {
            let model = day.model.clone().unwrap_or_else(|| "-".to_owned());
            line([day.day.clone(), day.provider.clone(), model], &day.sum, day.ok)
        }));
        rows.push(line(["total", "", ""].map(str::to_owned), &self.total, true));
        table(out, &rows)?;
        writeln!(out, "{} of {} model-days agree to the last digit", agree.len(), self.days.len())?;
        if differ.len() > DAYS {
            writeln!(out, "{} more differ", differ.len() - DAYS)?;
        }
        if !self.offenders.is_empty() {
            writeln!(out, "\nlargest differences:")?;
            self.offenders.iter().take(10).try_for_each(|one| difference(out, one))?;
        }
        for proposal in &self.proposals {
            let (from, to) = (&proposal.first_day, &proposal.last_day);
            writeln!(
                out,
                "\n{} hours or days from {from} to {to} follow another price; to take it over:\n",
                proposal.seen
            )?;
            out.push_str(&proposal.snippet);
        }
        if !self.complete {
            writeln!(out, "\nolder records are gone from this ledger: what is missing here may have been booked")?;
        }
        for note in &self.notes {
            writeln!(out, "\n{note}")?;
        }
        if self.posted > 0 {
            writeln!(out, "\n{} corrections posted", self.posted)?;
        }
        Ok(())
    }
}

fn line(head: [String; 3], sum: &ReconciledSum, ok: bool) -> [String; 9] {
    let mut why: Vec<(&String, &i64)> = sum.classes.iter().collect();
    why.sort_by_key(|(name, nanos)| (explained(name), std::cmp::Reverse(nanos.unsigned_abs())));
    let mut why: Vec<String> = why.iter().map(|(name, nanos)| format!("{name} {}", signed(**nanos))).collect();
    if sum.unpriced_units > 0 {
        why.push(format!("{} units without a price", sum.unpriced_units));
    }
    if sum.cost_unknown > 0 {
        why.push(format!("{} attempts of unknown cost", sum.cost_unknown));
    }
    let [day, provider, model] = head;
    let mark = if ok { "" } else { " !" };
    let share = format!("{:.2}%{mark}", sum.explained_share * 100.0);
    let amounts = [sum.ours_nanos, sum.corrections_nanos, sum.vendor_nanos, sum.delta_nanos].map(signed);
    let [ours, corrected, vendor, delta] = amounts;
    [day, provider, model, ours, corrected, vendor, delta, share, why.join(", ")]
}

fn difference(out: &mut String, one: &Difference) -> std::fmt::Result {
    let correction = &one.correction;
    write!(
        out,
        "  {:>14}  {}  {} {}",
        signed(correction.delta_nanos),
        correction.residual.name(),
        one.day,
        correction.provider
    )?;
    if let Some(model) = &correction.model {
        write!(out, " {model}")?;
    }
    if let Some(key) = &correction.key {
        write!(out, " key {key}")?;
    }
    if let Some(id) = &correction.vendor_id {
        write!(out, " call {id}")?;
    }
    match one.rows.as_slice() {
        [] => writeln!(out, ": {}", one.reason),
        rows => {
            let rows: Vec<String> = rows.iter().map(u64::to_string).collect();
            writeln!(out, ": {} (rows {})", one.reason, rows.join(" "))
        }
    }
}

/// Nano-USD as decimal USD with its sign.
fn signed(nanos: i64) -> String {
    format!("{}{}", if nanos < 0 { "-" } else { "" }, usd(nanos.unsigned_abs()))
}

/// Columns side by side; amounts to the right.
fn table(out: &mut String, rows: &[[String; 9]]) -> std::fmt::Result {
    let width = |column: usize| {
        rows.iter().map(|row| unicode_width::UnicodeWidthStr::width(row[column].as_str())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..9).map(width).collect();
    for row in rows {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(unicode_width::UnicodeWidthStr::width(cell.as_str())));
            let right = (3..8).contains(&column);
            write!(text, "{}{}  ", if right { pad.as_str() } else { cell }, if right { cell } else { pad.as_str() })?;
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}
