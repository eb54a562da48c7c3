//! Transports that play a course of actions, within the limits that the real one keeps.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{Action, course};
use super::script::{Answer, Asked, Script};
use super::scrub;
use crate::error::{Dispatch, Error, ErrorKind, Result};
use crate::http::{Body, HttpRequest, HttpResponse, Limits, Transport};
use crate::types::Timeout;

/// What one request gets.
pub(super) struct Course {
    pub delay: Duration,
    pub status: u16,
    pub headers: HeaderMap,
    pub actions: VecDeque<Action>,
}

impl Course {
    /// An error in OpenAI's form.
    pub fn refusal(message: &str, code: &str) -> Self {
        let body = json!({"error": {"message": message, "type": code, "code": code}}).to_string();
        let headers = headers([("content-type", "application/json")]);
        Course { delay: Duration::ZERO, status: 404, headers, actions: [Action::Send(body.into())].into() }
    }

    /// Plays it.
    pub async fn play(self, limits: Limits) -> Result<HttpResponse> {
        let started = Instant::now();
        if !self.delay.is_zero() {
            let due = limits.first_byte.map(|limit| started + limit);
            within(due, sleep(self.delay))
                .await
                .ok_or_else(|| Timeout::FirstByte.fired(limits.first_byte.unwrap_or_default(), started.elapsed(), 0))?;
        }
        if self.actions.front() == Some(&Action::Reset) {
            let message = "the connection broke before an answer: it was reset";
            return Err(Error::new(ErrorKind::Connection, message).with_dispatch(Dispatch::Uncertain));
        }
        let idle = limits.idle;
        let body = unfold((self.actions, 0u64), move |(mut actions, mut bytes)| async move {
            let since = Instant::now();
            let due = idle.map(|idle| since + idle);
            loop {
                let waited = match actions.pop_front()? {
                    Action::Send(piece) if piece.is_empty() => continue,
                    Action::Send(piece) => {
                        bytes += piece.len() as u64;
                        return Some((Ok(piece), (actions, bytes)));
                    }
                    Action::Delay(ms) => within(due, sleep(Duration::from_millis(ms))).await,
                    Action::Stall => within(due, pending()).await,
                    end @ (Action::Reset | Action::Close) => {
                        let how = if end == Action::Reset { "it was reset" } else { "it was closed" };
                        let message = format!("the answer broke off after {bytes} bytes: {how}");
                        return Some((Err(Error::new(ErrorKind::Interrupted, message)), (VecDeque::new(), bytes)));
                    }
                };
                if waited.is_none() {
                    let fired = Timeout::Idle.fired(idle.unwrap_or_default(), since.elapsed(), bytes);
                    return Some((Err(fired), (VecDeque::new(), bytes)));
                }
            }
        });
        Ok(HttpResponse { status: self.status, headers: self.headers, body: Body::new(body) })
    }
}

/// What comes of it before it is due.
async fn within<T>(due: Option<Instant>, waiting: impl Future<Output = T>) -> Option<T> {
    match due {
        Some(due) => timeout_at(due, waiting).await.ok(),
        None => Some(waiting.await),
    }
}

/// Headers of an answer, of which the last of a name counts; what is none is left out.
pub(super) fn headers<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Path and query of a request, as they are sent.
pub(super) fn path_of(request: &HttpRequest) -> String {
    match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    }
}

/// The JSON document that a body is, or its text.
pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// A request in a few words, for an error.
pub(super) fn told(method: &str, path: &str, provider: &str, body: &Value) -> String {
    let mut said = body.to_string();
    if let Some((end, _)) = said.char_indices().nth(300) {
        said.replace_range(end.., "...");
    }
    let of = body["model"].as_str().map_or_else(String::new, |model| format!(" of model {model}"));
    format!("{method} {}{of} at provider {provider}: {said}", scrub::path(path))
}

/// Answers from a script.
pub(super) struct Scripted(Arc<Inner>);

struct Inner {
    script: Script,
    came: AtomicUsize,
}

impl Scripted {
    pub fn new(script: &str) -> Result<Self> {
        Ok(Scripted(Arc::new(Inner { script: Script::parse(script)?, came: AtomicUsize::new(0) })))
    }
}

impl Transport for Scripted {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        // When it comes is when it is sent, not when somebody asks what became of it.
        let course = self.0.answer(&request);
        Box::pin(course.play(request.limits))
    }
}

impl Inner {
    fn answer(&self, request: &HttpRequest) -> Course {
        let serial = self.came.fetch_add(1, Ordering::Relaxed) + 1;
        let whole = path_of(request);
        let (provider, path) = whole[1..].split_once('/').unwrap_or((&whole[1..], ""));
        let provider = &*unescaped(provider);
        let path = &*format!("/{path}");
        let text = &*String::from_utf8_lossy(&request.body);
        let body = &parsed(text);
        let method = request.method.as_str();
        let words = || told(method, path, provider, body);
        let asked = Asked { provider, method, path, headers: &request.headers, text, body };
        let Some(answer) = self.script.take(&asked) else {
            return Course::refusal(&format!("no route of the script takes {}", words()), "script_without_route");
        };
        if let Some(why) = unspoken(answer, path.split('?').next().unwrap_or_default()) {
            let message = format!("the script's answer does not fit {}: {why}", words());
            return Course::refusal(&message, "script_without_route");
        }
        let (kind, actions) = course(answer, body, serial);
        let given = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Course {
            delay: Duration::from_millis(answer.delay_ms),
            status: answer.status.unwrap_or(200),
            headers: headers([("content-type", kind)].into_iter().chain(given)),
            actions: actions.into(),
        }
    }
}

/// Why an answer in OpenAI's form would not be understood there.
fn unspoken(answer: &Answer, path: &str) -> Option<&'static str> {
    if answer.says() && !path.ends_with("/chat/completions") {
        return Some("`answer` is a chat completion; script `embeddings`, `json`, `sse` or `steps`");
    }
    (answer.embeddings.is_some() && !path.ends_with("/embeddings")).then_some("`embeddings` are for /embeddings")
}

/// A segment of a path without its escapes.
fn unescaped(segment: &str) -> String {
    url::form_urlencoded::parse(segment.replace('+', "%2B").as_bytes()).map(|(name, _)| name.into_owned()).collect()
}
