//! Runs recorded bodies through framing and decoding, however they are cut, and checks what holds for the streams of
//! every wire.

use interfuse::error::ErrorKind;
use interfuse::http::Framer;
use interfuse::types::ChatCompletionChunk;
use interfuse::wire::{Frame, Framing, Protocol, WireTarget};

/// Largest frame of a recording, bytes.
const LIMIT: usize = 8 << 20;
/// Most prefixes of one stream that are tried as truncated streams, besides the last ones.
const PREFIXES: usize = 32;

/// From either end of a pair of frames, cuts are tried at every byte that far; beyond it at some.
const EVERY_BYTE: usize = 2048;

/// Chunks of a body fed in pieces, the error that ended it, and whether it was complete.
#[derive(Debug, PartialEq)]
pub struct Streamed {
    /// Chunks in order.
    pub chunks: Vec<ChatCompletionChunk>,
    /// Kind of the error that ended it.
    pub error: Option<ErrorKind>,
    /// Whether the terminal signal came.
    pub complete: bool,
}

/// Runs a body through framing and decoding.
pub fn stream<'a>(
    wire: &dyn Protocol,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    target: &WireTarget<'_>,
) -> Streamed {
    let mut framer = Framer::new(wire.framing(), LIMIT);
    let mut decoder = wire.decoder(target);
    let mut chunks = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = framer.push(piece, |frame| decoder.frame(frame, &mut chunks));
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = framer.finish(|frame| decoder.frame(frame, &mut chunks));
        decoder.finish(&mut chunks);
    }
    Streamed { chunks, error: result.err().map(|e| e.kind()), complete: decoder.complete() }
}

/// However the body is cut, the same chunks come of it.
///
/// # Errors
/// What differs.
pub fn check_cuts(wire: &dyn Protocol, body: &[u8], target: &WireTarget<'_>) -> Result<(), String> {
    if stream(wire, body.chunks(1), target) != stream(wire, [body], target) {
        return Err("fed byte by byte it gives other events".into());
    }
    // Between two frames the framing starts afresh, so cutting every pair of neighbours at every byte covers every cut of
    // the whole.
    let framing = wire.framing();
    for window in windows(framing, body) {
        let want = frames(framing, &[window]);
        // Deep inside a large frame one byte is like the next.
        let near = |cut: usize| cut < EVERY_BYTE || window.len() - cut < EVERY_BYTE;
        for cut in (1..window.len()).filter(|cut| near(*cut) || cut % 509 == 0) {
            if frames(framing, &[&window[..cut], &window[cut..]]) != want {
                return Err(format!(
                    "cut at byte {cut} of {:?} it gives other events",
                    String::from_utf8_lossy(window)
                ));
            }
        }
    }
    Ok(())
}

/// Pairs of neighbouring frames.
fn windows(framing: Framing, body: &[u8]) -> Vec<&[u8]> {
    let mut ends = match framing {
        Framing::Sse => blank_lines(body),
        Framing::Ndjson => body.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect(),
        Framing::AwsEventStream => prelude_lengths(body),
    };
    ends.insert(0, 0);
    if ends.last() != Some(&body.len()) {
        ends.push(body.len());
    }
    let pairs: Vec<&[u8]> = ends.windows(3).map(|w| &body[w[0]..w[2]]).collect();
    if pairs.is_empty() { vec![body] } else { pairs }
}

fn blank_lines(body: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut line_empty = true;
    for (i, b) in body.iter().enumerate() {
        match b {
            b'\n' if line_empty => ends.push(i + 1),
            b'\n' => line_empty = true,
            b'\r' => {}
            _ => line_empty = false,
        }
    }
    ends
}

/// Ends of Amazon's frames: each begins with its length, 4 bytes, big endian.
fn prelude_lengths(body: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(Ok(length)) = body.get(at..at + 4).map(<[u8; 4]>::try_from) {
        at += (u32::from_be_bytes(length) as usize).max(4);
        ends.push(at.min(body.len()));
    }
    ends
}

/// Event name, payload and fault mark of every frame.
pub fn frames(framing: Framing, pieces: &[&[u8]]) -> Vec<(String, Vec<u8>, bool)> {
    let mut out = Vec::new();
    let mut framer = Framer::new(framing, LIMIT);
    let mut keep = |frame: Frame<'_>| {
        out.push((frame.event.to_owned(), frame.data.to_vec(), frame.fault));
        Ok(())
    };
    let told = pieces.iter().try_for_each(|piece| framer.push(piece, &mut keep));
    let told = told.and_then(|()| framer.finish(&mut keep));
    if let Err(e) = told {
        out.push((e.kind().to_string(), Vec::new(), true));
    }
    out
}

/// Once a decoder calls the stream complete, no text may follow: a cut before that point is never a success, a cut after
/// it has lost nothing.
///
/// # Errors
/// The frame that would have been lost.
pub fn truncated_is_no_success(wire: &dyn Protocol, body: &[u8], target: &WireTarget<'_>) -> Result<(), String> {
    let frames = frames(wire.framing(), &[body]);
    let run = |upto: usize, out: &mut Vec<ChatCompletionChunk>| {
        let mut decoder = wire.decoder(target);
        for (event, data, fault) in &frames[..upto] {
            let _ = decoder.frame(Frame { event, data, fault: *fault }, out);
        }
        decoder.finish(out);
        decoder.complete()
    };
    let mut whole = Vec::new();
    run(frames.len(), &mut whole);
    let substance = substance(&whole);
    let step = frames.len() / PREFIXES + 1;
    for upto in (0..frames.len()).filter(|n| n % step == 0 || n + 8 >= frames.len()) {
        let mut chunks = Vec::new();
        if run(upto, &mut chunks) && self::substance(&chunks) != substance {
            let next = String::from_utf8_lossy(&frames[upto].1).into_owned();
            return Err(format!("it counts as complete before: {next}"));
        }
    }
    Ok(())
}

/// How much text and how much of tool calls the chunks carry.
fn substance(chunks: &[ChatCompletionChunk]) -> (usize, usize) {
    let deltas = || chunks.iter().flat_map(|c| &c.choices).map(|c| &c.delta);
    let text = deltas().filter_map(|d| d.content.as_ref()).map(String::len).sum();
    let calls = deltas()
        .flat_map(|d| d.tool_calls.iter().flatten())
        .map(|c| 1 + c.function.as_ref().and_then(|f| f.arguments.as_ref()).map_or(0, String::len))
        .sum();
    (text, calls)
}
