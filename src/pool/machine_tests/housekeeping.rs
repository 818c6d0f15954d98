//! What becomes due while nobody does anything.

use super::*;

#[test]
fn rule_16_connections_retire_between_90_and_100_percent_of_their_lifetime() {
    let mut retirements = Vec::new();
    let mut pool = Pool::new(|o| {
        o.max_lifetime = ms(100_000);
        o.idle_timeout = ms(0);
        o.min_connections = 8;
        o.max_connections = 8;
    });
    pool.with_idle(8);
    let opened = pool.now;
    while retirements.len() < 8 {
        pool.now = pool.machine.alarm().expect("a retirement");
        pool.tick();
        while pool.has_job() {
            pool.work(JobKind::Close);
            retirements.push(pool.now - opened);
        }
    }
    assert!(
        retirements.iter().all(|at| (ms(90_000)..=ms(100_000)).contains(at)),
        "{retirements:?}"
    );
    retirements.dedup();
    assert!(retirements.len() > 1, "not all at once: {retirements:?}");
}

#[test]
fn rule_16_a_lease_past_its_life_is_closed_when_it_comes_back() {
    let mut pool = Pool::new(|o| o.max_lifetime = ms(100_000));
    let grants = pool.take_opened(2);
    let opened_at = pool.now;
    pool.release(grants[0].lease, open(opened_at));
    let grant = pool.take();
    pool.pass(ms(100_000));
    pool.release(grant.lease, open(opened_at));
    pool.work(JobKind::Close);
}

#[test]
fn rule_16_the_keep_alive_hint_is_respected() {
    let mut pool = Pool::new(|_| {});
    let grant = pool.take();
    let until = pool.now + ms(300);
    let report = ConnectionReport { keep_alive_until: Some(until), ..open(pool.now) };
    pool.release(grant.lease, report);
    assert_eq!(pool.machine.alarm(), Some(until));

    pool.pass(ms(300));
    assert_ne!(pool.take().connection, grant.connection, "even before the alarm is served");
    assert_eq!(pool.job().kind, JobKind::Close);
}

#[test]
fn rule_16_a_successor_is_open_before_a_connection_of_the_minimum_is_retired() {
    let mut pool = Pool::new(|o| {
        o.max_lifetime = ms(1000);
        o.min_connections = 1;
    });
    let idle = pool.with_idle(1);
    while !pool.has_job() {
        pool.pass_with_alarms(ms(1));
    }
    assert_eq!(pool.numbers(), (1, 0, 0, 2), "the old one is there until the new one is");
    pool.work(JobKind::Dial);
    let close = pool.job();
    assert_eq!((close.kind, close.connection), (JobKind::Close, idle[0]));
    assert_eq!(pool.numbers(), (1, 0, 0, 2));
    pool.job_done(&close, Ok(unopened()));
    assert_eq!(pool.numbers(), (1, 0, 0, 1));
}

#[test]
fn rule_16_a_replaced_connection_that_is_in_use_goes_when_it_comes_back() {
    let mut pool = Pool::new(|o| {
        o.max_lifetime = ms(1000);
        o.min_connections = 1;
    });
    let idle = pool.with_idle(1);
    let opened_at = pool.now;
    while !pool.has_job() {
        pool.pass_with_alarms(ms(1));
    }
    let grant = pool.take();
    assert_eq!(grant.connection, idle[0]);
    pool.work(JobKind::Dial);
    pool.release(grant.lease, open(opened_at));
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (1, 0, 0, 1));
}

#[test]
fn rule_16_without_room_for_a_successor_the_minimum_is_refilled_afterwards() {
    let mut pool = Pool::new(|o| {
        o.max_lifetime = ms(1000);
        o.max_connections = 2;
    });
    pool.with_idle(2);
    pool.pass_with_alarms(ms(1000));
    pool.work(JobKind::Close);
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
}

#[test]
fn rule_17_the_surplus_closes_at_the_idle_timeout_and_the_minimum_stays() {
    let mut pool = Pool::new(|o| {
        o.idle_timeout = ms(1000);
        o.max_lifetime = ms(0);
    });
    pool.with_idle(5);
    pool.pass_with_alarms(ms(999));
    assert!(!pool.has_job());
    pool.pass_with_alarms(ms(1));
    for _ in 0..3 {
        pool.work(JobKind::Close);
    }
    assert!(!pool.has_job());
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
    pool.pass_with_alarms(ms(100_000));
    assert!(!pool.has_job());
    pool.only_peeks();
}

#[test]
fn rule_17_what_was_used_last_stays() {
    let mut pool = Pool::new(|o| {
        o.idle_timeout = ms(1000);
        o.min_connections = 1;
    });
    let idle = pool.with_idle(2);
    pool.pass(ms(10));
    let grant = pool.take();
    assert_eq!(grant.connection, idle[1]);
    pool.give_back(&grant);
    pool.pass_with_alarms(ms(5000));
    assert_eq!(pool.job().connection, idle[0]);
    assert!(!pool.has_job());
}

#[test]
fn rule_17_a_surplus_closes_though_the_others_are_in_use() {
    let mut pool = Pool::new(|o| o.idle_timeout = ms(1000));
    let grants = pool.take_opened(3);
    pool.give_back(&grants[0]);
    pool.pass_with_alarms(ms(1000));
    assert_eq!(pool.job().connection, grants[0].connection);
}

#[test]
fn rule_17_zero_keeps_the_surplus_for_ever() {
    let mut pool = Pool::new(|o| {
        o.idle_timeout = ms(0);
        o.max_lifetime = ms(0);
    });
    pool.with_idle(5);
    pool.only_peeks();
}

#[test]
fn rule_17_the_minimum_is_refilled_after_a_loss() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(2);
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) },
    );
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (1, 1, 0, 2));
    assert!(!pool.has_job(), "it opens when it is used");
}

#[test]
fn rule_17_with_preconnect_the_minimum_is_refilled_with_opened_connections() {
    let mut pool = Pool::new(|o| o.preconnect = true);
    pool.work(JobKind::Dial);
    pool.work(JobKind::Dial);
    let grant = pool.take();
    pool.release(
        grant.lease,
        ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) },
    );
    pool.work(JobKind::Close);
    pool.fail(JobKind::Dial);
    assert_eq!(pool.numbers(), (1, 0, 0, 1));
    pool.pass_with_alarms(ms(60));
    pool.work(JobKind::Dial);
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
}

#[test]
fn rule_17_waiters_have_the_room_before_the_minimum_has() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 3;
        o.max_connections = 3;
        o.max_connecting = 1;
    });
    let grants = pool.take_opened(3);
    for _ in 0..3 {
        pool.wait();
    }
    for grant in &grants {
        pool.release(grant.lease, unopened());
    }
    assert_eq!(pool.numbers(), (0, 0, 3, 1));
    for _ in 0..3 {
        pool.work(JobKind::Dial);
    }
    assert_eq!(pool.numbers(), (0, 3, 0, 3));
}

#[test]
fn rule_17_an_earlier_alarm_is_told() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(2);
    pool.pass_with_alarms(ms(100_000));
    pool.give_back(&grants[0]);
    assert!(pool.effects.alarm_moved);
    let until = pool.now + ms(5);
    let report = ConnectionReport { keep_alive_until: Some(until), ..open(pool.now) };
    pool.release(grants[1].lease, report);
    assert!(pool.effects.alarm_moved);
    assert_eq!(pool.machine.alarm(), Some(until));
}
