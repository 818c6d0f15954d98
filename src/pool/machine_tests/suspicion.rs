//! What one connection shows of the others.

use super::*;
use crate::config::Validation;
use crate::pool::fast_path::Released;
use crate::pool::machine::LogEvent;

/// The connections that are to be checked now.
fn checks(pool: &mut Pool) -> Vec<Job<Link>> {
    let mut jobs = Vec::new();
    while pool.has_job() {
        jobs.push(pool.job_of(JobKind::Ping));
    }
    jobs
}

#[test]
fn rule_14_one_connection_that_dies_has_all_idle_ones_checked_side_by_side() {
    for validation in [Validation::Socket, Validation::Ping, Validation::None] {
        for is_silent in [false, true] {
            let mut pool = Pool::new(|o| o.validation = validation);
            pool.with_idle(10);
            let grant = pool.take();
            pool.pass(ms(10));
            let since = pool.now;
            pool.event(
                &grant,
                if is_silent { SocketEvent::Silent { since } } else { SocketEvent::Lost },
            );
            let jobs = checks(&mut pool);
            assert_eq!(jobs.len(), 9, "{validation:?}");
            assert!(pool.try_acquire().is_err(), "nobody gets a suspect");
            let waiter = pool.wait();
            // What responds goes on, what does not is closed.
            pool.pass(ms(10));
            pool.job_done(&jobs[0], Ok(open(pool.now)));
            assert_eq!(pool.outcome().0, waiter);
            pool.job_done(&jobs[1], Err(refused()));
            pool.work(JobKind::Close);
        }
    }
}

#[test]
fn rule_14_what_was_heard_from_since_the_silent_request_is_not_suspect() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(3);
    pool.pass(ms(10));
    let since = pool.now;
    pool.give_back(&grants[0]);
    pool.pass(ms(10));
    let heard = ConnectionReport { last_response_at: Some(pool.now), ..open(since - ms(10)) };
    pool.release(grants[1].lease, heard);
    pool.event(&grants[2], SocketEvent::Silent { since: pool.now });
    let jobs = checks(&mut pool);
    assert_eq!(jobs.len(), 1, "only the one that was last heard from before");
    assert_eq!(jobs[0].connection, grants[0].connection);
}

#[test]
fn rule_14_a_suspect_in_use_is_checked_when_it_comes_back_unless_it_got_a_response() {
    let mut pool = Pool::new(|_| {});
    let grants = pool.take_opened(3);
    let opened_at = pool.now;
    pool.pass(ms(10));
    pool.event(&grants[0], SocketEvent::Lost);
    pool.pass(ms(10));
    let unused = open(opened_at);
    let released = pool.machine.release_fast(grants[1].lease, None, pool.now);
    assert_eq!(released, Released::NotReady);
    pool.release(grants[1].lease, unused);
    assert_eq!(checks(&mut pool).len(), 1);
    pool.release(grants[2].lease, ConnectionReport { last_response_at: Some(pool.now), ..unused });
    assert!(!pool.has_job());
}

#[test]
fn rule_14_a_check_that_fails_retires_what_is_not_being_checked_yet() {
    let mut pool = Pool::new(|o| o.max_connections = 10);
    pool.with_idle(10);
    let grant = pool.take();
    pool.pass(ms(10));
    pool.event(&grant, SocketEvent::Lost);
    let first = pool.job_of(JobKind::Ping);
    pool.job_done(&first, Err(refused()));
    for _ in 0..9 {
        pool.work(JobKind::Close);
    }
    assert!(!pool.has_job());
}

#[test]
fn rule_08_nobody_waits_for_the_check_of_a_suspect_while_a_connection_can_be_opened() {
    let mut pool = Pool::new(|o| o.max_connections = 3);
    pool.with_idle(2);
    let grant = pool.take();
    pool.pass(ms(10));
    pool.event(&grant, SocketEvent::Lost);
    let waiter = pool.wait();
    pool.work(JobKind::Dial);
    assert_eq!(pool.outcome().0, waiter);
}

#[test]
fn rule_10_a_new_connection_that_is_lost_at_once_is_a_failed_dial() {
    for validation in [Validation::Socket, Validation::Ping, Validation::None] {
        let mut pool = Pool::new(|o| o.validation = validation);
        let grant = pool.take();
        assert!(matches!(pool.begin_dial(false), DialDecision::Dial));
        pool.end_dial(None);
        pool.event(&grant, SocketEvent::LostFresh(&refused()));
        assert!(matches!(pool.effects.events[..], [LogEvent::OutageBegan(_)]));
        pool.release(grant.lease, unopened());
        assert_eq!(pool.machine.status().available, 0, "nothing can be handed out");
        pool.wait();
        assert_eq!(pool.refusals()[0].1.code(), Code::Unavailable);
        let first = pool.machine.outage_retry_at().expect("an outage");
        // The next tries go the same way, and the delays grow.
        for _ in 0..6 {
            let due = pool.machine.outage_retry_at().expect("an outage");
            pool.pass_with_alarms(due - pool.now);
            pool.fail(JobKind::Probe);
            assert!(pool.effects.events.is_empty(), "it is told once");
        }
        assert!(pool.now > first);
    }
}

#[test]
fn rule_10_a_response_on_an_older_connection_ends_no_outage() {
    let mut pool = Pool::new(|_| {});
    let grants: Vec<_> = (0..2).map(|_| pool.take()).collect();
    assert!(matches!(pool.begin_dial_of(0, false), DialDecision::Dial));
    assert!(matches!(pool.begin_dial_of(1, false), DialDecision::Dial));
    pool.end_dial_of(0, None);
    pool.end_dial_of(1, Some(refused()));
    pool.event(&grants[0], SocketEvent::Proved);
    assert!(pool.machine.outage_retry_at().is_some());
}

#[test]
fn rule_17_idle_sockets_are_looked_at_every_second_and_closed_ones_go() {
    let mut pool = Pool::new(|o| o.max_lifetime = ms(0));
    let idle = pool.with_idle(3);
    pool.pass_with_alarms(ms(100));
    for _ in 0..5 {
        let due = pool.machine.alarm().expect("an alarm");
        assert!(due - pool.now <= ms(1000));
        pool.pass_with_alarms(due - pool.now);
        let peeked: Vec<_> = pool.effects.peeks.iter().map(|(_, link)| *link).collect();
        assert_eq!(peeked, idle);
    }
    let lease = pool.effects.peeks[0].0;
    pool.machine.found_closed(lease, pool.now);
    pool.settle();
    assert_eq!(pool.numbers(), (2, 0, 0, 2));
    let stale = pool.take();
    assert_eq!(stale.connection, idle[2]);
    pool.machine.found_closed(stale.lease, pool.now);
    pool.settle();
    assert_eq!(pool.numbers().1, 1, "somebody has it, and will see");
}

#[test]
fn rule_17_a_pool_without_open_sockets_has_nothing_to_do() {
    let mut pool = Pool::new(|o| o.max_lifetime = ms(0));
    let grants = pool.take_opened(2);
    for grant in &grants {
        pool.release(grant.lease, unopened());
    }
    pool.pass_with_alarms(ms(5000));
    assert_eq!(pool.machine.alarm(), None);
}

#[test]
fn rule_10_a_new_idle_connection_that_is_closed_at_once_is_a_failed_dial() {
    let mut pool = Pool::new(|o| {
        o.preconnect = true;
        o.min_connections = 1;
    });
    pool.work(JobKind::Dial);
    pool.pass_with_alarms(ms(100));
    let lease = pool.effects.peeks[0].0;
    pool.machine.found_closed(lease, pool.now);
    pool.settle();
    assert!(pool.machine.outage_retry_at().is_some());
    assert_eq!(pool.numbers(), (0, 0, 0, 0));
    assert!(!pool.has_job(), "not before its time");
}

#[test]
fn rule_16_after_a_sleep_connections_are_older_and_all_are_suspect() {
    let mut pool = Pool::new(|o| {
        o.max_lifetime = ms(100_000);
        o.idle_timeout = ms(50_000);
        o.min_connections = 1;
    });
    pool.machine.note_sleep(ms(7_000_000), pool.now);
    let grants = pool.take_opened(3);
    let opened_at = pool.now;
    pool.give_back(&grants[0]);
    pool.give_back(&grants[1]);
    pool.pass(ms(10));
    pool.machine.note_sleep(ms(7_000_500), pool.now);
    pool.settle();
    assert!(!pool.has_job(), "half a second does not count as sleep");
    pool.machine.note_sleep(ms(7_060_000), pool.now);
    pool.settle();
    let jobs = checks(&mut pool);
    assert_eq!(jobs.len(), 2);
    assert_eq!(pool.machine.numbers_of_suspects(), 3, "the one in use too");
    for job in &jobs {
        pool.job_done(job, Ok(open(opened_at)));
    }
    pool.release(grants[2].lease, open(opened_at));
    assert_eq!(checks(&mut pool).len(), 1);
    // A minute of their hundred seconds is over.
    pool.machine.note_sleep(ms(7_120_000), pool.now);
    pool.settle();
    pool.tick();
    let tasks: Vec<_> = pool.machine.queued_jobs().map(|job| job.kind).collect();
    assert!(tasks.contains(&JobKind::Close), "past their life: {tasks:?}");
}

#[test]
fn rule_14_any_response_to_a_ping_is_a_sign_of_life_and_a_503_is_told_once() {
    let mut pool = Pool::new(|o| o.validation = Validation::Ping);
    let idle = pool.with_idle(1);
    let mut told = Vec::new();
    for status in [404, 503, 503, 401, 503] {
        pool.pass(ms(600));
        pool.wait();
        let ping = pool.job_of(JobKind::Ping);
        let report = ConnectionReport { pinged: Some(status), ..open(pool.now) };
        pool.machine.job_done(ping.slot, Ok(report), pool.now);
        pool.settle();
        told.append(&mut pool.effects.events);
        let grant = pool.outcome().1;
        assert_eq!(grant.connection, idle[0]);
        pool.give_back(&grant);
    }
    let told: Vec<_> =
        told.iter().map(|event| matches!(event, LogEvent::ServerDraining(true))).collect();
    assert_eq!(told, [true, false, true]);
}

#[test]
fn rule_21_a_time_out_says_what_the_pool_was_doing() {
    let mut pool = Pool::new(|o| o.max_connections = 4);
    pool.with_idle(3);
    let grant = pool.take();
    pool.pass(ms(10));
    pool.event(&grant, SocketEvent::Lost);
    pool.wait();
    assert_eq!(pool.job().kind, JobKind::Dial);
    pool.pass(ms(1234));
    assert_eq!(
        pool.machine.timeout_error(ms(1234), pool.now).message(),
        "Timeout acquiring connection after 1.2 s: 1 of 4 connections in use, 1 waiting; \
         1 connection is being opened to http://localhost:8080 (for 1.2 s so far); \
         2 connections are being checked"
    );
}

#[test]
fn rule_21_a_try_names_the_sockets_that_are_being_closed() {
    let mut pool = Pool::new(|o| o.max_connections = 2);
    let grants = pool.take_opened(2);
    for grant in grants {
        pool.release(
            grant.lease,
            ConnectionReport { disposition: Disposition::Broken, ..open(pool.now) },
        );
    }
    assert_eq!(
        pool.try_acquire().unwrap_err().message(),
        "No connection is free: 0 of 2 connections in use, 0 waiting; \
         2 connections are being closed"
    );
}

#[test]
fn rule_14_requests_that_are_cut_soon_or_often_cast_no_suspicion() {
    let mut pool = Pool::new(|_| {});
    pool.with_idle(4);
    let grant = pool.take();
    let cut_after = |pool: &mut Pool, time: u64| {
        let since = pool.now;
        pool.pass(ms(time));
        pool.event(&grant, SocketEvent::Cancelled { since });
        checks(pool)
    };
    pool.pass(ms(10));
    assert!(cut_after(&mut pool, 99).is_empty(), "no server can respond so soon");
    let jobs = cut_after(&mut pool, 100);
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        pool.job_done(job, Ok(open(pool.now)));
    }
    assert!(cut_after(&mut pool, 100).is_empty(), "they were checked just now");
    pool.pass(ms(1000));
    assert_eq!(cut_after(&mut pool, 100).len(), 3);
}
