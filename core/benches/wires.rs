//! What the wires cost, beside their goals: encode and decode of a small exchange, framing, chunks, a large image.
//! Prints; asserts nothing about time. `make bench-wires`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use interfuse::http::{Framer, HeaderMap, MAX_EVENT};
use interfuse::types::{ChatRequest, Quirks};
use interfuse::wire::{Frame, Framing, PROTOCOLS, Protocol, Reply, WireTarget, protocol};
use serde_json::{Value, json};

/// Microseconds for encode and decode of 3 KB.
const EXCHANGE_US: f64 = 15.0;
/// Megabytes of server-sent events per second.
const SSE_MBS: f64 = 400.0;
/// Microseconds for one chunk of OpenAI's wire, framing included.
const CHUNK_US: f64 = 2.0;
/// Time to encode an image over the time to write it once as a JSON text: more would be copies in between.
const ONCE: f64 = 1.5;

/// Seconds that one turn takes: the fastest of several rounds of about 50 ms, which other programs disturb least.
fn seconds(mut turn: impl FnMut()) -> f64 {
    let started = Instant::now();
    turn();
    let once = started.elapsed().max(Duration::from_nanos(50));
    let turns = (Duration::from_millis(50).as_nanos() / once.as_nanos()).clamp(1, 1_000_000) as u32;
    let mut best = f64::MAX;
    for _ in 0..9 {
        let started = Instant::now();
        for _ in 0..turns {
            turn();
        }
        best = best.min(started.elapsed().as_secs_f64() / f64::from(turns));
    }
    best
}

fn row(what: &str, measured: f64, unit: &str, goal: f64, more_is_better: bool) {
    let met = if more_is_better { measured >= goal } else { measured <= goal };
    let (sign, told) = (if more_is_better { "≥" } else { "≤" }, if met { "met" } else { "NOT MET" });
    println!("{what:<44} {measured:>10.2} {unit:<7} goal {sign} {goal:>6.1}   {told}");
}

/// A conversation of about 1.5 KB, and answers of as much in each vendor's shape.
fn request() -> ChatRequest {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(8);
    serde_json::from_value(json!({
        "model": "m", "temperature": 0.5, "max_tokens": 800,
        "messages": [
            {"role": "system", "content": "You are terse."}, {"role": "user", "content": text},
            {"role": "assistant", "content": text}, {"role": "user", "content": text}
        ]
    }))
    .unwrap()
}

fn answer(wire: &str) -> Value {
    let text = "Pack my box with five dozen liquor jugs. ".repeat(36);
    match wire {
        "openai-chat" => json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 300, "completion_tokens": 400, "total_tokens": 700}}),
        "openai-responses" => {
            json!({"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [{"type": "message", "id": "x", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": text, "annotations": []}]}],
            "usage": {"input_tokens": 300, "output_tokens": 400, "total_tokens": 700}})
        }
        "anthropic" => {
            json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 300, "output_tokens": 400}})
        }
        "gemini" => json!({"candidates": [{"index": 0, "finishReason": "STOP",
                "content": {"role": "model", "parts": [{"text": text}]}}],
            "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 400, "totalTokenCount": 700}}),
        "cohere" => json!({"id": "c", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
            "usage": {"tokens": {"input_tokens": 300, "output_tokens": 400}}}),
        "ollama" => json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": text}, "prompt_eval_count": 300, "eval_count": 400}),
        _ => {
            json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 300, "outputTokens": 400, "totalTokens": 700}})
        }
    }
}

fn exchange(wire: &dyn Protocol, target: &WireTarget<'_>) {
    let (request, body) = (request(), answer(wire.name()).to_string());
    let headers = HeaderMap::new();
    let reply = Reply { status: 200, headers: &headers, body: body.as_bytes() };
    let read = wire.decode(&reply, target).unwrap();
    assert!(read.text().starts_with("Pack my box"), "{}", wire.name());
    let size = wire.encode(&request, target, false).unwrap().body.len() + body.len();
    let taken = seconds(|| {
        black_box(wire.encode(black_box(&request), target, false).unwrap());
        black_box(wire.decode(black_box(&reply), target).unwrap());
    });
    let what = format!("{}: encode + decode, {size} bytes", wire.name());
    row(&what, taken * 1e6, "µs", EXCHANGE_US, false);
}

/// A stream as OpenAI sends it.
fn stream(chunks: usize) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "f",
        "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": null}]});
    let mut stream = format!("data: {chunk}\n\n").repeat(chunks);
    stream.push_str("data: [DONE]\n\n");
    stream
}

/// Pieces as they come off a socket.
const PIECE: usize = 16 << 10;

fn framing(target: &WireTarget<'_>) {
    let chunks = 20_000;
    let body = stream(chunks);
    let taken = seconds(|| {
        let (mut framer, mut events) = (Framer::new(Framing::Sse, MAX_EVENT), 0);
        for piece in body.as_bytes().chunks(PIECE) {
            let on_event = |frame: Frame<'_>| {
                events += usize::from(!black_box(frame.data).is_empty());
                Ok(())
            };
            framer.push(piece, on_event).unwrap();
        }
        assert_eq!(events, chunks + 1);
    });
    row("server-sent events: framing", body.len() as f64 / taken / 1e6, "MB/s", SSE_MBS, true);

    let wire = protocol("openai-chat").unwrap();
    let taken = seconds(|| {
        let (mut framer, mut decoder) = (Framer::new(Framing::Sse, MAX_EVENT), wire.decoder(target));
        let (mut out, mut read) = (Vec::new(), 0);
        for piece in body.as_bytes().chunks(PIECE) {
            framer.push(piece, |frame| decoder.frame(frame, &mut out)).unwrap();
            read += out.len();
            black_box(&out);
            out.clear();
        }
        assert_eq!(read, chunks);
    });
    row("openai-chat: one chunk, framed and decoded", taken / chunks as f64 * 1e6, "µs", CHUNK_US, false);
}

/// What an encode of a 10 MB image costs beyond writing it once into a body that has room.
fn image(wire: &dyn Protocol, target: &WireTarget<'_>) {
    let base64 = "A".repeat(10 << 20);
    let url = format!("data:image/png;base64,{base64}");
    let request: ChatRequest = serde_json::from_value(json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]}]}))
    .unwrap();
    let body = wire.encode(&request, target, false).unwrap().body;
    assert!(body.len() > base64.len() && body.len() < base64.len() + 4096, "{}", wire.name());
    let taken = seconds(|| {
        black_box(wire.encode(black_box(&request), target, false).unwrap());
    });
    let quoted = seconds(|| {
        let mut out = Vec::with_capacity(base64.len() + 2);
        serde_json::to_writer(&mut out, black_box(&base64)).unwrap();
        black_box(out);
    });
    row(&format!("{}: a 10 MB image, over writing it once", wire.name()), taken / quoted, "x", ONCE, false);
}

fn main() {
    let quirks = Quirks::default();
    let target = WireTarget { provider: "bench", model: "m", quirks: &quirks };
    for wire in PROTOCOLS {
        exchange(*wire, &target);
    }
    framing(&target);
    for wire in PROTOCOLS {
        image(*wire, &target);
    }
}
