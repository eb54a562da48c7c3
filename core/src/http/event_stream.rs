//! Amazon's binary `application/vnd.amazon.eventstream` from bytes cut anywhere.
//!
//! Amazon's own crate reads a frame; here it is gathered, no larger than the limit says. The format:
//! <https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html>.

use aws_smithy_eventstream::frame::read_message_from;

use crate::error::{Error, ErrorKind, Result};
use crate::wire::Frame;

/// Length of the frame, length of its headers, CRC of both.
const PRELUDE: usize = 12;
/// A prelude and the CRC of the whole.
const SMALLEST: usize = PRELUDE + 4;

/// An incremental parser; feed it pieces, it calls back per frame.
pub struct EventStreamParser {
    /// Largest frame, bytes.
    limit: usize,
    /// A frame whose end has not come.
    frame: Vec<u8>,
    /// The body is plain JSON, an error as a rule; everything is collected as it is. `None`: nothing was read yet.
    bare: Option<bool>,
}

impl EventStreamParser {
    /// A parser that refuses frames larger than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        EventStreamParser { limit, frame: Vec::new(), bare: None }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// `decode` for a frame over the limit or a corrupt one; whatever `on_frame` returns.
    pub fn push(&mut self, mut piece: &[u8], mut on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        let Some(first) = piece.first() else { return Ok(()) };
        // As a frame's first byte it would promise two gigabytes.
        if *self.bare.get_or_insert(*first == b'{') {
            self.check(self.frame.len() + piece.len())?;
            self.frame.extend_from_slice(piece);
            return Ok(());
        }
        while !piece.is_empty() {
            if self.frame.is_empty()
                && let Some(length) = self.length(piece)?
                && let Some((whole, rest)) = piece.split_at_checked(length)
            {
                dispatch(whole, &mut on_frame)?;
                piece = rest;
                continue;
            }
            let want = self.length(&self.frame)?.unwrap_or(PRELUDE);
            let (more, rest) = piece.split_at(piece.len().min(want - self.frame.len()));
            self.frame.extend_from_slice(more);
            piece = rest;
            if self.length(&self.frame)? == Some(self.frame.len()) {
                dispatch(&self.frame, &mut on_frame)?;
                self.frame.clear();
            }
        }
        Ok(())
    }

    /// The body is over.
    ///
    /// # Errors
    /// `interrupted` when it ended inside a frame; whatever `on_frame` returns.
    pub fn finish(&mut self, mut on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        let rest = std::mem::take(&mut self.frame);
        if rest.is_empty() {
            return Ok(());
        }
        if self.bare == Some(true) {
            return on_frame(Frame { data: rest.trim_ascii(), ..Default::default() });
        }
        let why = format!("the answer ended {} bytes into a frame: the connection was closed half-way", rest.len());
        Err(Error::new(ErrorKind::Interrupted, why))
    }

    /// Length of the frame that begins here, checked; `None` until its prelude is whole.
    fn length(&self, frame: &[u8]) -> Result<Option<usize>> {
        let Some((prelude, _)) = frame.split_first_chunk::<PRELUDE>() else { return Ok(None) };
        let [a, b, c, d, _, _, _, _, crc @ ..] = *prelude;
        if crc32fast::hash(&prelude[..8]) != u32::from_be_bytes(crc) {
            return Err(corrupt("the checksum of its prelude does not match"));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length < SMALLEST {
            return Err(corrupt("it is shorter than a frame can be"));
        }
        self.check(length)?;
        Ok(Some(length))
    }

    fn check(&self, size: usize) -> Result<()> {
        if size > self.limit {
            let why = format!("a frame of the stream is larger than {} bytes", self.limit);
            return Err(Error::new(ErrorKind::Decode, why));
        }
        Ok(())
    }
}

/// Reads one whole frame.
fn dispatch(mut whole: &[u8], on_frame: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
    let message = read_message_from(&mut whole).map_err(corrupt)?;
    let header = |name: &str| {
        let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
        Some(found.value().as_string().ok()?.as_str())
    };
    let data = message.payload();
    match header(":message-type") {
        Some("exception") => {
            on_frame(Frame { event: header(":exception-type").unwrap_or_default(), data, fault: true })
        }
        Some("error") => {
            // An error that the service's model does not know tells itself in headers.
            let said = header(":error-message").unwrap_or_default();
            let said = serde_json::json!({ "message": said }).to_string();
            let data = if data.is_empty() { said.as_bytes() } else { data };
            on_frame(Frame { event: header(":error-code").unwrap_or_default(), data, fault: true })
        }
        _ => on_frame(Frame { event: header(":event-type").unwrap_or_default(), data, fault: false }),
    }
}

fn corrupt(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, format!("a frame of the stream is corrupt: {why}"))
}

#[cfg(test)]
#[path = "event_stream_tests.rs"]
mod tests;
