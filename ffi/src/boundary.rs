//! What stands between Rust and the host: panics become errors, results become a status and an error handle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use interfuse_core::{Error, ErrorKind, Result};

use crate::error::interfuse_error;
use crate::handle;

/// What a function that did not fail tells. Failures are the negative numbers of the kinds.
#[derive(Clone, Copy)]
pub(crate) enum Status {
    Ok = 0,
    End = 1,
    NotReady = 2,
}

/// Runs the body of a function that can fail.
pub(crate) fn run(err: *mut *mut interfuse_error, body: impl FnOnce() -> Result<Status>) -> i32 {
    clear(err);
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status as i32,
        Ok(Err(failure)) => failure,
        Err(_) => Error::new(ErrorKind::Internal, "a function of the library panicked; please report this defect"),
    };
    let number = failure.kind().info().number;
    if !err.is_null() {
        // SAFETY: not NULL, so by contract it points to a writable `interfuse_error *`.
        unsafe { *err = handle::give(crate::error::Shown::new(failure)) };
    }
    number
}

/// Runs the body of a function that cannot fail but might panic: `fallback` then.
pub(crate) fn quiet<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// A place to put a result: checked, and NULL until then.
pub(crate) fn out<T>(out: *mut *mut T, name: &str) -> Result<&'static mut *mut T> {
    clear(out);
    // SAFETY: NULL is refused; by contract it points to a writable pointer for the length of the call, and the reference
    // is not kept longer.
    unsafe { out.as_mut() }.ok_or_else(|| null(name))
}

/// The error for an argument that may not be NULL.
pub(crate) fn null(name: &str) -> Error {
    Error::new(ErrorKind::Misuse, format!("`{name}` is NULL")).with_param(name)
}

/// Milliseconds as hosts write them: negative is without limit, 0 only looks.
pub(crate) fn timeout(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

fn clear<T>(place: *mut *mut T) {
    if !place.is_null() {
        // SAFETY: not NULL, so by contract it points to a writable pointer.
        unsafe { *place = ptr::null_mut() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{interfuse_error_free, interfuse_error_kind};

    #[test]
    fn a_panic_becomes_an_error_and_never_leaves() {
        let mut err = ptr::null_mut();
        let status = run(&mut err, || panic!("boom"));
        // SAFETY: `err` is NULL or the error that `run` gave.
        let kind = unsafe { interfuse_error_kind(err) };
        assert_eq!((status, kind), (-24, -24));
        // SAFETY: as above, and not used any more.
        unsafe { interfuse_error_free(err) };
        assert_eq!(run(ptr::null_mut(), || panic!("boom")), -24, "nobody has to want the error");
        assert_eq!(quiet(7, || panic!("boom")), 7);
    }

    #[test]
    fn a_success_clears_what_stood_there() {
        let mut err = ptr::NonNull::dangling().as_ptr();
        assert_eq!(run(&mut err, || Ok(Status::NotReady)), 2);
        assert!(err.is_null());
    }
}
