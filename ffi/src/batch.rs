//! Batches: the handle through which requests are put in; what comes out is a stream.

use std::ffi::c_char;

use futures_util::StreamExt as _;
use interfuse_core::batch::BatchFeed;
use interfuse_core::host::{self, EventStream};
use interfuse_core::types::{BatchOptions, BatchReport, BatchRequest, from_json};

use crate::boundary::{Status, out, quiet, run};
use crate::client::{ask, interfuse_client};
use crate::error::interfuse_error;
use crate::handle::{self, Handle};
use crate::stream::interfuse_stream;
use crate::text;

/// Where the requests of a batch are put in. Any number of threads may use it at once.
pub struct interfuse_feed {
    _opaque: [u8; 0],
}

impl Handle for interfuse_feed {
    type Inner = BatchFeed;
    const TAG: [u8; 8] = *b"iffeed\0\0";
    const NAME: &'static str = "feed";
}

/// Starts a batch: many chat requests, a few at a time, under one budget, with a file to go on from. `options` are batch options
/// in JSON. Requests are put in through `*feed` with interfuse_feed_push; freeing that with interfuse_feed_free says that there
/// are no more. `*events` (free it with interfuse_stream_free) gives events: of type `row` with what became of a request in `row`,
/// of type `progress`, and last one of type `done` with the `report`. A batch that is cancelled leaves its checkpoint.
///
/// Returns 0 or INTERFUSE_INVALID_REQUEST. What is wrong with a request is told in its row. The stream fails with
/// INTERFUSE_INVALID_REQUEST for a checkpoint of another batch and with INTERFUSE_STORAGE for one that cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_batch(
    client: *const interfuse_client,
    options: *const c_char,
    feed: *mut *mut interfuse_feed,
    events: *mut *mut interfuse_stream,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let (feed, events) = (out(feed, "feed")?, out(events, "events")?);
        // SAFETY: the contract of this function is that of `ask`.
        let (client, options) = unsafe { ask::<BatchOptions>(client, options) }?;
        let runtime = host::handle()?;
        let _entered = runtime.enter();
        let (fed, batch) = client.batch_fed(options)?;
        *events = handle::give(EventStream::start(async move { Ok(batch.map(|event| text::json(&event?))) }));
        *feed = handle::give(fed);
        Ok(Status::Ok)
    })
}

/// Puts in a request: JSON, which is a chat request, a list of messages, or the user's text as a JSON string. What cannot be
/// read becomes a row with that error.
///
/// Returns 0, INTERFUSE_NOT_READY when there is no room before another row is read from the stream, or INTERFUSE_MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_feed_push(
    feed: *const interfuse_feed,
    request: *const c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        // SAFETY: NULL or a live handle, NULL or NUL-terminated, by contract.
        let (feed, request) = unsafe { (handle::look(feed)?, text::read(request, "request")) };
        let request = request.and_then(|request| from_json("request", request));
        let pushed = feed.push(request.and_then(|request| BatchRequest::from_value(&request)));
        Ok(if pushed { Status::Ok } else { Status::NotReady })
    })
}

/// Says that there are no more requests, and frees the feed. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_feed_free(feed: *mut interfuse_feed) {
    // SAFETY: NULL or a handle that is not used any more, by contract.
    quiet((), || unsafe { handle::free(feed) });
}

/// What a batch came to, as a line for people in `*line` (free it with interfuse_string_free). `report` is that of the event
/// of type `done`.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST when that is no report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_batch_text(
    report: *const c_char,
    line: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(line, "line")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let report: BatchReport = from_json("report", unsafe { text::read(report, "report") }?)?;
        *place = text::plain(report.to_text())?.into_raw();
        Ok(Status::Ok)
    })
}
