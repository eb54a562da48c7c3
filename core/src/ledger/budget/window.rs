//! From a moment to the part of time in which a budget counts.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span as Stretch, Timestamp};

use crate::catalog::nearest::did_you_mean;
use crate::types::{BudgetWindow, CalendarUnit};

const DAY_MS: u64 = 86_400_000;

/// A rolling window is counted in so many slices; one that lies partly in the window counts whole, so that no stretch of
/// the window's length ever holds more than the limit.
const SLICES: u64 = 64;

/// The time in which a limit holds.
#[derive(Debug, Clone)]
pub enum Window {
    /// All time.
    Total,
    /// The last milliseconds.
    Rolling(u64),
    /// The present day, week or month in a zone.
    Calendar(CalendarUnit, TimeZone),
}

/// Where a moment lies in a window. What is spent is summed by slot, a slot being named by its first moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The slot of the moment, milliseconds since 1970-01-01 UTC.
    pub slot: u64,
    /// The first slot that counts.
    pub since: u64,
    /// The first moment after the window; `None` where it ends with every moment, or never.
    pub until: Option<u64>,
}

impl Window {
    /// A window of the configuration.
    ///
    /// # Errors
    /// What is wrong with its time zone.
    pub fn new(config: &BudgetWindow) -> Result<Self, String> {
        Ok(match config {
            BudgetWindow::Total => Window::Total,
            BudgetWindow::Rolling(seconds) => Window::Rolling(seconds.get().saturating_mul(1000)),
            BudgetWindow::Calendar(unit, zone) => Window::Calendar(*unit, self::zone(zone.as_deref())?),
        })
    }

    /// Where a moment lies, milliseconds since 1970-01-01 UTC.
    pub fn span(&self, at_ms: u64) -> Span {
        match self {
            // By days, so that the sums of another window can be made of them.
            Window::Total => Span { slot: at_ms - at_ms % DAY_MS, since: 0, until: None },
            Window::Rolling(length) => {
                let slice = length.div_ceil(SLICES).max(1);
                let first = at_ms.saturating_sub(*length);
                Span { slot: at_ms - at_ms % slice, since: first - first % slice, until: None }
            }
            Window::Calendar(unit, zone) => {
                // A moment that no calendar holds is in a window of its own.
                let (slot, until) = calendar(*unit, zone, at_ms).unwrap_or((at_ms, at_ms));
                Span { slot, since: slot, until: Some(until) }
            }
        }
    }

    /// What the slots follow from, as text.
    pub fn form(&self) -> String {
        match self {
            Window::Total => "total".to_owned(),
            Window::Rolling(length) => format!("rolling {length}"),
            Window::Calendar(unit, zone) => format!("{unit:?} {}", zone.iana_name().unwrap_or("UTC")),
        }
    }

    /// The first moment of the window that a moment lies in; `None` for all time.
    pub fn begins(&self, at_ms: u64) -> Option<u64> {
        (!matches!(self, Window::Total)).then(|| self.span(at_ms).since)
    }
}

/// The zone of a name: as the system's own files say, else as they said when this library was built.
pub(in crate::ledger) fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    let database = jiff::tz::db();
    database.get(name).map_err(|_| {
        let known: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
        let near = did_you_mean(name, known.iter().map(String::as_str));
        format!("there is no time zone `{name}`{near}; write an IANA name like `Europe/Berlin`")
    })
}

/// First moment of the day, week or month of a moment, and of the next.
fn calendar(unit: CalendarUnit, zone: &TimeZone, at_ms: u64) -> Option<(u64, u64)> {
    let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
    let today = zone.to_datetime(at).date();
    let (first, length) = match unit {
        CalendarUnit::Day => (today, Stretch::new().days(1)),
        CalendarUnit::Week => {
            let since_monday = i64::from(today.weekday().since(Weekday::Monday));
            (today.checked_sub(Stretch::new().days(since_monday)).ok()?, Stretch::new().weeks(1))
        }
        CalendarUnit::Month => (today.first_of_month(), Stretch::new().months(1)),
    };
    let next = first.checked_add(length).ok()?;
    // Where a day begins later than at midnight, because clocks were put forward, it is its first moment that counts.
    let begins = |date: Date| {
        let ms = date.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        u64::try_from(ms).ok()
    };
    Some((begins(first)?, begins(next)?))
}
