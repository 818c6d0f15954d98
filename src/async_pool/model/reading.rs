//! Large responses, which are read by helpers, under the model checker.

use super::*;
use crate::client::Progress;

/// A pool whose one connection has a socket, so that its requests begin on the reactor.
fn opened(pool: &CallbackPool) {
    pool.pool().request(&health()).expect("it is served");
}

#[test]
fn rule_06_large_responses_are_read_beside_small_ones() {
    Explore::with(2, 2, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        for request in [large(), health(), large(), health()] {
            pool.run(request, &Ticket::new(), callbacks.expect(is_served)).unwrap();
        }
        pool.pool().request(&large()).expect("who waits with a thread reads it itself");
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_06_a_large_response_is_told_before_the_next_on_its_connection_is_asked_for() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
        let order = Arc::new(AtomicUsize::new(0));
        for (number, request) in [large(), health(), large()].into_iter().enumerate() {
            let order = order.clone();
            let look = callbacks.expect(move |outcome: Result<Response>| {
                assert_eq!(order.fetch_add(1, SeqCst), number, "not in turn");
                is_served(outcome);
            });
            pool.run_on(&queue, request, &Ticket::new(), look).unwrap();
        }
        drop(queue);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_a_cancel_reaches_a_response_that_is_read_and_no_other() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        let ticket = Ticket::new();
        let look = callbacks.expect(is_served_or_cancelled::<Response>);
        pool.run(large(), &ticket, look).unwrap();
        let canceller = thread::spawn(move || {
            pause();
            ticket.cancel().unwrap();
        });
        for request in [large(), health()] {
            pool.run(request, &Ticket::new(), callbacks.expect(is_served)).unwrap();
        }
        done(canceller);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_07_an_interrupt_reaches_a_response_that_is_read_step_by_step() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        opened(&pool);
        let queue = ConnectionQueue::new(pool.pool().acquire().unwrap());
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                pause();
                queue.lease().cancel();
            })
        };
        let look = |progress: &Progress| {
            assert!(matches!(progress, Progress::InFlight(_)), "it has a socket: {progress:?}");
        };
        let mut outcome = queue.start(large(), look);
        while outcome.is_none() {
            outcome = queue.resume(look);
        }
        let outcome = outcome.expect("it is over");
        is_served_or_cancelled(outcome);
        done(other);
        queue.lease().request(&health()).expect("it is not cut once more");
        drop(queue);
        all_have_run(&pool, &Callbacks::default());
    });
}

#[test]
fn rule_03_a_response_that_is_not_read_in_time_is_a_time_out() {
    let explore = Explore::with(1, 1, Validation::None)
        .options(|options| options.request_timeout = SECOND)
        .time(10 * SECOND)
        .must_see(&["served", "timed out"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        let look = |outcome: Result<Response>| match outcome {
            Ok(_) => saw("served"),
            Err(error) => {
                assert_eq!(error.code(), Code::Timeout, "{error}");
                saw("timed out");
            }
        };
        for _ in 0..2 {
            pool.run(large(), &Ticket::new(), callbacks.expect(look)).unwrap();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn rule_19_close_cuts_responses_that_are_read_and_waits_for_their_callbacks() {
    let explore = Explore::with(2, 2, Validation::None).must_see(&["served", "closed"]);
    explore.run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        for _ in 0..3 {
            let look = callbacks.expect(is_served_or_closed::<Response>);
            pool.run(large(), &Ticket::new(), look).unwrap();
        }
        pause();
        pool.close_within(Duration::ZERO).expect("this is not a callback");
        assert!(callbacks.are_over(), "a callback did not run before the end of close");
        check_nothing_is_left(pool.pool());
        assert_eq!(threads::running(), 0, "a thread after close");
    });
}

#[test]
fn without_a_thread_the_reactor_reads_a_large_response() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        // There is a reactor.
        pool.run(health(), &Ticket::new(), callbacks.expect(is_served)).unwrap();
        threads::refuse(usize::MAX);
        for request in [large(), health(), large()] {
            pool.run(request, &Ticket::new(), callbacks.expect(is_served)).unwrap();
        }
        callbacks.wait();
        threads::refuse(0);
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn large_responses_take_no_more_threads_than_connections_and_one() {
    Explore::with(2, 2, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        for _ in 0..4 {
            let look = callbacks.expect(|outcome: Result<Response>| {
                is_served(outcome);
                // The loop, two that read or dial, and the housekeeper.
                assert!(threads::running() <= 4, "{} threads", threads::running());
            });
            pool.run(large(), &Ticket::new(), look).unwrap();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn small_responses_take_no_helper() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        for _ in 0..3 {
            let look = callbacks.expect(|outcome: Result<Response>| {
                is_served(outcome);
                // The loop and the housekeeper.
                assert!(threads::running() <= 2, "{} threads", threads::running());
            });
            pool.run(health(), &Ticket::new(), look).unwrap();
        }
        all_have_run(&pool, &callbacks);
    });
}

#[test]
fn a_pool_that_is_dropped_while_a_response_is_read_still_tells_its_callback() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let callbacks = Callbacks::default();
        opened(&pool);
        let look = callbacks.expect(is_served_or_closed::<Response>);
        pool.run(large(), &Ticket::new(), look).unwrap();
        pause();
        drop(pool);
        callbacks.wait();
        server::wait_for_sockets(|sockets| sockets == 0);
    });
}
