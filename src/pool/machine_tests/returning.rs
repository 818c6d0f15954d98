//! What becomes of a connection that comes back, and what it must be to go out again.

use super::*;
use crate::config::Validation;

#[test]
fn rule_12_a_live_lease_can_always_be_released_and_no_other() {
    let mut pool = Pool::new(|_| {});
    let grant = pool.take();
    let report = open(pool.now);
    assert!(pool.release(grant.lease, report));
    assert!(!pool.release(grant.lease, report));
    let next = pool.take();
    assert_eq!(next.connection, grant.connection);
    assert!(!pool.release(grant.lease, report), "the connection is another's by now");
    assert!(pool.release(next.lease, report));
}

#[test]
fn rule_12_a_lease_that_was_found_dead_is_over() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 2;
        o.validation = Validation::None;
    });
    let grant = pool.take();
    assert!(matches!(pool.found_dead(&grant, 0), Acquired::Granted(_)));
    pool.take();
    assert!(!pool.release(grant.lease, open(pool.now)));
}

#[test]
fn rule_13_a_transaction_is_rolled_back_before_anybody_else_gets_the_connection() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    let waiter = pool.wait();
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
    );
    assert!(pool.outcomes().is_empty());
    pool.work(JobKind::RollBack);
    let (served, grant) = pool.outcome();
    assert_eq!((served, grant.connection), (waiter, grants[0].connection));
}

#[test]
fn rule_13_a_rollback_that_fails_or_leaves_the_transaction_closes() {
    let left = ConnectionReport { disposition: Disposition::RollBack, ..open(Instant::now()) };
    for outcome in [
        Err(refused()),
        Ok(left),
        Ok(ConnectionReport { disposition: Disposition::Discard, ..left }),
    ] {
        let mut pool = Pool::new(|_| {});
        let grant = pool.take();
        pool.release(
            grant.lease,
            ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
        );
        let job = pool.job();
        pool.job_done(&job, outcome);
        pool.work(JobKind::Close);
        assert!(!pool.has_job());
        assert_ne!(pool.take().connection, grant.connection);
    }
}

#[test]
fn rule_13_a_transaction_of_a_closed_socket_is_rolled_back_too() {
    let mut pool = Pool::new(|_| {});
    let grant = pool.take();
    pool.release(
        grant.lease,
        ConnectionReport { disposition: Disposition::RollBack, ..unopened() },
    );
    assert_eq!(pool.job().kind, JobKind::RollBack);
}

#[test]
fn rule_13_a_discarded_connection_is_closed_by_a_worker() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(3);
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::Discard, ..open(pool.now) },
    );
    assert_eq!(pool.numbers(), (0, 2, 0, 3));
    pool.work(JobKind::Close);
    assert_eq!(pool.numbers(), (0, 2, 0, 2));
    pool.release(
        grants[1].lease,
        ConnectionReport { disposition: Disposition::Discard, ..unopened() },
    );
    assert!(!pool.has_job(), "there is no socket to close");
    assert_eq!(pool.numbers(), (1, 1, 0, 2));
}

#[test]
fn rule_13_unopened_connections_do_not_pile_up() {
    let mut pool = Pool::new(|o| o.validation = Validation::None);
    let grants: Vec<_> = (0..6).map(|_| pool.take()).collect();
    for grant in grants {
        pool.release(grant.lease, unopened());
    }
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
}

#[test]
fn rule_14_with_no_time_to_be_idle_each_is_looked_at_though_the_clock_is_behind() {
    let mut pool = Pool::new(|o| o.validate_after = Duration::ZERO);
    let grant = pool.take_opened(1).remove(0);
    pool.give_back(&grant);
    let behind = pool.now - Duration::from_millis(4);
    assert!(pool.machine.acquire_fast(behind).is_none());
    assert!(pool.take().probe);
}

#[test]
fn rule_14_a_connection_idle_for_validate_after_is_looked_at() {
    for (idle_for, probe) in [(ms(499), false), (ms(500), true)] {
        let mut pool = Pool::new(|_| {});
        pool.with_idle(1);
        pool.pass(idle_for);
        assert_eq!(pool.take().probe, probe);
        assert!(!pool.take().probe, "an unopened one has no socket to look at");
    }
}

#[test]
fn rule_14_without_validation_nothing_is_looked_at() {
    let mut pool = Pool::new(|o| o.validation = Validation::None);
    pool.with_idle(1);
    pool.pass(ms(5000));
    assert!(!pool.take().probe);
}

#[test]
fn rule_14_a_ping_comes_before_the_caller() {
    let mut pool = Pool::new(|o| o.validation = Validation::Ping);
    let idle = pool.with_idle(1);
    pool.pass(ms(499));
    let fresh = pool.take();
    assert_eq!(fresh.connection, idle[0]);
    pool.give_back(&fresh);
    pool.pass(ms(500));
    let waiter = pool.wait();
    assert!(pool.outcomes().is_empty());
    pool.work(JobKind::Ping);
    let (served, grant) = pool.outcome();
    assert_eq!((served, grant.connection), (waiter, idle[0]));
    assert!(!grant.probe);
}

#[test]
fn rule_14_a_ping_that_fails_leads_to_a_new_connection_in_the_same_acquire() {
    let mut pool = Pool::new(|o| {
        o.validation = Validation::Ping;
        o.min_connections = 0;
    });
    let idle = pool.with_idle(1);
    pool.pass(ms(500));
    let waiter = pool.wait();
    pool.fail(JobKind::Ping);
    // Somebody waits for the dial, and nobody for the close, so it is the next job.
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
    let close = pool.job();
    assert_eq!((close.kind, close.connection), (JobKind::Close, idle[0]));
}

#[test]
fn rule_14_a_dead_connection_is_replaced_by_the_next_idle_one() {
    let mut pool = Pool::new(|_| {});
    let idle = pool.with_idle(2);
    pool.pass(ms(1000));
    let dead = pool.take();
    assert_eq!(dead.connection, idle[1]);
    match pool.found_dead(&dead, pool.arrived - 1) {
        Acquired::Granted(grant) => assert_eq!(grant.connection, idle[0]),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.numbers(), (1, 1, 0, 2), "the minimum is back");
}

#[test]
fn rule_14_a_caller_that_found_a_dead_connection_keeps_its_place() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 1;
        o.min_connections = 0;
    });
    pool.with_idle(1);
    pool.pass(ms(1000));
    let dead = pool.take();
    let unlucky = pool.arrived - 1;
    let later = pool.wait();
    assert!(matches!(pool.found_dead(&dead, unlucky), Acquired::Queued));
    pool.work(JobKind::Dial);
    let (served, grant) = pool.outcome();
    assert_eq!(served, unlucky);
    pool.give_back(&grant);
    assert_eq!(pool.outcome().0, later);
}

#[test]
fn rule_14_a_caller_that_found_a_dead_connection_is_not_refused_for_the_crowd() {
    let mut pool = Pool::new(|o| {
        o.max_connections = 1;
        o.min_connections = 0;
        o.max_waiters = 1;
    });
    pool.with_idle(1);
    pool.pass(ms(1000));
    let dead = pool.take();
    let unlucky = pool.arrived - 1;
    pool.wait();
    assert!(matches!(pool.found_dead(&dead, unlucky), Acquired::Queued));
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, unlucky);
}

#[test]
fn rule_08_nobody_waits_for_a_rollback_while_another_connection_can_be_opened() {
    let mut pool = Pool::new(|o| o.min_connections = 0);
    let grants = pool.take_opened(1);
    pool.release(
        grants[0].lease,
        ConnectionReport { disposition: Disposition::RollBack, ..open(pool.now) },
    );
    let rollback = pool.job();
    assert_eq!(rollback.kind, JobKind::RollBack);
    let waiter = pool.wait();
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}
