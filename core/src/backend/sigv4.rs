//! Amazon's signature version 4 of a request, in its headers.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! Written here on ring and not taken from `aws-sigv4`, which tells the session token to every subscriber of its traces
//! and brings 17 crates.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use ring::hmac;
use zeroize::Zeroizing;

use super::AwsKeys;
use crate::digest::{hex, sha256_hex};
use crate::error::{Error, ErrorKind, Result};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Headers that are changed on the way, or made after signing.
const UNSIGNED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// For whom a request is signed, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The keys.
    pub keys: &'a AwsKeys,
    /// Such as `eu-west-1`.
    pub region: &'a str,
    /// Such as `bedrock`, also for its runtime.
    pub service: &'a str,
    /// Since 1970-01-01 UTC; Amazon takes what is at most 5 minutes off.
    pub now: Duration,
}

impl Signer<'_> {
    /// Signs a request that is otherwise ready: adds its date, the session's token and the signature.
    ///
    /// # Errors
    /// `authentication` when the keys hold what no header can carry.
    pub fn sign(&self, method: &Method, url: &url::Url, headers: &mut HeaderMap, body: &[u8]) -> Result<()> {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let line = Line { method, host, path: &encoded(&normalized(url.path()), true), query: url.query() };
        self.sign_line(&line, headers, body).map(|_| ())
    }

    /// As [`Signer::sign`], with the path as it is to be signed; the request in the form that was.
    fn sign_line(&self, line: &Line<'_>, headers: &mut HeaderMap, body: &[u8]) -> Result<String> {
        let time = self.time()?;
        headers.insert(DATE, value(&time)?);
        if let Some(token) = &self.keys.session_token {
            let mut token = value(token.expose())?;
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let (canonical, signed) = line.canonical(headers, body);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let secret = Zeroizing::new(format!("AWS4{}", self.keys.secret_access_key.expose()));
        let steps = [day, self.region, self.service, "aws4_request"];
        let key = steps.iter().fold(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), |key, step| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, step.as_bytes()).as_ref())
        });
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let id = &self.keys.access_key_id;
        let mut proof =
            value(&format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"))?;
        proof.set_sensitive(true);
        headers.insert(AUTHORIZATION, proof);
        Ok(canonical)
    }

    /// The time as `20260115T123456Z`.
    fn time(&self) -> Result<String> {
        let at = jiff::Timestamp::from_second(self.now.as_secs() as i64)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("the clock tells no time: {e}")))?;
        Ok(at.strftime("%Y%m%dT%H%M%SZ").to_string())
    }
}

/// What of a request is signed beside its headers and body.
struct Line<'a> {
    method: &'a Method,
    /// With its port, where it is not the usual one.
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl Line<'_> {
    /// The request in the form that is hashed, and the names of the headers in it.
    fn canonical(&self, headers: &HeaderMap, body: &[u8]) -> (String, String) {
        let mut lines: Vec<(&str, String)> = vec![(HOST.as_str(), self.host.to_owned())];
        for name in headers.keys().map(HeaderName::as_str).filter(|name| !UNSIGNED.contains(name)) {
            let values: Vec<String> = headers.get_all(name).iter().map(trimmed).collect();
            lines.push((name, values.join(",")));
        }
        lines.sort_unstable();
        let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut query: Vec<(String, String)> = url::form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
            .map(|(name, value)| (encoded(&name, false), encoded(&value, false)))
            .collect();
        query.sort_unstable();
        let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let mut out = format!("{}\n{}\n{query}\n", self.method, self.path);
        for (name, value) in lines {
            let _ = writeln!(out, "{name}:{value}");
        }
        let _ = write!(out, "\n{names}\n{}", sha256_hex(body));
        (out, names)
    }
}

/// A value without surrounding spaces and with single ones between words.
fn trimmed(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path without empty and dotted segments.
fn normalized(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let end = if path.len() > 1 && path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// Every byte percent-encoded but letters, digits and `-._~`. Of a path, which is encoded already, that makes twice:
/// Amazon's services but for S3 expect so.
fn encoded(text: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keep_slashes => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn value(text: &str) -> Result<HeaderValue> {
    let bad = |_| Error::new(ErrorKind::Authentication, "the AWS keys hold characters that no header can carry");
    HeaderValue::from_str(text).map_err(bad)
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
