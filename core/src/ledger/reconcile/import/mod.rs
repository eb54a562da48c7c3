//! Reports of vendors, read as they are downloaded. Which one a document is, is seen from its shape; a row that cannot be
//! read is left out and told with its number, the others count.
//!
//! What each form was checked against stands at the head of its file. None was checked against a live account.

mod anthropic;
mod cur;
mod focus;
mod huggingface;
mod meter;
mod openai;
mod openrouter;
mod table;

use serde_json::Value;
use serde_json::value::RawValue;

use super::vendor::{Format, Reader, VendorRow};
use crate::error::{Error, Result};

pub(super) use meter::{letters_and_numbers, plain_words};

/// A known form of JSON: what recognises a document, what reads it.
type Form = (fn(&Shape<'_>) -> bool, fn(&mut Reader, &Shape<'_>));

const FORMS: [Form; 5] = [
    (openai::fits, openai::read),
    (anthropic::fits, anthropic::read),
    (openrouter::is_activity, openrouter::read_activity),
    (openrouter::is_generation, openrouter::read_generation),
    (huggingface::fits, huggingface::read),
];

const KNOWN: &str = "costs or usage of OpenAI, usage or cost report of Anthropic, activity or generations of OpenRouter, usage \
                     by resource group of Hugging Face (JSON), AWS CUR 2.0, FOCUS 1.0 to 1.4, or OpenRouter's list of \
                     generations (CSV)";

/// A JSON document, opened as far as its form shows.
pub(super) struct Shape<'a> {
    /// The document's own fields.
    fields: Vec<(String, &'a RawValue)>,
    /// Elements of `data`, or `data` itself where it is one object.
    data: Vec<&'a RawValue>,
}

impl<'a> Shape<'a> {
    fn of(document: &'a RawValue) -> Option<Self> {
        let fields = object(document)?;
        let data = fields.iter().find(|(name, _)| name == "data").map(|(_, value)| *value);
        let data = match data {
            Some(data) => list(data).unwrap_or_else(|| vec![data]),
            // A single object, unwrapped.
            None => vec![document],
        };
        Some(Shape { fields, data })
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    fn value(&self, name: &str) -> Option<Value> {
        let (_, raw) = self.fields.iter().find(|(field, _)| field == name)?;
        serde_json::from_str(raw.get()).ok()
    }

    /// The first element, as far as it is an object.
    fn first(&self) -> Value {
        self.data.first().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null)
    }
}

fn object(raw: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    let fields: serde_json::Result<std::collections::BTreeMap<String, &RawValue>> = serde_json::from_str(raw.get());
    fields.ok().map(|fields| fields.into_iter().collect())
}

fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads one report.
///
/// # Errors
/// `invalid_request` for a document of no known form.
pub(super) fn read(file: u32, name: &str, bytes: &[u8], provider: Option<String>) -> Result<Reader> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader::new(file, provider);
    let fault = |why: &str| Error::invalid_request(format!("the report {name}: {why}")).with_param("files");
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace()).ok_or_else(|| fault("it is empty"))?;
    match first {
        b'{' | b'[' => documents(&mut reader, bytes),
        _ => table::read(&mut reader, bytes),
    }
    .map_err(|why| fault(&why))?;
    if reader.is_empty() {
        let first = reader.refused.first().map(|row| format!("; the first row refused: {}", row.reason));
        return Err(fault(&format!("no row of it could be read; known are {KNOWN}{}", first.unwrap_or_default())));
    }
    Ok(reader)
}

/// Reads JSON documents one after the other: pages, lists of pages, lines.
fn documents(reader: &mut Reader, bytes: &[u8]) -> std::result::Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("not UTF-8 text: {e}"))?;
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match document {
            Ok(document) => match list(document) {
                Some(many) => many.into_iter().for_each(|one| self::document(reader, one)),
                None => self::document(reader, document),
            },
            // What came before counts; where the next document begins cannot be known.
            Err(e) => {
                reader.next();
                reader.refuse(format!("not JSON from here on: {e}"));
                break;
            }
        }
    }
    Ok(())
}

fn document(reader: &mut Reader, document: &RawValue) {
    let form = Shape::of(document)
        .and_then(|shape| FORMS.iter().find(|(fits, _)| fits(&shape)).map(|(_, read)| (shape, read)));
    match form {
        Some((shape, read)) => read(reader, &shape),
        None => {
            reader.next();
            reader.refuse(format!("a document of no known form; known are {KNOWN}"));
        }
    }
}

/// Every result of every bucket, with the bucket's times by `times`; what cannot be read is refused. `take` reads one
/// result, which repeats another where one of the same bucket says the same.
fn buckets(
    reader: &mut Reader,
    shape: &Shape<'_>,
    times: fn(&Value) -> Option<(i64, i64)>,
    mut take: impl FnMut(&mut Reader, u64, (i64, i64), &Value) -> std::result::Result<(), String>,
) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for bucket in &shape.data {
        let fields = object(bucket).unwrap_or_default();
        let results = fields.iter().find(|(name, _)| name == "results").and_then(|(_, raw)| list(raw));
        let head: serde_json::Map<String, Value> = fields
            .iter()
            .filter(|(name, _)| name != "results")
            .filter_map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?)))
            .collect();
        let span = times(&Value::Object(head)).filter(|(from, until)| from < until);
        let (Some(results), Some(span)) = (results, span) else {
            reader.next();
            reader.refuse("a bucket without its times or its results");
            continue;
        };
        all.push(span);
        for result in results {
            let row = reader.next();
            if reader.repeats((span, result.get())) {
                continue;
            }
            let taken = serde_json::from_str(result.get())
                .map_err(|e| e.to_string())
                .and_then(|result| take(reader, row, span, &result));
            if let Err(why) = taken {
                reader.refuse(why);
            }
        }
    }
    all
}

/// Notes that buckets were about everything in their times, whatever was in them: one without results says that there was
/// nothing; of what, only its neighbours tell.
fn cover(reader: &mut Reader, usual: &str, format: Option<Format>, spans: Vec<(i64, i64)>) {
    let provider = reader.provider_or(usual);
    if let Some(format) = format.or_else(|| reader.formats.first().copied()) {
        spans.into_iter().for_each(|(from, until)| reader.cover(format, &provider, from, until));
    }
}

/// A moment as reports write it: RFC 3339, or a date with or without a time, in UTC. Milliseconds since 1970-01-01 UTC.
fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix(" UTC")).unwrap_or(text);
    let civil =
        text.parse::<jiff::civil::DateTime>().or_else(|_| text.parse::<jiff::civil::Date>().map(|d| d.at(0, 0, 0, 0)));
    let at = civil.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

/// Text at a field, where there is one.
fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Refuses what is not in US dollars: rates of exchange are not known here.
fn only_usd(currency: Option<&str>) -> std::result::Result<(), String> {
    match currency {
        Some(other) if !other.eq_ignore_ascii_case("usd") => Err(format!("amounts in {other} are not converted")),
        _ => Ok(()),
    }
}

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

#[cfg(test)]
mod tests;
