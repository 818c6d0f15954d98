//! One pool and its time, in the hands of a test: what each rule says, on the machine itself.

mod acquiring;
mod closing;
mod dialing;
mod fast_path;
mod housekeeping;
mod living;
mod outage;
mod returning;
mod sockets;
mod suspicion;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::machine::{
    Acquired, ConnectionReport, DialDecision, Disposition, Effects, Grant, Job, JobKind, LeaseId,
    Machine, SlotConnection,
};
use super::waiters::{QueuePosition, WaitLimit};
use crate::client::SocketEvent;
use crate::config::Options;
use crate::error::{Code, Error, Result};

/// A connection; each one made has its own number.
type Link = u32;
type Waiter = u32;

thread_local! {
    /// The connections of this test on which no request is under way, though somebody has them, and
    /// when the server was last heard from on each.
    static AT_REST: RefCell<BTreeMap<Link, Option<Instant>>> = RefCell::default();
}

/// No request is under way on it from now on.
pub fn rests(link: Link, heard_at: Option<Instant>) {
    AT_REST.with(|links| links.borrow_mut().insert(link, heard_at));
}

/// A request is.
pub fn works(link: Link) {
    AT_REST.with(|links| links.borrow_mut().remove(&link));
}

/// As at the beginning of a test.
pub fn forget_all() {
    AT_REST.with(|links| links.borrow_mut().clear());
}

impl SlotConnection for Link {
    fn heard_at(&self, now: Instant) -> Option<Instant> {
        AT_REST.with(|links| links.borrow().get(self).copied().unwrap_or(Some(now)))
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A machine, its clock, and what it delivered.
struct Pool {
    machine: Machine<Link, Waiter>,
    now: Instant,
    arrived: u32,
    positions: Vec<QueuePosition>,
    delivered: Vec<(Waiter, Result<Grant<Link>>)>,
    effects: Effects<Link, Waiter>,
}

impl Pool {
    fn new(change: impl FnOnce(&mut Options)) -> Pool {
        let mut options = Options::default();
        change(&mut options);
        options.check().expect("options that make sense");
        let now = Instant::now();
        let mut made = 0;
        let make = move |_| {
            made += 1;
            made
        };
        let mut machine = Machine::new(options, now, 7, make);
        let effects = machine.take_effects();
        Pool { machine, now, arrived: 0, positions: Vec::new(), delivered: Vec::new(), effects }
    }

    /// Looks at the machine after an event.
    fn settle(&mut self) {
        self.machine.check_invariants(self.now);
        self.machine.publish();
        self.effects = self.machine.take_effects();
        self.delivered.append(&mut self.effects.outcomes);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets time pass and serves each alarm on its way.
    fn pass_with_alarms(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(alarm) = self.machine.alarm().filter(|alarm| *alarm <= end) {
            self.now = self.now.max(alarm);
            self.tick();
        }
        self.now = end;
    }

    fn tick(&mut self) {
        self.machine.tick(self.now);
        self.settle();
        assert!(self.machine.alarm().is_none_or(|alarm| alarm > self.now), "an alarm in the past");
    }

    fn acquire(&mut self) -> Acquired<Link> {
        self.acquire_with(None)
    }

    fn acquire_with(&mut self, wait_limit: Option<Duration>) -> Acquired<Link> {
        let (position, waiter) = (self.machine.arrive(), self.arrived);
        self.arrived += 1;
        self.positions.push(position);
        let wait_limit =
            wait_limit.map(|time| WaitLimit { since: self.now, until: self.now + time });
        let acquired = self.machine.acquire(position, wait_limit, self.now, || waiter);
        self.settle();
        acquired
    }

    /// An acquire that is served at once.
    fn take(&mut self) -> Grant<Link> {
        match self.acquire() {
            Acquired::Granted(grant) => grant,
            other => panic!("not served at once: {other:?}"),
        }
    }

    /// An acquire that waits.
    fn wait(&mut self) -> Waiter {
        self.wait_with(None)
    }

    /// An acquire that waits, and leaves it to the machine to say when that is over.
    fn wait_for(&mut self, wait_limit: Duration) -> Waiter {
        self.wait_with(Some(wait_limit))
    }

    fn wait_with(&mut self, wait_limit: Option<Duration>) -> Waiter {
        match self.acquire_with(wait_limit) {
            Acquired::Queued => self.arrived - 1,
            other => panic!("does not wait: {other:?}"),
        }
    }

    fn try_acquire(&mut self) -> Result<Grant<Link>> {
        let outcome = self.machine.try_acquire(self.now);
        self.settle();
        outcome
    }

    fn found_dead(&mut self, grant: &Grant<Link>, waiter: Waiter) -> Acquired<Link> {
        let position = self.positions[waiter as usize];
        let acquired = self.machine.found_dead(grant.lease, position, None, self.now, || waiter);
        self.settle();
        acquired
    }

    fn cancel(&mut self, waiter: Waiter) -> Option<Waiter> {
        let cancelled = self.machine.cancel(self.positions[waiter as usize]);
        self.settle();
        cancelled
    }

    /// What was delivered since the last look.
    fn outcomes(&mut self) -> Vec<(Waiter, Result<Grant<Link>>)> {
        std::mem::take(&mut self.delivered)
    }

    /// The one outcome since the last look, which is a connection.
    fn outcome(&mut self) -> (Waiter, Grant<Link>) {
        let mut outcomes = self.outcomes();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        let (waiter, grant) = outcomes.remove(0);
        (waiter, grant.expect("a connection"))
    }

    fn refusals(&mut self) -> Vec<(Waiter, Error)> {
        let outcomes = self.outcomes().into_iter();
        outcomes.map(|(waiter, refusal)| (waiter, refusal.expect_err("a refusal"))).collect()
    }

    fn release(&mut self, lease: LeaseId, report: ConnectionReport) -> bool {
        let taken = self.machine.release(lease, report, self.now);
        self.settle();
        taken
    }

    /// Gives an opened connection back, which is fine.
    fn give_back(&mut self, grant: &Grant<Link>) {
        assert!(self.release(grant.lease, open(self.now)));
    }

    fn job(&mut self) -> Job<Link> {
        self.machine.next_job().expect("a job")
    }

    /// The next job, which is this one; a probe is a dial too.
    fn job_of(&mut self, kind: JobKind) -> Job<Link> {
        let job = self.job();
        assert!(job.kind == kind || job.kind.is_dial() && kind.is_dial(), "{:?}", job.kind);
        job
    }

    fn has_job(&self) -> bool {
        self.machine.waiting_jobs() > 0
    }

    fn job_done(&mut self, job: &Job<Link>, outcome: Result<ConnectionReport>) {
        self.machine.job_done(job.slot, outcome, self.now);
        self.settle();
    }

    /// A worker takes the next job, which is this one, and succeeds.
    fn work(&mut self, kind: JobKind) {
        let job = self.job_of(kind);
        let report = if kind == JobKind::Close { unopened() } else { open(self.now) };
        self.job_done(&job, Ok(report));
    }

    /// A worker takes the next job, which is this one, and fails.
    fn fail(&mut self, kind: JobKind) {
        self.fail_with(kind, Error::new(Code::Unavailable, "connection refused"));
    }

    fn fail_with(&mut self, kind: JobKind, error: Error) {
        let job = self.job_of(kind);
        self.job_done(&job, Err(error));
    }

    fn begin_dial(&mut self, waited: bool) -> DialDecision<Link> {
        self.begin_dial_of(0, waited)
    }

    fn begin_dial_of(&mut self, slot: usize, waited: bool) -> DialDecision<Link> {
        let permit = self.machine.begin_lease_dial(slot, waited, self.now);
        self.settle();
        permit
    }

    fn end_dial(&mut self, failure: Option<Error>) {
        self.end_dial_of(0, failure);
    }

    fn end_dial_of(&mut self, slot: usize, failure: Option<Error>) {
        self.machine.end_lease_dial(slot, failure.as_ref(), self.now);
        self.settle();
    }

    fn event(&mut self, grant: &Grant<Link>, event: SocketEvent<'_>) {
        self.machine.note_socket_event(grant.lease.slot(), event, self.now);
        self.settle();
    }

    fn close(&mut self) {
        self.machine.close(self.now);
        self.settle();
    }

    /// Takes this many connections and opens them.
    fn take_opened(&mut self, count: usize) -> Vec<Grant<Link>> {
        let mut grants = Vec::new();
        while grants.len() < count {
            match self.acquire() {
                Acquired::Granted(grant) => {
                    let slot = grant.lease.slot();
                    if !self.machine.is_opened(slot) {
                        assert!(matches!(self.begin_dial_of(slot, false), DialDecision::Dial));
                        self.end_dial_of(slot, None);
                        self.event(&grant, SocketEvent::Proved);
                    }
                    grants.push(grant);
                }
                Acquired::Queued => {
                    self.work(JobKind::Dial);
                    grants.push(self.outcome().1);
                }
                Acquired::Refused(error) => panic!("{error}"),
            }
        }
        grants
    }

    /// A pool in which this many opened connections are idle; the last one came back last.
    fn with_idle(&mut self, count: usize) -> Vec<Link> {
        let grants = self.take_opened(count);
        grants.iter().for_each(|grant| self.give_back(grant));
        grants.iter().map(|grant| grant.connection).collect()
    }

    /// Nothing is to be done but to look at idle sockets.
    fn only_peeks(&mut self) {
        for _ in 0..20 {
            let alarm = self.machine.alarm().expect("idle sockets are looked at");
            self.pass_with_alarms(alarm - self.now);
            assert!(!self.effects.peeks.is_empty() && !self.has_job());
        }
    }

    /// available, used, pending, total.
    fn numbers(&mut self) -> (u32, u32, u32, u32) {
        let status = self.machine.status();
        (status.available, status.used, status.pending, status.total)
    }
}

/// A connection that is open and fine.
fn open(at: Instant) -> ConnectionReport {
    ConnectionReport {
        disposition: Disposition::Reuse,
        is_open: true,
        opened_at: Some(at),
        keep_alive_until: None,
        last_response_at: None,
        pinged: None,
    }
}

fn unopened() -> ConnectionReport {
    ConnectionReport {
        disposition: Disposition::Reuse,
        is_open: false,
        opened_at: None,
        keep_alive_until: None,
        last_response_at: None,
        pinged: None,
    }
}

fn refused() -> Error {
    Error::new(Code::Unavailable, "connection refused")
}

fn refusal(acquired: Acquired<Link>) -> Error {
    match acquired {
        Acquired::Refused(error) => error,
        other => panic!("not refused: {other:?}"),
    }
}
