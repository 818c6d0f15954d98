//! Lease holders without a socket, in an outage.

use super::*;
use crate::config::Validation;

/// A pool without validation: one holder has an open connection, and two have none, of whom the first
/// has just failed to dial.
fn limited() -> (Pool, Vec<Grant<Link>>) {
    let mut pool = Pool::new(|o| o.validation = Validation::None);
    let grants: Vec<_> = (0..3).map(|_| pool.take()).collect();
    assert!(matches!(pool.begin_dial_of(0, false), DialDecision::Dial));
    pool.end_dial_of(0, None);
    pool.event(&grants[0], SocketEvent::Proved);
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Dial));
    pool.end_dial_of(1, Some(refused()));
    assert!(pool.machine.may_wait_to_dial(pool.now));
    (pool, grants)
}

#[test]
fn rule_10_a_holder_without_a_socket_gets_that_of_a_connection_that_comes_back() {
    let (mut pool, grants) = limited();
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    assert!(matches!(pool.begin_dial_of(2, false), DialDecision::Wait));
    let waiter = pool.wait();
    assert!(pool.outcomes().is_empty());
    pool.give_back(&grants[0]);
    assert!(pool.outcomes().is_empty(), "holders were there before");
    assert!(pool.effects.dial_ended, "they are woken");
    assert!(matches!(pool.begin_dial_of(2, true), DialDecision::Wait), "the other one was first");
    match pool.begin_dial_of(1, true) {
        DialDecision::TakeSocket(link) => assert_eq!(link, grants[0].connection),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.machine.status().used, 2);
    pool.give_back(&grants[1]);
    assert!(matches!(pool.begin_dial_of(2, true), DialDecision::TakeSocket(_)));
    pool.give_back(&grants[2]);
    let (served, grant) = pool.outcome();
    assert_eq!((served, grant.connection), (waiter, grants[2].connection));
    let stats = pool.machine.stats().to_json(&pool.machine.slot_counts(), Duration::ZERO);
    assert!(stats.contains(r#""created":1,"#), "one socket went from hand to hand: {stats}");
}

#[test]
fn rule_10_a_holder_without_a_socket_takes_that_of_an_idle_connection() {
    let (mut pool, grants) = limited();
    pool.give_back(&grants[0]);
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::TakeSocket(_)));
}

#[test]
fn rule_10_a_holder_who_gives_up_leaves_what_was_reserved_for_it() {
    let (mut pool, grants) = limited();
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    pool.give_back(&grants[0]);
    let waiter = pool.wait();
    pool.machine.give_up_lease_dial(1, pool.now);
    pool.settle();
    let (served, grant) = pool.outcome();
    assert_eq!((served, grant.connection), (waiter, grants[0].connection));
}

#[test]
fn rule_10_holders_hear_it_when_there_is_nothing_to_wait_for_any_more() {
    let (mut pool, grants) = limited();
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    pool.event(&grants[0], SocketEvent::Lost);
    assert!(pool.effects.dial_ended, "they are woken");
    assert!(matches!(pool.begin_dial_of(1, true), DialDecision::Refuse(_)));
}

#[test]
fn rule_10_a_holder_who_waits_is_the_next_to_try() {
    let (mut pool, grants) = limited();
    works(grants[0].connection);
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    let due = pool.machine.outage_retry_at().expect("an outage");
    pool.pass_with_alarms(due - pool.now);
    assert!(pool.effects.dial_ended, "it is woken");
    assert!(matches!(pool.begin_dial_of(1, true), DialDecision::Dial));
    pool.end_dial_of(1, None);
    pool.event(&grants[1], SocketEvent::Proved);
    assert_eq!(pool.machine.outage_retry_at(), None);
}

#[test]
fn rule_19_a_reserved_connection_closes_with_the_pool() {
    let (mut pool, grants) = limited();
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    pool.give_back(&grants[0]);
    pool.close();
    pool.machine.cut();
    pool.settle();
    pool.machine.give_up_lease_dial(1, pool.now);
    pool.settle();
    pool.work(JobKind::Close);
    while pool.has_job() {
        pool.work(JobKind::Close);
    }
    assert!(pool.machine.is_drained());
}

#[test]
fn rule_21_who_waits_to_dial_is_told_what_the_pool_was_doing() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take();
    pool.take();
    assert!(matches!(pool.begin_dial_of(0, false), DialDecision::Dial));
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Wait));
    pool.pass(ms(2500));
    assert_eq!(
        pool.machine.dial_timeout_error(pool.now).message(),
        "Timeout waiting to open the connection; 1 connection is being opened to \
         http://localhost:8080 (for 2.5 s so far)"
    );
}
