//! The client: one method per public method of the core, blocking and as a call in flight.

use std::path::PathBuf;

use interfuse::backend::KeySources;
use interfuse::fusion;
use interfuse::host::{self, EventStream, ForkSafe};
use interfuse::ledger::reconcile::Report;
use interfuse::types::{
    BatchOptions, BatchReport, Calibration, ChatCompletion, ChatRequest, Config, EmbeddingRequest, EmbeddingResponse,
    Estimable, Evaluation, EvaluationRequest, ExportRequest, Feedback, FuseRequest, Fused, FusionReport, LabelledItems,
    LedgerRecord, ReconcileOptions, Reconciliation, UsageReport,
};
use interfuse::{Client, Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyString};

use crate::call::{Call, blocking};
use crate::convert::{from_python, raise, straight_from_python, to_python};
use crate::keys;
use crate::stream::{Feed, Stream};
use crate::table;

type Make = Box<dyn Fn() -> interfuse::Result<Client> + Send + Sync>;

/// A client that a forked child makes again from its configuration.
#[pyclass(frozen, module = "interfuse._native")]
pub struct Native {
    config: Config,
    keys: KeySources,
    client: ForkSafe<Client, Make>,
}

#[pymethods]
impl Native {
    /// `config`: a dict or a file's path; else what the environment names. `providers`: laid over its backends. `keys`:
    /// functions that give keys, by provider.
    #[new]
    fn new(
        py: Python<'_>,
        config: Option<&Bound<'_, PyAny>>,
        providers: &Bound<'_, PyAny>,
        keys: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let mut config = read_config(py, config)?;
        config.overlay(from_python("configuration", providers)?);
        Self::made(py, config, keys::sources(keys)?)
    }

    /// The same with its ledger in this file; `None`: in memory.
    fn with_ledger(&self, py: Python<'_>, path: Option<String>) -> PyResult<Self> {
        let mut config = self.config.clone();
        config.ledger.path = path;
        Self::made(py, config, self.keys.clone())
    }

    /// The configuration, without keys.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(pythonize::pythonize(py, &self.config)?)
    }

    fn chat(&self, py: Python<'_>, request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        blocking(py, self.chat_call(request)?)
    }

    fn embeddings(&self, py: Python<'_>, request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        blocking(py, self.embeddings_call(request)?)
    }

    fn fuse(&self, py: Python<'_>, request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        blocking(py, self.fuse_call(request)?)
    }

    fn evaluate(&self, py: Python<'_>, request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        blocking(py, self.evaluate_call(request)?)
    }

    fn start_chat(&self, request: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(Call::new(host::Call::start(self.chat_call(request)?)))
    }

    fn start_embeddings(&self, request: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(Call::new(host::Call::start(self.embeddings_call(request)?)))
    }

    fn start_fuse(&self, request: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(Call::new(host::Call::start(self.fuse_call(request)?)))
    }

    fn start_evaluate(&self, request: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(Call::new(host::Call::start(self.evaluate_call(request)?)))
    }

    /// A stream; with `wait`, returns when its first item is there.
    fn chat_stream(&self, py: Python<'_>, request: &Bound<'_, PyAny>, wait: bool) -> PyResult<Stream> {
        let (client, request) = (self.client(py)?, straight_from_python::<ChatRequest>("request", request)?);
        let stream = Stream::new(EventStream::start(async move { client.chat_stream(request).await }));
        if wait { stream.open(py).map(|()| stream) } else { Ok(stream) }
    }

    /// A stream of events; with `wait`, returns when its first event is there.
    fn fuse_stream(&self, py: Python<'_>, request: &Bound<'_, PyAny>, wait: bool) -> PyResult<Stream> {
        let (client, request) = (self.client(py)?, from_python::<FuseRequest>("request", request)?);
        let stream = Stream::new(EventStream::start(async move { client.fuse_stream(request).await }));
        if wait { stream.open(py).map(|()| stream) } else { Ok(stream) }
    }

    /// A stream of an evaluation's events; with `wait`, returns when its first event is there.
    fn evaluate_stream(&self, py: Python<'_>, request: &Bound<'_, PyAny>, wait: bool) -> PyResult<Stream> {
        let (client, request) = (self.client(py)?, from_python::<EvaluationRequest>("request", request)?);
        let stream = Stream::new(EventStream::start(async move { client.evaluate_stream(request) }));
        if wait { stream.open(py).map(|()| stream) } else { Ok(stream) }
    }

    /// A batch: where its requests are put in, and the stream of its events.
    fn batch(&self, py: Python<'_>, options: &Bound<'_, PyAny>) -> PyResult<(Feed, Stream)> {
        let (client, options) = (self.client(py)?, from_python::<BatchOptions>("batch", options)?);
        let runtime = host::handle().map_err(|e| raise(py, &e))?;
        let _entered = runtime.enter();
        let (feed, events) = client.batch_fed(options).map_err(|e| raise(py, &e))?;
        Ok((Feed::new(feed), Stream::new(EventStream::start(async move { Ok(events) }))))
    }

    /// Combines the answers of a report once more.
    fn rejudge(&self, py: Python<'_>, report: &Bound<'_, PyAny>, request: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        blocking(py, self.rejudge_call(report, request)?)
    }

    fn start_rejudge(&self, report: &Bound<'_, PyAny>, request: &Bound<'_, PyAny>) -> PyResult<Call> {
        Ok(Call::new(host::Call::start(self.rejudge_call(report, request)?)))
    }

    /// Tells what became of a run.
    fn feedback(&self, py: Python<'_>, run_id: &str, outcome: &Bound<'_, PyAny>) -> PyResult<()> {
        let (client, outcome) = (self.client(py)?, from_python::<Feedback>("outcome", outcome)?);
        py.detach(|| client.feedback(run_id, &outcome)).map_err(|e| raise(py, &e))
    }

    fn start_feedback(&self, py: Python<'_>, run_id: String, outcome: &Bound<'_, PyAny>) -> PyResult<Call> {
        let (client, outcome) = (self.client(py)?, from_python::<Feedback>("outcome", outcome)?);
        Ok(Call::new(host::Call::start(beside(move || client.feedback(&run_id, &outcome)))))
    }

    fn explain<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        let explanation = self.client(py)?.explain(&straight_from_python::<ChatRequest>("request", request)?);
        to_python(py, &explanation.map_err(|e| raise(py, &e))?)
    }

    fn estimate<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = request.py();
        let request = Estimable::from_value(&from_python("request", request)?).map_err(|e| raise(py, &e))?;
        let estimate = self.client(py)?.estimate(request);
        to_python(py, &estimate.map_err(|e| raise(py, &e))?)
    }

    fn budgets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.client(py)?.budgets().map_err(|e| raise(py, &e))?)
    }

    fn usage<'py>(&self, py: Python<'py>, query: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (client, query) = (self.client(py)?, from_python("usage query", query)?);
        let report = py.detach(|| client.usage(query));
        to_python(py, &report.map_err(|e| raise(py, &e))?)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let client = self.client(py)?;
        py.detach(|| client.flush()).map_err(|e| raise(py, &e))
    }

    fn start_flush(&self, py: Python<'_>) -> PyResult<Call> {
        let client = self.client(py)?;
        Ok(Call::new(host::Call::start(beside(move || client.flush()))))
    }

    /// The records that a question chooses, as a stream.
    fn records(&self, py: Python<'_>, query: &Bound<'_, PyAny>) -> PyResult<Stream> {
        Ok(Stream::new(self.chosen(py, query)?))
    }

    /// The same as a stream of Arrow's batches, in a capsule.
    fn records_arrow<'py>(&self, py: Python<'py>, query: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyCapsule>> {
        table::records_arrow(py, self.chosen(py, query)?)
    }

    /// The same as names, kinds and lists of values.
    fn records_columns<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(String, &'static str, Bound<'py, PyAny>)>> {
        table::records_columns(py, self.chosen(py, query)?)
    }

    /// An export as bytes.
    fn export<'py>(&self, py: Python<'py>, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let (client, request) = (self.client(py)?, from_python::<ExportRequest>("export request", request)?);
        let mut document = Vec::new();
        py.detach(|| client.export(&request, &mut document)).map_err(|e| raise(py, &e))?;
        Ok(PyBytes::new(py, &document))
    }

    /// An export into a file.
    fn export_file<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
        path: PathBuf,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, request) = (self.client(py)?, from_python::<ExportRequest>("export request", request)?);
        let exported = py.detach(|| client.export_file(&request, path));
        to_python(py, &exported.map_err(|e| raise(py, &e))?)
    }

    /// Takes the prices of a published list.
    fn load_prices<'py>(&self, py: Python<'py>, list: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client(py)?;
        let loaded = py.detach(|| client.load_prices(list));
        to_python(py, &loaded.map_err(|e| raise(py, &e))?)
    }

    /// Compares vendors' reports, pairs of name and bytes, with the ledger.
    fn reconcile<'py>(
        &self,
        py: Python<'py>,
        files: Vec<(String, Vec<u8>)>,
        options: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (client, options) = (self.client(py)?, from_python::<ReconcileOptions>("options", options)?);
        let found = py.detach(|| {
            let reports: Vec<Report<'_>> = files.iter().map(|(name, bytes)| Report { name, bytes }).collect();
            client.reconcile(&reports, &options)
        });
        to_python(py, &found.map_err(|e| raise(py, &e))?)
    }

    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.client(py)?.models().map_err(|e| raise(py, &e))?)
    }

    fn providers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.client(py)?.providers().map_err(|e| raise(py, &e))?)
    }
}

impl Native {
    fn made(py: Python<'_>, config: Config, keys: KeySources) -> PyResult<Self> {
        host::log_as_environment_says().map_err(|e| raise(py, &e))?;
        let (again, asked) = (config.clone(), keys.clone());
        let make: Make = Box::new(move || Client::with_keys(again.clone(), asked.clone()));
        let client = py.detach(|| ForkSafe::new(make)).map_err(|e| raise(py, &e))?;
        Ok(Native { config, keys, client })
    }

    fn client(&self, py: Python<'_>) -> PyResult<Client> {
        self.client.get().cloned().map_err(|e| raise(py, &e))
    }

    fn chosen(&self, py: Python<'_>, query: &Bound<'_, PyAny>) -> PyResult<EventStream<LedgerRecord>> {
        let client = self.client(py)?;
        let query = client.understood(from_python("usage query", query)?).map_err(|e| raise(py, &e))?;
        Ok(EventStream::start(async move { client.records(query) }))
    }

    fn chat_call(
        &self,
        request: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = interfuse::Result<ChatCompletion>> + use<>> {
        let (client, request) = (self.client(request.py())?, straight_from_python::<ChatRequest>("request", request)?);
        Ok(async move { client.chat(request).await })
    }

    fn embeddings_call(
        &self,
        request: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = interfuse::Result<EmbeddingResponse>> + use<>> {
        let (client, request) = (self.client(request.py())?, from_python::<EmbeddingRequest>("request", request)?);
        Ok(async move { client.embeddings(request).await })
    }

    fn fuse_call(
        &self,
        request: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = interfuse::Result<Fused>> + use<>> {
        let (client, request) = (self.client(request.py())?, from_python::<FuseRequest>("request", request)?);
        Ok(async move { client.fuse(request).await })
    }

    fn rejudge_call(
        &self,
        report: &Bound<'_, PyAny>,
        request: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = interfuse::Result<Fused>> + use<>> {
        let client = self.client(request.py())?;
        let report = from_python::<FusionReport>("report", report)?;
        let request = from_python::<FuseRequest>("request", request)?;
        Ok(async move { client.rejudge(&report, request).await })
    }

    fn evaluate_call(
        &self,
        request: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = interfuse::Result<Evaluation>> + use<>> {
        let (client, request) = (self.client(request.py())?, from_python::<EvaluationRequest>("request", request)?);
        Ok(async move { client.evaluate(request).await })
    }
}

/// What blocks its thread, beside those that make calls.
async fn beside(work: impl FnOnce() -> interfuse::Result<()> + Send + 'static) -> interfuse::Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())))
}

/// An evaluation as tables for people. `width` is in columns; with `color` the text holds ANSI colours.
#[pyfunction]
#[pyo3(signature = (found, width = 100, color = false))]
pub fn evaluation_text(found: &Bound<'_, PyAny>, width: usize, color: bool) -> PyResult<String> {
    let found: Evaluation = from_python("evaluation", found)?;
    Ok(found.to_text(width, color))
}

/// What a batch came to, as a line for people.
#[pyfunction]
pub fn batch_text(report: &Bound<'_, PyAny>) -> PyResult<String> {
    let report: BatchReport = from_python("batch report", report)?;
    Ok(report.to_text())
}

/// An evaluation as one HTML page.
#[pyfunction]
pub fn evaluation_html(found: &Bound<'_, PyAny>) -> PyResult<String> {
    let found: Evaluation = from_python("evaluation", found)?;
    Ok(found.to_html())
}

fn read_config(py: Python<'_>, config: Option<&Bound<'_, PyAny>>) -> PyResult<Config> {
    let read = match config {
        None => Config::from_environment(),
        Some(given) => match given.cast::<PyString>() {
            Ok(path) => Config::from_file(&path.to_cow()?),
            Err(_) => return from_python("configuration", given),
        },
    };
    read.map_err(|e| raise(py, &e))
}

/// Writes what waits in every ledger that this process has open.
#[pyfunction]
pub fn flush_ledgers(py: Python<'_>) -> PyResult<()> {
    py.detach(interfuse::ledger::flush_all).map_err(|e| raise(py, &e))
}

/// Closes every ledger's file, as the process is about to fork.
#[pyfunction]
pub fn before_fork() {
    interfuse::ledger::before_fork();
}

/// Goes on in the parent.
#[pyfunction]
pub fn after_fork() {
    interfuse::ledger::after_fork();
}

/// The decision of a report made again.
#[pyfunction]
pub fn replay<'py>(report: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = report.py();
    let report: FusionReport = from_python("report", report)?;
    let again = py.detach(|| fusion::replay(&report));
    to_python(py, &again.map_err(|e| raise(py, &e))?)
}

/// What a calibration finds on labelled items: a list, or a file's path.
#[pyfunction]
pub fn calibrate<'py>(items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = items.py();
    let items: LabelledItems = from_python("items", items)?;
    let found = py.detach(|| fusion::items(items).map(|items| fusion::calibrate(&items)));
    to_python(py, &found.map_err(|e| raise(py, &e))?)
}

/// Lines of labelled items as a list.
#[pyfunction]
pub fn labelled<'py>(py: Python<'py>, jsonl: &str) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &fusion::labelled(jsonl).map_err(|e| raise(py, &e))?)
}

/// A calibration as text for people.
#[pyfunction]
pub fn calibration_text(found: &Bound<'_, PyAny>) -> PyResult<String> {
    let found: Calibration = from_python("calibration", found)?;
    Ok(found.to_text())
}

/// A reconciliation as text for people.
#[pyfunction]
pub fn render_reconciliation(found: &Bound<'_, PyAny>) -> PyResult<String> {
    let found: Reconciliation = from_python("reconciliation", found)?;
    Ok(found.to_text())
}

/// A fusion as text for people: every member, the judge's analysis, the answer, the decision and the cost. `width` is in
/// columns; with `color` the text holds ANSI colours.
#[pyfunction]
#[pyo3(signature = (fused, width = 100, color = false))]
pub fn render_fused(fused: &Bound<'_, PyAny>, width: usize, color: bool) -> PyResult<String> {
    let fused: Fused = from_python("fused answer", fused)?;
    Ok(fused.to_text(width, color))
}

/// A fusion as an HTML page for people; with `part`, as a part of one.
#[pyfunction]
#[pyo3(signature = (fused, part = false))]
pub fn fused_html(fused: &Bound<'_, PyAny>, part: bool) -> PyResult<String> {
    let fused: Fused = from_python("fused answer", fused)?;
    Ok(if part { fused.to_html_part() } else { fused.to_html() })
}

/// Sums as CSV.
#[pyfunction]
pub fn usage_csv(report: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = report.py();
    let report: UsageReport = from_python("usage report", report)?;
    let mut csv = Vec::new();
    report.to_csv(&mut csv).map_err(|e| raise(py, &e))?;
    Ok(String::from_utf8_lossy(&csv).into_owned())
}

/// Sums as a table for people. `width` is in columns; with `color` the text holds ANSI colours.
#[pyfunction]
#[pyo3(signature = (report, width = 100, color = false))]
pub fn usage_text(report: &Bound<'_, PyAny>, width: usize, color: bool) -> PyResult<String> {
    let report: UsageReport = from_python("usage report", report)?;
    Ok(report.to_text(width, color))
}
