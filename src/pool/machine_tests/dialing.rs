//! How many dials there are at once, for callers, lease holders and workers together.

use super::*;

fn is_granted(permit: DialDecision<Link>) -> bool {
    match permit {
        DialDecision::Dial => true,
        DialDecision::Wait => false,
        DialDecision::TakeSocket(link) => panic!("the socket of {link}"),
        DialDecision::Refuse(error) => panic!("{error}"),
    }
}

#[test]
fn rule_09_growth_dials_max_connecting_at_once() {
    let mut pool = Pool::new(|o| o.max_connecting = 2);
    pool.take_opened(2);
    for _ in 0..5 {
        pool.wait();
    }
    assert_eq!(pool.machine.waiting_jobs(), 2);
    pool.work(JobKind::Dial);
    assert_eq!(pool.machine.waiting_jobs(), 2, "the next one begins when one ends");
}

#[test]
fn rule_09_lease_holders_dial_within_the_same_bound_and_go_first() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 4;
        o.max_connecting = 2;
    });
    for _ in 0..4 {
        pool.take();
    }
    assert!(is_granted(pool.begin_dial(false)));
    assert!(is_granted(pool.begin_dial(false)));
    assert!(!is_granted(pool.begin_dial(false)));
    pool.wait();
    assert!(!pool.has_job(), "two dials are under way");
    pool.end_dial(None);
    assert!(pool.effects.dial_ended);
    assert!(!pool.has_job(), "a holder waits to dial");
    assert!(is_granted(pool.begin_dial(true)));
    pool.end_dial(None);
    assert!(pool.has_job(), "no holder waits any more");
    assert!(!is_granted(pool.begin_dial(false)));
}

#[test]
fn rule_09_a_holder_who_gives_up_makes_room() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take();
    pool.take();
    assert!(is_granted(pool.begin_dial(false)));
    assert!(!is_granted(pool.begin_dial(false)));
    pool.wait();
    pool.end_dial(None);
    assert!(!pool.has_job());
    pool.machine.give_up_lease_dial(0, pool.now);
    pool.settle();
    pool.work(JobKind::Dial);
    pool.outcome();
}

#[test]
fn rule_09_refill_dials_within_the_same_bound() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 5;
        o.max_connecting = 2;
        o.preconnect = true;
    });
    assert_eq!(pool.machine.waiting_jobs(), 2);
    for _ in 0..5 {
        assert!(pool.machine.waiting_jobs() <= 2);
        pool.work(JobKind::Dial);
    }
    assert!(!pool.has_job());
    assert_eq!(pool.numbers(), (5, 0, 0, 5));
}

#[test]
fn rule_09_replacements_of_dead_connections_dial_within_the_same_bound() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.with_idle(3);
    pool.pass(ms(1000));
    let grants: Vec<_> = (0..3).map(|_| pool.take()).collect();
    for (waiter, grant) in grants.iter().enumerate() {
        let first = pool.arrived - 3;
        assert!(matches!(pool.found_dead(grant, first + waiter as u32), Acquired::Queued));
        assert_eq!(pool.machine.waiting_jobs(), 1);
    }
}

#[test]
fn rule_09_a_dial_that_fails_is_a_dial_that_ended() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take_opened(2);
    pool.wait();
    pool.fail(JobKind::Dial);
    assert!(pool.effects.dial_ended);
    pool.pass_with_alarms(ms(60));
    pool.work(JobKind::Dial);
    pool.outcome();
}
