//! An evaluation as text for a terminal: what each contender has right, costs and takes, how it stands beside the best single
//! model, and what to use. Names are shown without control characters.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::money::usd;
use crate::types::{Against, Contender, Evaluation};

const MIN_WIDTH: usize = 40;
/// Columns of an interval that is drawn.
const DRAWN: usize = 25;
/// Columns of the figures beside a name, without the drawing.
const FIGURES: usize = 64;
/// A name may take so many.
const NAME: usize = 32;

impl Evaluation {
    /// Tables of all contenders and the recommendation, for a terminal of `width` columns (at least 40), with ANSI colours if
    /// `color`. Intervals are drawn where there is room.
    pub fn to_text(&self, width: usize, color: bool) -> String {
        let ink = |code: &str, text: &str| {
            if color && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let width = width.max(MIN_WIDTH);
        let names: Vec<String> = self.contenders.iter().map(name).collect();
        let widest = names.iter().map(|n| n.width()).max().unwrap_or(0);
        let column = widest.clamp(9, NAME).min(width.saturating_sub(FIGURES).max(12));
        let drawn = width >= column + FIGURES + DRAWN + 2;
        let mut out = String::new();

        let scale = if drawn { format!("  {:<DRAWN$}", "0          50         100") } else { String::new() };
        let head = format!(
            "{:column$}  {:>7}{scale}  {:>15}  {:>11}  {:>7}  {:>7}  {:>5}",
            "", "right", "95 % interval", "USD/item", "p50", "p95", "calls"
        );
        let _ = writeln!(out, "{}", ink("2", head.trim_end()));
        for (c, name) in self.contenders.iter().zip(&names) {
            let best = Some(&c.name) == self.best_single.as_ref();
            let padded = padded(name, column);
            let drawing = if drawn { format!("  {}", drawing(c)) } else { String::new() };
            let _ = writeln!(
                out,
                "{}  {:>5.1} %{drawing}  {:>15}  {:>11}  {:>7}  {:>7}  {:>5.2}",
                if best { ink("1", &padded) } else { padded },
                c.accuracy,
                format!("{:.1} to {:.1}", c.low, c.high),
                cost_per_item(c, self.counted),
                seconds(c.p50_ms),
                seconds(c.p95_ms),
                c.calls,
            );
        }

        if let Some(best) = &self.best_single {
            let _ = writeln!(out, "\n{}", ink("2", &format!("beside the best single model, {}", clean(best))));
            for (c, name) in self.contenders.iter().zip(&names) {
                let Some(against) = &c.against else { continue };
                let code = if against.low > 0.0 {
                    "32"
                } else if against.high < 0.0 {
                    "31"
                } else {
                    ""
                };
                let _ = writeln!(out, "{}  {}", padded(name, column), ink(code, &beside(against)));
            }
        }

        let _ = writeln!(
            out,
            "\n{} of {} items. At least one single model has {:.1} % right, {:.1} points above the best of them. Spent: {} USD{}.",
            self.counted,
            self.planned,
            self.oracle,
            self.headroom,
            usd(self.spent_nanos),
            if self.unknown_calls > 0 {
                format!(", and {} calls of unknown cost", self.unknown_calls)
            } else {
                String::new()
            }
        );
        if let Some(why) = &self.stopped {
            let _ = writeln!(out, "{}", ink("33", &format!("stopped: {}", clean(why))));
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "{}", ink("33", &format!("warning: {}", clean(warning))));
        }
        let _ = writeln!(out, "\n{}", ink("1", &clean(&self.recommendation)));
        out
    }

    /// One HTML page that needs nothing else: no script, no font, no network; light and dark.
    pub fn to_html(&self) -> String {
        super::html::page(self)
    }
}

/// A contender's name, with the mode of a fusion.
fn name(c: &Contender) -> String {
    match c.mode {
        Some(mode) if mode.as_str() != c.name => format!("{} ({})", clean(&c.name), mode.as_str()),
        _ => clean(&c.name),
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Exactly so many columns: filled up, or cut with an ellipsis.
fn padded(text: &str, columns: usize) -> String {
    let wide = text.width();
    if wide <= columns {
        return format!("{text}{}", " ".repeat(columns - wide));
    }
    let (mut cut, mut used) = (String::new(), 0);
    for c in text.chars() {
        let own = c.width().unwrap_or(0);
        if used + own + 1 > columns {
            break;
        }
        cut.push(c);
        used += own;
    }
    format!("{cut}…{}", " ".repeat(columns - used - 1))
}

/// The interval and its middle on a line from 0 to 100 %.
fn drawing(c: &Contender) -> String {
    let at = |percent: f64| (percent / 100.0 * (DRAWN - 1) as f64).round() as usize;
    let (low, middle, high) = (at(c.low), at(c.accuracy), at(c.high));
    let mark = |i: usize| match i {
        _ if i == middle => '●',
        _ if (low..=high).contains(&i) => '━',
        _ => '·',
    };
    (0..DRAWN).map(mark).collect()
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

/// A time in seconds, with three digits that say something.
pub(super) fn seconds(ms: u64) -> String {
    let seconds = ms as f64 / 1000.0;
    match ms {
        0..10_000 => format!("{seconds:.2} s"),
        10_000..100_000 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// Difference, wins, losses and ties beside the best single model.
pub(super) fn beside(a: &Against) -> String {
    let p = if a.p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {:.3}", a.p) };
    format!(
        "{:+.1} points ({:+.1} to {:+.1}): {} won, {} lost, {} alike, {p}",
        a.difference, a.low, a.high, a.wins, a.losses, a.ties
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FusionMode;

    fn found() -> Evaluation {
        let against = Against { wins: 9, losses: 1, ties: 30, difference: 20.0, low: 5.1, high: 34.9, p: 0.021 };
        let fusion = Contender {
            name: "three".to_owned(),
            mode: Some(FusionMode::Vote),
            accuracy: 90.0,
            low: 76.9,
            high: 96.0,
            cost_nanos: 40_000,
            p50_ms: 1234,
            p95_ms: 23_456,
            calls: 2.5,
            against: Some(against),
            ..Default::default()
        };
        let single = Contender {
            name: "vendor/a-model-whose-name-is-long\u{1b}[31m".to_owned(),
            accuracy: 70.0,
            low: 54.6,
            high: 81.9,
            unknown_calls: 40,
            calls: 1.0,
            ..Default::default()
        };
        Evaluation {
            planned: 41,
            counted: 40,
            best_single: Some(single.name.clone()),
            contenders: vec![fusion, single],
            recommendation: "use three".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn rows_stand_under_their_heads_at_every_width() {
        for width in [0, 80, 100, 140] {
            let text = found().to_text(width, false);
            let rows: Vec<&str> = text.lines().take(3).collect();
            assert!(rows.iter().all(|row| row.width() == rows[0].width()), "{width}\n{text}");
            assert!(width < 80 || rows[0].width() <= width, "{width}\n{text}");
            assert_eq!(text.contains('●'), width == 140, "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn it_tells_what_people_ask() {
        let text = found().to_text(120, false);
        assert!(text.contains("three (vote)"), "{text}");
        assert!(text.contains("0.000001") && text.contains("  ?  "), "{text}");
        assert!(text.contains("1.23 s") && text.contains("23.5 s"), "{text}");
        assert!(text.contains("+20.0 points (+5.1 to +34.9): 9 won, 1 lost, 30 alike, p = 0.021"), "{text}");
        assert!(text.trim_end().ends_with("use three"), "{text}");
        assert!(found().to_text(120, true).contains("\u{1b}[32m+20.0"));
    }
}
