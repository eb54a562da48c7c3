//! Readiness callbacks: they carry no data, only say "look now".

use std::ffi::c_void;

use interfuse_core::Result;

use crate::boundary::null;

/// A function of the host that gets its own `user_data`.
///
/// As a readiness callback it only signals: it must return at once, must not throw, and must not call a blocking
/// function of this library (that answers INTERFUSE_MISUSE there). It runs once: on a thread of the library, or before
/// `on_ready`, `cancel` or `free` returns, on the thread that called it.
pub type interfuse_callback = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A callback with its data and the data's destructor, which runs exactly once whatever happens.
pub(crate) struct Ready {
    callback: interfuse_callback,
    user_data: *mut c_void,
    drop_user_data: interfuse_callback,
}

// SAFETY: the documented contract of `on_ready` is that data and functions may be used on any thread.
unsafe impl Send for Ready {}

impl Ready {
    pub(crate) fn new(
        callback: interfuse_callback,
        user_data: *mut c_void,
        drop_user_data: interfuse_callback,
    ) -> Self {
        Ready { callback, user_data, drop_user_data }
    }

    /// # Errors
    /// `misuse` when there is no callback.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.callback.is_some() { Ok(self) } else { Err(null("callback")) }
    }

    pub(crate) fn call(self) {
        if let Some(callback) = self.callback {
            // SAFETY: by contract a function that takes this data, on any thread.
            unsafe { callback(self.user_data) };
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(drop_user_data) = self.drop_user_data {
            // SAFETY: as in `call`; nobody uses the data afterwards.
            unsafe { drop_user_data(self.user_data) };
        }
    }
}
