//! The call handle: a question in flight.

use std::ffi::{CString, c_char, c_void};

use interfuse_core::host::Call;

use crate::boundary::{Status, out, quiet, run, timeout};
use crate::error::interfuse_error;
use crate::handle::{self, Handle};
use crate::ready::{Ready, interfuse_callback};

/// A question in flight or answered. Any thread may use it; only interfuse_call_free needs it alone.
pub struct interfuse_call {
    _opaque: [u8; 0],
}

impl Handle for interfuse_call {
    type Inner = Call<CString>;
    const TAG: [u8; 8] = *b"if--call";
    const NAME: &'static str = "call";
}

/// Waits until the result is there, up to `timeout_ms` milliseconds (negative: without limit, 0: only looks).
///
/// Returns 0 when interfuse_call_take will give the result, INTERFUSE_NOT_READY when it did not come in time,
/// INTERFUSE_MISUSE when it would block a thread of the library or the process forked since the start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_call_wait(
    call: *const interfuse_call,
    timeout_ms: i64,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        // SAFETY: NULL or a live handle, by contract.
        let call = unsafe { handle::look(call) }?;
        Ok(if call.wait(timeout(timeout_ms))? { Status::Ok } else { Status::NotReady })
    })
}

/// Has `callback` run once when the result is there. `drop_user_data` (may be NULL) runs exactly once after it, also on
/// cancel and free, and also when this function fails.
///
/// Returns 0, or INTERFUSE_MISUSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_call_on_ready(
    call: *const interfuse_call,
    callback: interfuse_callback,
    user_data: *mut c_void,
    drop_user_data: interfuse_callback,
    err: *mut *mut interfuse_error,
) -> i32 {
    let ready = Ready::new(callback, user_data, drop_user_data);
    run(err, || {
        // SAFETY: NULL or a live handle, by contract.
        let call = unsafe { handle::look(call) }?;
        let ready = ready.checked()?;
        call.on_ready(move || ready.call());
        Ok(Status::Ok)
    })
}

/// Takes the result, once: JSON text in `*result` (free it with interfuse_string_free).
///
/// Returns 0, INTERFUSE_NOT_READY while the call runs, the kind of failure when it failed (INTERFUSE_CANCELLED when it
/// was cancelled), INTERFUSE_MISUSE when the result was taken before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_call_take(
    call: *const interfuse_call,
    result: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(result, "result")?;
        // SAFETY: NULL or a live handle, by contract.
        let call = unsafe { handle::look(call) }?;
        let Some(taken) = call.take() else { return Ok(Status::NotReady) };
        *place = taken?.into_raw();
        Ok(Status::Ok)
    })
}

/// Stops the call and closes its connection; its result is then INTERFUSE_CANCELLED, unless it was there before. Any
/// thread, any number of times, also while another thread waits. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_call_cancel(call: *const interfuse_call) {
    quiet((), || {
        // SAFETY: NULL or a live handle, by contract.
        if let Ok(call) = unsafe { handle::look(call) } {
            call.cancel();
        }
    });
}

/// Cancels the call and frees it. No other function may be using it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_call_free(call: *mut interfuse_call) {
    // SAFETY: NULL or a handle that is not used any more, by contract.
    quiet((), || unsafe { handle::free(call) });
}
