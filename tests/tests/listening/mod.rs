//! Hears everything that a process logs or panics with: events and spans of `tracing` at every level, records of `log`,
//! panic messages.

#![allow(clippy::unwrap_used)]

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static HEARD: Mutex<String> = Mutex::new(String::new());
static LINES: AtomicUsize = AtomicUsize::new(0);

/// What was heard so far in this process.
pub struct Heard;

impl Heard {
    /// The text since the last time.
    pub fn take(&self) -> String {
        std::mem::take(&mut *HEARD.lock().unwrap())
    }

    /// Lines since the start.
    #[allow(dead_code)]
    pub fn lines(&self) -> usize {
        LINES.load(Ordering::Relaxed)
    }
}

/// Begins to listen, once for the process.
pub fn to_everything() -> Heard {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Ear).unwrap();
        log::set_logger(&Ear).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            hear(&panic.to_string());
            before(panic);
        }));
    });
    Heard
}

fn hear(line: &str) {
    LINES.fetch_add(1, Ordering::Relaxed);
    let mut heard = HEARD.lock().unwrap();
    heard.push_str(line);
    heard.push('\n');
}

struct Ear;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut line = Line(format!("{} {}", span.metadata().target(), span.metadata().name()));
        span.record(&mut line);
        hear(&line.0);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        hear(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} {}", event.metadata().target(), event.metadata().name()));
        event.record(&mut line);
        hear(&line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        hear(&format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}
