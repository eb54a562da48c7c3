//! The stream handle: chunks of an answer or events of a fusion, pulled one at a time.

use std::ffi::{CString, c_char, c_void};

use interfuse_core::host::{EventStream, Next};

use crate::boundary::{Status, out, quiet, run, timeout};
use crate::error::interfuse_error;
use crate::handle::{self, Handle};
use crate::ready::{Ready, interfuse_callback};

/// Chunks or events in flight. Read by one thread at a time; any thread may cancel. What is not pulled is not read from
/// the network for long: the buffer is bounded.
pub struct interfuse_stream {
    _opaque: [u8; 0],
}

impl Handle for interfuse_stream {
    type Inner = EventStream<CString>;
    const TAG: [u8; 8] = *b"ifstream";
    const NAME: &'static str = "stream";
}

/// Pulls the next chunk or event: JSON text in `*item` (free it with interfuse_string_free). Waits up to `timeout_ms`
/// milliseconds (negative: without limit, 0: only looks).
///
/// Returns 0, INTERFUSE_END after the last one of a stream that ended as it should, INTERFUSE_NOT_READY when nothing came
/// in time, or the kind of failure (the same again when called again).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_stream_next(
    stream: *const interfuse_stream,
    timeout_ms: i64,
    item: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(item, "item")?;
        // SAFETY: NULL or a live handle, by contract.
        let stream = unsafe { handle::look(stream) }?;
        Ok(match stream.next(timeout(timeout_ms))? {
            Next::Item(text) => {
                *place = text.into_raw();
                Status::Ok
            }
            Next::End => Status::End,
            Next::NotReady => Status::NotReady,
        })
    })
}

/// Has `callback` run once when interfuse_stream_next has something to tell (an item, the end or a failure). Call it
/// again for the next time. `drop_user_data` (may be NULL) runs exactly once after it, also on cancel and free, and also
/// when this function fails.
///
/// Returns 0, or INTERFUSE_MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_stream_on_ready(
    stream: *const interfuse_stream,
    callback: interfuse_callback,
    user_data: *mut c_void,
    drop_user_data: interfuse_callback,
    err: *mut *mut interfuse_error,
) -> i32 {
    let ready = Ready::new(callback, user_data, drop_user_data);
    run(err, || {
        // SAFETY: NULL or a live handle, by contract.
        let stream = unsafe { handle::look(stream) }?;
        let ready = ready.checked()?;
        stream.on_ready(move || ready.call());
        Ok(Status::Ok)
    })
}

/// Stops the stream and closes its connection; what was not pulled is dropped, and interfuse_stream_next then gives
/// INTERFUSE_CANCELLED, unless all was pulled. Any thread, any number of times, also while another thread waits.
/// NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_stream_cancel(stream: *const interfuse_stream) {
    quiet((), || {
        // SAFETY: NULL or a live handle, by contract.
        if let Ok(stream) = unsafe { handle::look(stream) } {
            stream.cancel();
        }
    });
}

/// Cancels the stream and frees it. No other function may be using it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_stream_free(stream: *mut interfuse_stream) {
    // SAFETY: NULL or a handle that is not used any more, by contract.
    quiet((), || unsafe { handle::free(stream) });
}
