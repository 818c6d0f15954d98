//! The fast path on the machine itself: what it hands out and takes back, and what the machine hears of.

use super::*;
use crate::pool::fast_path::Released;

#[test]
fn rule_05_the_fast_path_hands_out_what_the_machine_would() {
    let mut pool = Pool::new(|_| {});
    let idle = pool.with_idle(3);
    let grants: Vec<_> = (0..3).map(|_| pool.machine.acquire_fast(pool.now).unwrap()).collect();
    let links: Vec<_> = grants.iter().rev().map(|grant| grant.connection).collect();
    assert_eq!(links, idle);
    assert!(pool.machine.acquire_fast(pool.now).is_none());
    pool.settle();
    assert_eq!(pool.numbers(), (0, 3, 0, 3));
}

#[test]
fn rule_05_while_somebody_waits_nothing_goes_the_fast_way() {
    let mut pool = Pool::new(|options| (options.min_connections, options.max_connections) = (1, 1));
    pool.with_idle(1);
    let grant = pool.take();
    let waiter = pool.wait();
    let report = open(pool.now);
    let released = pool.machine.release_fast(grant.lease, Some(&report), pool.now);
    assert_eq!(released, Released::NotReady);
    assert!(pool.release(grant.lease, report));
    let (served, grant) = pool.outcome();
    assert_eq!(served, waiter);
    pool.settle();
    let released = pool.machine.release_fast(grant.lease, Some(&report), pool.now);
    assert_eq!(released, Released::Kept);
}

#[test]
fn an_opened_connection_that_nobody_has_used_yet_takes_the_fast_path_back() {
    let mut pool = Pool::new(|options| (options.min_connections, options.preconnect) = (1, true));
    pool.work(JobKind::Dial);
    let grant = pool.machine.acquire_fast(pool.now).unwrap();
    let released = pool.machine.release_fast(grant.lease, None, pool.now);
    assert_eq!(released, Released::Kept);
    pool.settle();
    pool.only_peeks();
}

#[test]
fn rule_12_the_fast_path_ends_a_lease_once() {
    let mut pool = Pool::new(|_| {});
    pool.with_idle(1);
    let grant = pool.machine.acquire_fast(pool.now).unwrap();
    let release = |pool: &Pool| pool.machine.release_fast(grant.lease, None, pool.now);
    assert_eq!(release(&pool), Released::Kept);
    assert_eq!(release(&pool), Released::NotReady);
    assert!(!pool.release(grant.lease, open(pool.now)));
    let next = pool.machine.acquire_fast(pool.now).unwrap();
    assert_eq!(release(&pool), Released::NotReady, "another lease of the slot");
    assert!(pool.release(next.lease, open(pool.now)));
}

#[test]
fn rule_12_a_slot_whose_generations_are_used_up_goes_on_under_another_index() {
    let mut pool = Pool::new(|_| {});
    let link = pool.with_idle(1)[0];
    let slot = pool.take().lease.slot();
    let lease = pool.machine.lease_of(slot);
    assert!(pool.release(lease, open(pool.now)));
    pool.machine.use_up_generations(slot);
    pool.settle();
    let last_but_one = pool.machine.acquire_fast(pool.now).unwrap();
    let released = pool.machine.release_fast(last_but_one.lease, None, pool.now);
    assert_eq!(released, Released::Kept);
    let last = pool.machine.acquire_fast(pool.now).unwrap();
    let released = pool.machine.release_fast(last.lease, None, pool.now);
    assert_eq!(released, Released::NotReady, "the machine must renew it");
    assert!(pool.release(last.lease, open(pool.now)));
    assert!(!pool.release(last.lease, open(pool.now)), "it is stale for ever");
    let next = pool.machine.acquire_fast(pool.now).unwrap();
    assert_eq!((next.connection, next.lease.slot()), (link, slot));
    assert_ne!(next.lease.fast().index(), last.lease.fast().index());
    assert_eq!(pool.machine.slot_counts().acquires, 1, "the others were taken over");
    pool.settle();
}

#[test]
fn rule_16_the_fast_path_hands_nothing_out_past_its_life() {
    let mut pool = Pool::new(|options| {
        options.max_lifetime = Duration::from_secs(10);
        options.validation = crate::config::Validation::None;
    });
    pool.with_idle(1);
    let report = open(pool.now);
    pool.pass(ms(8_000));
    assert!(pool.machine.acquire_fast(pool.now).is_some_and(|grant| {
        pool.machine.release_fast(grant.lease, None, pool.now) == Released::Kept
    }));
    let grant = pool.machine.acquire_fast(pool.now).unwrap();
    pool.pass(ms(2_000));
    let released = pool.machine.release_fast(grant.lease, None, pool.now);
    assert_eq!(released, Released::NotReady, "it is too old to be kept");
    assert!(pool.release(grant.lease, report));
    assert!(pool.has_job(), "it is closed");
}

#[test]
fn rule_21_a_lease_of_the_fast_path_is_reported_when_it_is_overdue() {
    let mut pool = Pool::new(|options| options.leak_threshold = ms(5_000));
    pool.with_idle(1);
    let _leaked = pool.machine.acquire_fast(pool.now).unwrap();
    let end = pool.now + ms(5_001);
    let mut reports = 0;
    while let Some(alarm) = pool.machine.alarm().filter(|alarm| *alarm <= end) {
        pool.now = alarm;
        pool.tick();
        reports += pool.effects.events.len();
    }
    assert_eq!(reports, 1);
}

#[test]
fn rule_22_what_the_fast_path_did_is_counted() {
    let mut pool = Pool::new(|_| {});
    pool.with_idle(2);
    for used in [0, 0, 3] {
        let grant = pool.machine.acquire_fast(pool.now).unwrap();
        pool.pass(ms(used));
        let released = pool.machine.release_fast(grant.lease, None, pool.now);
        assert_eq!(released, Released::Kept);
    }
    let counts = pool.machine.slot_counts();
    assert_eq!(counts.acquires, 3);
    assert_eq!((counts.usage.buckets[0], counts.usage.buckets[5]), (2, 1));
    assert_eq!(counts.usage.sum_us, 3_000);
}

#[test]
fn rule_05_an_unopened_connection_does_not_come_above_an_opened_one() {
    let mut pool = Pool::new(|options| (options.min_connections, options.max_connections) = (2, 2));
    let opened = pool.take_opened(1).remove(0);
    let unopened = pool.take();
    pool.give_back(&opened);
    let released = pool.machine.release_fast(unopened.lease, None, pool.now);
    assert_eq!(released, Released::NotReady);
    assert!(pool.release(unopened.lease, super::unopened()));
    assert_eq!(pool.machine.acquire_fast(pool.now).unwrap().connection, opened.connection);
}

#[test]
fn rule_13_the_fast_path_keeps_no_unopened_connection_above_the_minimum() {
    let mut pool = Pool::new(|options| {
        (options.min_connections, options.max_connections) = (1, 2);
        options.validation = crate::config::Validation::None;
    });
    let grants = [pool.take(), pool.take()];
    let released = pool.machine.release_fast(grants[1].lease, None, pool.now);
    assert_eq!(released, Released::NotReady);
    assert!(pool.release(grants[1].lease, super::unopened()));
    let released = pool.machine.release_fast(grants[0].lease, None, pool.now);
    assert_eq!(released, Released::Kept);
}
