//! Turns a scripted response into what the connection does: bytes to write, waits, and how it ends. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::completion;
use super::script::{Break, Response, Step, bytes_of};

/// One thing a connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Writes and flushes.
    Send(Vec<u8>),
    /// Waits this many milliseconds.
    Delay(u64),
    /// Waits until the client closes.
    Stall,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

/// The whole course of one answer.
#[derive(Debug)]
pub(super) struct Plan {
    pub status: u16,
    pub actions: Vec<Action>,
    /// The answer ends as HTTP says; false when it is cut, reset, held for ever or lies about its length.
    whole: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    UntilClose,
    /// The steps write everything themselves.
    Raw,
}

impl Plan {
    /// `request` is the JSON body of the request, `serial` its number.
    pub fn new(response: &Response, request: &Value, serial: u64) -> Self {
        let (content_type, mut body) = body(response, request, serial);
        if let Some(size) = response.split {
            body = split(body, size);
        }
        if let Some(bytes) = response.cut_after {
            body = cut(body, bytes);
        }
        let length: u64 = body.iter().map(|action| sent(action) as u64).sum();
        let ends = |action: &Action| matches!(action, Action::Close | Action::Reset | Action::Stall);
        let ended = body.iter().any(ends);
        let torn = body.iter().any(|action| matches!(action, Action::Reset | Action::Stall));
        let streams = response.steps.is_some() || content_type == "text/event-stream";
        let framing = match (response.raw, response.chunked, response.content_length) {
            (true, _, _) => Framing::Raw,
            (_, Some(true), _) => Framing::Chunked,
            (_, _, Some(claimed)) => Framing::Length(claimed),
            (_, Some(false), _) if streams => Framing::UntilClose,
            (_, None, _) if streams => Framing::Chunked,
            // A cut body was announced whole.
            _ => Framing::Length(match response.cut_after {
                Some(_) => self::length(response, request, serial),
                None => length,
            }),
        };

        let status = response.status.unwrap_or(200);
        let mut actions = Vec::with_capacity(body.len() + 4);
        if response.delay_ms > 0 {
            actions.push(Action::Delay(response.delay_ms));
        }
        if framing != Framing::Raw {
            actions.push(Action::Send(head(response, status, content_type, framing)));
        }
        for action in body {
            match action {
                // An empty chunk would end the body.
                Action::Send(bytes) if bytes.is_empty() => {}
                Action::Send(bytes) if framing == Framing::Chunked => {
                    actions.push(Action::Send(chunk(&bytes)));
                }
                other => actions.push(other),
            }
        }
        let whole = match framing {
            Framing::Chunked | Framing::Length(_) if ended => false,
            Framing::Chunked => {
                actions.push(Action::Send(b"0\r\n\r\n".to_vec()));
                true
            }
            Framing::Length(claimed) => claimed == length,
            Framing::UntilClose | Framing::Raw => !torn,
        };
        // After a lie about the length the two sides no longer agree where the next answer starts.
        if !ended && (!whole || matches!(framing, Framing::UntilClose | Framing::Raw)) {
            actions.push(Action::Close);
        }
        Self { status, actions, whole }
    }

    /// The answer to a request that no route of the script wanted.
    pub fn unmatched(message: &str, body: &Value) -> Self {
        let response = Response {
            status: Some(404),
            json: Some(json!({"error": {
                "message": message,
                "type": "script_without_route",
                "model": body["model"],
            }})),
            ..Response::default()
        };
        Self::new(&response, &Value::Null, 0)
    }

    /// The last action that writes, if the answer is whole once it is written.
    pub fn completes_at(&self) -> Option<usize> {
        let writes = |action: &Action| matches!(action, Action::Send(_));
        self.whole.then(|| self.actions.iter().rposition(writes)).flatten()
    }
}

/// The body in the pieces it is written in, before framing.
fn body(response: &Response, request: &Value, serial: u64) -> (&'static str, Vec<Action>) {
    if response.answer.is_some() || response.tool_calls.is_some() {
        return match request["stream"] == true {
            true => {
                let chunks = completion::chunks(response, request, serial);
                let mut actions: Vec<Action> = chunks.iter().map(event).collect();
                if let Some(Break { after, skip, then }) = &response.breaks {
                    // The first chunk tells the role alone.
                    let from = (1 + after).min(actions.len());
                    let to = (from + skip).min(actions.len());
                    actions.splice(from..to, then.iter().filter_map(action));
                }
                if response.done != Some(false) {
                    actions.push(event(&json!("[DONE]")));
                }
                events(actions, response)
            }
            false => {
                let whole = completion::whole(response, request, serial).to_string().into_bytes();
                ("application/json", broken(whole, response))
            }
        };
    }
    if let Some(json) = &response.json {
        let text = json.to_string().into_bytes();
        return ("application/json", vec![Action::Send(text)]);
    }
    if let Some(text) = &response.body {
        return ("text/plain; charset=utf-8", vec![Action::Send(text.clone().into_bytes())]);
    }
    if let Some(base64) = &response.body_base64 {
        let bytes = bytes_of(base64).unwrap_or_default();
        return ("application/octet-stream", vec![Action::Send(bytes)]);
    }
    if let Some(items) = &response.sse {
        let done = (response.done == Some(true)).then(|| json!("[DONE]"));
        let actions = items.iter().chain(&done).map(event).collect();
        return events(actions, response);
    }
    ("application/octet-stream", response.steps.iter().flatten().filter_map(action).collect())
}

fn action(step: &Step) -> Option<Action> {
    match step {
        Step::Send(text) => Some(Action::Send(text.clone().into_bytes())),
        Step::SendBase64(base64) => Some(Action::Send(bytes_of(base64).unwrap_or_default())),
        Step::DelayMs(ms) => Some(Action::Delay(*ms)),
        Step::Stall(on) => on.then_some(Action::Stall),
        Step::Reset(on) => on.then_some(Action::Reset),
        Step::Close(on) => on.then_some(Action::Close),
    }
}

/// A whole answer with what happens in its midst.
fn broken(mut whole: Vec<u8>, response: &Response) -> Vec<Action> {
    let Some(Break { after, then, .. }) = &response.breaks else {
        return vec![Action::Send(whole)];
    };
    let words = completion::words(response.answer.as_deref().unwrap_or_default()).count();
    let rest = whole.split_off(whole.len() * after.min(&words) / words.max(1));
    let before = std::iter::once(Action::Send(whole));
    before.chain(then.iter().filter_map(action)).chain([Action::Send(rest)]).collect()
}

fn length(response: &Response, request: &Value, serial: u64) -> u64 {
    let (_, body) = body(response, request, serial);
    body.iter().map(|action| sent(action) as u64).sum()
}

fn sent(action: &Action) -> usize {
    match action {
        Action::Send(bytes) => bytes.len(),
        _ => 0,
    }
}

/// One server-sent event.
fn event(item: &Value) -> Action {
    let line = |name: &str, value: &Value| match value {
        Value::String(text) => text.split('\n').fold(String::new(), |mut lines, line| {
            let _ = writeln!(lines, "{name}: {line}");
            lines
        }),
        json => format!("{name}: {json}\n"),
    };
    let lines = match item {
        Value::Object(fields)
            if !fields.is_empty() && fields.keys().all(|key| ["event", "data", "id"].contains(&key.as_str())) =>
        {
            ["id", "event", "data"].iter().filter_map(|name| fields.get(*name).map(|value| line(name, value))).collect()
        }
        data => line("data", data),
    };
    Action::Send((lines + "\n").into_bytes())
}

/// A stream of events, with the waits between them and what comes after the last.
fn events(events: Vec<Action>, response: &Response) -> (&'static str, Vec<Action>) {
    let delay_ms = response.chunk_delay_ms;
    let mut actions = Vec::with_capacity(events.len() * 2);
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 && delay_ms > 0 {
            actions.push(Action::Delay(delay_ms));
        }
        actions.push(event);
    }
    if response.hold {
        actions.push(Action::Stall);
    }
    ("text/event-stream", actions)
}

fn split(body: Vec<Action>, size: usize) -> Vec<Action> {
    body.into_iter()
        .flat_map(|action| match action {
            Action::Send(bytes) => bytes.chunks(size).map(|piece| Action::Send(piece.to_vec())).collect(),
            other => vec![other],
        })
        .collect()
}

/// The actions up to this many bytes, then a close. A body that is shorter stays as it is.
fn cut(body: Vec<Action>, bytes: usize) -> Vec<Action> {
    let mut left = bytes;
    let mut kept = Vec::with_capacity(body.len());
    for action in body {
        match action {
            Action::Send(mut piece) if piece.len() > left => {
                piece.truncate(left);
                kept.extend([Action::Send(piece), Action::Close]);
                return kept;
            }
            action => {
                left -= sent(&action);
                kept.push(action);
            }
        }
    }
    kept
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    framed
}

fn head(response: &Response, status: u16, content_type: &str, framing: Framing) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let mut put = |name: &str, value: &str| {
        let _ = write!(head, "{name}: {value}\r\n");
    };
    let given = |name: &str| response.headers.keys().any(|key| key.eq_ignore_ascii_case(name));
    if !given("content-type") {
        put("content-type", content_type);
    }
    if framing == Framing::Chunked && !given("transfer-encoding") {
        put("transfer-encoding", "chunked");
    }
    let claimed = match framing {
        Framing::Length(length) => Some(length),
        _ => response.content_length,
    };
    if let Some(length) = claimed.filter(|_| !given("content-length")) {
        put("content-length", &length.to_string());
    }
    if framing == Framing::UntilClose && !given("connection") {
        put("connection", "close");
    }
    for (name, value) in &response.headers {
        put(name, value);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Reason phrases are for the reader of a trace; clients ignore them.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        529 => "Overloaded",
        _ => "Scripted",
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
