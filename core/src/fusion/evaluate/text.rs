//! An evaluation as a table for a terminal.

use std::fmt::Write as _;

use crate::money::usd;
use crate::types::{Contender, Evaluation};

impl Evaluation {
    /// A table of all contenders and the recommendation.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let wide = self.contenders.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max(9);
        let _ = writeln!(
            out,
            "{:<wide$}  {:>9}  {:>15}  {:>12}  {:>8}  {:>8}  {:>6}  vs best single (p)",
            "contender", "right", "95 % interval", "USD/item", "p50 s", "p95 s", "calls"
        );
        for c in &self.contenders {
            let _ = writeln!(
                out,
                "{:<wide$}  {:>7.1} %  {:>5.1} to {:>5.1} %  {:>12}  {:>8.2}  {:>8.2}  {:>6.2}  {}",
                c.name,
                c.accuracy,
                c.low,
                c.high,
                cost_per_item(c, self.items),
                c.p50_ms as f64 / 1000.0,
                c.p95_ms as f64 / 1000.0,
                c.calls,
                beside(c, self)
            );
        }
        let _ = writeln!(
            out,
            "\n{} of {} items; at least one single model has {:.1} % right, {:.1} points above the best of them; spent: {} USD",
            self.items,
            self.planned,
            self.oracle,
            self.headroom,
            usd(self.spent_nanos)
        );
        if let Some(why) = &self.stopped {
            let _ = writeln!(out, "stopped: {why}");
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        let _ = writeln!(out, "\n{}", self.recommendation);
        out
    }

    /// One HTML page that needs nothing else: no script, no font, no network; light and dark.
    pub fn to_html(&self) -> String {
        super::html::page(self)
    }
}

/// Mean cost; `≥` where some calls' cost is unknown, `?` where all are.
pub(super) fn cost_per_item(c: &Contender, items: u32) -> String {
    let mean = c.cost_nanos as f64 / 1e9 / f64::from(items.max(1));
    match (c.unknown_calls, c.cost_nanos) {
        (0, _) => format!("{mean:.6}"),
        (_, 0) => "?".to_owned(),
        _ => format!("≥{mean:.6}"),
    }
}

/// Wins, losses and ties beside the best single model.
pub(super) fn beside(c: &Contender, all: &Evaluation) -> String {
    match &c.against {
        Some(a) => {
            format!(
                "{:+.1} ({:+.1} to {:+.1}): {} won, {} lost, {} alike ({:.3})",
                a.difference, a.low, a.high, a.wins, a.losses, a.ties, a.p
            )
        }
        None if Some(&c.name) == all.best_single.as_ref() => "best single".to_owned(),
        None => String::new(),
    }
}
