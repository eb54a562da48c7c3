//! The body of a stream cut into frames, as its wire says.

#[cfg(feature = "aws")]
use super::event_stream::EventStreamParser;
use super::sse::SseParser;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::{Frame, Framing};

/// Cuts pieces of a body, whatever their boundaries, into frames.
pub enum Framer {
    /// Server-sent events.
    Sse(SseParser),
    /// One JSON object per line.
    Ndjson(LineParser),
    /// Amazon's binary frames.
    #[cfg(feature = "aws")]
    AwsEventStream(EventStreamParser),
}

impl Framer {
    /// A framer that refuses frames larger than `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Self {
        match framing {
            Framing::Sse => Framer::Sse(SseParser::new(limit)),
            Framing::Ndjson => Framer::Ndjson(LineParser { limit, line: Vec::new() }),
            #[cfg(feature = "aws")]
            Framing::AwsEventStream => Framer::AwsEventStream(EventStreamParser::new(limit)),
            // Without the feature the wire encodes no request, so there is no answer to frame.
            #[cfg(not(feature = "aws"))]
            Framing::AwsEventStream => Framer::Sse(SseParser::new(limit)),
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// `decode` for a frame over the limit or a corrupt one; whatever `on_frame` returns.
    pub fn push(&mut self, piece: &[u8], on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        match self {
            Framer::Sse(parser) => parser.push(piece, on_frame),
            Framer::Ndjson(parser) => parser.push(piece, on_frame),
            #[cfg(feature = "aws")]
            Framer::AwsEventStream(parser) => parser.push(piece, on_frame),
        }
    }

    /// The body is over: a last frame that lacks its end still counts, where the framing can tell that it is whole.
    ///
    /// # Errors
    /// As for [`Framer::push`].
    pub fn finish(&mut self, on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        match self {
            Framer::Sse(parser) => parser.finish(on_frame),
            Framer::Ndjson(parser) => parser.finish(on_frame),
            #[cfg(feature = "aws")]
            Framer::AwsEventStream(parser) => parser.finish(on_frame),
        }
    }
}

/// Newline-delimited JSON.
pub struct LineParser {
    /// Largest line, bytes.
    limit: usize,
    /// A line whose end has not come.
    line: Vec<u8>,
}

impl LineParser {
    fn push(&mut self, mut piece: &[u8], mut on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.keep(&piece[..end])?;
            piece = &piece[end + 1..];
            self.dispatch(&mut on_frame)?;
        }
        self.keep(piece)
    }

    fn finish(&mut self, mut on_frame: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        self.dispatch(&mut on_frame)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<()> {
        if self.line.len() + bytes.len() > self.limit {
            let why = format!("a line of the stream is larger than {} bytes", self.limit);
            return Err(Error::new(ErrorKind::Decode, why));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn dispatch(&mut self, on_frame: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        let told = match self.line.trim_ascii() {
            [] => Ok(()),
            data => on_frame(Frame { data, ..Default::default() }),
        };
        self.line.clear();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_equal_however_they_are_cut() {
        let text = "{\"a\":\"é\u{2028}\"}\r\n\n{\"b\":1}\n{\"c\":2}".as_bytes();
        for cut in 0..=text.len() {
            let mut framer = Framer::new(Framing::Ndjson, 64);
            let mut got = Vec::new();
            let mut on = |f: Frame<'_>| {
                got.push(String::from_utf8(f.data.to_vec()).unwrap());
                Ok(())
            };
            framer.push(&text[..cut], &mut on).unwrap();
            framer.push(&text[cut..], &mut on).unwrap();
            framer.finish(&mut on).unwrap();
            assert_eq!(got, ["{\"a\":\"é\u{2028}\"}", "{\"b\":1}", "{\"c\":2}"], "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut framer = Framer::new(Framing::Ndjson, 64);
        let e = (0..10).find_map(|_| framer.push(&[b'x'; 10], |_| Ok(())).err()).unwrap();
        assert_eq!(e.kind(), ErrorKind::Decode);
    }
}
