//! The pool's workers, and what comes of their jobs.

use std::time::Duration;

use super::network::{Holder, Server};
use super::world::{Event, World};
use crate::error::{Code, Error, Result};
use crate::pool::machine::{Condition, Fate, Job, Task};

impl World {
    /// What the machine wants done after an event.
    pub fn carry_out_effects(&mut self) {
        let effects = self.machine.take_effects();
        self.note_new_jobs();
        for (caller, delivery) in effects.deliveries {
            self.deliver(caller, delivery);
        }
        for _ in 0..effects.new_jobs {
            let delay = self.up_to(Duration::from_millis(1));
            self.after(delay, Event::PickJob);
        }
        if effects.dial_ended {
            self.wake_dialers();
        }
    }

    pub fn pick_job(&mut self) {
        if self.free_workers == 0 {
            return;
        }
        let Some(job) = self.machine.next_job() else { return };
        self.free_workers -= 1;
        let link = job.connection;
        self.tell(|| format!("a worker takes {link}: {:?}", job.task));
        assert_eq!(self.network.link(link).holder, Holder::Worker);
        let time = match (job.task, self.network.server) {
            (Task::Dial, _) => {
                self.network.link(link).is_dial_queued = false;
                self.network.start_opening(link);
                self.dial_time()
            }
            (Task::RollBack, Server::Hanging) => self.plan.options.request_timeout,
            (Task::Ping, Server::Hanging) => self.plan.options.validation_timeout,
            (Task::RollBack | Task::Ping, _) => self.up_to(Duration::from_millis(20)),
            (Task::Close, _) => self.up_to(Duration::from_millis(250)),
        };
        let outcome = match job.task {
            Task::Dial => Ok(self.condition(link, Fate::Reuse)),
            _ => self.outcome_of(&job),
        };
        self.after(time, Event::JobEnds(job, outcome));
    }

    fn outcome_of(&mut self, job: &Job<u32>) -> Result<Condition> {
        let link = job.connection;
        let is_up = self.network.server == Server::Up;
        let entry = self.network.link(link);
        let works = is_up && entry.is_open() && !entry.is_broken;
        if job.task != Task::Close && (!works || (!self.is_calm && self.chance(self.plan.breakage)))
        {
            return Err(Error::new(Code::ConnectionLost, "the connection broke"));
        }
        let fate = match self.random.u32(..20) {
            0 => Fate::Discard,
            1 if job.task == Task::RollBack => Fate::RollBack,
            _ => Fate::Reuse,
        };
        Ok(self.condition(link, fate))
    }

    pub fn job_ends(&mut self, job: Job<u32>, outcome: Result<Condition>) {
        self.free_workers += 1;
        let link = job.connection;
        self.network.link(link).is_dialed = false;
        let outcome = match job.task {
            Task::Dial => {
                self.dials.by_workers -= 1;
                let outcome = self.dial_outcome(link);
                self.note_dial_end(outcome.as_ref().err());
                outcome.map(|()| self.condition(link, Fate::Reuse))
            }
            Task::Close => {
                self.network.close(link);
                outcome.map(|_| self.condition(link, Fate::Discard))
            }
            Task::RollBack | Task::Ping => outcome,
        };
        self.tell(|| format!("a worker leaves {link}: {:?} {:?}", job.task, outcome.is_ok()));
        match (&outcome, job.task) {
            (Ok(condition), Task::Dial | Task::RollBack | Task::Ping) => {
                self.note_return(link, condition.fate);
            }
            (Err(_), Task::RollBack | Task::Ping) => self.note_return(link, Fate::Discard),
            (Err(_), Task::Dial) | (_, Task::Close) => {
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
