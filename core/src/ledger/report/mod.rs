//! The ledger as one page: totals, charts and tables in one HTML file that asks no network and runs no script.

mod chart;
mod gather;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::LedgerStore;
use super::question::word;
use crate::error::Result;
use crate::figures::{moment, percent, rounded, seconds, thousands, usd};
use crate::html::{self, escape};
use crate::types::{BudgetMode, Exported, UsageQuery, UsageRow};
use gather::{Budget, Facts, Stacks, gather};

/// A budget, as the page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burn {
    /// Its name, with the value it is of where there is one of each.
    pub name: String,
    /// What attempts that count have, as in a question's `where`.
    pub of: BTreeMap<String, String>,
    /// What may be spent in the window, nano-USD.
    pub limit_nanos: u64,
    /// Spent in it, nano-USD.
    pub spent_nanos: u64,
    /// Held for attempts under way, nano-USD.
    pub held_nanos: u64,
    /// The window's beginning, milliseconds since 1970-01-01 UTC.
    pub starts_ms: Option<u64>,
    /// Its end.
    pub ends_ms: Option<u64>,
    /// What happens when it is used up.
    pub mode: BudgetMode,
}

/// The page, and what it tells of.
///
/// # Errors
/// `storage`, or `invalid_request` for a question the ledger cannot answer.
pub fn html(store: &dyn LedgerStore, query: &UsageQuery, budgets: &[Burn], now_ms: u64) -> Result<(String, Exported)> {
    let facts = gather(store, query, budgets, now_ms)?;
    let total = &facts.total;
    let exported = Exported {
        attempts: total.attempts,
        cost_unknown: total.cost_unknown,
        cost_nanos: total.cost_nanos,
        corrections_nanos: total.corrections_nanos,
        rows: 0,
        complete: facts.complete,
    };
    Ok((page(&facts, query, now_ms), exported))
}

/// USD on a scale: with as many decimals as its steps have.
fn usd_mark(nanos: u64, step: u64) -> String {
    let decimals = (0..9).find(|decimals| step.is_multiple_of(10u64.pow(9 - decimals))).unwrap_or(9) as usize;
    let told = rounded(nanos, decimals);
    // Cents come in twos.
    let told = if decimals == 1 { format!("{told}0") } else { told };
    format!("${told}")
}

const COSTS: chart::Tell = chart::Tell { amount: usd, mark: usd_mark };

/// A large number in few figures.
fn few(number: u64) -> String {
    let scaled = |unit: u64, letter: &str| {
        let tenths = number / (unit / 10);
        if tenths < 100 {
            format!("{}.{}{letter}", tenths / 10, tenths % 10)
        } else {
            format!("{}{letter}", tenths / 10)
        }
    };
    match number {
        0..10_000 => thousands(number),
        10_000..1_000_000 => scaled(1_000, "k"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "M"),
        _ => scaled(1_000_000_000, "G"),
    }
}

fn page(facts: &Facts, query: &UsageQuery, now_ms: u64) -> String {
    let mut out = String::with_capacity(64 << 10);
    out.push_str("<main>");
    head(&mut out, facts, query, now_ms);
    if facts.total.attempts == 0 {
        out.push_str(
            "<section class=\"card wide\"><p class=\"none\">Nothing was booked that this asks for.</p></section>",
        );
    } else {
        cards(&mut out, facts);
        charts(&mut out, facts);
        tables(&mut out, facts);
    }
    let _ = writeln!(
        out,
        "</main><footer>Written by interfuse on {}. Costs are rounded for reading; the ledger holds every one exactly.</footer>",
        moment(now_ms)
    );
    html::document("Usage and cost", &[&html::palette(":root"), include_str!("style.css")], &out)
}

fn head(out: &mut String, facts: &Facts, query: &UsageQuery, now_ms: u64) {
    let times = &facts.by_provider.times;
    let times = if times.is_empty() { &facts.outcomes.times } else { times };
    let span = match (times.first(), times.last()) {
        (Some(first), Some(last)) if first == last => chart::dated(first),
        // The year once, where it is the same.
        (Some(first), Some(last)) if first.get(..4) == last.get(..4) => {
            format!("{} – {}", chart::day(first), chart::dated(last))
        }
        (Some(first), Some(last)) => format!("{} – {}", chart::dated(first), chart::dated(last)),
        _ => format!("until {}", moment(now_ms)),
    };
    let mut told = vec![span, facts.zone.clone()];
    told.extend(query.filter.iter().map(|(name, value)| format!("{name} = {value}")));
    let told: Vec<String> = told.iter().map(|text| format!("<span>{}</span>", escape(text))).collect();
    let _ = write!(out, "<header><h1>Usage and cost</h1><p class=\"told\">{}</p></header>", told.join(""));
    if !facts.complete {
        out.push_str(
            "<p class=\"notice\">Older attempts are in the totals only: this ledger no longer keeps them one by one.</p>",
        );
    }
}

fn cards(out: &mut String, facts: &Facts) {
    let total = &facts.total;
    let mut card = |class: &str, name: &str, value: String, told: String| {
        let _ = write!(
            out,
            "<div class=\"card fact {class}\"><h2>{name}</h2><p class=\"value\">{value}</p><p class=\"sub\">{told}</p></div>"
        );
    };
    let estimated = match total.estimated_nanos {
        0 => "as reported by providers and prices".to_owned(),
        part => format!("{} of it from estimated counts", usd(part)),
    };
    let estimated = match total.corrections_nanos {
        0 => estimated,
        delta => {
            let sign = if delta < 0 { "−" } else { "+" };
            format!("{estimated}; vendors' bills: {sign}{}", usd(delta.unsigned_abs()))
        }
    };
    card("lead", "Cost", usd(total.cost_nanos), estimated);
    let again = total.attempts - total.calls.min(total.attempts);
    card("", "Calls", few(total.calls), format!("{} further attempts", thousands(again)));
    let tokens = total.prompt_tokens + total.completion_tokens;
    let told = format!(
        "{} in ({} cached), {} out",
        few(total.prompt_tokens),
        percent(total.cached_tokens, total.prompt_tokens),
        few(total.completion_tokens)
    );
    card("", "Tokens", few(tokens), told);
    let ms = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), seconds);
    card("", "Typical answer", ms(total.latency_p50_ms), format!("95 of 100 within {}", ms(total.latency_p95_ms)));
    let wasted = match total.waste_nanos {
        0 => "which cost nothing that is known".to_owned(),
        waste => format!("which cost {}", usd(waste)),
    };
    let class = if total.failed > 0 { "warn" } else { "" };
    card(
        class,
        "Failed attempts",
        thousands(total.failed),
        format!("{} of all, {wasted}", percent(total.failed, total.attempts)),
    );
    let class = if total.cost_unknown > 0 { "warn" } else { "good" };
    let told = if total.cost_unknown > 0 { "not in the cost above" } else { "every attempt has its cost" };
    card(class, "Cost unknown", thousands(total.cost_unknown), told.to_owned());
}

/// Opens a card with its title; `end` closes it.
fn section(out: &mut String, class: &str, title: &str, told: &str) {
    let _ =
        write!(out, "<section class=\"card {class}\"><h2>{}</h2><p class=\"sub\">{}</p>", escape(title), escape(told));
}

fn end(out: &mut String) {
    out.push_str("</section>");
}

fn charts(out: &mut String, facts: &Facts) {
    let costs = |out: &mut String, by: &str, stacks: &Stacks| {
        section(out, "chart", &format!("Cost by {by}"), &format!("USD per {}", facts.unit));
        match stacks.series.is_empty() {
            true => out.push_str("<p class=\"none\">No known cost in this time.</p>"),
            false => out.push_str(&chart::stacked(stacks, COSTS, &chart::by_place)),
        }
        end(out);
    };
    costs(out, "provider", &facts.by_provider);
    if let Some(stacks) = &facts.by_project {
        costs(out, "project", stacks);
    }
    section(out, "chart", "How long answers took", "answers by the time they took, on a scale of doublings");
    match chart::latencies(&facts.latencies.whole) {
        drawn if drawn.is_empty() => out.push_str("<p class=\"none\">No answer in this time.</p>"),
        drawn => out.push_str(&drawn),
    }
    if let Some(ms) = facts.latencies.first.at(50) {
        let _ = write!(out, "<p class=\"sub\">Half of the streamed answers began within {}.</p>", seconds(ms));
    }
    end(out);
    section(out, "chart", "How attempts ended", &format!("attempts per {}", facts.unit));
    out.push_str(&chart::stacked(&facts.outcomes, chart::COUNTS, &|_, name| format!("o-{}", escape(name))));
    end(out);
    if !facts.budgets.is_empty() {
        section(out, "wide", "Budgets", "what is left of each, beside an even way down to the end of its window");
        out.push_str("<div class=\"budgets\">");
        facts.budgets.iter().for_each(|budget| out.push_str(&one_budget(budget)));
        out.push_str("</div>");
        end(out);
    }
}

fn one_budget(budget: &Budget) -> String {
    let Budget { burn, left } = budget;
    let used = burn.spent_nanos.saturating_add(burn.held_nanos);
    let class = match used as f64 / burn.limit_nanos.max(1) as f64 {
        share if share >= 1.0 => "over",
        share if share >= 0.8 => "near",
        _ => "fine",
    };
    let mut out = format!(
        "<div class=\"budget {class}\"><h3>{}</h3><p class=\"value\">{} <small>of {}</small></p>{}",
        escape(&burn.name),
        usd(burn.spent_nanos),
        usd(burn.limit_nanos),
        chart::share(used as f64 / burn.limit_nanos.max(1) as f64, "used"),
    );
    if left.len() > 1 {
        out.push_str(&chart::burn(left, burn.limit_nanos));
    }
    let mut told = vec![match burn.limit_nanos.checked_sub(used) {
        Some(left) => format!("{} left", usd(left)),
        None => format!("{} over", usd(used - burn.limit_nanos)),
    }];
    if burn.held_nanos > 0 {
        told.push(format!("{} held", usd(burn.held_nanos)));
    }
    if let Some(ends) = burn.ends_ms {
        told.push(format!("until {}", moment(ends).get(..16).unwrap_or_default()));
    }
    told.push(word(burn.mode).into_owned());
    let _ = write!(out, "<p class=\"sub\">{}</p></div>", escape(&told.join(" · ")));
    out
}

fn tables(out: &mut String, facts: &Facts) {
    let total = &facts.total;
    let shown = match facts.models_known {
        known if known > facts.models.len() => format!("the {} dearest of {known}", facts.models.len()),
        _ => "the dearest first".to_owned(),
    };
    section(out, "wide", "Models", &shown);
    out.push_str(
        "<table><thead><tr><th>Provider and model<th class=\"n opt\">Calls<th class=\"n opt\">Tokens in<th class=\"n opt\">Tokens out\
         <th class=\"n opt\">p50<th class=\"n opt\">p95<th class=\"n\">Cost<th class=\"bar\"></tr></thead><tbody>",
    );
    for row in &facts.models {
        let ms = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), seconds);
        let cost = if row.cost_unknown > 0 && row.cost_nanos == 0 { "unknown".to_owned() } else { usd(row.cost_nanos) };
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}<td class=\"n opt\">{}<td class=\"n opt\">{}<td class=\"n opt\">{}<td class=\"n opt\">{}\
             <td class=\"n opt\">{}<td class=\"n\">{cost}<td class=\"bar\">{}</tr>",
            escape(value(row, "endpoint")),
            thousands(row.calls),
            few(row.prompt_tokens),
            few(row.completion_tokens),
            ms(row.latency_p50_ms),
            ms(row.latency_p95_ms),
            chart::share(row.cost_nanos as f64 / total.cost_nanos.max(1) as f64, "c0"),
        );
    }
    out.push_str("</tbody></table>");
    end(out);
    counted(out, "Errors", "attempts that failed, by kind", &facts.errors, "error", total.attempts, "bad");
    counted(
        out,
        "Retries and fallbacks",
        "attempts beside the first of a call, and answers kept",
        &facts.kinds,
        "kind",
        total.attempts,
        "c3",
    );
    if !facts.unknown.is_empty() {
        section(
            out,
            "wide",
            "What is unknown",
            "attempts without a cost: the provider told no counts, or nobody knows its price",
        );
        lines(out, &facts.unknown, "endpoint", |row| row.cost_unknown, total.attempts, "warned");
        end(out);
    }
}

fn counted(out: &mut String, title: &str, told: &str, rows: &[UsageRow], by: &str, all: u64, class: &str) {
    section(out, "half", title, told);
    match rows.is_empty() {
        true => out.push_str("<p class=\"none\">None in this time.</p>"),
        false => lines(out, rows, by, |row| row.attempts, all, class),
    }
    end(out);
}

fn lines(out: &mut String, rows: &[UsageRow], by: &str, of: fn(&UsageRow) -> u64, all: u64, class: &str) {
    let most = rows.iter().map(of).max().unwrap_or(1).max(1);
    out.push_str("<table><tbody>");
    for row in rows {
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}<td class=\"n\">{}<td class=\"n opt\">{}<td class=\"bar\">{}</tr>",
            escape(&value(row, by).replace('_', " ")),
            thousands(of(row)),
            percent(of(row), all),
            chart::share(of(row) as f64 / most as f64, class),
        );
    }
    out.push_str("</tbody></table>");
}

fn value<'a>(row: &'a UsageRow, name: &str) -> &'a str {
    row.group.get(name).and_then(Option::as_deref).unwrap_or(gather::NOTHING)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
