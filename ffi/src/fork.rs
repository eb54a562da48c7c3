//! What is done when the host forks: ledgers' files must not be open then.

/// Has ledgers closed around every fork of this process, from the first client on.
#[cfg(unix)]
pub(crate) fn watch() {
    use std::ffi::c_int;
    use std::sync::Once;

    use interfuse_core::ledger;

    // SAFETY: declared as POSIX has it.
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> c_int;
    }

    extern "C" fn before() {
        crate::boundary::quiet((), ledger::before_fork);
    }

    extern "C" fn after() {
        crate::boundary::quiet((), ledger::after_fork);
    }

    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: both handlers are functions of this library, unwind never, and are forgotten by the system when it is
        // unloaded. Where there is no memory for them, a child finds its parent's ledger open, and opens none.
        unsafe { pthread_atfork(Some(before), Some(after), None) };
    });
}

/// Nothing forks here.
#[cfg(not(unix))]
pub(crate) fn watch() {}
