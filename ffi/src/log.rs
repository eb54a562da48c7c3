//! The library's log, for hosts that keep one.

use std::ffi::{CString, c_char, c_void};

use interfuse_core::host::{self, LogLevel};
use interfuse_core::{Error, Result};

use crate::boundary::{Status, run};
use crate::error::interfuse_error;
use crate::ready::interfuse_callback;

/// Level of a line: something was lost, such as a record that could not be kept.
pub const INTERFUSE_LOG_ERROR: i32 = 1;
/// Level of a line: something needs a look, such as a budget that only warns and is passed.
pub const INTERFUSE_LOG_WARN: i32 = 2;
/// Level of a line: an attempt failed, whatever became of its call.
pub const INTERFUSE_LOG_INFO: i32 = 3;
/// Level of a line: an attempt was answered or cancelled.
pub const INTERFUSE_LOG_DEBUG: i32 = 4;

/// A function of the host that gets a line of the log: its level (INTERFUSE_LOG_ERROR, ...), its text, which is the
/// library's and gone afterwards, and its own `user_data`.
///
/// It runs on whatever thread the line comes from, on several at once, and must not throw. A blocking function of this
/// library answers INTERFUSE_MISUSE in it, and what it causes itself is not told.
pub type interfuse_log_callback = Option<unsafe extern "C" fn(level: i32, line: *const c_char, user_data: *mut c_void)>;

/// Has `callback` get each line of the library's log up to `level` (INTERFUSE_LOG_WARN: errors and warnings), for all
/// clients of the process, in place of the one before; NULL ends it. Without this, nothing is logged. A line is text like
/// `an attempt failed provider=groq kind=rate_limited ...`, without a line break, and holds neither keys nor prompts nor
/// answers. `drop_user_data` (may be NULL) runs exactly once, when the callback has run for the last time, and also when
/// this function fails.
///
/// Returns 0, INTERFUSE_INVALID_REQUEST for a level there is not, or INTERFUSE_MISUSE where Rust code linked into the same
/// program takes the library's log already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn interfuse_set_log(
    level: i32,
    callback: interfuse_log_callback,
    user_data: *mut c_void,
    drop_user_data: interfuse_callback,
    err: *mut *mut interfuse_error,
) -> i32 {
    let log = Log { callback, user_data, drop_user_data };
    run(err, || {
        let most = most(level)?;
        let tell = move |level: LogLevel, line: &str| log.tell(level, line);
        host::set_log(most, callback.map(|_| Box::new(tell) as _))?;
        Ok(Status::Ok)
    })
}

fn most(level: i32) -> Result<LogLevel> {
    LogLevel::ALL.into_iter().find(|known| *known as i32 == level).ok_or_else(|| {
        let message = format!("`level` is one of INTERFUSE_LOG_ERROR (1) to INTERFUSE_LOG_DEBUG (4), not {level}");
        Error::invalid_request(message).with_param("level")
    })
}

/// A callback with its data and the data's destructor, which runs exactly once whatever happens.
struct Log {
    callback: interfuse_log_callback,
    user_data: *mut c_void,
    drop_user_data: interfuse_callback,
}

// SAFETY: the documented contract of `interfuse_set_log` is that data and functions may be used on any thread.
unsafe impl Send for Log {}
// SAFETY: as above, and on several at once.
unsafe impl Sync for Log {}

impl Log {
    fn tell(&self, level: LogLevel, line: &str) {
        // A line holds no control characters, so no NUL.
        let (Some(callback), Ok(line)) = (self.callback, CString::new(line)) else { return };
        // SAFETY: by contract a function that takes these, on any thread.
        unsafe { callback(level as i32, line.as_ptr(), self.user_data) };
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(drop_user_data) = self.drop_user_data {
            // SAFETY: as in `tell`; nobody uses the data afterwards.
            unsafe { drop_user_data(self.user_data) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_those_of_the_core() {
        let known = [INTERFUSE_LOG_ERROR, INTERFUSE_LOG_WARN, INTERFUSE_LOG_INFO, INTERFUSE_LOG_DEBUG];
        assert_eq!(known.map(|level| most(level).unwrap()), LogLevel::ALL);
        assert!(most(0).is_err() && most(5).is_err());
    }
}
