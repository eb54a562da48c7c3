//! What a question names: the one place that says which names there are, what they mean and which values they take. Every
//! store translates [`Column`]s; none reads a name.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::budget;
use super::groups::Booked;
use super::sums::Sums;
use crate::catalog::did_you_mean;
use crate::error::{Error, KINDS, Result};
use crate::types::{
    AttemptKind, Confidence, Correction, ErrorKind, Outcome, Purpose, UsageQuery, UsageReport, UsageRow,
};

/// Puts a name before what else would not be taken as a tag.
const TAG: &str = "tag:";

/// What attempts can be told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Column {
    /// Provider id.
    Provider,
    /// Model as asked for.
    Model,
    /// Model as sent.
    ModelSent,
    /// Model as the answer names it: `model_served`, else, of an attempt that answered, `model_sent`.
    ModelServed,
    /// Who served behind the provider.
    ServedBy,
    /// Provider id and model as sent.
    Endpoint,
    /// Name of the key.
    Key,
    /// What it was made for.
    Purpose,
    /// Why it was made.
    Kind,
    /// How it ended.
    Outcome,
    /// Kind of failure.
    Error,
    /// How sure its cost is.
    Confidence,
    /// The call or fusion it belongs to.
    Run,
    /// When it began.
    Time(Bucket),
    /// The caller's label of this name.
    Tag(String),
}

/// Stretches of time. All time zones in use differ from UTC by whole quarters of an hour, so that a store may add up by
/// those and leave the rest to [`Question::bucket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// `2026-10-05T14:00Z`, or with the zone's offset.
    Hour,
    /// `2026-10-05`.
    Day,
    /// `2026-W41`: weeks of ISO 8601, which begin on Monday.
    Week,
    /// `2026-10`.
    Month,
}

/// Names of everything but tags.
const NAMES: &[(&str, Column)] = &[
    ("provider", Column::Provider),
    ("model", Column::Model),
    ("model_sent", Column::ModelSent),
    ("model_served", Column::ModelServed),
    ("served_by", Column::ServedBy),
    ("endpoint", Column::Endpoint),
    ("key", Column::Key),
    ("purpose", Column::Purpose),
    ("kind", Column::Kind),
    ("outcome", Column::Outcome),
    ("error", Column::Error),
    ("confidence", Column::Confidence),
    ("run_id", Column::Run),
    ("hour", Column::Time(Bucket::Hour)),
    ("day", Column::Time(Bucket::Day)),
    ("week", Column::Time(Bucket::Week)),
    ("month", Column::Time(Bucket::Month)),
];

/// Of an attempt that begins a call, in place of a kind.
const FIRST: &str = "first";
/// Of a kept answer that is given again.
const KEPT: &str = "kept";

impl Column {
    /// The column of a name.
    fn named(name: &str) -> Column {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| Column::Tag(name.strip_prefix(TAG).unwrap_or(name).to_owned()), |(_, c)| c.clone())
    }

    /// Every value that it can have, where that is known.
    fn words(&self) -> Option<Vec<String>> {
        use AttemptKind as K;
        use Confidence as C;
        use Outcome as O;
        use Purpose as P;
        Some(match self {
            Column::Purpose => all([P::Chat, P::Member, P::Judge, P::Synthesis, P::Debate, P::Embedding]),
            Column::Outcome => all([O::Ok, O::Failed, O::Interrupted, O::Cancelled]),
            Column::Confidence => all([C::Reported, C::Estimated, C::Unknown]),
            Column::Error => KINDS.iter().map(|kind| kind.name.to_owned()).collect(),
            Column::Kind => {
                let mut words = all([K::Retry, K::Fallback, K::Key, K::Hedge, K::Probe]);
                words.extend([FIRST.to_owned(), KEPT.to_owned()]);
                words
            }
            _ => return None,
        })
    }

    /// Whether it can have this value.
    fn takes(&self, value: &str) -> bool {
        match self {
            Column::Purpose => is::<Purpose>(value),
            Column::Outcome => is::<Outcome>(value),
            Column::Confidence => is::<Confidence>(value),
            Column::Error => is::<ErrorKind>(value),
            Column::Kind => value == FIRST || value == KEPT || is::<AttemptKind>(value),
            _ => true,
        }
    }
}

fn all<T: Serialize>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| word(value).into_owned()).collect()
}

fn is<T: DeserializeOwned>(value: &str) -> bool {
    serde_json::from_value::<T>(value.into()).is_ok()
}

/// Name of a serde enum's value.
pub(super) fn word(value: impl Serialize) -> Cow<'static, str> {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default().into()
}

/// A question, understood.
#[derive(Debug, Clone)]
pub struct Question {
    names: Vec<String>,
    /// What to group by.
    pub by: Vec<Column>,
    /// What attempts must have.
    pub filter: Vec<(Column, String)>,
    /// From this moment on, milliseconds since 1970-01-01 UTC.
    pub since_ms: Option<u64>,
    /// Before this moment.
    pub until_ms: Option<u64>,
    /// Whose days are meant.
    pub zone: TimeZone,
    /// Whether latencies are asked for.
    pub latencies: bool,
}

impl Question {
    /// Understands a question.
    ///
    /// # Errors
    /// `invalid_request` for an empty name or one given twice, a value that a name never has, an unknown time zone, and for
    /// times as text: a store has no clock (see [`resolve`]).
    pub fn new(query: &UsageQuery) -> Result<Question> {
        for (name, text) in [("since", &query.since), ("until", &query.until)] {
            if text.is_some() {
                let message = format!("`{name}`: a store takes times as milliseconds; give `{name}_ms`");
                return Err(Error::invalid_request(message).with_param(name));
            }
        }
        let mut by = Vec::with_capacity(query.by.len());
        for name in &query.by {
            let column = named(name, "by")?;
            if by.contains(&column) {
                return Err(Error::invalid_request(format!("`by` names `{name}` twice")).with_param("by"));
            }
            by.push(column);
        }
        let mut filter = Vec::with_capacity(query.filter.len());
        for (name, value) in &query.filter {
            let column = named(name, "where")?;
            if !column.takes(value) {
                let words = column.words().unwrap_or_default();
                let near = did_you_mean(value, words.iter().map(String::as_str));
                let message = format!("`where`: no {name} is `{value}`{near}; there are {}", words.join(", "));
                return Err(Error::invalid_request(message).with_param("where"));
            }
            filter.push((column, value.clone()));
        }
        Ok(Question {
            names: query.by.clone(),
            by,
            filter,
            since_ms: query.since_ms,
            until_ms: query.until_ms,
            zone: zone(query.time_zone.as_deref())?,
            latencies: query.latencies,
        })
    }

    /// Whether it asks for a stretch of time, or tells attempts apart by time.
    pub fn timed(&self) -> bool {
        let named = self.by.iter().chain(self.filter.iter().map(|(column, _)| column));
        self.since_ms.is_some()
            || self.until_ms.is_some()
            || named.into_iter().any(|column| matches!(column, Column::Time(_) | Column::Run))
    }

    /// Whether it is about this attempt.
    pub fn chooses(&self, booked: &dyn Booked) -> bool {
        let at_ms = booked.at_ms();
        let since = self.since_ms.is_none_or(|since| at_ms.is_some_and(|at| at >= since));
        let until = self.until_ms.is_none_or(|until| at_ms.is_some_and(|at| at < until));
        since && until && self.filter.iter().all(|(column, want)| self.value(column, booked).as_deref() == Some(want))
    }

    /// An attempt's value of a column.
    pub fn value<'a>(&self, column: &Column, booked: &'a dyn Booked) -> Option<Cow<'a, str>> {
        let rest = booked.rest();
        let text = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        match column {
            Column::Provider => Some(Cow::Borrowed(booked.provider())),
            Column::Model => Some(Cow::Borrowed(booked.model())),
            Column::ModelSent => Some(Cow::Borrowed(booked.model_sent())),
            // Told only where it is not the model that was sent.
            Column::ModelServed => {
                let sent = || (rest.outcome == Outcome::Ok).then(|| Cow::Borrowed(booked.model_sent()));
                text(&rest.model_served).or_else(sent)
            }
            Column::ServedBy => text(&rest.served_by),
            Column::Endpoint => Some(Cow::Owned(format!("{}/{}", booked.provider(), booked.model_sent()))),
            Column::Key => text(&rest.key),
            Column::Purpose => Some(word(rest.purpose)),
            Column::Kind if rest.cached => Some(Cow::Borrowed(KEPT)),
            Column::Kind => Some(rest.kind.map_or(Cow::Borrowed(FIRST), word)),
            Column::Outcome => Some(word(rest.outcome)),
            Column::Error => rest.error.map(|kind| Cow::Borrowed(kind.as_str())),
            Column::Confidence => Some(word(rest.confidence)),
            Column::Run => booked.run_id(),
            Column::Time(bucket) => self.bucket(*bucket, booked.at_ms()?).map(Cow::Owned),
            Column::Tag(name) => rest.tags.get(name).map(|value| Cow::Borrowed(value.as_str())),
        }
    }

    /// Whether it groups or filters by such a column.
    pub fn names(&self, such: impl Fn(&Column) -> bool) -> bool {
        self.by.iter().chain(self.filter.iter().map(|(column, _)| column)).any(such)
    }

    /// Whether it is about this correction.
    pub fn corrects(&self, correction: &Correction) -> bool {
        let since = self.since_ms.is_none_or(|since| correction.at_ms >= since);
        let until = self.until_ms.is_none_or(|until| correction.at_ms < until);
        let filter =
            || self.filter.iter().all(|(column, want)| self.value_of(column, correction).as_ref() == Some(want));
        since && until && filter()
    }

    /// A correction's value of a column; of what it does not know it has none.
    pub fn value_of(&self, column: &Column, correction: &Correction) -> Option<String> {
        match column {
            Column::Provider => Some(correction.provider.clone()),
            Column::Model => correction.model.clone(),
            Column::Key => correction.key.clone(),
            Column::Time(bucket) => self.bucket(*bucket, correction.at_ms),
            Column::Tag(name) => correction.tags.get(name).cloned(),
            _ => None,
        }
    }

    /// The stretch of time that a moment lies in; `None` for one that no calendar holds.
    pub fn bucket(&self, bucket: Bucket, at_ms: u64) -> Option<String> {
        let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?.to_zoned(self.zone.clone());
        let (year, month, day, hour) = (at.year(), at.month(), at.day(), at.hour());
        Some(match bucket {
            Bucket::Month => format!("{year:04}-{month:02}"),
            Bucket::Day => format!("{year:04}-{month:02}-{day:02}"),
            Bucket::Week => {
                let week = at.date().iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Bucket::Hour => {
                let minutes = at.offset().seconds() / 60;
                let (sign, off) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
                let zone = if minutes == 0 { "Z".to_owned() } else { format!("{sign}{:02}:{:02}", off / 60, off % 60) };
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:00{zone}")
            }
        })
    }

    /// The report of groups, each with its values in the order of `by`.
    pub fn report(&self, mut groups: Vec<(Vec<Option<String>>, Sums)>, complete: bool) -> UsageReport {
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut total = Sums::default();
        groups.iter().for_each(|(_, sums)| total.add(sums));
        let hints = self.hints(&groups);
        let row = |(values, sums): (Vec<Option<String>>, Sums)| UsageRow {
            group: self.names.iter().cloned().zip(values).collect(),
            ..sums.row()
        };
        UsageReport {
            by: self.names.clone(),
            rows: groups.into_iter().map(row).collect(),
            total: total.row(),
            complete,
            hints,
        }
    }

    /// Names taken for tags that nothing has and that are nearly something else.
    fn hints(&self, groups: &[(Vec<Option<String>>, Sums)]) -> Vec<String> {
        let nothing = |at: usize| groups.iter().all(|(values, _)| values.get(at).is_none_or(Option::is_none));
        let asked = self.by.iter().enumerate().filter(|(at, _)| nothing(*at)).map(|(_, column)| column);
        let wanted = self.filter.iter().filter(|_| groups.is_empty()).map(|(column, _)| column);
        let mut hints = Vec::new();
        for column in asked.chain(wanted) {
            let Column::Tag(name) = column else { continue };
            let near = did_you_mean(name, NAMES.iter().map(|(known, _)| *known));
            if !near.is_empty() {
                hints.push(format!("no attempt has a tag `{name}`{near}"));
            }
        }
        hints
    }
}

fn named(name: &str, field: &str) -> Result<Column> {
    if name.strip_prefix(TAG).unwrap_or(name).trim().is_empty() {
        return Err(Error::invalid_request(format!("`{field}`: a name is empty")).with_param(field));
    }
    Ok(Column::named(name))
}

/// The time zone of a name; UTC without one.
///
/// # Errors
/// `invalid_request` for a name that the system's database does not have.
pub fn zone(name: Option<&str>) -> Result<TimeZone> {
    budget::zone(name).map_err(|why| Error::invalid_request(format!("`time_zone`: {why}")).with_param("time_zone"))
}

/// A question with its times as milliseconds; `now_ms` is what "7d" counts back from.
///
/// # Errors
/// `invalid_request` for a text that is no time, and for a time that is given in both forms.
pub fn resolve(mut query: UsageQuery, now_ms: u64) -> Result<UsageQuery> {
    let zone = zone(query.time_zone.as_deref())?;
    for (name, text, ms) in
        [("since", query.since.take(), &mut query.since_ms), ("until", query.until.take(), &mut query.until_ms)]
    {
        let Some(text) = text else { continue };
        if ms.is_some() {
            let message = format!("both `{name}` and `{name}_ms` are given; give one");
            return Err(Error::invalid_request(message).with_param(name));
        }
        let wrong = || {
            let forms = "a date like 2026-10-01, a time like 2026-10-01T16:30 or 2026-10-01T16:30+02:00, or how long ago \
                         like 90m, 24h, 7d, 4w";
            Error::invalid_request(format!("`{name}`: `{text}` is neither {forms}")).with_param(name)
        };
        *ms = Some(moment(text.trim(), now_ms, &zone).ok_or_else(wrong)?);
    }
    Ok(query)
}

fn moment(text: &str, now_ms: u64, zone: &TimeZone) -> Option<u64> {
    if let Some((at, unit)) = text.char_indices().next_back() {
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => 0,
        };
        if minutes > 0 {
            let ago = text[..at].parse::<u64>().ok()?.checked_mul(minutes * 60_000)?;
            return Some(now_ms.saturating_sub(ago));
        }
    }
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if text.contains([':', 'T']) {
        text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp()
    } else {
        text.parse::<Date>().ok()?.to_zoned(zone.clone()).ok()?.timestamp()
    };
    // Nothing is booked before 1970.
    Some(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
