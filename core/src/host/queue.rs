//! Tokens of calls and streams that became ready, for a host's own event loop: woken through a file descriptor, or
//! through a thread that waits here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue of tokens. Threads of the library push; the host drains all that is there in one go.
///
/// Its descriptor is shared with a forked child, so a child makes a queue of its own.
#[derive(Default)]
pub struct CompletionQueue {
    state: Mutex<State>,
    changed: Condvar,
    #[cfg(unix)]
    bell: once_cell::sync::OnceCell<bell::Bell>,
}

#[derive(Default)]
struct State {
    tokens: Vec<u64>,
    closed: bool,
}

impl CompletionQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a token. Wakes the host only if the queue was empty: it takes everything anyway.
    pub fn push(&self, token: u64) {
        let mut state = self.lock();
        let first = state.tokens.is_empty();
        state.tokens.push(token);
        drop(state);
        if first {
            self.wake();
        }
    }

    /// Everything pushed since the last time, in order; never blocks.
    pub fn drain(&self) -> Vec<u64> {
        // Silenced first: a token pushed in between is taken here or rings again, never neither.
        #[cfg(unix)]
        if let Some(bell) = self.bell.get() {
            bell.silence();
        }
        std::mem::take(&mut self.lock().tokens)
    }

    /// Waits for a token up to `timeout` (`None`: no limit); `false` once the queue is closed and empty, else `true`, also
    /// when nothing came in time.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut state = self.lock();
        while state.tokens.is_empty() && !state.closed {
            state = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        !state.closed || !state.tokens.is_empty()
    }

    /// Ends the waiting of a pump thread; tokens can still be pushed and drained.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    /// The descriptor that is readable while tokens wait (an eventfd, or a pipe where there is none). Owned by the
    /// queue.
    ///
    /// # Errors
    /// That of the operating system when it gives none.
    #[cfg(unix)]
    pub fn fd(&self) -> std::io::Result<std::os::fd::BorrowedFd<'_>> {
        let bell = self.bell.get_or_try_init(bell::Bell::new)?;
        if !self.lock().tokens.is_empty() {
            bell.ring();
        }
        Ok(bell.fd())
    }

    fn wake(&self) {
        self.changed.notify_all();
        #[cfg(unix)]
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
mod bell {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    /// A descriptor to select on. Never blocks: a full one is already readable, an empty one already silent.
    pub(super) struct Bell {
        read: OwnedFd,
        #[cfg(not(target_os = "linux"))]
        write: OwnedFd,
    }

    #[cfg(target_os = "linux")]
    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            use rustix::event::{EventfdFlags, eventfd};
            Ok(Bell { read: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)? })
        }

        pub(super) fn ring(&self) {
            let _ = rustix::io::write(&self.read, &1u64.to_ne_bytes());
        }
    }

    #[cfg(not(target_os = "linux"))]
    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
            let (read, write) = rustix::pipe::pipe()?;
            for end in [&read, &write] {
                ioctl_fionbio(end, true)?;
                fcntl_setfd(end, FdFlags::CLOEXEC)?;
            }
            Ok(Bell { read, write })
        }

        pub(super) fn ring(&self) {
            let _ = rustix::io::write(&self.write, &[1]);
        }
    }

    impl Bell {
        pub(super) fn silence(&self) {
            // A pipe may hold more than one ring; an eventfd is empty after one read.
            let mut seen = [0; 64];
            let _ = rustix::io::read(&self.read, &mut seen[..]);
        }

        pub(super) fn fd(&self) -> BorrowedFd<'_> {
            self.read.as_fd()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const GUARD: Option<Duration> = Some(Duration::from_secs(30));

    #[test]
    fn a_waiting_thread_gets_every_token() {
        let queue = Arc::new(CompletionQueue::new());
        let pump = std::thread::spawn({
            let queue = queue.clone();
            move || {
                let mut all = Vec::new();
                while queue.wait(GUARD) {
                    all.extend(queue.drain());
                }
                all
            }
        });
        (0..1000).for_each(|token| queue.push(token));
        queue.close();
        assert_eq!(pump.join().unwrap(), (0..1000).collect::<Vec<_>>());
        assert!(!queue.wait(None), "closed and empty");
    }

    #[test]
    fn nothing_comes_in_time() {
        let queue = CompletionQueue::new();
        assert!(queue.wait(Some(Duration::from_millis(1))));
        assert!(queue.drain().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn the_descriptor_is_readable_while_tokens_wait() {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let readable = |queue: &CompletionQueue, secs| {
            let fd = queue.fd().unwrap();
            poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&Timespec { tv_sec: secs, tv_nsec: 0 })).unwrap() == 1
        };
        let queue = Arc::new(CompletionQueue::new());
        queue.push(1);
        assert!(readable(&queue, 30), "a token that came before the descriptor");
        assert_eq!(queue.drain(), [1]);
        assert!(!readable(&queue, 0));
        let calls: Vec<_> = (2..5).map(|token| (token, crate::host::Call::start(async { Ok(()) }))).collect();
        for (token, call) in &calls {
            call.notify(&queue, *token);
        }
        let mut seen = Vec::new();
        while seen.len() < 3 {
            assert!(readable(&queue, 30));
            seen.extend(queue.drain());
        }
        seen.sort_unstable();
        assert_eq!(seen, [2, 3, 4]);
        assert!(!readable(&queue, 0));
    }
}
