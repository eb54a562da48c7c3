//! The form of a scenario file, and reading all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::matching;
use crate::upstream::Script;

/// One scenario, as its file says it. `{{base}}` in any text is the upstream's base URL, `{{folder}}` an empty folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.json`.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Script of the upstream.
    pub upstream: Value,
    /// Configuration document of the client.
    pub config: Value,
    /// What is called.
    pub op: Op,
    /// The request; absent for `client`.
    #[serde(default)]
    pub request: Value,
    /// The caller cancels after this many milliseconds.
    #[serde(default)]
    pub cancel_after_ms: Option<u64>,
    /// Environment variables of the runner.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What must come out.
    pub expect: Expect,
}

/// What a runner is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// One answer.
    Chat,
    /// One streamed answer.
    ChatStream,
    /// Embeddings.
    Embeddings,
    /// A fusion.
    Fuse,
    /// A fusion with its progress.
    FuseStream,
    /// A fusion, and its answer as a page.
    FuseHtml,
    /// An evaluation.
    Evaluate,
    /// An evaluation with its progress.
    EvaluateStream,
    /// An evaluation that is left once an item is done, and then made again.
    EvaluateAgain,
    /// A batch: its rows are the events, its report is the result.
    Batch,
    /// A batch that is left after its first row, and then made again.
    BatchAgain,
    /// A fusion, what became of it, and the same fusion again by a client that is made anew.
    Feedback,
    /// A fusion's stored answers, combined once more.
    Rejudge,
    /// A fusion's decision, made again from its report.
    Replay,
    /// What a calibration finds.
    Calibrate,
    /// How the backend of a chat would be chosen.
    Explain,
    /// What a chat may cost.
    Estimate,
    /// A chat's stream that is left after its first chunk, and where the budgets stand then.
    Budgets,
    /// One answer, and then what the ledger says of it: sums, records, an export.
    Ledger,
    /// Vendors' reports compared with the ledger.
    Reconcile,
    /// Only making the client.
    Client,
}

impl Op {
    /// The first argument of a runner.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Chat => "chat",
            Op::ChatStream => "chat_stream",
            Op::Embeddings => "embeddings",
            Op::Fuse => "fuse",
            Op::FuseStream => "fuse_stream",
            Op::FuseHtml => "fuse_html",
            Op::Evaluate => "evaluate",
            Op::EvaluateStream => "evaluate_stream",
            Op::EvaluateAgain => "evaluate_again",
            Op::Batch => "batch",
            Op::BatchAgain => "batch_again",
            Op::Feedback => "feedback",
            Op::Rejudge => "rejudge",
            Op::Replay => "replay",
            Op::Calibrate => "calibrate",
            Op::Explain => "explain",
            Op::Estimate => "estimate",
            Op::Budgets => "budgets",
            Op::Ledger => "ledger",
            Op::Reconcile => "reconcile",
            Op::Client => "client",
        }
    }
}

/// What must come out; everything given must hold, and either `result` or `error` is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Partial of the answer. A stream that ends well has null; for `fuse_stream` and `evaluate_stream` it is the result in its
    /// last event.
    #[serde(default, deserialize_with = "given")]
    pub result: Option<Value>,
    /// Partial of the error.
    #[serde(default)]
    pub error: Option<Value>,
    /// Partial of the list of chunks of a chat stream.
    #[serde(default)]
    pub chunks: Option<Value>,
    /// Partial of the tool calls of a chat stream, put together from its chunks: `index`, `id`, `name`, `arguments`.
    #[serde(default)]
    pub tool_calls: Option<Value>,
    /// Partial of the list of events of a fusion or an evaluation, or of the rows of a batch.
    #[serde(default)]
    pub events: Option<Value>,
    /// The answer's text; of a stream, its pieces joined.
    #[serde(default)]
    pub text: Option<String>,
    /// What the upstream saw.
    #[serde(default)]
    pub upstream: ExpectUpstream,
}

/// What the upstream must have seen. A request that no route wanted is always a failure.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectUpstream {
    /// Partial of the number of requests.
    #[serde(default)]
    pub requests: Option<Value>,
    /// Whether the client closed the socket of any request before the answer was complete.
    #[serde(default)]
    pub client_closed: Option<bool>,
    /// Partial of the log.
    #[serde(default)]
    pub log: Option<Value>,
}

/// `null` is an expectation of its own.
fn given<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

impl Scenario {
    /// Reads a scenario and checks what a run could not tell apart from success.
    ///
    /// # Errors
    /// What is wrong, with file and JSON path.
    pub fn read(file: &Path) -> Result<Self, String> {
        let at = |message: String| format!("{}: {message}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
        let scenario: Self = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text))
            .map_err(|error| at(format!("at {}: {}", error.path(), error.inner())))?;
        if file.file_stem().is_none_or(|stem| *stem != *scenario.name) {
            return Err(at(format!("its name is `{}`", scenario.name)));
        }
        scenario.check().map_err(at)?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        Script::from_value(self.upstream.clone()).map_err(|error| error.to_string())?;
        let expect = &self.expect;
        if expect.result.is_some() == expect.error.is_some() {
            return Err("`expect` needs `result` or `error`, and not both".into());
        }
        for (name, partial) in [
            ("result", &expect.result),
            ("error", &expect.error),
            ("chunks", &expect.chunks),
            ("tool_calls", &expect.tool_calls),
            ("events", &expect.events),
            ("upstream.requests", &expect.upstream.requests),
            ("upstream.log", &expect.upstream.log),
        ] {
            if let Some(partial) = partial {
                matching::check(&format!("expect.{name}"), partial)?;
            }
        }
        let chunks = expect.chunks.is_some() || expect.tool_calls.is_some();
        let fits = match self.op {
            Op::ChatStream => expect.events.is_none(),
            Op::FuseStream | Op::EvaluateStream | Op::Batch | Op::BatchAgain => !chunks,
            _ => !chunks && expect.events.is_none(),
        };
        match fits {
            true => Ok(()),
            false => Err(format!("`{}` gives no such items", self.op.as_str())),
        }
    }
}

/// The value with every `{{name}}` in its texts replaced by what stands beside that name.
pub(crate) fn fill(value: &Value, texts: &[(&str, &str)]) -> Value {
    match value {
        Value::String(text) => {
            let replaced = |text: String, (name, by): &(&str, &str)| text.replace(&format!("{{{{{name}}}}}"), by);
            Value::String(texts.iter().fold(text.clone(), replaced))
        }
        Value::Array(items) => items.iter().map(|item| fill(item, texts)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), fill(field, texts))).collect(),
        other => other.clone(),
    }
}

/// The folder of the scenarios.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// All scenarios, by name.
///
/// # Errors
/// Every file that is not a scenario, one line each.
pub fn all() -> Result<Vec<Scenario>, String> {
    let folder = folder();
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    let (read, wrong): (Vec<_>, Vec<_>) = files.iter().map(|file| Scenario::read(file)).partition(Result::is_ok);
    match wrong.is_empty() {
        true => Ok(read.into_iter().flatten().collect()),
        false => Err(wrong.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("\n")),
    }
}
