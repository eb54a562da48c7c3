//! What is found out about models and fusions: evaluations.

use std::ffi::c_char;

use futures_util::StreamExt as _;
use interfuse_core::host::EventStream;
use interfuse_core::types::{Evaluation, EvaluationRequest, from_json};

use crate::boundary::{Status, out, run};
use crate::call::interfuse_call;
use crate::client::{ask, call, interfuse_client};
use crate::error::interfuse_error;
use crate::handle;
use crate::stream::interfuse_stream;
use crate::text;

/// Asks models and fusions the same questions, waits until they are done and tells what each is worth. `request` is an
/// evaluation request in JSON; `*evaluation` becomes JSON whose `recommendation` says what to use (free it with
/// interfuse_string_free). With `checkpoint` in the request, what is done is kept in that file and not asked again.
///
/// Returns 0, INTERFUSE_INVALID_REQUEST before anything is sent, INTERFUSE_STORAGE when checkpoint or report cannot be
/// written. Calls that fail count as wrong answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_evaluate(
    client: *const interfuse_client,
    request: *const c_char,
    evaluation: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(evaluation, "evaluation")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<EvaluationRequest>(client, request) }?;
        *place = call(async move { client.evaluate(request).await }).join()?.into_raw();
        Ok(Status::Ok)
    })
}

/// As interfuse_evaluate, without waiting: `*call` gives the evaluation later (free it with interfuse_call_free). A call
/// that is cancelled leaves its checkpoint to go on from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_evaluate_start(
    client: *const interfuse_client,
    request: *const c_char,
    call: *mut *mut interfuse_call,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(call, "call")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<EvaluationRequest>(client, request) }?;
        *place = handle::give(self::call(async move { client.evaluate(request).await }));
        Ok(Status::Ok)
    })
}

/// As interfuse_evaluate, told as it goes on: events of type `progress` (`done`, `of`, `spent_nanos`), and last one of type
/// `done` that carries the evaluation as `result`. Does not wait: `*stream` gives the events, and also the failure of an
/// evaluation that could not start (free it with interfuse_stream_free). A stream that is cancelled leaves its checkpoint
/// to go on from.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_evaluate_stream(
    client: *const interfuse_client,
    request: *const c_char,
    stream: *mut *mut interfuse_stream,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(stream, "stream")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<EvaluationRequest>(client, request) }?;
        let events = EventStream::start(async move {
            let events = client.evaluate_stream(request)?;
            Ok(events.map(|event| text::json(&event?)))
        });
        *place = handle::give(events);
        Ok(Status::Ok)
    })
}

/// An evaluation as tables for a terminal of `width` columns, in `*table` (free it with interfuse_string_free).
/// `evaluation` is what interfuse_evaluate gave.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST when that is no evaluation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_evaluation_text(
    evaluation: *const c_char,
    width: u32,
    table: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(table, "table")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let evaluation: Evaluation = from_json("evaluation", unsafe { text::read(evaluation, "evaluation") }?)?;
        *place = text::plain(evaluation.to_text(width as usize, false))?.into_raw();
        Ok(Status::Ok)
    })
}
