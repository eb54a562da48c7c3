//! A fused answer for people.

use std::ffi::{CString, c_char};

use interfuse_core::types::{Fused, from_json};
use interfuse_core::{Error, ErrorKind};

use crate::boundary::{Status, out, run};
use crate::error::interfuse_error;
use crate::text;

/// A fused answer as one HTML page for people: the answer, who said what, how alike it is, why it was chosen, the course of
/// the calls, the cost. It needs no network and runs no script; text of models is escaped, and cut where it is very long.
/// `fused` is what interfuse_fuse gave, or the result in the event `run_done`; `*html` becomes the page (free it with
/// interfuse_string_free).
///
/// Returns 0, or INTERFUSE_INVALID_REQUEST for JSON that is no fused answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_fused_html(
    fused: *const c_char,
    html: *mut *mut c_char,
    err: *mut *mut interfuse_error,
) -> i32 {
    run(err, || {
        let place = out(html, "html")?;
        // SAFETY: NULL or NUL-terminated, by contract.
        let fused: Fused = from_json("fused answer", unsafe { text::read(fused, "fused") }?)?;
        let page =
            CString::new(fused.to_html()).map_err(|_| Error::new(ErrorKind::Internal, "the page contains a NUL"))?;
        *place = page.into_raw();
        Ok(Status::Ok)
    })
}
