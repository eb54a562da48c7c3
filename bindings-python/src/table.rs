//! Sums and records as columns: handed to Python as lists, or to any reader of Arrow through the Arrow PyCapsule interface.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Decimal128Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use interfuse::Error;
use interfuse::host::{Batch, EventStream};
use interfuse::types::{LedgerRecord, UsageReport, UsageRow};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use serde::Serialize;

use crate::convert::from_python;

/// Records in one batch.
const ROWS: usize = 1024;

/// The cells of a column, each of which may hold nothing.
#[derive(Clone)]
enum Cells {
    Text(Vec<Option<String>>),
    Integer(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
    /// Milliseconds since 1970-01-01 UTC.
    Time(Vec<Option<i64>>),
    /// Nano-USD, shown as USD with nine decimals.
    Usd(Vec<Option<i64>>),
}

/// Decimals of an amount in USD, and digits in all.
const USD: (u8, i8) = (38, 9);

impl Cells {
    fn kind(&self) -> DataType {
        match self {
            Cells::Text(_) => DataType::Utf8,
            Cells::Integer(_) => DataType::Int64,
            Cells::Flag(_) => DataType::Boolean,
            Cells::Time(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Cells::Usd(_) => DataType::Decimal128(USD.0, USD.1),
        }
    }

    fn array(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Cells::Text(cells) => {
                let mut array = StringBuilder::new();
                cells.iter().for_each(|cell| array.append_option(cell.as_deref()));
                Arc::new(array.finish())
            }
            Cells::Integer(cells) => {
                let mut array = Int64Builder::with_capacity(cells.len());
                cells.into_iter().for_each(|cell| array.append_option(cell));
                Arc::new(array.finish())
            }
            Cells::Flag(cells) => {
                let mut array = BooleanBuilder::with_capacity(cells.len());
                cells.into_iter().for_each(|cell| array.append_option(cell));
                Arc::new(array.finish())
            }
            Cells::Time(cells) => {
                let mut array = TimestampMillisecondBuilder::with_capacity(cells.len()).with_timezone("UTC");
                cells.into_iter().for_each(|cell| array.append_option(cell));
                Arc::new(array.finish())
            }
            Cells::Usd(cells) => {
                let array = Decimal128Builder::with_capacity(cells.len());
                let mut array = array.with_precision_and_scale(USD.0, USD.1)?;
                cells.into_iter().for_each(|cell| array.append_option(cell.map(i128::from)));
                Arc::new(array.finish())
            }
        })
    }

    /// What Python calls it, and its cells as a list.
    fn list(self, py: Python<'_>) -> PyResult<(&'static str, Bound<'_, PyAny>)> {
        Ok(match self {
            Cells::Text(cells) => ("text", cells.into_pyobject(py)?),
            Cells::Integer(cells) => ("integer", cells.into_pyobject(py)?),
            Cells::Flag(cells) => ("flag", cells.into_pyobject(py)?),
            Cells::Time(cells) => ("time", cells.into_pyobject(py)?),
            Cells::Usd(cells) => ("usd", cells.into_pyobject(py)?),
        })
    }
}

type Columns = Vec<(String, Cells)>;

/// A count as Arrow has it.
fn int(number: u64) -> Option<i64> {
    Some(i64::try_from(number).unwrap_or(i64::MAX))
}

type Figure = (&'static str, fn(&UsageRow) -> Option<i64>);

const FIGURES: &[Figure] = &[
    ("calls", |r| int(r.calls)),
    ("attempts", |r| int(r.attempts)),
    ("failed", |r| int(r.failed)),
    ("prompt_tokens", |r| int(r.prompt_tokens)),
    ("completion_tokens", |r| int(r.completion_tokens)),
    ("cached_tokens", |r| int(r.cached_tokens)),
    ("reasoning_tokens", |r| int(r.reasoning_tokens)),
    ("cost_nanos", |r| int(r.cost_nanos)),
    ("waste_nanos", |r| int(r.waste_nanos)),
    ("estimated_nanos", |r| int(r.estimated_nanos)),
    ("cost_unknown", |r| int(r.cost_unknown)),
];

const LATENCIES: &[Figure] = &[
    ("latency_p50_ms", |r| r.latency_p50_ms.and_then(int)),
    ("latency_p95_ms", |r| r.latency_p95_ms.and_then(int)),
    ("ttft_p50_ms", |r| r.ttft_p50_ms.and_then(int)),
];

fn sums(report: &UsageReport) -> Columns {
    let rows = &report.rows;
    let value = |name: &String| rows.iter().map(|row| row.group.get(name).cloned().flatten()).collect();
    let mut columns: Columns = report.by.iter().map(|name| (name.clone(), Cells::Text(value(name)))).collect();
    columns.push(("cost_usd".to_owned(), Cells::Usd(rows.iter().map(|row| int(row.cost_nanos)).collect())));
    let corrected = rows.iter().map(|row| Some(row.corrections_nanos)).collect();
    columns.push(("corrections_nanos".to_owned(), Cells::Integer(corrected)));
    let timed = rows.iter().any(|row| row.latency_p50_ms.is_some() || row.ttft_p50_ms.is_some());
    let figures = FIGURES.iter().chain(if timed { LATENCIES } else { &[] });
    columns
        .extend(figures.map(|(name, figure)| ((*name).to_owned(), Cells::Integer(rows.iter().map(figure).collect()))));
    columns
}

/// Name of a serde enum's value.
fn word(value: impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned))
}

/// JSON text of what has an inside; nothing where there is none.
fn inside(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok().filter(|text| !matches!(text.as_str(), "{}" | "[]" | "null"))
}

fn records(records: &[LedgerRecord]) -> Columns {
    type R = LedgerRecord;
    let text =
        |name: &str, of: fn(&R) -> Option<String>| (name.to_owned(), Cells::Text(records.iter().map(of).collect()));
    let number =
        |name: &str, of: fn(&R) -> Option<i64>| (name.to_owned(), Cells::Integer(records.iter().map(of).collect()));
    vec![
        text("id", |r| Some(r.id.clone())),
        text("run_id", |r| Some(r.run_id.clone())),
        text("parent", |r| r.parent.clone()),
        ("at".to_owned(), Cells::Time(records.iter().map(|r| int(r.at_ms)).collect())),
        text("purpose", |r| word(r.purpose)),
        text("provider", |r| Some(r.provider.clone())),
        text("model", |r| Some(r.model.clone())),
        text("model_sent", |r| Some(r.model_sent.clone())),
        text("model_served", |r| r.model_served.clone()),
        text("served_by", |r| r.served_by.clone()),
        text("key", |r| r.key.clone()),
        text("request_id", |r| r.request_id.clone()),
        text("response_id", |r| r.response_id.clone()),
        number("attempt", |r| int(r.attempt.into())),
        text("kind", |r| r.kind.and_then(word)),
        text("outcome", |r| word(r.outcome)),
        text("error", |r| r.error.map(|kind| kind.to_string())),
        number("prompt_tokens", |r| int(r.usage.as_ref()?.prompt_tokens)),
        number("completion_tokens", |r| int(r.usage.as_ref()?.completion_tokens)),
        number("cached_tokens", |r| int(r.usage.as_ref()?.cached_tokens()?)),
        number("reasoning_tokens", |r| int(r.usage.as_ref()?.reasoning_tokens()?)),
        ("cost_usd".to_owned(), Cells::Usd(records.iter().map(|r| r.cost_nanos.and_then(int)).collect())),
        number("cost_nanos", |r| r.cost_nanos.and_then(int)),
        text("cost_source", |r| r.cost_source.and_then(word)),
        text("confidence", |r| word(r.confidence)),
        number("computed_nanos", |r| r.computed_nanos.and_then(int)),
        text("price", |r| r.price.as_ref().map(|price| price.id.clone())),
        number("latency_ms", |r| int(r.latency_ms)),
        number("ttft_ms", |r| r.ttft_ms.and_then(int)),
        ("cached".to_owned(), Cells::Flag(records.iter().map(|r| Some(r.cached)).collect())),
        text("units", |r| inside(&r.units)),
        text("flags", |r| inside(&r.flags)),
        text("tags", |r| inside(&r.tags)),
    ]
}

fn schema(columns: &Columns) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|(name, cells)| Field::new(name, cells.kind(), true)).collect();
    Arc::new(Schema::new(fields))
}

fn batch(columns: Columns) -> Result<RecordBatch, ArrowError> {
    let schema = schema(&columns);
    let arrays = columns.into_iter().map(|(_, cells)| cells.array()).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, arrays)
}

/// Records of a ledger, so many at a time.
struct Chunks {
    stream: EventStream<LedgerRecord>,
    ahead: Vec<LedgerRecord>,
    ended: bool,
}

impl Chunks {
    fn fill(&mut self) -> Result<Vec<LedgerRecord>, Error> {
        while self.ahead.len() < ROWS && !self.ended {
            match self.stream.next_batch(None, ROWS) {
                Batch::Items(items) => self.ahead.extend(items),
                Batch::End => self.ended = true,
                Batch::Err(error) => return Err(error),
                Batch::NotReady => {}
            }
        }
        let rest = self.ahead.split_off(self.ahead.len().min(ROWS));
        Ok(std::mem::replace(&mut self.ahead, rest))
    }
}

impl Iterator for Chunks {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(chunk) if chunk.is_empty() => None,
            Ok(chunk) => Some(batch(records(&chunk))),
            Err(error) => Some(Err(ArrowError::ExternalError(error.to_string().into()))),
        }
    }
}

fn stream(py: Python<'_>, reader: Box<dyn RecordBatchReader + Send>) -> PyResult<Bound<'_, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), c"arrow_array_stream")
}

fn broken(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(format!("a table cannot be made: {error}; please report this defect"))
}

/// Sums as a stream of one batch, in a capsule.
#[pyfunction]
pub fn usage_arrow<'py>(py: Python<'py>, report: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyCapsule>> {
    let batch = batch(sums(&from_python("usage report", report)?)).map_err(broken)?;
    let schema = batch.schema();
    stream(py, Box::new(RecordBatchIterator::new([Ok(batch)], schema)))
}

/// Sums as names, kinds and lists of values.
#[pyfunction]
pub fn usage_columns<'py>(
    py: Python<'py>,
    report: &Bound<'py, PyAny>,
) -> PyResult<Vec<(String, &'static str, Bound<'py, PyAny>)>> {
    lists(py, sums(&from_python("usage report", report)?))
}

fn lists(py: Python<'_>, columns: Columns) -> PyResult<Vec<(String, &'static str, Bound<'_, PyAny>)>> {
    let list = |(name, cells): (String, Cells)| cells.list(py).map(|(kind, list)| (name, kind, list));
    columns.into_iter().map(list).collect()
}

/// The schema of sums, in a capsule.
#[pyfunction]
pub fn usage_schema<'py>(py: Python<'py>, report: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyCapsule>> {
    schema_capsule(py, &sums(&from_python("usage report", report)?))
}

/// The schema of records, in a capsule.
#[pyfunction]
pub fn records_schema(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    schema_capsule(py, &records(&[]))
}

fn schema_capsule<'py>(py: Python<'py>, columns: &Columns) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(&*schema(columns)).map_err(broken)?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// Records as a stream of batches, in a capsule; they are read as they are asked for.
pub fn records_arrow(py: Python<'_>, events: EventStream<LedgerRecord>) -> PyResult<Bound<'_, PyCapsule>> {
    let chunks = Chunks { stream: events, ahead: Vec::new(), ended: false };
    stream(py, Box::new(RecordBatchIterator::new(chunks, schema(&records(&[])))))
}

/// Records as names, kinds and lists of values.
pub fn records_columns(
    py: Python<'_>,
    events: EventStream<LedgerRecord>,
) -> PyResult<Vec<(String, &'static str, Bound<'_, PyAny>)>> {
    let mut chunks = Chunks { stream: events, ahead: Vec::new(), ended: false };
    let all = py.detach(|| {
        let mut all = Vec::new();
        loop {
            match chunks.fill() {
                Ok(chunk) if chunk.is_empty() => return Ok(all),
                Ok(chunk) => all.extend(chunk),
                Err(error) => return Err(error),
            }
        }
    });
    lists(py, records(&all.map_err(|e| crate::convert::raise(py, &e))?))
}
