//! Opaque handles: a boxed value behind a tag word, so that a handle of another sort is refused, not misread.

use std::alloc::{Layout, dealloc};
use std::collections::VecDeque;
use std::ptr;
use std::sync::Mutex;
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
/// `handle` is NULL or came from `give` (for whatever type) and was not freed, or is still remembered; it stays so for `'a`.
pub(crate) unsafe fn look<'a, H: Handle>(handle: *const H) -> Result<&'a H::Inner> {
    // SAFETY: every handle starts with a tag, whatever its type; the caller promises that this one is alive.
    let found = unsafe { handle.cast::<AtomicU64>().as_ref() }.ok_or_else(|| null(H::NAME))?;
    check::<H>(found.load(Ordering::Relaxed))?;
    // SAFETY: the tag says that it is a `Tagged<H::Inner>`.
    Ok(unsafe { &(*handle.cast::<Tagged<H::Inner>>()).inner })
}

/// Takes a handle back and drops its value. NULL and handles of another sort are left alone; so is one that was freed before
/// and is still remembered, which the log is told.
///
/// # Safety
/// As `look`, and no other call on this handle runs or follows; for as long as it is remembered, that is refused.
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    // SAFETY: as in `look`; what is remembered can still be read.
    let Some(found) = (unsafe { handle.cast::<AtomicU64>().as_ref() }) else { return };
    if let Err(found) = found.compare_exchange(tag::<H>(), FREED, Ordering::Relaxed, Ordering::Relaxed) {
        if let Err(why) = check::<H>(found) {
            tracing::error!(target: "interfuse", "nothing is freed: {}", why.message());
        }
        return;
    }
    let tagged = handle.cast::<Tagged<H::Inner>>();
    // SAFETY: the tag said that it is a `Tagged<H::Inner>` from `give`, and the exchange lets one caller only in here.
    unsafe { ptr::drop_in_place(&raw mut (*tagged).inner) };
    let husk = Husk { place: tagged.cast(), layout: Layout::new::<Tagged<H::Inner>>() };
    // A lock that a parent held when it forked is never opened again.
    match FORMER.try_lock() {
        Ok(mut former) => {
            former.push_back(husk);
            if former.len() > REMEMBERED {
                former.pop_front();
            }
        }
        Err(_) => drop(husk),
    }
}

/// How many freed handles are remembered: their memory is kept, so that a second free and a late use find the tag that says
/// so, and not the handle of somebody else.
const REMEMBERED: usize = 256;

static FORMER: Mutex<VecDeque<Husk>> = Mutex::new(VecDeque::new());

/// The memory of a handle whose value is gone.
struct Husk {
    place: *mut u8,
    layout: Layout,
}

// SAFETY: memory that nobody reads as anything but an atomic tag.
unsafe impl Send for Husk {}

impl Drop for Husk {
    fn drop(&mut self) {
        // SAFETY: `Box` allocated it with this layout, and its value was dropped.
        unsafe { dealloc(self.place, self.layout) };
    }
}

fn check<H: Handle>(found: u64) -> Result<()> {
    if found == tag::<H>() {
        return Ok(());
    }
    let what = if found == FREED { "was freed before" } else { "is a handle of another type" };
    Err(Error::new(ErrorKind::Misuse, format!("the `{}` handle {what}", H::NAME)).with_param(H::NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Shown, interfuse_error};

    #[test]
    fn what_was_freed_is_refused_while_it_is_remembered() {
        let one: *mut interfuse_error = give(Shown::new(Error::invalid_request("no")));
        // SAFETY: a handle that is alive, then one that is remembered, whose memory no other gets.
        unsafe {
            assert!(look(one).is_ok());
            free(one);
            let again: *mut interfuse_error = give(Shown::new(Error::invalid_request("no")));
            assert_ne!(one, again, "its memory is kept");
            free(one);
            assert!(look(again).is_ok(), "the second free hurts nobody");
            let why = look(one).map(|_| ()).unwrap_err();
            assert_eq!((why.kind(), why.message()), (ErrorKind::Misuse, "the `error` handle was freed before"));
            free(again);
        }
    }
}
