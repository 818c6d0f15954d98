//! Asynchronous calls under the model checker; see `crate::pool::model`.

mod completions;
mod futures;
mod reading;
mod stepped;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use shuttle::thread;

use super::{CallbackPool, ConnectionQueue, Ticket};
use crate::client::{Progress, Request, Response};
use crate::config::Validation;
use crate::error::{Code, Result};
use crate::model::server::Dial;
use crate::model::{server, threads};
use crate::os::locks::{Condvar, Mutex};
use crate::pool::Lease;
use crate::pool::model::{
    Explore, SECOND, check_nothing_is_left, check_quiet, done, pause, saw, silence,
};

/// The callbacks of a scenario: each runs once, and somebody may wait until all have.
#[derive(Clone, Default)]
struct Callbacks {
    left: Arc<(Mutex<usize>, Condvar)>,
    running: Arc<AtomicUsize>,
}

impl Callbacks {
    /// A callback that must run; `look` looks at what it gets.
    fn expect<T: 'static>(
        &self,
        look: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Box<dyn FnOnce(Result<T>) + Send> {
        let Callbacks { left, running } = self.clone();
        *left.0.lock() += 1;
        // More than once is out of the question for a FnOnce, so this is about not at all.
        Box::new(move |outcome| {
            running.fetch_add(1, SeqCst);
            look(outcome);
            thread::yield_now();
            *left.0.lock() -= 1;
            left.1.notify_all();
            running.fetch_sub(1, SeqCst);
        })
    }

    /// An acquire by the shortest way, whose callback must run if it has to wait.
    fn acquire_direct(
        &self,
        pool: &CallbackPool,
        ticket: &Arc<Ticket>,
        timeout: Option<Duration>,
        look: impl FnOnce(Result<Lease>) + Send + 'static,
    ) -> Result<Option<Lease>> {
        let mut is_expected = false;
        let outcome = pool.acquire_direct(timeout, || {
            is_expected = true;
            (ticket.clone(), self.expect(look))
        });
        if is_expected && outcome.is_err() {
            self.forget();
        }
        outcome
    }

    /// Takes back one that was expected, since the call failed at once.
    fn forget(&self) {
        *self.left.0.lock() -= 1;
        self.left.1.notify_all();
    }

    fn wait(&self) {
        let (left, changed) = &*self.left;
        let mut left = left.lock();
        while *left > 0 {
            left = changed.wait(left);
        }
    }

    fn are_over(&self) -> bool {
        *self.left.0.lock() == 0
    }
}

fn health() -> Request {
    Request::health_check()
}

/// A request whose response is read by a helper.
fn large() -> Request {
    Request::raw("GET", "/large", None).expect("a fine request")
}

fn is_served<T>(outcome: Result<T>) {
    outcome.map(drop).expect("everybody is served");
}

/// Of a call that another thread cancels.
fn is_served_or_cancelled<T>(outcome: Result<T>) {
    match outcome {
        Ok(_) => saw("served"),
        Err(error) => {
            assert_eq!(error.code(), Code::Cancelled, "{error}");
            saw("cancelled");
        }
    }
}

fn is_served_or_closed<T>(outcome: Result<T>) {
    match outcome {
        Ok(_) => saw("served"),
        Err(error) => {
            assert_eq!(error.code(), Code::Closed, "{error}");
            saw("closed");
        }
    }
}

fn all_have_run(pool: &CallbackPool, callbacks: &Callbacks) {
    callbacks.wait();
    // The last connection may be on its way back still.
    close(pool, callbacks);
}

/// Once this has returned, no callback runs, and no thread is left.
fn close(pool: &CallbackPool, callbacks: &Callbacks) {
    pool.close().expect("this is not a callback");
    assert_eq!(callbacks.running.load(SeqCst), 0, "rule 19: a callback runs after close");
    check_nothing_is_left(pool.pool());
}

#[test]
fn rule_06_requests_of_more_callers_than_connections_are_all_carried_out() {
    Explore::with(0, 2, Validation::Socket).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let callers = [(); 2].map(|()| {
            let (pool, callbacks) = (pool.clone(), callbacks.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
                }
                pool.pool().request(&health()).expect("who waits with a thread is served too");
            })
        });
        callers.into_iter().for_each(done);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_12_a_connection_whose_last_response_was_delivered_is_free_when_it_is_released() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let queue = ConnectionQueue::new(pool.pool().acquire().expect("it is free"));
        for _ in 0..2 {
            pool.run_on(&queue, health(), &Ticket::new(), callbacks.expect(is_served::<Response>))
                .unwrap();
        }
        callbacks.wait();
        drop(queue);
        pool.pool().try_acquire().map(drop).expect("nobody has it any more");
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_06_connections_acquired_in_callbacks_go_from_one_to_the_next() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        for _ in 0..3 {
            let used = callbacks.expect(is_served::<Response>);
            let (its, ticket) = (pool.clone(), Ticket::new());
            let acquired = callbacks.expect(move |lease: Result<Lease>| {
                let queue = ConnectionQueue::new(lease.expect("everybody is served"));
                its.run_on(&queue, health(), &Ticket::new(), used).unwrap();
            });
            pool.acquire(None, &ticket, acquired).unwrap();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_cancelled_call_has_one_outcome_and_loses_no_connection() {
    let explore = Explore::with(0, 1, Validation::Socket).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let tickets = [(); 2].map(|()| Ticket::new());
        let cancelled = tickets.clone();
        let canceller = thread::spawn(move || {
            for ticket in cancelled {
                pause();
                ticket.cancel().unwrap();
                ticket.cancel().unwrap();
            }
        });
        let look = callbacks.expect(is_served_or_cancelled::<Response>);
        pool.run(health(), &tickets[0], look).unwrap();
        let look = callbacks.expect(is_served_or_cancelled::<Lease>);
        pool.acquire(None, &tickets[1], look).unwrap();
        pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
        done(canceller);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_cancel_reaches_a_request_in_flight_and_no_other() {
    let explore = Explore::with(0, 1, Validation::Socket).must_see(&["cut"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let ticket = Ticket::new();
        let is_cut = callbacks.expect(|outcome: Result<Response>| {
            assert_eq!(outcome.unwrap_err().code(), Code::Cancelled, "the server never responds");
        });
        pool.run(silence(), &ticket, is_cut).unwrap();
        let canceller = thread::spawn(move || {
            pause();
            ticket.cancel().unwrap();
            saw("cut");
        });
        for _ in 0..2 {
            pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
        }
        done(canceller);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_cancel_that_comes_late_misses_the_next_request() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.schedules(4000).run_with(CallbackPool::new, |pool| {
        let lease = pool.pool().acquire().unwrap();
        let ticket = Ticket::new();
        let canceller = {
            let ticket = ticket.clone();
            thread::spawn(move || {
                pause();
                ticket.cancel().unwrap();
            })
        };
        is_served_or_cancelled(lease.finish(
            &health(),
            Progress::NeedsThread { retry_until: None },
            Some(ticket),
        ));
        lease.request(&health()).expect("it is not the one that was cancelled");
        done(canceller);
        drop(lease);
        all_have_run(&pool, &Callbacks::default());
    });
}

#[test]
fn rule_07_a_cancel_that_comes_late_misses_the_next_caller() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let ticket = Ticket::new();
        let look = callbacks.expect(is_served_or_cancelled::<Response>);
        pool.run(health(), &ticket, look).unwrap();
        let next = {
            let pool = pool.clone();
            thread::spawn(move || pool.pool().request(&health()).map(drop))
        };
        pause();
        ticket.cancel().unwrap();
        done(next).expect("it is not the one that was cancelled");
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_cancel_is_not_lost_while_the_call_is_being_made() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let is_cancelled = |outcome: Result<Lease>| {
            assert_eq!(outcome.unwrap_err().code(), Code::Cancelled);
        };
        // As long as this is out, nothing else ends their wait.
        let lease = pool.pool().acquire().unwrap();
        let tickets = [(); 2].map(|()| Ticket::new());
        let cancelled = tickets.clone();
        let canceller = thread::spawn(move || {
            for ticket in cancelled {
                ticket.cancel().unwrap();
            }
        });
        pool.acquire(None, &tickets[0], callbacks.expect(is_cancelled)).unwrap();
        if let Err(error) = callbacks.acquire_direct(&pool, &tickets[1], None, is_cancelled) {
            assert_eq!(error.code(), Code::Cancelled);
        }
        done(canceller);
        callbacks.wait();
        drop(lease);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_requests_on_one_connection_run_in_turn_and_are_cancelled_alone() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
        let ticket = Ticket::new();
        let order = Arc::new(AtomicUsize::new(0));
        let in_turn = |number| {
            let order = order.clone();
            callbacks.expect(move |outcome: Result<Response>| {
                assert_eq!(order.fetch_add(1, SeqCst), number, "not in turn");
                is_served(outcome);
            })
        };
        pool.run_on(&queue, health(), &Ticket::new(), in_turn(0)).unwrap();
        let look = callbacks.expect(is_served_or_cancelled::<Response>);
        let canceller = {
            let ticket = ticket.clone();
            thread::spawn(move || {
                pause();
                ticket.cancel().unwrap();
            })
        };
        pool.run_on(&queue, health(), &ticket, look).unwrap();
        pool.run_on(&queue, health(), &Ticket::new(), in_turn(1)).unwrap();
        // It comes back when they are done.
        drop(queue);
        done(canceller);
        pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_06_direct_acquires_are_served_by_the_releasing_thread() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["at once", "passed on"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let callers = [(); 3].map(|()| {
            let (pool, callbacks) = (pool.clone(), callbacks.clone());
            thread::spawn(move || {
                let look = |lease| {
                    saw("passed on");
                    is_served(lease);
                };
                let ticket = Ticket::new();
                let lease = callbacks.acquire_direct(&pool, &ticket, None, look);
                if let Some(lease) = lease.expect("nobody cancels it") {
                    saw("at once");
                    thread::yield_now();
                    drop(lease);
                }
            })
        });
        callers.into_iter().for_each(done);
        callbacks.wait();
        check_quiet(pool.pool());
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_direct_acquire_is_cancelled_or_times_out_or_is_served() {
    let explore = Explore::with(1, 1, Validation::None).time(SECOND).must_see(&[
        "served",
        "cancelled",
        "timed out",
    ]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let lease = pool.pool().acquire().unwrap();
        let ticket = Ticket::new();
        let look = |lease: Result<Lease>| match lease.map_err(|error| error.code()) {
            Err(Code::Timeout) => saw("timed out"),
            Err(Code::Cancelled) => saw("cancelled"),
            outcome => {
                outcome.expect("nothing else may happen");
                saw("served");
            }
        };
        match callbacks.acquire_direct(&pool, &ticket, Some(SECOND / 2), look) {
            Ok(lease) => assert!(lease.is_none(), "there is only one"),
            Err(error) => assert_eq!(error.code(), Code::Timeout, "{error}"),
        }
        let canceller = thread::spawn(move || {
            pause();
            ticket.cancel().unwrap();
        });
        pause();
        drop(lease);
        done(canceller);
        callbacks.wait();
        check_quiet(pool.pool());
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_19_once_close_has_returned_every_callback_has_run() {
    let explore = Explore::with(0, 1, Validation::Socket).must_see(&["served", "closed"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let callers = [(); 2].map(|()| {
            let (pool, callbacks) = (pool.clone(), callbacks.clone());
            thread::spawn(move || {
                let look = callbacks.expect(is_served_or_closed::<Response>);
                if pool.run(health(), &Ticket::new(), look).is_err() {
                    callbacks.forget();
                }
                let ticket = Ticket::new();
                drop(callbacks.acquire_direct(&pool, &ticket, None, is_served_or_closed));
                let look = callbacks.expect(is_served_or_closed::<Lease>);
                if pool.acquire(None, &Ticket::new(), look).is_err() {
                    callbacks.forget();
                }
            })
        });
        pause();
        close(&pool, &callbacks);
        // Those that came after it were refused, and their callbacks with them.
        callers.into_iter().for_each(done);
        assert!(callbacks.are_over(), "a callback did not run, or not before the end of close");
        let error = pool.run(health(), &Ticket::new(), |_| {}).unwrap_err();
        assert_eq!(error.code(), Code::Closed);
        assert_eq!(threads::running(), 0, "a thread after close");
    });
}

#[test]
fn rule_19_close_waits_for_callbacks_on_threads_of_the_program() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let lease = pool.pool().acquire().unwrap();
        let ticket = Ticket::new();
        let look = |lease| {
            is_served_or_closed(lease);
            pause();
        };
        let waits = callbacks.acquire_direct(&pool, &ticket, None, look);
        assert!(waits.unwrap().is_none());
        let releaser = thread::spawn(move || drop(lease));
        pause();
        close(&pool, &callbacks);
        done(releaser);
        assert!(callbacks.are_over());
    });
}

#[test]
fn rule_19_close_waits_for_a_thread_that_is_just_being_started() {
    let explore = Explore::with(2, 2, Validation::None).schedules(5000);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let caller = {
            let (pool, callbacks) = (pool.clone(), callbacks.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let look = callbacks.expect(is_served_or_closed);
                    if pool.run(health(), &Ticket::new(), look).is_err() {
                        callbacks.forget();
                    }
                }
            })
        };
        pause();
        close(&pool, &callbacks);
        done(caller);
        assert_eq!(threads::running(), 0, "a thread after close");
    });
}

#[test]
fn rule_19_close_cuts_requests_in_flight_and_in_queues() {
    Explore::with(0, 2, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let is_closed = || {
            callbacks.expect(|outcome: Result<Response>| {
                assert_eq!(outcome.unwrap_err().code(), Code::Closed);
            })
        };
        pool.run(silence(), &Ticket::new(), is_closed()).unwrap();
        let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
        pool.run_on(&queue, silence(), &Ticket::new(), is_closed()).unwrap();
        pool.run_on(&queue, silence(), &Ticket::new(), is_closed()).unwrap();
        pool.close_within(Duration::ZERO).expect("this is not a callback");
        assert!(callbacks.are_over(), "a callback did not run before the end of close");
        check_nothing_is_left(pool.pool());
        let error = pool.run_on(&queue, health(), &Ticket::new(), |_| {}).unwrap_err();
        assert_eq!(error.code(), Code::Closed);
    });
}

#[test]
fn rule_19_what_waits_is_refused_in_a_callback() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let its = Arc::downgrade(&pool);
        let look = callbacks.expect(move |lease: Result<Lease>| {
            let lease = lease.expect("there is one");
            let pool = its.upgrade().expect("it is waited for");
            let would_deadlock = |outcome: Result<()>| {
                assert_eq!(outcome.unwrap_err().code(), Code::WouldDeadlock);
            };
            would_deadlock(pool.close());
            would_deadlock(pool.pool().acquire().map(drop));
            would_deadlock(lease.request(&health()).map(drop));
            assert_eq!(pool.pool().try_acquire().unwrap_err().code(), Code::WouldBlock);
        });
        pool.acquire(None, &Ticket::new(), look).unwrap();
        callbacks.wait();
        pool.pool().request(&health()).expect("the pool goes on");
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn without_a_thread_a_call_is_refused_or_carried_out() {
    let explore = Explore::with(0, 2, Validation::None).must_see(&["refused", "served"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        threads::refuse(1);
        let callers = [(); 3].map(|()| {
            let (pool, callbacks) = (pool.clone(), callbacks.clone());
            thread::spawn(move || {
                let look = callbacks.expect(|outcome: Result<Response>| {
                    is_served(outcome);
                    saw("served");
                });
                if let Err(error) = pool.run(health(), &Ticket::new(), look) {
                    assert_eq!(error.code(), Code::Overloaded, "{error}");
                    callbacks.forget();
                    saw("refused");
                }
            })
        });
        callers.into_iter().for_each(done);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn a_thread_stays_as_long_as_a_callback_is_pending() {
    // Long enough for a thread to find that there is nothing to do.
    let explore = Explore::with(1, 1, Validation::None).time(60 * SECOND);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let lease = pool.pool().acquire().unwrap();
        pool.acquire(None, &Ticket::new(), callbacks.expect(is_served)).unwrap();
        pause();
        threads::refuse(1);
        drop(lease);
        callbacks.wait();
        threads::refuse(0);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_08_a_request_that_dials_does_not_wait_for_another_one() {
    Explore::with(2, 2, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        server::expect_dials(&[Dial::Hangs]);
        let ticket = Ticket::new();
        let is_cut = callbacks.expect(|outcome: Result<Response>| {
            assert_eq!(outcome.unwrap_err().code(), Code::Cancelled, "it never opens");
        });
        pool.run(health(), &ticket, is_cut).unwrap();
        server::wait_for_dials(1);
        pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
        server::wait_for_sockets(|open| open == 1);
        ticket.cancel().unwrap();
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_06_a_thread_that_is_about_to_leave_misses_no_request() {
    let explore = Explore::with(1, 1, Validation::None).time(60 * SECOND);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        for _ in 0..3 {
            pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
            callbacks.wait();
            // The next one has to dial too.
            pool.pool().acquire().unwrap().discard();
            pause();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn requests_take_no_more_threads_than_connections_and_one() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        for _ in 0..4 {
            let look = callbacks.expect(|outcome: Result<Response>| {
                is_served(outcome);
                // The loop, one that dials, and the housekeeper.
                assert!(threads::running() <= 3, "{} threads", threads::running());
            });
            pool.run(health(), &Ticket::new(), look).unwrap();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn a_pool_that_is_dropped_still_tells_every_callback() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "closed"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        for _ in 0..2 {
            let look = callbacks.expect(is_served_or_closed::<Response>);
            pool.run(health(), &Ticket::new(), look).unwrap();
        }
        let lease = pool.pool().try_acquire();
        let look = callbacks.expect(is_served_or_closed::<Lease>);
        pool.acquire(None, &Ticket::new(), look).unwrap();
        drop(pool);
        drop(lease);
        callbacks.wait();
        server::wait_for_sockets(|sockets| sockets == 0);
    });
}
