//! Reads HTTP/1.1 requests off a connection, and asks whether one looks like a route's `when`.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::script::When;

/// More than any request of a test; a guard against reading rubbish for ever.
const MAX_BYTES: usize = 256 << 20;

/// One request as it arrived.
#[derive(Debug)]
pub(super) struct Request {
    pub method: String,
    /// With the query string.
    pub path: String,
    /// Lower-case names; repeated headers are joined with `, `.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The next request of a connection, `None` when the client has closed it. `buffer` keeps what was read too far.
    pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let (mut request, body_at) = loop {
            match parse_head(buffer).map_err(io::Error::other)? {
                Some(parsed) => break parsed,
                None => {
                    if !fill(stream, buffer).await? {
                        return Ok(None);
                    }
                }
            }
        };
        if request.header("expect") == Some("100-continue") {
            use tokio::io::AsyncWriteExt as _;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        buffer.drain(..body_at);
        if request.header("transfer-encoding").is_some() {
            loop {
                let (size_line, size) = loop {
                    match httparse::parse_chunk_size(buffer) {
                        Ok(httparse::Status::Complete(parsed)) => break parsed,
                        Ok(httparse::Status::Partial) => must_fill(stream, buffer).await?,
                        Err(_) => return Err(io::Error::other("invalid chunk size")),
                    }
                };
                let size = usize::try_from(size).map_err(io::Error::other)?;
                let end = size_line + size;
                while buffer.len() < end + 2 {
                    must_fill(stream, buffer).await?;
                }
                request.body.extend_from_slice(&buffer[size_line..end]);
                buffer.drain(..end + 2);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = request.header("content-length") {
            let length: usize = length.parse().map_err(io::Error::other)?;
            while buffer.len() < length {
                must_fill(stream, buffer).await?;
            }
            request.body = buffer.drain(..length).collect();
        }
        Ok(Some(request))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body as JSON, else as text (empty: null).
    pub fn body_value(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }

    /// `body` is [`Request::body_value`], parsed once by the caller; `ms` the time since the script's first request.
    pub fn looks_like(&self, when: &When, body: &Value, ms: u64) -> bool {
        let bare = self.path.split('?').next().unwrap_or_default();
        let path = |wanted: &String| wanted == if wanted.contains('?') { &self.path } else { bare };
        when.method.as_ref().is_none_or(|method| *method == self.method)
            && when.path.as_ref().is_none_or(path)
            && when.path_ends.as_ref().is_none_or(|end| bare.ends_with(end))
            && when.model.as_ref().is_none_or(|model| body["model"] == model.as_str())
            && when.header.iter().all(|(name, value)| self.header(&name.to_ascii_lowercase()) == Some(value))
            && when.body.as_ref().is_none_or(|part| contains(body, part))
            && when.before_ms.is_none_or(|end| ms < end)
            && when.last_role.as_ref().is_none_or(|role| {
                let last = body["messages"].as_array().and_then(|messages| messages.last());
                last.is_some_and(|last| last["role"] == role.as_str())
            })
            && when
                .body_contains
                .as_ref()
                .is_none_or(|text| self.body.windows(text.len().max(1)).any(|window| window == text.as_bytes()))
    }
}

/// Is `part` a part of `whole`? Objects may have more keys, everything else is equal.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

fn parse_head(buffer: &[u8]) -> Result<Option<(Request, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(buffer)? else {
        return Ok(None);
    };
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers: BTreeMap::new(),
        body: Vec::new(),
    };
    for header in head.headers.iter() {
        let value = String::from_utf8_lossy(header.value).into_owned();
        request
            .headers
            .entry(header.name.to_ascii_lowercase())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value);
    }
    Ok(Some((request, length)))
}

/// Reads more; `false` when the client has closed.
async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    if buffer.len() > MAX_BYTES {
        return Err(io::Error::other("request too large"));
    }
    Ok(stream.read_buf(buffer).await? > 0)
}

async fn must_fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match fill(stream, buffer).await? {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn conditions_all_hold() {
        let request = Request {
            method: "POST".into(),
            path: "/v1/chat/completions?api-version=1".into(),
            headers: BTreeMap::from([("authorization".into(), "Bearer k".into())]),
            body: br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi there"}]}"#.to_vec(),
        };
        let body = request.body_value();
        let matches = |when: Value| request.looks_like(&from_value(when).unwrap(), &body, 500);
        assert!(matches(json!({})));
        assert!(matches(json!({"path": "/v1/chat/completions", "model": "m", "header": {"Authorization": "Bearer k"},
            "body": {"stream": true, "messages": [{"role": "user"}]}, "body_contains": "hi th", "method": "POST"})));
        assert!(matches(json!({"path": "/v1/chat/completions?api-version=1"})));
        assert!(matches(json!({"last_role": "user", "before_ms": 501})));
        for other in [
            json!({"path": "/v1/models"}),
            json!({"path": "/v1/chat/completions?api-version=2"}),
            json!({"model": "n"}),
            json!({"method": "GET"}),
            json!({"header": {"x-none": ""}}),
            json!({"body": {"messages": []}}),
            json!({"body": {"stream": false}}),
            json!({"body_contains": "ho"}),
            json!({"last_role": "assistant"}),
            json!({"before_ms": 500}),
        ] {
            assert!(!matches(other.clone()), "{other}");
        }
    }
}
