//! Server-sent events from bytes cut anywhere.
//!
//! Follows the HTML standard's parsing rules, with three things that LLM servers made necessary: a limit per event, a
//! last event without its blank line, and bare JSON in place of events (an error object sent on a streaming call).

use crate::error::{Error, ErrorKind, Result};
use crate::wire::Frame;

/// An incremental parser; feed it pieces, it calls back per event.
pub struct SseParser {
    /// Largest event, bytes.
    limit: usize,
    /// A line whose end has not come.
    line: Vec<u8>,
    /// Data lines of the event so far, joined by `\n`.
    data: Vec<u8>,
    has_data: bool,
    event: String,
    /// The last piece ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    /// Nothing was read yet, so a byte order mark may come.
    at_start: bool,
    /// The body is no event stream; everything is collected as it is.
    bare: bool,
}

impl SseParser {
    /// A parser that refuses events larger than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        SseParser {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            event: String::new(),
            after_cr: false,
            at_start: true,
            bare: false,
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// `decode` for an event over the limit; whatever `on_event` returns.
    pub fn push(&mut self, mut piece: &[u8], mut on_event: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        if self.bare {
            return self.collect(piece);
        }
        while !piece.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if piece[0] == b'\n' {
                    piece = &piece[1..];
                    continue;
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', piece) else {
                self.check(self.line.len() + piece.len())?;
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            let (head, rest) = piece.split_at(end);
            self.after_cr = rest[0] == b'\r';
            piece = &rest[1..];
            self.check(self.line.len() + head.len())?;
            if self.line.is_empty() {
                self.take_line(head, &mut on_event)?;
            } else {
                self.line.extend_from_slice(head);
                let line = std::mem::take(&mut self.line);
                let taken = self.take_line(&line, &mut on_event);
                self.line = line;
                self.line.clear();
                taken?;
            }
            if self.bare {
                return self.collect(piece);
            }
        }
        Ok(())
    }

    /// The body is over: a last event that lacks its blank line still counts.
    ///
    /// # Errors
    /// As for [`SseParser::push`].
    pub fn finish(&mut self, mut on_event: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        if !self.bare && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.take_line(&line, &mut on_event)?;
        }
        self.dispatch(&mut on_event)
    }

    fn take_line(&mut self, mut line: &[u8], on_event: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        if self.at_start {
            self.at_start = false;
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(on_event);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(()),
            Some(colon) => (&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..])),
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                self.check(self.data.len() + value.len())?;
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            _ if !self.has_data && matches!(line.trim_ascii_start().first(), Some(b'{' | b'[')) => {
                self.bare = true;
                return self.collect(line);
            }
            _ => {}
        }
        Ok(())
    }

    fn collect(&mut self, piece: &[u8]) -> Result<()> {
        self.check(self.data.len() + piece.len())?;
        self.data.extend_from_slice(piece);
        self.has_data = true;
        Ok(())
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        if !self.has_data {
            self.event.clear();
            return Ok(());
        }
        let told = on_event(Frame { event: &self.event, data: &self.data, fault: false });
        self.has_data = false;
        self.data.clear();
        self.event.clear();
        told
    }

    fn check(&self, size: usize) -> Result<()> {
        if size > self.limit {
            return Err(Error::new(
                ErrorKind::Decode,
                format!("an event of the stream is larger than {} bytes", self.limit),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut p = SseParser::new(1024);
        let mut on = |f: Frame<'_>| {
            out.push((f.event.to_owned(), String::from_utf8(f.data.to_vec()).unwrap()));
            Ok(())
        };
        for piece in pieces {
            p.push(piece, &mut on).unwrap();
        }
        p.finish(&mut on).unwrap();
        out
    }

    #[test]
    fn equal_however_it_is_cut() {
        let text = "\u{feff}: hi\r\n\r\ndata: {\"a\":\"é\u{2028}\"}\r\n\r\nevent: x\rdata:1\rdata:  2\r\rid: 7\nretry: 1\ndata\n\n\ndata: last".as_bytes();
        let want = vec![
            (String::new(), "{\"a\":\"é\u{2028}\"}".to_owned()),
            ("x".to_owned(), "1\n 2".to_owned()),
            (String::new(), String::new()),
            (String::new(), "last".to_owned()),
        ];
        assert_eq!(events(&[text]), want);
        for cut in 0..=text.len() {
            assert_eq!(events(&[&text[..cut], &text[cut..]]), want, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(events(&bytes), want);
    }

    #[test]
    fn bare_json_is_one_event() {
        let text = b"{\n \"error\": {\"message\": \"x\"}\n}\n";
        for cut in 0..=text.len() {
            let got = events(&[&text[..cut], &text[cut..]]);
            assert_eq!(got.len(), 1, "cut at {cut}");
            assert!(serde_json::from_str::<serde_json::Value>(&got[0].1).is_ok());
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut p = SseParser::new(100);
        let e = (0..100).find_map(|_| p.push(b"data: xxxxxxxxxx", |_| Ok(())).err()).unwrap();
        assert_eq!(e.kind(), ErrorKind::Decode);
    }
}
