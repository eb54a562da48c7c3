//! Streams and whole answers of every wire, well-formed or not.

use interfuse::error::ErrorKind;
use interfuse::http::{Framer, HeaderMap};
use interfuse::types::Quirks;
use interfuse::wire::{Frame, Framing, PROTOCOLS, Protocol, Reply, WireTarget};

use super::choose;
use crate::replay;

/// Largest frame while fuzzing, bytes: small, so that inputs pass it.
const LIMIT: usize = 1 << 10;
/// Most places at which one stream is cut.
const CUTS: usize = 64;

/// Without one of these words a stream of the wire has not said that it is complete.
const TERMINAL: &[(&str, &[&str])] = &[
    ("openai-chat", &["[DONE]", "finish_reason"]),
    ("openai-responses", &["response.completed", "response.incomplete", "response.failed", "status"]),
    ("anthropic", &["message_stop", "stop_reason"]),
    ("gemini", &["finishReason", "finish_reason", "blockReason", "block_reason"]),
    ("bedrock-converse", &["messageStop", "stopReason"]),
    ("cohere", &["message-end", "finish_reason"]),
    ("ollama", &["done"]),
];

/// Server-sent events.
pub fn sse(data: &[u8]) {
    frames(Framing::Sse, data);
}

/// Amazon's frames: after `0` the bytes as they are, else frames made of the text by [`sealed`].
pub fn event_stream(data: &[u8]) {
    let Some((raw, rest)) = choose(data, &[true, false]) else { return };
    match raw {
        true => frames(Framing::AwsEventStream, rest),
        false => frames(Framing::AwsEventStream, &sealed(rest)),
    }
}

/// A stream of the wire that the first byte names by its place in the table; of Amazon's, frames made by [`sealed`].
pub fn chunks(data: &[u8]) {
    let Some((wire, rest)) = choose(data, PROTOCOLS) else { return };
    let body = match wire.framing() {
        Framing::AwsEventStream => sealed(rest),
        _ => rest.to_vec(),
    };
    with_target(|target| check_stream(*wire, &body, target));
}

/// A whole body, answer or error, of the wire that the first byte names.
pub fn answers(data: &[u8]) {
    let Some((wire, body)) = choose(data, PROTOCOLS) else { return };
    let headers = HeaderMap::new();
    with_target(|target| {
        if let Ok(answer) = wire.decode(&Reply { status: 200, headers: &headers, body }, target) {
            let text = serde_json::to_string(&answer).expect("an answer is JSON");
            bounded(text.len(), body.len(), "the answer");
        }
        for status in [400, 401, 429, 503] {
            let error = wire.decode_error(&Reply { status, headers: &headers, body }, target);
            bounded(error.to_json().len(), body.len(), "the error");
            assert!(!matches!(error.kind(), ErrorKind::Internal), "a vendor's error is no defect of ours: {error}");
        }
    });
}

fn with_target(check: impl FnOnce(&WireTarget<'_>)) {
    check(&WireTarget { provider: "p", model: "m", quirks: &Quirks::default() });
}

/// What is made of an input is not much larger than it: escapes in JSON make six bytes of one.
fn bounded(made: usize, from: usize, what: &str) {
    assert!(made <= 16 * from + 4096, "{what} is {made} bytes, made from {from}");
}

/// Frames are the same however the body is cut, none is over the limit, and together they hold no more than came.
fn frames(framing: Framing, body: &[u8]) {
    let whole = framed(framing, [body]);
    assert!(framed(framing, body.chunks(1)) == whole, "fed byte by byte it gives other frames");
    let half = body.len() / 2;
    assert!(framed(framing, [&body[..half], &body[half..]]) == whole, "cut in the middle it gives other frames");
    let (frames, _) = &whole;
    let size: usize = frames.iter().map(|(event, data, _)| event.len() + data.len()).sum();
    // An event's name that is no UTF-8 gets three bytes for each that is none; an error told in headers is put into JSON.
    bounded(size, body.len(), "all frames together");
    for (event, data, _) in frames {
        assert!(data.len() <= 8 * LIMIT && event.len() <= 3 * LIMIT, "a frame of {} bytes", data.len());
    }
}

type Framed = (Vec<(String, Vec<u8>, bool)>, Option<ErrorKind>);

fn framed<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Framed {
    let mut out = Vec::new();
    let mut framer = Framer::new(framing, LIMIT);
    let mut keep = |frame: Frame<'_>| {
        out.push((frame.event.to_owned(), frame.data.to_vec(), frame.fault));
        Ok(())
    };
    let told = pieces.into_iter().try_for_each(|piece| framer.push(piece, &mut keep));
    let told = told.and_then(|()| framer.finish(&mut keep));
    (out, told.err().map(|error| error.kind()))
}

fn check_stream(wire: &dyn Protocol, body: &[u8], target: &WireTarget<'_>) {
    let whole = replay::stream(wire, [body], target);
    assert!(replay::stream(wire, body.chunks(1), target) == whole, "fed byte by byte it gives other chunks");
    // Chunks carry the answer's id and model each, so each is bounded, and their number is.
    assert!(whole.chunks.len() <= body.len() + 8, "{} chunks of {} bytes", whole.chunks.len(), body.len());
    for chunk in &whole.chunks {
        bounded(serde_json::to_string(chunk).expect("a chunk is JSON").len(), body.len(), "a chunk");
    }
    for cut in (0..=body.len()).step_by(body.len() / CUTS + 1) {
        let kept = &body[..cut];
        let complete = replay::stream(wire, [kept], target).complete;
        assert!(!complete || says_complete(wire, kept), "cut at {cut}, and complete without a terminal signal");
    }
}

/// Whether any of the wire's terminal words is in the body. A word may be written in escapes.
fn says_complete(wire: &dyn Protocol, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let (_, words) = TERMINAL.iter().find(|(name, _)| *name == wire.name()).expect("a row in TERMINAL");
    text.contains("\\u") || words.iter().any(|word| text.contains(word))
}

/// Amazon's frames made of lines: each is `TYPE PAYLOAD`, and a type that begins with `!` is an exception.
pub(super) fn sealed(lines: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (kind, payload) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        let (name, message, kind) = match kind.strip_prefix(b"!") {
            Some(kind) => (":exception-type", "exception", kind),
            None => (":event-type", "event", kind),
        };
        body.extend(frame(&[(":message-type", message.as_bytes()), (name, kind)], payload));
    }
    body
}

fn frame(headers: &[(&str, &[u8])], payload: &[u8]) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut head = Vec::new();
    for (name, value) in headers {
        let value = &value[..value.len().min(200)];
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(STRING);
        head.extend((value.len() as u16).to_be_bytes());
        head.extend_from_slice(value);
    }
    let mut out = Vec::new();
    out.extend(((head.len() + payload.len() + 16) as u32).to_be_bytes());
    out.extend((head.len() as u32).to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(head);
    out.extend_from_slice(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}
