//! The library's log for hosts: one place that gets its lines, chosen and changed at any time. Nothing is told, and nothing
//! is made, before a host asks for it.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::{Error, ErrorKind, Result};

/// How much a line matters. The numbers are those of the C ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something was lost: a record that could not be kept.
    Error = 1,
    /// Something needs a look: a budget that only warns is passed.
    Warn = 2,
    /// An attempt failed, whatever became of its call.
    Info = 3,
    /// An attempt was answered, or cancelled.
    Debug = 4,
}

impl LogLevel {
    /// Every level, the gravest first.
    pub const ALL: [LogLevel; 4] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

    /// `error`, `warn`, `info` or `debug`.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        }
    }
}

type Tell = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

struct Sink {
    most: LogLevel,
    tell: Tell,
}

static SINK: ArcSwapOption<Sink> = ArcSwapOption::const_empty();
static TAKEN: OnceLock<bool> = OnceLock::new();

thread_local! {
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Has `tell` get each line of the log that matters as much as `most` or more; `None` ends it. One for the process: the
/// one before is dropped as soon as no thread is in it. Any thread calls it, several at once. What it causes itself is not
/// told, and it may not block on this library.
///
/// A line is `message name=value ...`, without line breaks, and holds neither keys nor prompts nor answers.
///
/// # Errors
/// `misuse` when the program has a subscriber of its own, which gets the library's events (target `interfuse`) already.
pub fn set_log(most: LogLevel, tell: Option<Tell>) -> Result<()> {
    if tell.is_some() && !*TAKEN.get_or_init(|| tracing::subscriber::set_global_default(Lines).is_ok()) {
        let message =
            "this program has a subscriber for `tracing` of its own; take the events of target `interfuse` there";
        return Err(Error::new(ErrorKind::Misuse, message));
    }
    SINK.store(tell.map(|tell| Arc::new(Sink { most, tell })));
    Ok(())
}

/// Has the log written to standard error where the environment variable `INTERFUSE_LOG` names a level: `error`, `warn`, `info`
/// or `debug`; empty or `off` is none. For hosts that make a client; looked at once in a process, and nothing against a log
/// that was asked for by [`set_log`].
///
/// # Errors
/// `invalid_config` for a level there is not.
pub fn log_as_environment_says() -> Result<()> {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let Ok(named) = std::env::var(VARIABLE) else { return Ok(()) };
    if let Some(most) = level(&named)?
        && !ASKED.swap(true, Ordering::Relaxed)
        && SINK.load().is_none()
    {
        // A program with a subscriber of its own has its own ways to show the events.
        let _ = set_log(most, Some(Box::new(written)));
    }
    Ok(())
}

const VARIABLE: &str = "INTERFUSE_LOG";

fn level(named: &str) -> Result<Option<LogLevel>> {
    let named = named.trim();
    if named.is_empty() || named.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let known = LogLevel::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(named));
    known.map(Some).ok_or_else(|| {
        let message =
            format!("the environment variable {VARIABLE} is `error`, `warn`, `info`, `debug` or `off`, not `{named}`");
        Error::new(ErrorKind::InvalidConfig, message).with_param(VARIABLE)
    })
}

/// In one piece, so that lines of several threads do not mix. Who closed standard error hears nothing.
fn written(level: LogLevel, line: &str) {
    let _ = std::io::stderr().write_all(format!("interfuse {}: {line}\n", level.name()).as_bytes());
}

/// Whether this thread is telling the host a line.
pub(super) fn telling() -> bool {
    TELLING.get()
}

/// Takes our events only: what crates below tell may hold headers.
struct Lines;

impl Lines {
    fn ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "interfuse"
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Whether it is wanted changes with the sink, so it is asked each time.
        if Lines::ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let wanted = |sink: &Arc<Sink>| LogLevel::from(*metadata.level()) <= sink.most;
        Lines::ours(metadata) && !telling() && SINK.load().as_ref().is_some_and(wanted)
    }

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = SINK.load_full() else { return };
        let mut line = Line::default();
        event.record(&mut line);
        TELLING.set(true);
        // A host in Rust may panic in it; the call that told the line goes on. The last to hold a sink drops it, which runs
        // the host's code as well.
        let _ = catch_unwind(AssertUnwindSafe(move || (sink.tell)((*event.metadata().level()).into(), &line.whole())));
        TELLING.set(false);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn whole(mut self) -> String {
        self.message.push_str(&self.fields);
        self.message
    }

    fn put(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return plain(&mut self.message, value);
        }
        let _ = write!(self.fields, " {}=", field.name());
        if value.is_empty() || value.contains([' ', '"', '=']) {
            self.fields.push('"');
            plain(&mut self.fields, &value.replace('"', "\\\""));
            self.fields.push('"');
        } else {
            plain(&mut self.fields, value);
        }
    }
}

/// Text of others cannot begin a line of its own, nor end one.
fn plain(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, &value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_level_is_named_or_refused() {
        for (named, want) in
            [("", None), ("off", None), (" Debug ", Some(LogLevel::Debug)), ("WARN", Some(LogLevel::Warn))]
        {
            assert_eq!(level(named).unwrap(), want, "{named}");
        }
        let refused = level("verbose").unwrap_err();
        assert_eq!(
            (refused.kind(), refused.body().param.as_deref()),
            (ErrorKind::InvalidConfig, Some("INTERFUSE_LOG"))
        );
    }

    /// The log is the process's: what is looked at here is told on this thread only.
    #[test]
    fn lines_go_to_the_host_that_asked_last() {
        let me = std::thread::current().id();
        let said = Arc::new(Mutex::new(Vec::new()));
        let ask = |most, dropped: &Arc<()>| {
            let (said, dropped) = (said.clone(), dropped.clone());
            let tell = move |level, line: &str| {
                let _ = &dropped;
                if std::thread::current().id() == me {
                    assert!(super::super::may_block().is_err(), "it may not block");
                    tracing::error!(target: "interfuse", "told while telling");
                    said.lock().unwrap().push((level, line.to_owned()));
                }
            };
            set_log(most, Some(Box::new(tell))).unwrap();
        };
        let (first, second) = (Arc::new(()), Arc::new(()));
        ask(LogLevel::Warn, &first);
        tracing::warn!(target: "interfuse", name = "a \"b\"", n = 3, none = None::<u64>, "lost\nFAKE line");
        tracing::info!(target: "interfuse", "not wanted");
        tracing::error!(target: "h2::frames", authorization = "key", "of others");
        ask(LogLevel::Debug, &second);
        assert_eq!(Arc::strong_count(&first), 1, "the one before is gone");
        tracing::debug!(target: "interfuse", empty = "", "wanted now");
        set_log(LogLevel::Error, None).unwrap();
        tracing::error!(target: "interfuse", "nobody listens");
        assert_eq!(Arc::strong_count(&second), 1);
        let told = std::mem::take(&mut *said.lock().unwrap());
        assert_eq!(
            told,
            [
                (LogLevel::Warn, "lost\\nFAKE line name=\"a \\\"b\\\"\" n=3".to_owned()),
                (LogLevel::Debug, "wanted now empty=\"\"".to_owned()),
            ]
        );
        assert!(super::super::may_block().is_ok());
    }
}
