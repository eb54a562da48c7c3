//! The error handle: what a failed function leaves in its last parameter.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use interfuse_core::{Error, ErrorKind};

use crate::boundary::quiet;
use crate::handle::{self, Handle};

/// Everything known about a failure. Owned by whoever received it; any thread may read it.
pub struct interfuse_error {
    _opaque: [u8; 0],
}

/// An error with its texts made, so that they can be borrowed.
pub(crate) struct Shown {
    kind: ErrorKind,
    name: CString,
    message: CString,
    json: CString,
}

impl Handle for interfuse_error {
    type Inner = Shown;
    const TAG: [u8; 8] = *b"if-error";
    const NAME: &'static str = "error";
}

impl Shown {
    pub(crate) fn new(error: Error) -> Self {
        Shown {
            kind: error.kind(),
            name: text(error.kind().as_str()),
            message: text(error.message()),
            json: text(&error.to_json()),
        }
    }
}

/// C text ends at a NUL, which a vendor's message could contain.
fn text(from: &str) -> CString {
    CString::new(from.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// The kind of failure: one of the negative statuses. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_error_kind(error: *const interfuse_error) -> i32 {
    quiet(0, || {
        // SAFETY: NULL or a live handle, by contract.
        unsafe { handle::look(error) }.map_or(0, |shown| shown.kind.info().number)
    })
}

/// The kind's name, such as "rate_limited". Borrowed from the error; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_error_kind_name(error: *const interfuse_error) -> *const c_char {
    // SAFETY: NULL or a live handle, by contract.
    unsafe { borrowed(error, |shown| &shown.name) }
}

/// What happened and what to do. Borrowed from the error; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_error_message(error: *const interfuse_error) -> *const c_char {
    // SAFETY: NULL or a live handle, by contract.
    unsafe { borrowed(error, |shown| &shown.message) }
}

/// Everything the error tells, as a JSON object: `kind`, `message`, `retryable`, and where known `provider`, `model`,
/// `status`, `code`, `param`, `request_id`, `retry_after_ms`, `body`, `attempts`, `cost_nanos`, `partial`, `members`.
/// Borrowed from the error; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_error_json(error: *const interfuse_error) -> *const c_char {
    // SAFETY: NULL or a live handle, by contract.
    unsafe { borrowed(error, |shown| &shown.json) }
}

/// Frees an error and the texts borrowed from it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_error_free(error: *mut interfuse_error) {
    // SAFETY: NULL or a handle that is not used any more, by contract.
    quiet((), || unsafe { handle::free(error) });
}

/// # Safety
/// `error` is NULL or alive for as long as the result is used.
unsafe fn borrowed(error: *const interfuse_error, pick: impl FnOnce(&Shown) -> &CStr) -> *const c_char {
    quiet(ptr::null(), || {
        // SAFETY: promised by the caller.
        unsafe { handle::look(error) }.map_or(ptr::null(), |shown| pick(shown).as_ptr())
    })
}
