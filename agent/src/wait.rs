//! Waiting, for whatever comes first.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until one of these can be read or `due` has come; which it was, the reader finds out by
/// trying. That a signal cut the wait short is no trouble either.
pub fn until_readable_or(due: Instant, all: &[BorrowedFd<'_>]) {
    let left = due.saturating_duration_since(Instant::now());
    // `poll` counts whole milliseconds; rounded down, the last one would be spent turning.
    let left = left + Duration::from_micros(999);
    let mut all: Vec<_> = all.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let _ = poll(&mut all, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
}
