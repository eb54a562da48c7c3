//! A transport for tests that answers by script, and a clock that stands still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, HttpRequest, HttpResponse, Limits, Transport};

/// Answers, in order; when they are used up, nobody is there.
pub(super) struct Scripted {
    answers: Mutex<Vec<(u16, &'static str)>>,
    asked: Mutex<Vec<(String, String)>>,
    headers: Mutex<Vec<HeaderMap>>,
}

impl Scripted {
    pub fn new(answers: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Scripted { answers: Mutex::new(answers), asked: Mutex::default(), headers: Mutex::default() }
    }

    /// Method and address, and body, of each request.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }

    /// Headers of each request.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.headers.lock().unwrap().clone()
    }

    /// A call that needs proof.
    pub fn request(&self) -> HttpRequest {
        HttpRequest {
            method: Method::POST,
            url: Arc::new("https://api.example/x".parse().unwrap()),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            limits: Limits::each(Duration::from_secs(1)),
        }
    }
}

impl Transport for Scripted {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse>> {
        let told = (format!("{} {}", request.method, request.url), String::from_utf8_lossy(&request.body).into_owned());
        self.asked.lock().unwrap().push(told);
        self.headers.lock().unwrap().push(request.headers);
        let answer = self.answers.lock().unwrap().pop();
        Box::pin(async move {
            let (status, text) = answer.ok_or_else(|| Error::new(ErrorKind::Connection, "nobody is there"))?;
            let body = Body::new(futures_util::stream::iter([Ok(Bytes::from_static(text.as_bytes()))]));
            Ok(HttpResponse { status, headers: HeaderMap::new(), body })
        })
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(super) struct At(pub Duration);

impl Clock for At {
    fn unix(&self) -> Duration {
        self.0
    }
}
