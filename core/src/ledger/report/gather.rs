//! What the page shows, asked of the ledger: sums by stretch of time, and how long answers took.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Burn;
use crate::error::Result;
use crate::ledger::LedgerStore;
use crate::ledger::question::{Bucket, Question, zone};
use crate::ledger::sums::Latencies;
use crate::types::{UsageQuery, UsageReport, UsageRow};

/// So many series have a colour of their own; the others are one.
const SERIES: usize = 6;
/// Longest lists of models, errors and what is unknown.
const LINES: usize = 12;

/// Everything the page shows.
pub(super) struct Facts {
    pub total: UsageRow,
    pub complete: bool,
    pub zone: String,
    /// What the bars of charts over time stand for.
    pub unit: &'static str,
    pub by_provider: Stacks,
    /// Absent where nothing has that tag.
    pub by_project: Option<Stacks>,
    /// Attempts by how they ended.
    pub outcomes: Stacks,
    pub latencies: Latencies,
    pub models: Vec<UsageRow>,
    /// Of how many the models above are the dearest.
    pub models_known: usize,
    pub errors: Vec<UsageRow>,
    pub kinds: Vec<UsageRow>,
    pub unknown: Vec<UsageRow>,
    pub budgets: Vec<Budget>,
}

/// Amounts over time, by series.
pub(super) struct Stacks {
    /// Stretches of time without a gap, as the ledger writes them.
    pub times: Vec<String>,
    /// The largest first.
    pub series: Vec<Series>,
}

pub(super) struct Series {
    pub name: String,
    /// One for each stretch of time.
    pub amounts: Vec<u64>,
    pub sum: u64,
}

/// A budget, and what was left of it after each stretch of its window.
pub(super) struct Budget {
    pub burn: Burn,
    /// Share of the window that has passed (0 to 1000) and nano-USD left then; empty without a window.
    pub left: Vec<(u64, i128)>,
}

/// Asks all of it.
pub(super) fn gather(store: &dyn LedgerStore, query: &UsageQuery, budgets: &[Burn], now_ms: u64) -> Result<Facts> {
    let ask = |by: &[&str]| {
        let by = by.iter().map(|name| (*name).to_owned()).collect();
        store.usage(&UsageQuery { by, latencies: false, ..query.clone() })
    };
    let whole = store.usage(&UsageQuery { by: Vec::new(), latencies: true, ..query.clone() })?;
    let days = ask(&["day"])?;
    let zone = zone(query.time_zone.as_deref())?;
    let (bucket, unit) = bucket(&days);
    let times = times(query, bucket, &days, &zone)?;
    let over_time = |by: &str, of: fn(&UsageRow) -> u64| -> Result<Stacks> {
        Ok(stacks(&ask(&[name(bucket), by])?, name(bucket), by, &times, of))
    };
    let by_project = over_time("project", cost)?;
    let named = by_project.series.iter().any(|series| series.name != NOTHING && series.name != OTHERS);
    let ranked = |by: &str, latencies: bool| -> Result<Vec<UsageRow>> {
        let mut rows = store.usage(&UsageQuery { by: vec![by.to_owned()], latencies, ..query.clone() })?.rows;
        rows.sort_by(|a, b| b.cost_nanos.cmp(&a.cost_nanos).then(b.attempts.cmp(&a.attempts)));
        Ok(rows)
    };
    let mut models = ranked("endpoint", true)?;
    let models_known = models.len();
    let mut unknown: Vec<UsageRow> = models.iter().filter(|row| row.cost_unknown > 0).cloned().collect();
    unknown.sort_by_key(|row| std::cmp::Reverse(row.cost_unknown));
    unknown.truncate(LINES);
    models.truncate(LINES);
    let most = |mut rows: Vec<UsageRow>, of: fn(&UsageRow) -> u64| {
        rows.sort_by_key(|row| std::cmp::Reverse(of(row)));
        rows.truncate(LINES);
        rows
    };
    let mut errors = ranked("error", false)?;
    errors.retain(|row| row.group["error"].is_some());
    let mut kinds = ranked("kind", false)?;
    kinds.retain(|row| row.group["kind"].as_deref() != Some("first"));
    let mut latencies = Latencies::default();
    let seen = store.records(query, &mut |record| {
        latencies.count(record);
        Ok(())
    })?;
    let budgets = budgets.iter().map(|burn| budget(store, burn, now_ms)).collect::<Result<_>>()?;
    Ok(Facts {
        total: whole.total,
        complete: days.complete && seen,
        zone: query.time_zone.clone().unwrap_or_else(|| "UTC".to_owned()),
        unit,
        by_provider: over_time("provider", cost)?,
        by_project: named.then_some(by_project),
        outcomes: over_time("outcome", |row| row.attempts)?,
        latencies,
        models,
        models_known,
        errors: most(errors, |row| row.attempts),
        kinds: most(kinds, |row| row.attempts),
        unknown,
        budgets,
    })
}

/// Of attempts without a label.
pub(super) const NOTHING: &str = "(none)";
/// Of everything but the largest series.
pub(super) const OTHERS: &str = "others";

fn cost(row: &UsageRow) -> u64 {
    row.cost_nanos
}

fn name(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Hour => "hour",
        Bucket::Day => "day",
        Bucket::Week => "week",
        Bucket::Month => "month",
    }
}

/// Stretches such that a chart has neither three bars nor a thousand.
fn bucket(days: &UsageReport) -> (Bucket, &'static str) {
    let mut told = days.rows.iter().filter_map(|row| row.group["day"].as_deref()?.parse::<jiff::civil::Date>().ok());
    let first = told.next();
    let span = first.map_or(0, |first| (told.next_back().unwrap_or(first) - first).get_days());
    match span {
        ..3 => (Bucket::Hour, "hour"),
        3..93 => (Bucket::Day, "day"),
        93..700 => (Bucket::Week, "week"),
        _ => (Bucket::Month, "month"),
    }
}

/// Every stretch from the first to the last in which there is anything.
fn times(query: &UsageQuery, bucket: Bucket, days: &UsageReport, zone: &TimeZone) -> Result<Vec<String>> {
    let question = Question::new(&UsageQuery { by: Vec::new(), ..query.clone() })?;
    let told: Vec<jiff::civil::Date> =
        days.rows.iter().filter_map(|row| row.group["day"].as_deref()?.parse().ok()).collect();
    let (Some(first), Some(last)) = (told.first(), told.last()) else { return Ok(Vec::new()) };
    let start = |date: jiff::civil::Date| date.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let (Some(mut at), Some(end)) = (start(*first), last.tomorrow().ok().and_then(start)) else {
        return Ok(Vec::new());
    };
    let step = SignedDuration::from_hours(if bucket == Bucket::Hour { 1 } else { 12 });
    let mut times: Vec<String> = Vec::new();
    while at < end {
        let told = u64::try_from(at.as_millisecond()).ok().and_then(|ms| question.bucket(bucket, ms));
        times.extend(told.filter(|told| times.last() != Some(told)));
        let Ok(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(times)
}

fn stacks(report: &UsageReport, time: &str, by: &str, times: &[String], of: fn(&UsageRow) -> u64) -> Stacks {
    let mut series: Vec<Series> = Vec::new();
    let mut at: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    let places: std::collections::HashMap<&str, usize> =
        times.iter().enumerate().map(|(place, time)| (time.as_str(), place)).collect();
    for row in &report.rows {
        // What has no time any more is in no chart.
        let Some(place) = row.group[time].as_deref().and_then(|time| places.get(time)) else { continue };
        let name = row.group[by].as_deref().unwrap_or(NOTHING);
        let index = *at.entry(name).or_insert_with(|| {
            series.push(Series { name: name.to_owned(), amounts: vec![0; times.len()], sum: 0 });
            series.len() - 1
        });
        series[index].amounts[*place] += of(row);
        series[index].sum += of(row);
    }
    series.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(&b.name)));
    series.retain(|series| series.sum > 0);
    if series.len() > SERIES + 1 {
        let rest = series.split_off(SERIES);
        let mut others = Series { name: OTHERS.to_owned(), amounts: vec![0; times.len()], sum: 0 };
        for one in rest {
            others.sum += one.sum;
            others.amounts.iter_mut().zip(one.amounts).for_each(|(sum, amount)| *sum += amount);
        }
        series.push(others);
    }
    // Hours at both ends in which nothing happened say nothing.
    let busy = |at: &usize| series.iter().any(|one| one.amounts[*at] > 0);
    let first = (0..times.len()).find(busy).unwrap_or(0);
    let last = (0..times.len()).rfind(busy).map_or(0, |last| last + 1);
    series.iter_mut().for_each(|one| one.amounts = one.amounts[first..last.max(first)].to_vec());
    Stacks { times: times[first..last.max(first)].to_vec(), series }
}

/// What was left of a budget at the end of each hour or day of its window in which something was spent.
fn budget(store: &dyn LedgerStore, burn: &Burn, now_ms: u64) -> Result<Budget> {
    let (Some(starts), Some(ends)) = (burn.starts_ms, burn.ends_ms) else {
        return Ok(Budget { burn: burn.clone(), left: Vec::new() });
    };
    let window = ends.saturating_sub(starts).max(1);
    let by = if window <= 3 * 24 * 3_600_000 { "hour" } else { "day" };
    let query = UsageQuery {
        by: vec![by.to_owned()],
        since_ms: Some(starts),
        until_ms: Some(ends.min(now_ms.saturating_add(1))),
        filter: burn.of.clone(),
        ..UsageQuery::default()
    };
    let share = |at: u64| at.saturating_sub(starts).min(window) * 1000 / window;
    let mut left = vec![(0, i128::from(burn.limit_nanos))];
    let mut remaining = i128::from(burn.limit_nanos);
    for row in store.usage(&query)?.rows {
        let Some(from) = row.group[by].as_deref().and_then(instant) else { continue };
        let length = if by == "hour" { 3_600_000 } else { 24 * 3_600_000 };
        left.push((share(from.max(starts)), remaining));
        remaining -= i128::from(row.cost_nanos);
        left.push((share((from + length).min(now_ms)), remaining));
    }
    left.push((share(now_ms), remaining));
    Ok(Budget { burn: burn.clone(), left })
}

/// When an hour or day of UTC begins.
fn instant(told: &str) -> Option<u64> {
    let at = match told.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => told.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    u64::try_from(at.as_millisecond()).ok()
}
