//! Text across the boundary: NUL-terminated UTF-8, mostly JSON.

use std::ffi::{CStr, CString, c_char};

use interfuse_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::Value;

use crate::boundary::{Status, null, out, quiet, run};
use crate::error::interfuse_error;

/// Frees a text that a function gave through an out-parameter. NULL does nothing.
///
/// Texts that a function returns (`const char *`) are not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_string_free(text: *mut c_char) {
    quiet((), || {
        if !text.is_null() {
            // SAFETY: by contract it came from `CString::into_raw` in this library and is freed once.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}

/// Reads one value out of a JSON text, for programs without a JSON library. `pointer` is a JSON Pointer (RFC 6901) such as
/// "/choices/0/message/content"; "" is the whole text. `*text` becomes the text of a JSON string, or any other value in
/// JSON (free it with interfuse_string_free).
///
/// Returns 0, INTERFUSE_NOT_FOUND when there is no such value or it is null, INTERFUSE_INVALID_REQUEST when `json` is no
/// JSON, INTERFUSE_DECODE when the text contains a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_json_get(
    json: *const c_char,
    pointer: *const c_char,
    text: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(text, "text")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let (document, pointer) = unsafe { (read(json, "json")?, read(pointer, "pointer")?) };
        let value: Value = serde_json::from_str(document)
            .map_err(|e| Error::invalid_request(format!("`json` is not JSON: {e}")).with_param("json"))?;
        let found = match value.pointer(pointer) {
            None | Some(Value::Null) => {
                return Err(Error::new(ErrorKind::NotFound, format!("the JSON text has nothing at `{pointer}`")));
            }
            Some(Value::String(text)) => CString::new(text.as_str())
                .map_err(|_| Error::new(ErrorKind::Decode, format!("the text at `{pointer}` contains a NUL")))?,
            Some(other) => self::json(other)?,
        };
        *place = found.into_raw();
        Ok(Status::Ok)
    })
}

/// Text of the host; refuses NULL and what is not UTF-8.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and stays unchanged for `'a`.
pub(crate) unsafe fn read<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: promised by the caller.
    unsafe { read_optional(text, name) }?.ok_or_else(|| null(name))
}

/// Text of the host, or `None` for NULL.
///
/// # Safety
/// As [`read`].
pub(crate) unsafe fn read_optional<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; NUL-terminated by the caller's promise.
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|e| {
        let message = format!("`{name}` is not UTF-8 from byte {} on", e.valid_up_to());
        Error::invalid_request(message).with_param(name)
    })
}

/// A text for the host as it is.
pub(crate) fn plain(text: String) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(ErrorKind::Decode, "the text contains a NUL"))
}

/// A value as JSON text for the host.
pub(crate) fn json(value: &impl Serialize) -> Result<CString> {
    let defect = |e: &dyn std::fmt::Display| Error::new(ErrorKind::Internal, format!("a result is no JSON text: {e}"));
    let text = serde_json::to_vec(value).map_err(|e| defect(&e))?;
    CString::new(text).map_err(|e| defect(&e))
}
