//! A batch as `js/batch.cjs` sees it: requests are put in, rows are pulled.

use interfuse::Error;
use interfuse::batch::BatchFeed;
use interfuse::types::{BatchRequest, from_json};
use napi_derive::napi;

use crate::stream::NativeStream;

/// A batch under way.
#[napi]
pub struct NativeBatch {
    feed: Option<BatchFeed>,
    events: Option<NativeStream>,
}

impl NativeBatch {
    pub fn new(feed: BatchFeed, events: NativeStream) -> Self {
        NativeBatch { feed: Some(feed), events: Some(events) }
    }
}

#[napi]
impl NativeBatch {
    /// The stream of its events; once.
    #[napi]
    pub fn events(&mut self) -> Option<NativeStream> {
        self.events.take()
    }

    /// Puts in a request as JSON: a text, a list of messages or an object; without one, `why` there is none. What cannot be read
    /// becomes a row with that error. False when there is no room.
    #[napi]
    pub fn push(&self, request: Option<String>, why: Option<String>) -> bool {
        let request = match request {
            Some(text) => from_json("request", &text).and_then(|request| BatchRequest::from_value(&request)),
            None => Err(Error::invalid_request(why.unwrap_or_default())),
        };
        self.feed.as_ref().is_some_and(|feed| feed.push(request))
    }

    /// There are no more.
    #[napi]
    pub fn close(&mut self) {
        self.feed = None;
    }
}
