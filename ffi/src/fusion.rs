//! What is found out about models and fusions: evaluations, stored answers judged anew or replayed, feedback, calibrations.

use std::ffi::c_char;

use futures_util::StreamExt as _;
use interfuse_core::fusion;
use interfuse_core::host::EventStream;
use interfuse_core::types::{Evaluation, EvaluationRequest, FuseRequest, FusionReport, LabelledItems, from_json};

use crate::boundary::{Status, out, run};
use crate::call::interfuse_call;
use crate::client::{answer, ask, call, interfuse_client};
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
        *place = answer(async move { client.evaluate(request).await })?.into_raw();
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

/// Combines the answers that a fusion's report holds once more: with another judge, in another mode or by other priors; waits
/// for the result. `report` is the `report` of a result in JSON, `request` a fusion request in JSON with the question, whose
/// `pool` may name some of the report's members; `*result` becomes the result in JSON (free it with interfuse_string_free). No
/// member is asked.
///
/// Returns 0 or the kind of failure; INTERFUSE_INVALID_REQUEST for a report that holds no usable answer, or a request that
/// would ask members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_rejudge(
    client: *const interfuse_client,
    report: *const c_char,
    request: *const c_char,
    result: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(result, "result")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<FuseRequest>(client, request) }?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let report: FusionReport = from_json("report", unsafe { text::read(report, "report") }?)?;
        *place = answer(async move { client.rejudge(&report, request).await })?.into_raw();
        Ok(Status::Ok)
    })
}

/// As interfuse_rejudge, without waiting: `*call` gives the result later (free it with interfuse_call_free).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_rejudge_start(
    client: *const interfuse_client,
    report: *const c_char,
    request: *const c_char,
    call: *mut *mut interfuse_call,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(call, "call")?;
        // SAFETY: the contract of this function is that of `ask`.
        let (client, request) = unsafe { ask::<FuseRequest>(client, request) }?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let report: FusionReport = from_json("report", unsafe { text::read(report, "report") }?)?;
        *place = handle::give(self::call(async move { client.rejudge(&report, request).await }));
        Ok(Status::Ok)
    })
}

/// Makes a fusion's decision again from what its report holds; nobody is asked. `report` is the `report` of a result in JSON;
/// `*result` becomes a result in JSON (free it with interfuse_string_free), whose `/report/earlier/differs` lists where it comes
/// to something else than the report says, and is not there when it is the same.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST for a report that does not hold enough.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_replay(
    report: *const c_char,
    result: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(result, "result")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let report: FusionReport = from_json("report", unsafe { text::read(report, "report") }?)?;
        *place = text::json(&fusion::replay(&report)?)?.into_raw();
        Ok(Status::Ok)
    })
}

/// Tells what became of a fusion of this client, which moves the chances to be right that its members and its judge are taken
/// to have in the fusions that follow. `run_id` is the result's `id`. `outcome` is JSON: {"right": true} (or false),
/// {"answer": "the right answer"} or {"member": "id of the member whose answer was best"}. With `fusion.memory` in the
/// configuration it is kept in that file, for every client that names it. A run counts once.
///
/// Returns 0, INTERFUSE_NOT_FOUND for a run that is not among the client's last 1024 or had its feedback,
/// INTERFUSE_INVALID_REQUEST for an outcome that says nothing about it, INTERFUSE_STORAGE when the file cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_feedback(
    client: *const interfuse_client,
    run_id: *const c_char,
    outcome: *const c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        // SAFETY: NULL or a live handle, NULL or NUL-terminated, by contract.
        let (client, run_id, outcome) =
            unsafe { (handle::look(client)?, text::read(run_id, "run_id")?, text::read(outcome, "outcome")?) };
        client.get()?.feedback(run_id, &from_json("outcome", outcome)?)?;
        Ok(Status::Ok)
    })
}

/// From answers to questions whose right answer is known: how good each model and judge is, and whom to ask. `items` is JSON:
/// a list of objects with `prompt`, `gold` and `answers` (texts by model), or the path of a file with one a line, as a JSON
/// string. `*calibration` becomes JSON with the recommended `pool` and the `advice` in a sentence (free it with
/// interfuse_string_free). Makes no connection.
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_calibrate(
    items: *const c_char,
    calibration: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(calibration, "calibration")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let items: LabelledItems = from_json("items", unsafe { text::read(items, "items") }?)?;
        *place = text::json(&fusion::calibrate(&fusion::items(items)?))?.into_raw();
        Ok(Status::Ok)
    })
}
