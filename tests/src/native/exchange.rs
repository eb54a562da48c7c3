//! Reads recorded exchanges from the two layouts.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use interfuse::http::HeaderMap;
use serde_json::Value;

use super::{Dialect, headers};

/// A recorded exchange.
#[derive(Debug)]
pub struct Exchange {
    /// File it comes from.
    pub name: String,
    /// Address, or its path alone; empty where the recording does not say.
    pub url: String,
    /// Headers of the request, as far as they were kept.
    pub asked: HeaderMap,
    /// Body of the request; null where the recording does not have it.
    pub request: Value,
    /// Status.
    pub status: u16,
    /// Headers of the response, as far as they were kept.
    pub headers: HeaderMap,
    /// Whether the body is a stream.
    pub streamed: bool,
    /// Body of the response.
    pub body: Vec<u8>,
}

impl Exchange {
    /// `chat`, `chat-stream` or `error`.
    pub fn category(&self) -> &'static str {
        match self.streamed {
            _ if self.status >= 400 => "error",
            true => "chat-stream",
            false => "chat",
        }
    }

    /// Model that the request asks for; `m` where that is not recorded.
    pub fn model(&self) -> &str {
        self.request["model"].as_str().unwrap_or("m")
    }

    /// Path of the address, without its query.
    pub fn path(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(path)
    }

    /// An exchange in the collection's layout: `*.http.json`, and its body in a file beside it.
    ///
    /// # Errors
    /// When one of the two cannot be read.
    pub fn http(file: &Path) -> Result<Exchange, String> {
        let unreadable = |e: std::io::Error| format!("unreadable: {e}");
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let recorded: Value = serde_json::from_str(&text).map_err(|e| format!("not JSON: {e}"))?;
        let (request, response) = (&recorded["request"], &recorded["response"]);
        let body_file = response["body_file"].as_str().unwrap_or_default();
        let body = match body_file {
            "" => Vec::new(),
            name => fs::read(file.with_file_name(name)).map_err(unreadable)?,
        };
        Ok(Exchange {
            name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            url: request["url"].as_str().unwrap_or_default().to_owned(),
            asked: headers(&request["headers"]),
            request: request["body"].clone(),
            status: response["status"].as_u64().unwrap_or(200) as u16,
            headers: headers(&response["headers"]),
            streamed: [".sse", ".ndjson", ".eventstream"].iter().any(|end| body_file.ends_with(end)),
            body,
        })
    }

    /// A stream of which nothing but the body is known.
    pub fn stream(name: &str, body: Vec<u8>) -> Exchange {
        Exchange {
            name: name.to_owned(),
            url: String::new(),
            asked: HeaderMap::new(),
            request: Value::Null,
            status: 200,
            headers: HeaderMap::new(),
            streamed: true,
            body,
        }
    }

    /// An exchange in the project's own layout: `{"request": {"path", "host"?, "headers"?, "body"?}, "response": {"status", "headers"?, "body" |
    /// "body_base64"}}`.
    ///
    /// # Errors
    /// When there is no body.
    pub fn own(name: &str, recorded: &Value, streamed: bool) -> Result<Exchange, String> {
        let response = &recorded["response"];
        let body = match (&response["body"], &response["body_base64"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(text)) => {
                base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| e.to_string())?
            }
            _ => return Err("the recording has no `response.body`".into()),
        };
        let path = recorded["request"]["path"].as_str().unwrap_or_default();
        let url = match recorded["request"]["host"].as_str() {
            Some(host) if path.starts_with('/') => format!("https://{host}{path}"),
            _ => path.to_owned(),
        };
        Ok(Exchange {
            name: name.to_owned(),
            url,
            asked: headers(&recorded["request"]["headers"]),
            request: recorded["request"]["body"].clone(),
            status: response["status"].as_u64().unwrap_or(200) as u16,
            headers: headers(&response["headers"]),
            streamed,
            body,
        })
    }
}

/// Every recording of a folder in the collection's layout; of one that cannot be read its name and why.
pub(super) fn read_dir(dir: &Path, dialect: &dyn Dialect) -> Vec<Result<Exchange, (String, String)>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_file(&file, &name, dialect) {
            Ok(exchanges) => exchanges.into_iter().map(Ok).collect(),
            Err(why) => vec![Err((name, why))],
        }
    };
    files.into_iter().flat_map(read).collect()
}

/// Nothing for a file that belongs to another one; several for a file of several streams.
fn read_file(file: &Path, name: &str, dialect: &dyn Dialect) -> Result<Vec<Exchange>, String> {
    let unreadable = |e: std::io::Error| format!("unreadable: {e}");
    if name.ends_with(".http.json") {
        return Ok(vec![Exchange::http(file)?]);
    }
    if name.contains(".body.") {
        return Ok(Vec::new());
    }
    // Frames told in text, kept beside their bytes or without them.
    let frames = name.strip_suffix(".decoded.jsonl");
    if frames.is_some_and(|stem| file.with_file_name(format!("{stem}.body.eventstream")).exists()) {
        return Ok(Vec::new());
    }
    let verbatim = |streamed: bool, body: Vec<u8>| Exchange {
        name: name.to_owned(),
        url: String::new(),
        asked: HeaderMap::new(),
        request: Value::Null,
        status: 200,
        headers: HeaderMap::new(),
        streamed,
        body,
    };
    let body = fs::read(file).map_err(unreadable)?;
    Ok(match name {
        name if name.ends_with(".chunks.txt") => {
            let text = String::from_utf8_lossy(&body);
            streams(&text, dialect).iter().map(|lines| verbatim(true, dialect.framed(lines))).collect()
        }
        _ if frames.is_some() => vec![verbatim(true, dialect.framed(&String::from_utf8_lossy(&body)))],
        name if name.ends_with(".json") => vec![verbatim(false, body)],
        _ => vec![verbatim(true, body)],
    })
}

/// The lines of each stream of a file.
fn streams(text: &str, dialect: &dyn Dialect) -> Vec<String> {
    let (mut streams, mut over) = (Vec::<String>::new(), true);
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        if over {
            streams.push(String::new());
        }
        over = serde_json::from_str(line).is_ok_and(|payload| dialect.ends(&payload));
        if let Some(stream) = streams.last_mut() {
            stream.push_str(line);
            stream.push('\n');
        }
    }
    streams
}
