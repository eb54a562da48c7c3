//! Versions, and the end of the library's threads.

use std::ffi::c_char;

use interfuse_core::{host, ledger};

use crate::boundary::{Status, run, timeout};
use crate::error::interfuse_error;

/// Version of the ABI this header describes; also the number in the shared library's name.
pub const INTERFUSE_ABI_VERSION: u32 = 0;

/// Version of the ABI of the library that is loaded. It fits this header if it equals INTERFUSE_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn interfuse_abi_version() -> u32 {
    INTERFUSE_ABI_VERSION
}

/// Version of the library, such as "0.1.0". Static: not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn interfuse_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Stops the library's threads; what still runs is cancelled, and what waits for ledgers is written. Waits for the threads
/// up to `timeout_ms` milliseconds (negative: without limit). Optional: for programs that want nothing left before they end.
/// A later call starts new threads.
///
/// Returns 0, or INTERFUSE_MISUSE on a thread of the library, or INTERFUSE_STORAGE when a ledger could not be written.
#[unsafe(no_mangle)]
pub extern "C" fn interfuse_shutdown(timeout_ms: i64, err: *mut *mut interfuse_error) -> i32 {
    run(err, || {
        host::shutdown(timeout(timeout_ms).unwrap_or(std::time::Duration::MAX))?;
        ledger::flush_all()?;
        Ok(Status::Ok)
    })
}
