//! Requests that the program carries on itself, under the model checker.

use super::*;
use crate::client::Progress;

/// A queue whose connection has a socket, so that its requests need no thread.
fn opened(pool: &CallbackPool) -> Arc<ConnectionQueue> {
    let queue = ConnectionQueue::new(pool.pool().acquire().expect("there is one"));
    queue.lease().request(&health()).expect("it is served");
    queue
}

/// A request on it that is not over until it is cut.
fn begin(queue: &ConnectionQueue) {
    let outcome = queue.start(silence(), is_in_flight);
    assert!(outcome.is_none(), "{outcome:?}");
}

fn is_in_flight(progress: &Progress) {
    assert!(matches!(progress, Progress::InFlight(_)), "it has a socket: {progress:?}");
}

/// Whatever the request comes to, in a loop that looks again and again.
fn carry_on(queue: &ConnectionQueue) -> Result<Response> {
    loop {
        match queue.resume(is_in_flight) {
            Some(outcome) => return outcome,
            None => pause(),
        }
    }
}

fn is_gone(pool: &CallbackPool) {
    check_quiet(pool.pool());
    close(pool, &Callbacks::default());
}

#[test]
fn rule_07_an_interrupt_ends_a_request_that_goes_step_by_step_and_no_other() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let queue = opened(&pool);
        begin(&queue);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || queue.lease().cancel())
        };
        assert_eq!(carry_on(&queue).unwrap_err().code(), Code::Cancelled);
        done(other);
        queue.lease().request(&health()).expect("it is not cut once more");
        drop(queue);
        pool.pool().request(&health()).expect("the next user has a good one");
        is_gone(&pool);
    });
}

#[test]
fn rule_13_a_request_that_is_not_over_at_the_release_is_none_of_the_next_user() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let queue = opened(&pool);
        begin(&queue);
        let next = {
            let pool = pool.clone();
            thread::spawn(move || pool.pool().request(&health()).map(drop))
        };
        drop(queue);
        done(next).expect("it is served, on another socket");
        is_gone(&pool);
    });
}

#[test]
fn rule_19_close_cuts_a_request_that_goes_step_by_step() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let queue = opened(&pool);
        begin(&queue);
        let closer = {
            let pool = pool.clone();
            thread::spawn(move || pool.close_within(Duration::ZERO))
        };
        assert_eq!(carry_on(&queue).unwrap_err().code(), Code::Closed);
        drop(queue);
        done(closer).expect("this is not a callback");
        check_nothing_is_left(pool.pool());
    });
}

#[test]
fn two_threads_that_carry_on_one_request_have_one_response() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "too late"]);
    explore.run_with(CallbackPool::new, |pool| {
        let queue = opened(&pool);
        let outcome = queue.start(health(), is_in_flight);
        assert!(outcome.is_none(), "{outcome:?}");
        let both = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || match queue.resume(is_in_flight) {
                Some(Ok(_)) => {
                    saw("served");
                    1
                }
                Some(Err(error)) => {
                    assert_eq!(error.code(), Code::InvalidState, "{error}");
                    saw("too late");
                    0
                }
                None => panic!("it is over with this step"),
            })
        });
        assert_eq!(both.map(done).iter().sum::<u32>(), 1, "one response for one request");
        drop(queue);
        is_gone(&pool);
    });
}

#[test]
fn rule_07_the_library_finishes_a_request_that_was_begun_unless_it_is_cancelled() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["served", "cancelled"]);
    explore.run_with(CallbackPool::new, |pool| {
        let queue = opened(&pool);
        let callbacks = Callbacks::default();
        assert!(queue.start(health(), is_in_flight).is_none());
        let ticket = Ticket::new();
        pool.finish(&queue, &ticket, callbacks.expect(is_served_or_cancelled)).expect("it is open");
        let canceller = thread::spawn(move || ticket.cancel().unwrap());
        // It follows, and is not what was cancelled.
        pool.run_on(&queue, health(), &Ticket::new(), callbacks.expect(is_served))
            .expect("it is open");
        // The lease ends with the last of them.
        drop(queue);
        done(canceller);
        all_have_run(&pool, &callbacks);
    });
}
