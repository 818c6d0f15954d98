//! The pool's workers, and what comes of their jobs.

use std::time::Duration;

use super::caller::Phase;
use super::network::{Holder, Server};
use super::world::{Event, World};
use crate::error::{Code, Error, Result};
use crate::pool::machine::{ConnectionReport, Disposition, Job, JobKind, LeaseId};

/// How often the machine has idle sockets looked at.
const PEEK_INTERVAL: Duration = Duration::from_secs(1);

impl World {
    /// What the machine wants done after an event.
    pub fn carry_out_effects(&mut self) {
        let effects = self.machine.take_effects();
        self.note_new_jobs();
        self.note_reservations();
        for (caller, outcome) in effects.outcomes {
            self.deliver(caller, outcome);
        }
        for _ in 0..effects.new_jobs {
            let delay = self.up_to(Duration::from_millis(1));
            self.after(delay, Event::PickJob);
        }
        if effects.dial_ended {
            self.wake_dialers();
        }
        for (lease, link) in effects.peeks {
            let delay = self.up_to(Duration::from_millis(1));
            self.after(delay, Event::Peek(lease, link));
        }
    }

    fn note_reservations(&mut self) {
        for number in std::mem::replace(&mut self.reserved, self.machine.reserved()) {
            self.network.link(number).is_reserved = false;
        }
        for number in &self.reserved {
            self.network.link(*number).is_reserved = true;
        }
    }

    /// The driver looks at a socket that was idle a moment ago.
    pub fn peeks(&mut self, lease: LeaseId, link: u32) {
        let is_used = match self.network.link(link).holder {
            Holder::Pool => false,
            Holder::Caller(number) => self.callers[number as usize].phase != Phase::Looking,
            Holder::Worker | Holder::Nobody => true,
        };
        let entry = self.network.link(link);
        if is_used || !entry.is_open() || !entry.is_broken {
            return;
        }
        self.tell(|| format!("connection {link} is found closed"));
        let entry = self.network.link(link);
        let (is_unproved, is_idle) = (entry.is_unproved, entry.holder == Holder::Pool);
        let is_new = entry.returned_at.is_some_and(|at| self.now - at < PEEK_INTERVAL);
        self.network.close(link);
        if is_idle && !self.network.link(link).is_reserved {
            self.network.link(link).holder = Holder::Nobody;
            if is_unproved && is_new && !self.is_closing {
                self.note_failed_dial();
            }
        }
        self.machine.found_closed(lease, self.now);
        self.settle();
    }

    pub fn pick_job(&mut self) {
        if self.free_workers == 0 {
            return;
        }
        let Some(job) = self.machine.next_job() else { return };
        self.free_workers -= 1;
        let link = job.connection;
        self.tell(|| format!("a worker takes {link}: {:?}", job.kind));
        assert_eq!(self.network.link(link).holder, Holder::Worker);
        let time = match (job.kind, self.network.server) {
            (JobKind::Dial | JobKind::Probe, _) => {
                self.network.link(link).is_dial_queued = false;
                self.network.start_opening(link);
                self.dial_time()
            }
            (JobKind::RollBack, Server::Hanging) => self.plan.options.request_timeout,
            (JobKind::Ping, Server::Hanging) => self.plan.options.validation_timeout,
            (JobKind::RollBack | JobKind::Ping, _) => self.up_to(Duration::from_millis(20)),
            (JobKind::Close, _) => self.up_to(Duration::from_millis(250)),
        };
        let outcome = match job.kind {
            JobKind::Dial | JobKind::Probe => Ok(self.report(link, Disposition::Reuse)),
            _ => self.outcome_of(&job),
        };
        self.after(time, Event::JobEnds(job, outcome));
    }

    fn outcome_of(&mut self, job: &Job<u32>) -> Result<ConnectionReport> {
        let link = job.connection;
        let is_up = self.network.server == Server::Up;
        let entry = self.network.link(link);
        let works = is_up && entry.is_open() && !entry.is_broken;
        if job.kind != JobKind::Close
            && (!works || (!self.is_calm && self.chance(self.plan.breakage)))
        {
            return Err(Error::new(Code::ConnectionLost, "the connection broke"));
        }
        let disposition = match self.random.u32(..20) {
            0 => Disposition::Discard,
            1 if job.kind == JobKind::RollBack => Disposition::RollBack,
            _ => Disposition::Reuse,
        };
        Ok(self.report(link, disposition))
    }

    pub fn job_ends(&mut self, job: Job<u32>, outcome: Result<ConnectionReport>) {
        self.free_workers += 1;
        let link = job.connection;
        self.network.link(link).is_dialed = false;
        let outcome = match job.kind {
            JobKind::Dial | JobKind::Probe => {
                self.dials.by_workers -= 1;
                let outcome = self.dial_outcome(link);
                self.note_dial_end(link, outcome.as_ref().err(), job.kind == JobKind::Probe);
                outcome.map(|()| self.report(link, Disposition::Reuse))
            }
            JobKind::Close => {
                self.network.close(link);
                outcome.map(|_| self.report(link, Disposition::Discard))
            }
            JobKind::RollBack | JobKind::Ping => outcome.map(|report| {
                self.network.link(link).last_response_at = Some(self.now);
                let status = if self.random.u32(..5) == 0 { 503 } else { 200 };
                let pinged = (job.kind == JobKind::Ping).then_some(status);
                ConnectionReport { last_response_at: Some(self.now), pinged, ..report }
            }),
        };
        self.tell(|| format!("a worker leaves {link}: {:?} {:?}", job.kind, outcome.is_ok()));
        match (&outcome, job.kind) {
            (Ok(report), JobKind::Dial | JobKind::Probe | JobKind::RollBack | JobKind::Ping) => {
                self.note_return(link, report.disposition);
            }
            (Err(_), JobKind::RollBack | JobKind::Ping) => {
                self.note_return(link, Disposition::Discard)
            }
            (Err(_), JobKind::Dial | JobKind::Probe) | (_, JobKind::Close) => {
                self.network.link(link).holder = Holder::Nobody;
            }
        }
        self.machine.job_done(job.slot, outcome, self.now);
        self.settle();
        self.pick_job();
    }

    pub fn dial_time(&mut self) -> Duration {
        match self.network.server {
            Server::Up => self.up_to(self.plan.longest_dial),
            Server::Down => self.up_to(Duration::from_millis(1)),
            Server::Hanging => self.plan.options.connect_timeout,
        }
    }

    /// Opens the socket or gives it up, as the server is by now.
    pub fn dial_outcome(&mut self, link: u32) -> Result<()> {
        let is_unlucky = !self.is_calm && self.chance(self.plan.breakage / 2);
        if self.network.server == Server::Up && !is_unlucky {
            let until = self.chance(20).then(|| self.up_to(Duration::from_secs(10)));
            let now = self.now;
            self.network.open(link, now, until.map(|until| now + until));
            Ok(())
        } else {
            self.network.close(link);
            Err(Error::new(Code::Unavailable, "connection refused"))
        }
    }
}
