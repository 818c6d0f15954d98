//! A server that can't be reached.

use super::*;
use crate::config::Validation;

/// A pool whose first dial has just failed, and which nobody uses.
fn in_outage(change: impl FnOnce(&mut Options)) -> Pool {
    let mut pool = Pool::new(change);
    let grant = pool.take();
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    pool.end_dial(Some(refused()));
    pool.release(grant.lease, unopened());
    pool
}

fn retry_at(pool: &Pool) -> Instant {
    pool.machine.outage_retry_at().expect("an outage")
}

#[test]
fn rule_10_a_caller_learns_the_truth_at_once() {
    let mut pool = in_outage(|_| {});
    pool.wait();
    let refusals = pool.refusals();
    let (_, error) = &refusals[0];
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("connection refused"), "{error}");
    assert_eq!(error.retry_after(), Some(retry_at(&pool) - pool.now));
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let permit = pool.begin_dial(false);
    assert!(matches!(permit, DialDecision::Refuse(error) if error.code() == Code::Unavailable));
    assert_eq!(pool.numbers(), (0, 0, 0, 2), "the minimum stays, but can't be handed out");
}

#[test]
fn rule_10_without_validation_callers_learn_the_truth_too() {
    let mut pool = in_outage(|o| o.validation = Validation::None);
    pool.wait();
    assert_eq!(pool.refusals()[0].1.code(), Code::Unavailable);
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Unavailable);
    assert!(matches!(pool.begin_dial(false), DialDecision::Refuse(_)));
    pool.pass_with_alarms(ms(60));
    pool.work(JobKind::Probe);
    assert_eq!(pool.machine.outage_retry_at(), None);
    pool.take();
}

#[test]
fn rule_10_one_probe_at_a_time_and_not_before_its_time() {
    let mut pool = in_outage(|o| o.max_connecting = 8);
    let mut last = pool.now;
    for failures in 2..12 {
        let due = retry_at(&pool);
        assert!(due - last <= ms(5000).min(ms(50 << (failures - 2))));
        assert_eq!(pool.machine.alarm(), Some(due));
        assert!(!pool.has_job(), "a probe before its time");
        pool.pass_with_alarms(due - pool.now);
        assert_eq!(pool.machine.waiting_jobs(), 1);
        for _ in 0..5 {
            pool.wait();
        }
        assert_eq!(pool.machine.waiting_jobs(), 1, "one probe, however many ask");
        assert!(matches!(pool.begin_dial(false), DialDecision::Refuse(_)));
        last = pool.now;
        pool.fail(JobKind::Dial);
        assert_eq!(pool.refusals().len(), 5);
    }
}

#[test]
fn rule_10_the_first_waiter_gets_the_probe_and_the_others_the_truth() {
    let mut pool = in_outage(|_| {});
    pool.pass(ms(60));
    let waiters: Vec<_> = (0..3).map(|_| pool.wait()).collect();
    let refused: Vec<_> = pool.refusals().iter().map(|(waiter, _)| *waiter).collect();
    assert_eq!(refused, waiters[1..]);
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiters[0]);
}

#[test]
fn rule_10_when_the_server_is_back_the_pool_is() {
    let mut pool = in_outage(|o| o.max_connecting = 3);
    pool.pass_with_alarms(ms(60));
    pool.work(JobKind::Dial);
    assert_eq!(pool.machine.outage_retry_at(), None);
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
    pool.take();
    pool.take();
    for _ in 0..3 {
        pool.wait();
    }
    assert_eq!(pool.machine.waiting_jobs(), 3, "all dials at once again");
    assert!(pool.outcomes().is_empty(), "nobody is refused");
}

#[test]
fn rule_10_callers_who_only_try_see_the_server_come_back() {
    let mut pool = Pool::new(|o| o.min_connections = 0);
    pool.try_acquire().unwrap();
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    pool.end_dial(Some(refused()));
    assert_eq!(pool.try_acquire().unwrap_err().code(), Code::Unavailable);
    pool.pass_with_alarms(ms(60));
    pool.work(JobKind::Dial);
    pool.try_acquire().unwrap();
}

#[test]
fn rule_10_a_lease_holder_may_be_the_probe() {
    let mut pool = Pool::new(|_| {});
    let grant = pool.take();
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    pool.end_dial(Some(refused()));
    pool.pass(ms(60));
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Refuse(_)));
    pool.end_dial(None);
    assert!(pool.machine.outage_retry_at().is_some(), "nothing came over it yet");
    pool.event(&grant, SocketEvent::Proved);
    assert_eq!(pool.machine.outage_retry_at(), None);
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Dial));
}

#[test]
fn rule_10_waiters_stay_while_leases_may_come_back_however_many_dials_fail() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(2);
    let waiter = pool.wait();
    for _ in 0..20 {
        pool.fail(JobKind::Dial);
        let due = retry_at(&pool);
        pool.pass_with_alarms(due - pool.now);
    }
    assert!(pool.outcomes().is_empty(), "two connections are in use");
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(error.code(), Code::WouldBlock);
    assert!(error.message().ends_with("; last error: connection refused"), "{error}");
    pool.give_back(&grants[0]);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_10_waiters_are_refused_when_the_last_lease_is_found_dead_or_lost() {
    for kept in [false, true] {
        let mut pool = Pool::new(|_| {});
        let grants = pool.take_opened(2);
        pool.wait();
        pool.fail(JobKind::Dial);
        pool.event(&grants[0], SocketEvent::Lost);
        assert!(pool.outcomes().is_empty(), "one is in use still");
        if kept {
            pool.event(&grants[1], SocketEvent::Silent { since: pool.now });
        } else {
            pool.release(grants[1].lease, unopened());
        }
        assert_eq!(pool.refusals().len(), 1, "kept: {kept}");
    }
}

#[test]
fn rule_10_an_unused_lease_gives_hope_only_for_a_while() {
    let mut pool = Pool::new(|o| o.request_timeout = ms(3000));
    let grants = pool.take_opened(1);
    let heard_at = pool.now;
    pool.take();
    pool.wait();
    pool.pass(ms(1000));
    rests(grants[0].connection, Some(heard_at));
    pool.fail(JobKind::Dial);
    let until = heard_at + ms(3000);
    while pool.now < until {
        assert!(pool.outcomes().is_empty(), "it may come back");
        let next = pool.machine.alarm().expect("an alarm").min(until);
        pool.pass_with_alarms(next - pool.now);
        if pool.has_job() {
            pool.fail(JobKind::Dial);
        }
    }
    assert_eq!(pool.refusals().len(), 1);
}

#[test]
fn rule_10_a_probe_under_way_does_not_keep_those_waiting_who_have_nothing_to_wait_for() {
    let mut pool = in_outage(|_| {});
    pool.pass_with_alarms(ms(60));
    assert_eq!(pool.job().kind, JobKind::Probe, "it counts only once a ping got a response");
    pool.wait();
    assert!(pool.outcomes().is_empty(), "the probe is for it");
    pool.wait();
    assert_eq!(pool.refusals().len(), 1);
}

#[test]
fn rule_10_wrong_credentials_and_tls_settings_keep_their_code() {
    for code in [Code::Tls, Code::Unauthorized] {
        let mut pool = Pool::new(|o| o.preconnect = true);
        pool.fail_with(JobKind::Dial, Error::new(code, "no"));
        pool.fail_with(JobKind::Dial, Error::new(code, "no"));
        pool.wait();
        assert_eq!(pool.refusals()[0].1.code(), code);
    }
}

#[test]
fn rule_10_an_interrupted_dial_begins_no_outage() {
    let mut pool = Pool::new(|_| {});
    pool.take();
    assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
    pool.end_dial(Some(Error::new(Code::Cancelled, "cancelled")));
    assert_eq!(pool.machine.outage_retry_at(), None);
    pool.take();
}

#[test]
fn rule_10_a_caller_who_comes_between_two_alarms_still_gets_its_try() {
    let mut pool = Pool::new(|o| o.max_connections = 3);
    let grants = pool.take_opened(3);
    pool.release(grants[0].lease, unopened());
    assert_eq!(pool.numbers(), (0, 2, 0, 2));
    pool.wait();
    pool.fail(JobKind::Dial);
    let due = retry_at(&pool);
    pool.tick();
    pool.cancel(pool.arrived - 1);
    pool.tick();
    let waiter = pool.wait();
    assert_eq!(pool.machine.alarm(), Some(due));
    pool.pass_with_alarms(due - pool.now);
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_10_a_probe_that_hangs_leaves_the_housekeeper_asleep() {
    let mut pool = in_outage(|_| {});
    pool.pass_with_alarms(ms(60));
    assert_eq!(pool.job().kind, JobKind::Probe);
    pool.wait();
    assert!(pool.machine.alarm().is_none_or(|alarm| alarm > pool.now + ms(1000)));
}

#[test]
fn rule_10_a_probe_under_way_costs_no_connection_that_works() {
    let mut pool = Pool::new(|o| {
        o.min_connections = 1;
        o.idle_timeout = ms(100);
    });
    let grants = pool.take_opened(1);
    pool.wait();
    pool.fail(JobKind::Dial);
    pool.give_back(&grants[0]);
    let (_, grant) = pool.outcome();
    pool.give_back(&grant);
    pool.pass_with_alarms(ms(60));
    let probe = pool.job();
    pool.pass_with_alarms(ms(500));
    assert_eq!(pool.numbers(), (1, 0, 0, 2), "the probe is not a connection yet");
    pool.job_done(&probe, Ok(open(pool.now)));
    pool.pass_with_alarms(ms(1));
    assert_eq!(pool.job().connection, grant.connection, "now it is surplus, and idle for long");
}

#[test]
fn rule_18_a_reset_in_an_outage_tries_the_server_at_once() {
    let mut pool = in_outage(|_| {});
    for _ in 0..8 {
        pool.pass_with_alarms(retry_at(&pool) - pool.now);
        pool.fail(JobKind::Probe);
    }
    assert!(retry_at(&pool) > pool.now && !pool.has_job());
    pool.machine.reset(pool.now);
    pool.settle();
    assert_eq!(pool.machine.waiting_jobs(), 1, "one try, and no more");
    let waiter = pool.wait();
    pool.work(JobKind::Probe);
    assert_eq!(pool.outcome().0, waiter);
    assert_eq!(pool.machine.outage_retry_at(), None);
}
