//! Signatures against Amazon's published suite and against botocore's, where they lie beside the checkout; one of each
//! always.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::secret::Secret;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/native/aws-sigv4")
}

fn keys(token: Option<&str>) -> AwsKeys {
    AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: token.map(Secret::new),
        expires_at: None,
    }
}

fn at(time: &str) -> Duration {
    Duration::from_secs(time.parse::<jiff::Timestamp>().unwrap().as_second() as u64)
}

fn signature(headers: &HeaderMap) -> &str {
    headers[AUTHORIZATION].to_str().unwrap().rsplit_once("Signature=").unwrap().1
}

#[test]
fn a_call_of_bedrock() {
    let keys = keys(Some("session/token+=="));
    let signer = Signer { keys: &keys, region: "us-east-1", service: "bedrock", now: at("2026-01-15T12:34:56Z") };
    let url = "http://localhost:8123/model/us.amazon.nova-lite-v1%3A0/converse".parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("user-agent", HeaderValue::from_static("changes"));
    signer.sign(&Method::POST, &url, &mut headers, b"{}").unwrap();
    assert_eq!(headers["x-amz-date"], "20260115T123456Z");
    assert!(headers["x-amz-security-token"].is_sensitive() && headers[AUTHORIZATION].is_sensitive());
    let proof = headers[AUTHORIZATION].to_str().unwrap();
    let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(proof.starts_with(begin), "{proof}");
    let line = Line { method: &Method::POST, host: "localhost:8123", path: &encoded(url.path(), true), query: None };
    let (canonical, _) = line.canonical(&headers, b"{}");
    assert!(canonical.starts_with("POST\n/model/us.amazon.nova-lite-v1%253A0/converse\n\n"), "{canonical}");
    assert!(canonical.contains("\nhost:localhost:8123\n") && !canonical.contains("changes"), "{canonical}");
}

/// The first case of Amazon's suite, `get-vanilla`.
#[test]
fn the_published_example() {
    let keys = keys(None);
    let signer = Signer { keys: &keys, region: "us-east-1", service: "service", now: at("2015-08-30T12:36:00Z") };
    let mut headers = HeaderMap::new();
    signer.sign(&Method::GET, &"https://example.amazonaws.com/".parse().unwrap(), &mut headers, b"").unwrap();
    assert_eq!(signature(&headers), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

#[test]
fn keys_that_no_header_carries_are_refused_without_being_told() {
    let keys = keys(Some("a\nb-secret"));
    let signer = Signer { keys: &keys, region: "r", service: "s", now: Duration::ZERO };
    let url = "https://example.com/".parse().unwrap();
    let e = signer.sign(&Method::GET, &url, &mut HeaderMap::new(), b"").unwrap_err();
    assert!(e.kind() == ErrorKind::Authentication && !e.to_string().contains("secret"), "{e}");
}

#[test]
fn signatures_of_botocore() {
    let Ok(text) = fs::read_to_string(folder().join("bedrock-generated-vectors.json")) else {
        println!("botocore's signatures: not present beside the checkout, nothing was run");
        return;
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    let vectors = all["vectors"].as_array().unwrap();
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let keys = keys(vector["session_token"].as_str());
        let stamp = text("timestamp");
        let [year, month, day] = [&stamp[..4], &stamp[4..6], &stamp[6..8]];
        let now = at(&format!("{year}-{month}-{day}T{}:{}:{}Z", &stamp[9..11], &stamp[11..13], &stamp[13..15]));
        let signer = Signer { keys: &keys, region: text("region"), service: text("service"), now };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", text("content_type").parse().unwrap());
        for (name, value) in vector["extra_headers"].as_object().unwrap() {
            let name: HeaderName = name.to_lowercase().parse().unwrap();
            headers.insert(name, value.as_str().unwrap().parse().unwrap());
        }
        let url = text("url").parse().unwrap();
        signer.sign(&text("method").parse().unwrap(), &url, &mut headers, text("body").as_bytes()).unwrap();
        assert_eq!(headers[AUTHORIZATION], text("authorization"), "{}", text("name"));
    }
    println!("botocore's signatures: {} equal", vectors.len());
    assert_eq!(vectors.len(), 10);
}

/// A request of the suite: its line, headers and body.
fn request(text: &str) -> (Method, String, HeaderMap, String) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let target = target.rsplit_once(" HTTP").unwrap().0.to_owned();
    let mut given: Vec<(String, String)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        match line.split_once(':') {
            Some((name, value)) if !line.starts_with(' ') => given.push((name.to_lowercase(), value.to_owned())),
            // A header goes on in the next line.
            _ => given.last_mut().unwrap().1.push_str(line),
        }
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given.iter().filter(|(name, _)| name != "host") {
        headers.append(name.parse::<HeaderName>().unwrap(), value.trim().parse().unwrap());
    }
    (method.parse().unwrap(), target, headers, body.to_owned())
}

#[test]
fn the_published_suite() {
    let mut ran = 0;
    for case in fs::read_dir(folder().join("v4")).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let read = |name: &str| fs::read_to_string(case.join(name)).unwrap().replace("\r\n", "\n");
        let context: Value = serde_json::from_str(&read("context.json")).unwrap();
        let (method, target, mut headers, body) = request(&read("request.txt"));
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        // The suite's service does not expect paths encoded twice, so they are encoded here for the first time.
        let path = if context["normalize"] == true { normalized(path) } else { path.to_owned() };
        let token = context["credentials"]["token"].as_str().filter(|_| context["omit_session_token"] != true);
        let keys = keys(token);
        if context["sign_body"] == true {
            headers.insert("x-amz-content-sha256", sha256_hex(body.as_bytes()).parse().unwrap());
        }
        let now = at(context["timestamp"].as_str().unwrap());
        let signer = Signer { keys: &keys, region: "us-east-1", service: "service", now };
        let path = encoded(&path, true);
        let line = Line { method: &method, host: "example.amazonaws.com", path: &path, query: Some(query) };
        let canonical = signer.sign_line(&line, &mut headers, body.as_bytes()).unwrap();
        assert_eq!(canonical, read("header-canonical-request.txt").trim_end(), "{}", case.display());
        assert_eq!(signature(&headers), read("header-signature.txt").trim(), "{}", case.display());
        ran += 1;
    }
    println!("Amazon's suite of signatures: {ran} equal");
    assert!(ran == 0 || ran == 38, "{ran} cases");
}

#[test]
fn paths_are_encoded_twice() {
    let mut ran = 0;
    for case in ["double-encode-path", "double-url-encode"].map(|name| folder().join("smithy-rs").join(name)) {
        let Ok(text) = fs::read_to_string(case.join("request.txt")) else { continue };
        let (_, target, ..) = request(&text);
        let canonical = fs::read_to_string(case.join("header-canonical-request.txt")).unwrap();
        assert_eq!(encoded(&target, true), canonical.lines().nth(1).unwrap());
        ran += 1;
    }
    println!("paths encoded twice: {ran} equal");
    assert!(ran == 0 || ran == 2);
}
