//! Opaque handles: a boxed value behind a tag word, so that a handle of another sort is refused, not misread.

use std::sync::atomic::{AtomicU64, Ordering};

use interfuse_core::{Error, ErrorKind, Result};

use crate::boundary::null;

/// What an opaque C type stands for.
pub(crate) trait Handle {
    type Inner;
    /// Eight letters at the start of each allocation.
    const TAG: [u8; 8];
    /// Name of the C type.
    const NAME: &'static str;
}

#[repr(C)]
struct Tagged<T> {
    tag: AtomicU64,
    inner: T,
}

const FREED: u64 = u64::from_ne_bytes(*b"freed!!!");

fn tag<H: Handle>() -> u64 {
    u64::from_ne_bytes(H::TAG)
}

/// A handle that the host owns from now on.
pub(crate) fn give<H: Handle>(inner: H::Inner) -> *mut H {
    Box::into_raw(Box::new(Tagged { tag: AtomicU64::new(tag::<H>()), inner })).cast()
}

/// The value of a handle, for the length of a call.
///
/// # Safety
/// `handle` is NULL or came from `give` (for whatever type) and was not freed; it stays so for `'a`.
pub(crate) unsafe fn look<'a, H: Handle>(handle: *const H) -> Result<&'a H::Inner> {
    // SAFETY: every handle starts with a tag, whatever its type; the caller promises that this one is alive.
    let found = unsafe { handle.cast::<AtomicU64>().as_ref() }.ok_or_else(|| null(H::NAME))?;
    check::<H>(found.load(Ordering::Relaxed))?;
    // SAFETY: the tag says that it is a `Tagged<H::Inner>`.
    Ok(unsafe { &(*handle.cast::<Tagged<H::Inner>>()).inner })
}

/// Takes a handle back and drops it. NULL and handles of another sort are left alone.
///
/// # Safety
/// As `look`, and no other call on this handle runs or follows.
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    // SAFETY: as in `look`.
    let Some(found) = (unsafe { handle.cast::<AtomicU64>().as_ref() }) else { return };
    if found.compare_exchange(tag::<H>(), FREED, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        // SAFETY: the tag said that it is a `Tagged<H::Inner>` from `give`, and the exchange lets one caller only in here.
        drop(unsafe { Box::from_raw(handle.cast::<Tagged<H::Inner>>()) });
    }
}

fn check<H: Handle>(found: u64) -> Result<()> {
    if found == tag::<H>() {
        return Ok(());
    }
    let what = if found == FREED { "was freed before" } else { "is a handle of another type" };
    Err(Error::new(ErrorKind::Misuse, format!("the `{}` handle {what}", H::NAME)).with_param(H::NAME))
}
