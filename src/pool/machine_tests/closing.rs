//! The end of a pool.

use super::*;
use crate::config::Validation;

#[test]
fn rule_19_waiters_fail_at_once_and_so_do_later_callers() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    pool.wait();
    pool.wait();
    pool.close();
    let refusals = pool.refusals();
    assert_eq!(refusals.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [2, 3]);
    for (_, error) in refusals {
        assert_eq!((error.code(), error.message()), (Code::Closed, "Connection pool is closed"));
    }
    assert_eq!(refusal(pool.acquire()).code(), Code::Closed);
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Closed);
    let dead = pool.found_dead(&grants[0], 0);
    assert_eq!(refusal(dead).code(), Code::Closed);
}

#[test]
fn rule_19_idle_connections_close_and_leases_may_come_back() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(4);
    grants[..2].iter().for_each(|grant| pool.give_back(grant));
    pool.close();
    pool.close();
    pool.work(JobKind::Close);
    pool.work(JobKind::Close);
    assert!(!pool.machine.is_drained());
    pool.give_back(&grants[2]);
    pool.release(
        grants[3].lease,
        ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
    );
    assert!(!pool.machine.is_drained(), "sockets are open");
    pool.work(JobKind::Close);
    pool.work(JobKind::Close);
    assert!(pool.machine.is_drained());
    assert!(pool.machine.alarm().is_none_or(|alarm| alarm > pool.now));
}

#[test]
fn rule_19_leases_that_stay_are_cut() {
    let mut pool = Pool::new(|o| o.min_connections = 0);
    let grants = pool.take_opened(2);
    pool.close();
    let mut cut = pool.machine.cut();
    pool.settle();
    cut.sort_unstable();
    assert_eq!(cut, [grants[0].connection, grants[1].connection]);
    assert!(pool.machine.is_drained());
    assert!(!pool.release(grants[0].lease, open(pool.now)));
    assert!(pool.machine.cut().is_empty());
    assert_eq!(pool.numbers(), (0, 0, 0, 0));
}

#[test]
fn rule_19_what_no_worker_has_begun_is_not_begun() {
    let mut pool = Pool::new(|o| {
        o.validation = Validation::Ping;
        o.min_connections = 0;
        o.max_connecting = 3;
    });
    let grants = pool.take_opened(3);
    pool.give_back(&grants[0]);
    pool.pass(ms(1000));
    pool.wait();
    pool.release(
        grants[1].lease,
        ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
    );
    pool.wait();
    pool.wait();
    assert_eq!(pool.machine.waiting_jobs(), 4, "a ping, a rollback and two dials");
    pool.close();
    assert!(pool.machine.connections_with_workers().is_empty());
    pool.work(JobKind::Close);
    pool.work(JobKind::Close);
    assert!(!pool.has_job());
    pool.give_back(&grants[2]);
    pool.work(JobKind::Close);
    assert!(pool.machine.is_drained());
}

#[test]
fn rule_19_what_workers_have_in_hand_closes_when_they_are_done() {
    let mut pool = Pool::new(|_| {});
    pool.take_opened(2);
    for _ in 0..2 {
        pool.wait();
    }
    let (first, second) = (pool.job(), pool.job());
    pool.close();
    assert_eq!(pool.machine.connections_with_workers().len(), 2);
    pool.machine.cut();
    pool.settle();
    assert!(!pool.machine.is_drained());
    pool.job_done(&first, Ok(open(pool.now)));
    pool.job_done(&second, Err(refused()));
    pool.work(JobKind::Close);
    assert!(pool.machine.is_drained());
    assert!(pool.effects.outcomes.is_empty() && !pool.has_job());
}

#[test]
fn rule_19_holders_who_wait_to_dial_are_woken() {
    let mut pool = Pool::new(|o| o.max_connecting = 1);
    pool.take();
    pool.take();
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    assert!(matches!(pool.begin_dial(false), DialDecision::Wait));
    pool.close();
    assert!(pool.effects.dial_ended);
    pool.end_dial(Some(refused()));
    assert!(pool.machine.alarm().is_none_or(|alarm| alarm > pool.now + ms(1000)));
}
