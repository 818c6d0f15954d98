//! Requests that the program carries on itself, under the model checker.

use super::*;
use crate::async_pool::Pace;

/// A lane whose connection has a socket, so that its requests need no thread.
fn opened(pool: &AsyncPool) -> Arc<ConnectionQueue> {
    let lane = ConnectionQueue::new(pool.pool().acquire().expect("there is one"));
    lane.lease().request(&health()).expect("it is served");
    lane
}

/// A request on it that is not over until it is cut.
fn begin(lane: &ConnectionQueue) {
    let pace = lane.start(silence());
    assert!(matches!(pace, Pace::Waits(_)), "{pace:?}");
}

/// Whatever the request comes to, in a loop that looks again and again.
fn carry_on(lane: &ConnectionQueue) -> Result<Response> {
    loop {
        match lane.resume() {
            Pace::Over(outcome) => return outcome,
            Pace::Waits(_) => pause(),
            Pace::NeedsThread => panic!("it has a socket"),
        }
    }
}

fn is_gone(pool: &AsyncPool) {
    check_quiet(pool.pool());
    close(pool, &Callbacks::default());
}

#[test]
fn rule_07_an_interrupt_ends_a_request_that_goes_step_by_step_and_no_other() {
    Explore::with(1, 1, Validation::None).run_with(AsyncPool::new, |pool| {
        let lane = opened(&pool);
        begin(&lane);
        let other = {
            let lane = lane.clone();
            thread::spawn(move || lane.lease().cancel())
        };
        assert_eq!(carry_on(&lane).unwrap_err().code(), Code::Cancelled);
        done(other);
        lane.lease().request(&health()).expect("it is not cut once more");
        drop(lane);
        pool.pool().request(&health()).expect("the next user has a good one");
        is_gone(&pool);
    });
}

#[test]
fn rule_13_a_request_that_is_not_over_at_the_release_is_none_of_the_next_user() {
    Explore::with(1, 1, Validation::None).run_with(AsyncPool::new, |pool| {
        let lane = opened(&pool);
        begin(&lane);
        let next = {
            let pool = pool.clone();
            thread::spawn(move || pool.pool().request(&health()).map(drop))
        };
        drop(lane);
        done(next).expect("it is served, on another socket");
        is_gone(&pool);
    });
}

#[test]
fn rule_19_close_cuts_a_request_that_goes_step_by_step() {
    Explore::with(1, 1, Validation::None).run_with(AsyncPool::new, |pool| {
        let lane = opened(&pool);
        begin(&lane);
        let closer = {
            let pool = pool.clone();
            thread::spawn(move || pool.close_within(Duration::ZERO))
        };
        assert_eq!(carry_on(&lane).unwrap_err().code(), Code::Closed);
        drop(lane);
        done(closer).expect("this is no callback");
        check_nothing_is_left(pool.pool());
    });
}

#[test]
fn two_threads_that_carry_on_one_request_have_one_response() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["answered", "too late"]);
    explore.run_with(AsyncPool::new, |pool| {
        let lane = opened(&pool);
        let pace = lane.start(health());
        assert!(matches!(pace, Pace::Waits(_)), "{pace:?}");
        let both = [(); 2].map(|()| {
            let lane = lane.clone();
            thread::spawn(move || match lane.resume() {
                Pace::Over(Ok(_)) => {
                    saw("answered");
                    1
                }
                Pace::Over(Err(error)) => {
                    assert_eq!(error.code(), Code::InvalidState, "{error}");
                    saw("too late");
                    0
                }
                pace => panic!("{pace:?}"),
            })
        });
        assert_eq!(both.map(done).iter().sum::<u32>(), 1, "one answer for one request");
        drop(lane);
        is_gone(&pool);
    });
}
