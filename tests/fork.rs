//! A fork of a program that uses the crate, in whichever way it was compiled; `tests/fork/` has more, in C.

#[path = "../examples/rust/asynchronous.rs"]
#[allow(dead_code)]
mod example;

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use example::block_on;
use phantomdb::internal::CallbackPool;
use phantomdb::{AsyncPool, Code, Options};

/// Longer than a fork takes, so that a lock that is never free fails instead of hanging.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// Forks, has the child exit with what `child` returns, and says what that was.
fn exit_code_of(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `child` and then ends with _exit; the library, which is under test
    // here, and the allocator of glibc promise to work in it.
    let process = unsafe { libc::fork() };
    if process == 0 {
        let code = child();
        // SAFETY: it takes a plain number and does not come back.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to a local, which outlives the call.
    assert_eq!(unsafe { libc::waitpid(process, &raw mut status, 0) }, process);
    libc::WEXITSTATUS(status)
}

fn in_time(code: impl FnOnce() -> i32 + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(code()).unwrap());
    assert_eq!(receiver.recv_timeout(WAIT_LIMIT), Ok(7), "the fork hangs, or its child fails");
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn rule_20_a_fork_takes_each_lock_once() {
    in_time(|| {
        let pool = CallbackPool::new(Options::default()).unwrap();
        let code = exit_code_of(|| 7);
        pool.close().unwrap();
        code
    });
}

#[test]
fn rule_20_a_child_leaves_futures_and_leases_of_its_parent_alone() {
    in_time(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let options =
            Options { base_url, max_connections: 1, min_connections: 0, ..Options::default() };
        let pool = AsyncPool::new(options).unwrap();
        let lease = block_on(pool.acquire()).unwrap();
        let (mut refused, mut dropped) = (Some(pool.acquire()), Some(pool.acquire()));
        assert!(poll(refused.as_mut().unwrap()).is_pending());
        assert!(poll(dropped.as_mut().unwrap()).is_pending());
        let mut lease = Some(lease);
        let code = exit_code_of(|| {
            let outcome = poll(&mut refused.take().unwrap());
            let is_refused =
                matches!(outcome, Poll::Ready(Err(error)) if error.code() == Code::InvalidHandle);
            drop((dropped.take(), lease.take()));
            // The pool is empty and usable.
            let is_served = block_on(pool.acquire()).is_ok();
            if is_refused && is_served { 7 } else { 1 }
        });
        assert_eq!((pool.pool().status().used, pool.pool().status().pending), (1, 2));
        drop(lease);
        let served = poll(refused.as_mut().unwrap());
        assert!(matches!(served, Poll::Ready(Ok(_))), "the parent notices nothing");
        code
    });
}
