//! Who gets a connection, and in which order.

use super::*;
use crate::config::Validation;

#[test]
fn rule_01_never_more_than_max_for_any_callers() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 3;
        o.max_connecting = 3;
    });
    let grants = pool.take_opened(3);
    let waiter = pool.wait();
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::WouldBlock);
    assert!(!pool.has_job());
    assert_eq!(pool.numbers(), (0, 3, 1, 3));

    // One that is being closed still has its socket.
    let report = ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) };
    pool.release(grants[0].lease, report);
    let close = pool.job();
    assert_eq!(close.kind, JobKind::Close);
    assert!(!pool.has_job(), "a dial before the old socket is closed");
    assert_eq!(pool.numbers(), (0, 2, 1, 3));
    pool.job_done(&close, Ok(unopened()));
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_01_without_validation_a_new_connection_is_had_at_once_up_to_max() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 3;
        o.validation = Validation::None;
    });
    let grants: Vec<_> = (0..3).map(|_| pool.take()).collect();
    pool.wait();
    assert!(!pool.has_job());
    pool.release(grants[0].lease, unopened());
    assert_eq!(pool.outcome().1.connection, grants[0].connection);
}

#[test]
fn rule_02_each_slot_is_in_one_state_through_its_whole_life() {
    let mut pool = Pool::new(|o| o.validation = Validation::Ping);
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
    let grants = pool.take_opened(3);
    assert_eq!(pool.numbers(), (0, 3, 0, 3));
    let report = ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) };
    pool.release(grants[0].lease, report);
    assert_eq!(pool.numbers(), (0, 2, 0, 3));
    pool.work(JobKind::RollBack);
    assert_eq!(pool.numbers(), (1, 2, 0, 3));
    pool.pass(ms(600));
    pool.wait();
    assert_eq!(pool.numbers(), (0, 2, 1, 3));
    pool.fail(JobKind::Ping);
    assert_eq!(pool.numbers(), (0, 2, 1, 4));
    pool.work(JobKind::Dial);
    assert_eq!(pool.numbers(), (0, 3, 0, 4));
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (0, 3, 0, 3));
}

#[test]
fn rule_03_the_time_out_says_what_the_caller_waited_for() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take_opened(10);
    for _ in 0..3 {
        pool.wait();
    }
    let error = pool.machine.timeout_error(ms(30_000), pool.now);
    assert_eq!(error.code(), Code::Timeout);
    assert_eq!(
        error.message(),
        "Timeout acquiring connection after 30.0 s: 10 of 10 connections in use, 3 waiting"
    );
}

#[test]
fn rule_03_in_an_outage_the_time_out_names_the_cause() {
    let mut pool = Pool::new(|_| {});
    pool.take_opened(2);
    pool.wait();
    pool.fail(JobKind::Dial);
    let message = pool.machine.timeout_error(ms(50), pool.now).message().to_owned();
    assert!(message.ends_with("1 waiting; last error: connection refused"), "{message}");
}

#[test]
fn rule_03_who_waits_without_a_thread_is_told_at_its_deadline() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 1;
        o.min_connections = 1;
        o.idle_timeout = Duration::ZERO;
    });
    let grant = pool.take();
    let (long, short) = (pool.wait_for(ms(300)), pool.wait_for(ms(100)));
    let for_ever = pool.wait();
    assert_eq!(pool.machine.alarm(), Some(pool.now + ms(100)));
    pool.pass_with_alarms(ms(99));
    assert!(pool.outcomes().is_empty());
    pool.pass_with_alarms(ms(1));
    let refusals = pool.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].0, short);
    assert_eq!(
        refusals[0].1.message(),
        "Timeout acquiring connection after 0.1 s: 1 of 1 connections in use, 3 waiting"
    );
    assert_eq!(pool.cancel(short), None);
    // The others keep their positions.
    pool.give_back(&grant);
    let (served, grant) = pool.outcome();
    assert_eq!(served, long);
    pool.pass_with_alarms(ms(1000));
    assert!(pool.outcomes().is_empty(), "a caller that was served has no deadline any more");
    pool.give_back(&grant);
    assert_eq!(pool.outcome().0, for_ever);
}

#[test]
fn rule_04_a_try_takes_what_is_there_and_starts_no_round_trip() {
    let mut pool = Pool::new(|o| {
        o.validation = Validation::Ping;
        o.max_connections = 3;
    });
    let idle = pool.with_idle(2);
    pool.pass(ms(1000));
    let grant = pool.try_acquire().unwrap();
    assert_eq!(grant.connection, idle[1]);
    assert!(grant.probe, "a look at the socket instead of the ping");
    pool.try_acquire().unwrap();
    let new = pool.try_acquire().unwrap();
    assert!(!new.probe && !idle.contains(&new.connection));
    assert!(!pool.has_job());
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(error.code(), Code::WouldBlock);
    assert_eq!(error.message(), "No connection is free: 3 of 3 connections in use, 0 waiting");
}

#[test]
fn rule_05_a_returned_connection_goes_to_who_waited_longest() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let mut grants = pool.take_opened(2);
    let waiters: Vec<_> = (0..4).map(|_| pool.wait()).collect();
    for waiter in waiters {
        let grant = grants.remove(0);
        pool.give_back(&grant);
        let (served, next) = pool.outcome();
        assert_eq!(served, waiter);
        assert_eq!(next.connection, grant.connection);
        assert!(!next.probe, "it comes right out of use");
        grants.push(next);
    }
}

#[test]
fn rule_05_nobody_passes_those_who_wait() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take_opened(2);
    let first = pool.wait();
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::WouldBlock, "there is room for more");
    let second = pool.wait();
    pool.work(JobKind::Dial);
    let (served, grant) = pool.outcome();
    assert_eq!(served, first);
    pool.give_back(&grant);
    assert_eq!(pool.outcome().0, second);
}

#[test]
fn rule_05_nobody_passes_them_for_a_refilled_slot_either() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 3;
        o.max_connecting = 1;
    });
    let grants = pool.take_opened(3);
    let first = pool.wait();
    let dial = pool.job();
    for grant in &grants[..2] {
        pool.release(grant.lease, unopened());
    }
    assert_eq!(pool.numbers(), (1, 1, 1, 3), "one is opening and one is there to be opened");
    let second = pool.wait();
    assert_eq!(pool.outcome().0, first);
    pool.job_done(&dial, Ok(open(pool.now)));
    assert_eq!(pool.outcome().0, second);
}

#[test]
fn rule_05_the_connection_that_came_back_last_goes_first() {
    let mut pool = Pool::new(|_| {});
    let idle = pool.with_idle(4);
    let order: Vec<_> = (0..4).map(|_| pool.take().connection).collect();
    assert_eq!(order, idle.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn rule_05_opened_connections_go_before_unopened_ones() {
    let mut pool = Pool::new(|o| o.min_connections = 3);
    let opened = pool.take();
    let unused = pool.take();
    pool.give_back(&opened);
    pool.release(unused.lease, unopened());
    assert_eq!(pool.take().connection, opened.connection);
}

#[test]
fn rule_06_each_freed_slot_serves_one_waiter() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 2;
        o.max_connecting = 1;
    });
    let grants = pool.take_opened(2);
    let (first, second) = (pool.wait(), pool.wait());
    pool.release(grants[0].lease, unopened());
    assert!(pool.outcomes().is_empty(), "waiters get an opened connection");
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, first);
    pool.give_back(&grants[1]);
    assert_eq!(pool.outcome().0, second);
}

#[test]
fn rule_06_a_slot_freed_by_failure_serves_too() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    let waiter = pool.wait();
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
    );
    pool.fail(JobKind::RollBack);
    pool.fail(JobKind::Close);
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_06_those_who_gave_up_are_passed_over() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    let waiters: Vec<_> = (0..3).map(|_| pool.wait()).collect();
    assert_eq!(pool.cancel(waiters[0]), Some(waiters[0]));
    assert_eq!(pool.cancel(waiters[0]), None);
    pool.give_back(&grants[0]);
    assert_eq!(pool.outcome().0, waiters[1]);
    assert_eq!(pool.cancel(waiters[1]), None, "it was served already");
    assert_eq!(pool.numbers(), (0, 2, 1, 2));
}

#[test]
fn rule_08_a_waiter_takes_the_returned_connection_if_that_comes_first() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(2);
    let waiter = pool.wait();
    let dial = pool.job();
    pool.give_back(&grants[0]);
    let (served, grant) = pool.outcome();
    assert_eq!((served, grant.connection), (waiter, grants[0].connection));
    pool.job_done(&dial, Ok(open(pool.now)));
    assert!(pool.outcomes().is_empty());
    assert_eq!(pool.numbers(), (1, 2, 0, 3));
}

#[test]
fn rule_08_a_waiter_takes_the_new_connection_if_that_comes_first() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(2);
    let waiter = pool.wait();
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
    pool.give_back(&grants[0]);
    assert_eq!(pool.numbers(), (1, 2, 0, 3));
}

#[test]
fn rule_11_past_max_waiters_overloaded_at_once() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 2;
        o.max_waiters = 2;
    });
    let grants = pool.take_opened(2);
    pool.wait();
    pool.wait();
    let error = refusal(pool.acquire());
    assert_eq!(error.code(), Code::Overloaded);
    assert_eq!(
        error.message(),
        "Too many callers wait for a connection: 2 of at most 2 (max_waiters); \
         2 of 2 connections in use"
    );
    pool.give_back(&grants[0]);
    pool.outcome();
    pool.wait();
}

#[test]
fn rule_11_where_nobody_may_wait_the_pool_still_grows() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 0;
        o.max_connections = 2;
        o.max_waiters = 0;
    });
    pool.take_opened(2);
    assert_eq!(refusal(pool.acquire()).code(), Code::Overloaded);
}

#[test]
fn rule_22_status_counts_each_connection_and_caller() {
    let mut pool = Pool::new(|o| o.max_connections = 4);
    let grants = pool.take_opened(4);
    pool.wait();
    let discarded = ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) };
    pool.release(grants[0].lease, discarded);
    let status = pool.machine.status();
    assert_eq!((status.available, status.used, status.pending), (0, 3, 1));
    assert_eq!((status.total, status.min, status.max), (4, 2, 4), "the closing one counts");
}

#[test]
fn rule_22_the_age_of_the_oldest_waiter_is_known() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    assert_eq!(pool.machine.oldest_wait(pool.now), Duration::ZERO);
    let first = pool.wait();
    pool.pass(ms(300));
    pool.wait();
    pool.pass(ms(200));
    assert_eq!(pool.machine.oldest_wait(pool.now), ms(500));
    pool.cancel(first);
    assert_eq!(pool.machine.oldest_wait(pool.now), ms(200));
    pool.give_back(&grants[0]);
    assert_eq!(pool.machine.oldest_wait(pool.now), Duration::ZERO);
}
