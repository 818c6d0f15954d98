//! What is changed on a pool that is in use, and what is reported of it.

use super::*;
use crate::pool::machine::LogEvent;

fn stats(pool: &Pool) -> serde_json::Value {
    let (stats, slots) = (pool.machine.stats(), pool.machine.slot_counts());
    serde_json::from_str(&stats.to_json(&slots, Duration::ZERO)).unwrap()
}

#[test]
fn rule_18_reset_retires_what_was_open_and_nothing_else() {
    let mut pool = Pool::new(|_| {});
    let idle = pool.with_idle(2);
    let leased = pool.take();
    pool.machine.reset(pool.now);
    pool.settle();
    let close = pool.job();
    assert_eq!((close.kind, close.connection), (JobKind::Close, idle[0]));
    pool.job_done(&close, Ok(unopened()));
    pool.give_back(&leased);
    let close = pool.job();
    assert_eq!((close.kind, close.connection), (JobKind::Close, idle[1]));
    pool.job_done(&close, Ok(unopened()));
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
    let newer = pool.take_opened(1).remove(0);
    pool.give_back(&newer);
    assert!(!pool.has_job(), "what was opened after the reset stays");
    assert_eq!(stats(&pool)["closed"]["reset"], 2);
}

#[test]
fn rule_18_a_connection_that_was_being_opened_at_a_reset_is_retired_too() {
    let mut pool = Pool::new(|o| o.min_connections = 0);
    let waiter = pool.wait();
    let dial = pool.job();
    pool.machine.reset(pool.now);
    pool.settle();
    pool.job_done(&dial, Ok(open(pool.now)));
    assert!(pool.outcomes().is_empty());
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_18_a_smaller_pool_closes_idle_connections_now_and_others_when_they_come_back() {
    let mut pool = Pool::new(|o| o.max_connections = 4);
    let grants = pool.take_opened(4);
    pool.give_back(&grants[0]);
    pool.machine.resize(1, 2, pool.now);
    pool.effects = pool.machine.take_effects();
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (0, 3, 0, 3));
    let waiter = pool.wait();
    pool.give_back(&grants[1]);
    assert!(pool.outcomes().is_empty(), "there is one too many still");
    pool.work(JobKind::Close);
    pool.give_back(&grants[2]);
    assert_eq!(pool.outcome().0, waiter);
    assert_eq!(pool.numbers(), (0, 2, 0, 2));
    assert_eq!(stats(&pool)["closed"]["resized"], 2);
}

#[test]
fn rule_18_a_larger_pool_serves_those_who_wait_at_once() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    pool.take_opened(2);
    let waiter = pool.wait();
    assert!(!pool.has_job());
    pool.machine.resize(2, 3, pool.now);
    pool.settle();
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
    pool.machine.resize(5, 8, pool.now);
    pool.settle();
    assert_eq!(pool.numbers(), (2, 3, 0, 5), "the minimum is refilled");
}

#[test]
fn rule_18_a_smaller_minimum_lets_the_surplus_idle_out() {
    let mut pool = Pool::new(|o| {
        o.idle_timeout = ms(1000);
        o.max_lifetime = ms(0);
    });
    pool.with_idle(2);
    pool.only_peeks();
    pool.machine.resize(0, 10, pool.now);
    pool.settle();
    pool.pass_with_alarms(ms(1000));
    pool.work(JobKind::Close);
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (0, 0, 0, 0));
}

#[test]
fn rule_21_an_overdue_lease_is_reported_once_and_stays_its_holders() {
    let mut pool = Pool::new(|o| o.leak_threshold = ms(1000));
    let grant = pool.take();
    let mut reported = Vec::new();
    for _ in 0..5 {
        pool.pass_with_alarms(ms(400));
        reported.append(&mut pool.effects.events);
    }
    match &reported[..] {
        [LogEvent::Leak { connection, age }] => {
            assert_eq!((*connection, *age), (grant.connection, ms(1000)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stats(&pool)["leaked"], 1);
    assert_eq!(pool.numbers(), (1, 1, 0, 2));
    pool.give_back(&grant);
    let again = pool.take();
    assert_eq!(again.connection, grant.connection);
    pool.pass_with_alarms(ms(1000));
    assert_eq!(stats(&pool)["leaked"], 2, "another lease, another report");
}

#[test]
fn rule_21_a_lease_that_comes_back_in_time_is_not_reported() {
    let mut pool = Pool::new(|o| o.leak_threshold = ms(1000));
    let grant = pool.take();
    pool.pass_with_alarms(ms(999));
    pool.give_back(&grant);
    pool.pass_with_alarms(ms(10_000));
    assert_eq!(stats(&pool)["leaked"], 0);
}

#[test]
fn rule_22_what_was_created_is_open_or_closed_for_one_reason() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 0;
        o.max_connections = 4;
        o.idle_timeout = ms(1000);
        o.max_lifetime = ms(0);
    });
    let grants: Vec<_> = (0..4)
        .map(|_| {
            pool.wait();
            pool.work(JobKind::Dial);
            pool.outcome().1
        })
        .collect();
    assert_eq!(stats(&pool)["created"], 4);
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) },
    );
    pool.release(grants[1].lease, unopened());
    pool.give_back(&grants[2]);
    pool.work(JobKind::Close);
    pool.pass_with_alarms(ms(1000));
    pool.work(JobKind::Close);
    pool.close();
    pool.give_back(&grants[3]);
    pool.work(JobKind::Close);
    let closed = &stats(&pool)["closed"];
    for reason in ["discarded", "broken", "idle", "closed"] {
        assert_eq!(closed[reason], 1, "{reason} in {closed}");
    }
    assert!(pool.machine.is_drained());
}

#[test]
fn rule_22_failed_dials_and_the_outage_are_told() {
    let mut pool = Pool::new(|o| o.min_connections = 0);
    pool.wait();
    pool.fail(JobKind::Dial);
    assert!(matches!(pool.effects.events[..], [LogEvent::OutageBegan(_)]));
    pool.outcomes();
    assert_eq!(stats(&pool)["dial_failures"], 1);
    pool.pass_with_alarms(ms(50));
    pool.work(JobKind::Dial);
    assert!(matches!(pool.effects.events[..], [LogEvent::OutageEnded { .. }]));
}
