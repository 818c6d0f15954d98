//! Futures that are dropped, or served, at any moment, under the model checker.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::async_pool::{AsyncLease, AsyncPool};

/// Wakes the one thread that waits for a future.
#[derive(Default)]
struct Signal {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock() = true;
        self.woken.notify_all();
    }
}

fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    loop {
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return output;
        }
        let mut is_woken = signal.is_woken.lock();
        while !*is_woken {
            is_woken = signal.woken.wait(is_woken);
        }
        *is_woken = false;
    }
}

/// Polls a future, and later once more if it is not over by then; then it is dropped.
fn poll_and_drop<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    for _ in 0..2 {
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(output) = polled {
            saw("over");
            return Some(output);
        }
        pause();
    }
    saw("dropped");
    None
}

fn is_gone(pool: &AsyncPool) {
    block_on(pool.request(health())).expect("no connection is lost");
    pool.calls.close().expect("this is not a callback");
    check_quiet(pool.pool());
    check_nothing_is_left(pool.pool());
}

#[test]
fn rule_07_an_acquire_that_is_dropped_in_any_state_loses_no_connection() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["over", "dropped"]);
    explore.run_with(AsyncPool::new, |pool| {
        let callers = [(); 2].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || {
                let lease: Option<Result<AsyncLease>> = poll_and_drop(pool.acquire());
                lease.into_iter().for_each(is_served);
            })
        });
        let lease = block_on(pool.acquire()).expect("everybody is served");
        pause();
        drop(lease);
        callers.into_iter().for_each(done);
        is_gone(&pool);
    });
}

#[test]
fn rule_07_a_request_that_is_dropped_in_any_state_loses_no_connection() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["over", "dropped"]);
    explore.run_with(AsyncPool::new, |pool| {
        let callers = [health(), silence()].map(|request| {
            let pool = pool.clone();
            thread::spawn(move || {
                poll_and_drop(pool.request(request)).into_iter().for_each(is_served);
            })
        });
        block_on(pool.request(health())).expect("everybody is served");
        callers.into_iter().for_each(done);
        is_gone(&pool);
    });
}

#[test]
fn rule_07_requests_of_one_lease_run_in_turn_and_are_dropped_alone() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["over", "dropped"]);
    explore.run_with(AsyncPool::new, |pool| {
        let lease = block_on(pool.acquire()).expect("there is one");
        let (first, last) = (lease.request(health()), lease.request(large()));
        let other = lease.request(health());
        let other = thread::spawn(move || {
            poll_and_drop(other).into_iter().for_each(is_served);
        });
        // It comes back when they are over.
        drop(lease);
        block_on(first).expect("it is not the one that is dropped");
        block_on(last).expect("it is not the one that is dropped");
        done(other);
        is_gone(&pool);
    });
}
