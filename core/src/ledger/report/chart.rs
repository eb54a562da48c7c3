//! Charts as inline SVG: shapes scale with the page, words stand beside them as HTML and keep their size.

use std::fmt::Write as _;

use super::gather::{OTHERS, Stacks};
use crate::figures::{seconds, thousands};
use crate::html::escape;
use crate::ledger::sums::Histogram;

/// Height of a drawing in its own units; its width is 1000.
const HEIGHT: f64 = 1000.0;

/// How amounts are told.
#[derive(Clone, Copy)]
pub(super) struct Tell {
    /// An amount.
    pub amount: fn(u64) -> String,
    /// A mark of a scale: the amount, and the steps of the scale.
    pub mark: fn(u64, u64) -> String,
}

/// Counts.
pub(super) const COUNTS: Tell = Tell { amount: thousands, mark: |count, _| thousands(count) };

/// Bars over time, each a stack of series.
pub(super) fn stacked(stacks: &Stacks, tell: Tell, classes: &dyn Fn(usize, &str) -> String) -> String {
    let bars = stacks.times.len().max(1);
    let tops: Vec<u64> = (0..bars).map(|at| stacks.series.iter().filter_map(|one| one.amounts.get(at)).sum()).collect();
    let ticks = Ticks::to(tops.iter().copied().max().unwrap_or(0));
    let slot = 1000.0 / bars as f64;
    let width = slot * if bars > 40 { 0.84 } else { 0.7 };
    let mut svg = String::new();
    for at in 0..stacks.times.len() {
        let mut below = 0u64;
        for (index, one) in stacks.series.iter().enumerate().filter(|(_, one)| one.amounts[at] > 0) {
            let (low, high) = (ticks.height(below), ticks.height(below + one.amounts[at]));
            below += one.amounts[at];
            let left = slot * at as f64 + (slot - width) / 2.0;
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{left:.2}\" y=\"{:.2}\" width=\"{width:.2}\" height=\"{:.2}\"><title>{}, {}: {}</title></rect>",
                classes(index, &one.name),
                HEIGHT - high,
                (high - low).max(1.0),
                escape(&day(&stacks.times[at])),
                escape(&one.name),
                (tell.amount)(one.amounts[at]),
            );
        }
    }
    let labels = spread(stacks.times.len()).map(|at| ((at as f64 + 0.5) * slot, short(&stacks.times[at])));
    let mut out = plot(&svg, &ticks, tell, labels);
    out.push_str("<ul class=\"legend\">");
    for (index, one) in stacks.series.iter().enumerate() {
        let _ = write!(
            out,
            "<li><svg class=\"key {}\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect width=\"10\" height=\"10\" rx=\"3\"/></svg>\
             <span class=\"name\">{}</span> <b>{}</b></li>",
            classes(index, &one.name),
            escape(&one.name),
            (tell.amount)(one.sum),
        );
    }
    out.push_str("</ul>");
    out
}

/// The colour of a series by its place.
pub(super) fn by_place(index: usize, name: &str) -> String {
    if name == OTHERS { "cx".to_owned() } else { format!("c{}", index % 7) }
}

/// How many answers took how long; each bar is a half of a doubling.
pub(super) fn latencies(histogram: &Histogram) -> String {
    // 2^(n/2) milliseconds and above.
    let bin = |ms: u64| (2.0 * (ms.max(1) as f64).log2() + 1e-9).floor() as i32;
    let mut bins = std::collections::BTreeMap::<i32, u64>::new();
    for (ms, count) in histogram.iter() {
        *bins.entry(bin(ms)).or_default() += count;
    }
    let (Some(low), Some(high)) = (bins.keys().next().copied(), bins.keys().next_back().copied()) else {
        return String::new();
    };
    // Room at both sides, and never a lonely bar as wide as the page.
    let (low, high) = (low.min(high - 7) - 1, high + 1);
    let count = f64::from(high - low + 1);
    let slot = 1000.0 / count;
    let ticks = Ticks::to(bins.values().copied().max().unwrap_or(0));
    let edge = |bin: i32| 2f64.powf(f64::from(bin) / 2.0);
    let place = |ms: f64| ((2.0 * ms.max(1.0).log2() - f64::from(low)) * slot).clamp(0.0, 1000.0);
    let mut svg = String::new();
    for (bin, answers) in &bins {
        let high = ticks.height(*answers);
        let _ = write!(
            svg,
            "<rect class=\"c0\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{high:.2}\"><title>{} to {}: {}</title></rect>",
            slot * f64::from(bin - low) + slot * 0.06,
            HEIGHT - high,
            slot * 0.88,
            seconds(edge(*bin).round() as u64),
            seconds(edge(bin + 1).round() as u64),
            thousands(*answers),
        );
    }
    let marks: Vec<(u64, u64)> = [50, 95].iter().filter_map(|p| Some((*p, histogram.at(*p)?))).collect();
    for (_, ms) in &marks {
        let x = place(*ms as f64);
        let _ = write!(svg, "<line class=\"mark\" x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"0\" y2=\"1000\"/>");
    }
    // Round times that lie in the chart; where that are many, whole powers of ten alone.
    let round = |unit: u64| (0..8).map(move |power| unit * 10u64.pow(power));
    let within = |ms: &u64| (edge(low)..edge(high + 1)).contains(&(*ms as f64));
    let mut marked: Vec<u64> = round(1).filter(within).collect();
    if marked.len() < 4 {
        marked.extend(round(3).filter(within));
        marked.sort_unstable();
    }
    let labels = marked.into_iter().map(|ms| (place(ms as f64), brief(ms)));
    let mut out = plot(&svg, &ticks, COUNTS, labels);
    out.push_str("<ul class=\"legend\">");
    for (percent, ms) in marks {
        let _ = write!(out, "<li><span class=\"name\">{percent} of 100 within</span> <b>{}</b></li>", seconds(ms));
    }
    out.push_str("</ul>");
    out
}

/// What is left over time (shares of a thousand), from the limit down, beside the even way down.
pub(super) fn burn(left: &[(u64, i128)], limit: u64) -> String {
    let lowest = left.iter().map(|(_, left)| *left).min().unwrap_or(0).min(0);
    let span = (i128::from(limit.max(1)) - lowest) as f64;
    let y = |amount: i128| HEIGHT * (i128::from(limit) - amount) as f64 / span;
    let mut line = String::new();
    for (at, amount) in left {
        let _ = write!(line, "{}{at} {:.1}", if line.is_empty() { "M" } else { "L" }, y(*amount));
    }
    let end = left.last().map_or(0, |(at, _)| *at);
    let zero = y(0);
    format!(
        "<svg class=\"burn\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"what was left over time\">\
         <line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{zero:.1}\" y2=\"{zero:.1}\"/>\
         <line class=\"even\" x1=\"0\" y1=\"0\" x2=\"1000\" y2=\"{zero:.1}\"/>\
         <path class=\"area\" d=\"{line}L{end} {zero:.1}L0 {zero:.1}Z\"/><path class=\"line\" d=\"{line}\"/></svg>"
    )
}

/// A bar as long as a share (0 to 1), in a table or a card.
pub(super) fn share(share: f64, class: &str) -> String {
    let width = (share.clamp(0.0, 1.0) * 1000.0).max(if share > 0.0 { 6.0 } else { 0.0 });
    format!(
        "<svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"1000\" height=\"10\"/><rect class=\"{class}\" width=\"{width:.0}\" height=\"10\"/></svg>"
    )
}

/// A drawing with a scale at its left and words below it.
fn plot(shapes: &str, ticks: &Ticks, tell: Tell, labels: impl Iterator<Item = (f64, String)>) -> String {
    let mut out = String::from("<div class=\"plot\"><div class=\"scale\" aria-hidden=\"true\">");
    let mut grid = String::new();
    for tick in ticks.iter() {
        let y = HEIGHT - ticks.height(tick);
        let _ = write!(out, "<span style=\"top:{:.1}%\">{}</span>", y / 10.0, (tell.mark)(tick, ticks.step));
        let _ = write!(grid, "<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
    }
    let _ = write!(
        out,
        "</div><svg class=\"drawing\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\">{grid}{shapes}</svg>\
         <div class=\"below\" aria-hidden=\"true\">"
    );
    for (x, text) in labels {
        // A word at an end leans inwards, so that it stays in the frame.
        let lean = if x < 60.0 {
            "start"
        } else if x > 940.0 {
            "end"
        } else {
            "mid"
        };
        let _ = write!(out, "<span class=\"{lean}\" style=\"left:{:.2}%\">{}</span>", x / 10.0, escape(&text));
    }
    out.push_str("</div></div>");
    out
}

/// At most six places of so many, the first and the last among them where there is room between.
fn spread(places: usize) -> impl Iterator<Item = usize> {
    let step = places.div_ceil(6).max(1);
    (0..places).step_by(step)
}

/// Round amounts on a scale from 0.
struct Ticks {
    step: u64,
    count: u64,
}

impl Ticks {
    /// Up to at least `highest`.
    fn to(highest: u64) -> Ticks {
        let rough = highest.div_ceil(4).max(1);
        let power = 10u64.pow(rough.ilog10());
        let step = [1, 2, 5, 10].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
        Ticks { step, count: highest.div_ceil(step).max(1) }
    }

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..=self.count).map(|n| n * self.step)
    }

    fn height(&self, amount: u64) -> f64 {
        HEIGHT * amount as f64 / (self.step * self.count) as f64
    }
}

/// A round time.
fn brief(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{} s", thousands(ms / 1000)) }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A stretch of time in few words.
pub(super) fn short(time: &str) -> String {
    if let Some((_, week)) = time.split_once("-W") {
        return format!("week {}", week.trim_start_matches('0'));
    }
    let (date, hour) = time.split_once('T').map_or((time, None), |(date, hour)| (date, Some(hour)));
    if let Some(hour) = hour {
        return hour.get(..5).unwrap_or(hour).to_owned();
    }
    day(date)
}

/// A day, hour or month in few words; anything else as it is.
pub(super) fn day(time: &str) -> String {
    told(time, false)
}

/// The same with its year.
pub(super) fn dated(time: &str) -> String {
    told(time, true)
}

fn told(time: &str, with_year: bool) -> String {
    let (date, hour) = time.split_once('T').map_or((time, None), |(date, hour)| (date, hour.get(..5)));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next().and_then(|m| m.parse::<usize>().ok()), parts.next());
    let (Some(year), Some(month)) = (year, month.and_then(|m| MONTHS.get(m.wrapping_sub(1)))) else {
        return time.to_owned();
    };
    let told = match day {
        Some(day) if with_year => format!("{} {month} {year}", day.trim_start_matches('0')),
        Some(day) => format!("{} {month}", day.trim_start_matches('0')),
        None => format!("{month} {year}"),
    };
    hour.map_or(told.clone(), |hour| format!("{told}, {hour}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_hold_the_highest() {
        for highest in [0, 1, 3, 4, 5, 99, 100, 101, 1_234_567, u64::MAX / 16] {
            let ticks = Ticks::to(highest);
            assert!(ticks.step * ticks.count >= highest, "{highest}");
            assert!((1..=5).contains(&ticks.count), "{highest}: {}", ticks.count);
            let first = ticks.step.to_string();
            assert!(matches!(first.as_bytes()[0], b'1' | b'2' | b'5'), "{first}");
            assert!(first[1..].chars().all(|c| c == '0'), "{first}");
        }
    }

    #[test]
    fn times_in_few_words() {
        let told = ["2026-10-05", "2026-10", "2026-W05", "2026-10-05T14:00Z"];
        assert_eq!(told.map(short), ["5 Oct", "Oct 2026", "week 5", "14:00"]);
        assert_eq!(day("2026-10-05T14:00Z"), "5 Oct, 14:00");
        assert_eq!(dated("2026-10-05T14:00Z"), "5 Oct 2026, 14:00");
        assert_eq!(dated("2026-W05"), "2026-W05");
    }
}
