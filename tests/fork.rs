//! A fork of a program that uses the crate, in whichever way it was compiled; `tests/fork/` has more, in C.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use phantomdb::{AsyncPool, Options};

/// Longer than a fork takes, so that a lock that is never free fails instead of hanging.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn rule_20_a_fork_takes_each_lock_once() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let pool = AsyncPool::new(Options::default()).unwrap();
        // SAFETY: the child calls nothing but _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: it takes a plain number and does not come back.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: the pointer is to a local, which outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        pool.close().unwrap();
        sender.send(libc::WEXITSTATUS(status)).unwrap();
    });
    assert_eq!(receiver.recv_timeout(WAIT_LIMIT), Ok(7), "the fork hangs, or its child fails");
}
