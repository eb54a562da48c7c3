//! Google's generateContent.

use serde_json::{Value, json};

use super::{Refusal, Said, TOKENS};

fn gemini_chunk(parts: Value, finish: Option<&str>) -> Value {
    let (prompt, completion) = TOKENS;
    // `candidatesTokenCount` leaves the thoughts out.
    json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": finish}],
        "usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": completion - 2, "thoughtsTokenCount": 2,
            "totalTokenCount": prompt + completion},
        "modelVersion": "m", "responseId": "r-1"})
}

fn gemini_finish(said: &Said) -> &'static str {
    if said.cut { "MAX_TOKENS" } else { "STOP" }
}

fn gemini_call(said: &Said) -> Option<Value> {
    said.call.map(|(_, name, _)| json!({"functionCall": {"name": name, "args": said.arguments()}}))
}

pub(super) fn gemini(said: &Said) -> Value {
    let parts: Vec<Value> = std::iter::once(json!({"text": said.text()})).chain(gemini_call(said)).collect();
    json!({"json": gemini_chunk(json!(parts), Some(gemini_finish(said)))})
}

pub(super) fn gemini_stream(said: &Said) -> Value {
    let mut chunks: Vec<Value> = said.pieces.iter().map(|piece| gemini_chunk(json!([{"text": piece}]), None)).collect();
    let last = gemini_call(said).unwrap_or_else(|| json!({"text": ""}));
    chunks.push(gemini_chunk(json!([last]), Some(gemini_finish(said))));
    // Google ends its lines with CR LF.
    let body: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    json!({"body": body, "headers": {"content-type": "text/event-stream"}})
}

pub(super) fn gemini_refusal(refusal: Refusal) -> Value {
    let (code, status, message) = match refusal {
        Refusal::Key => (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        Refusal::Busy => (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        Refusal::Long => (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
    };
    json!({"status": code, "json": {"error": {"code": code, "message": message, "status": status}}})
}
