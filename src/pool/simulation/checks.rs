//! What is checked after each event, against what really happened.

use std::time::Duration;

use super::caller::{Caller, Phase};
use super::network::{Holder, Link, Server};
use super::world::World;
use crate::config::Validation;
use crate::error::{Code, Error};
use crate::pool::machine::{Grant, JobKind};

impl World {
    pub fn check(&mut self) {
        self.machine.check_invariants(self.now);
        self.check_numbers();
        if !self.is_closing {
            self.check_nobody_waits_in_vain();
            self.check_nothing_is_overdue();
        }
    }

    fn check_numbers(&mut self) {
        let options = &self.plan.options;
        let status = self.machine.status();
        let counted = self.machine.slot_counts();
        assert_eq!(counted.acquires, self.fast_acquires, "rule 22: acquires");
        assert_eq!(counted.usage.buckets.iter().sum::<u64>(), self.fast_releases, "rule 22: uses");
        assert!(status.total <= self.ceiling, "rule 18: more than before a resize");
        assert!(self.network.sockets() <= self.ceiling as usize, "rule 1: capacity");
        if !self.is_closing {
            self.ceiling = options.max_connections.max(status.total);
        }
        assert!(self.dials.under_way() <= options.max_connecting as usize, "rule 9: dials");
        let links = self.network.links();
        let held = links.iter().filter(|link| matches!(link.holder, Holder::Caller(_))).count();
        assert_eq!(status.used as usize, held, "rule 22: used");
        assert_eq!(status.pending as usize, self.waiting.len(), "rule 22: pending");
        let workers = links.iter().filter(|link| link.holder == Holder::Worker).count();
        let sum = self.machine.idle_count() + held + workers + self.reserved.len();
        assert_eq!(status.total as usize, sum, "rule 22: total");
        let open = links.iter().filter(|link| link.is_free() && link.is_open());
        assert!(status.available as usize >= open.count(), "rule 2: a connection was forgotten");
    }

    /// Jobs that appeared take their connection out of the pool.
    pub fn note_new_jobs(&mut self) {
        let jobs: Vec<_> =
            self.machine.queued_jobs().map(|job| (job.kind, job.connection)).collect();
        for &(kind, number) in &jobs {
            let link = self.network.link(number);
            link.is_closing |= kind == JobKind::Close;
            if link.holder == Holder::Worker {
                continue;
            }
            link.holder = Holder::Worker;
            if kind.is_dial() {
                link.is_dial_queued = true;
                link.is_dialed = true;
                self.check_dial_start();
                self.dials.by_workers += 1;
            }
        }
        if self.is_closing {
            self.forget_dials_not_begun(&jobs);
        }
    }

    /// Dials that no worker took before the pool closed are not made any more.
    fn forget_dials_not_begun(&mut self, jobs: &[(JobKind, u32)]) {
        for number in 0..self.network.links().len() as u32 {
            let is_queued = jobs.iter().any(|(kind, link)| kind.is_dial() && *link == number);
            let link = self.network.link(number);
            if link.is_dial_queued && !is_queued {
                link.is_dial_queued = false;
                link.holder = Holder::Nobody;
                self.dials.by_workers -= 1;
            }
        }
    }

    pub fn check_dial_start(&self) {
        assert!(
            self.dials.under_way() < self.plan.options.max_connecting as usize,
            "rule 9: one dial too many"
        );
        if self.dials.failures > 0 {
            assert_eq!(self.dials.under_way(), 0, "rule 10: one probe at a time");
            let retry_at = self.machine.outage_retry_at().expect("an outage");
            assert!(retry_at <= self.now, "rule 10: a probe before its time");
        }
    }

    /// A dial ended; the machine is told right after. One that `is_proved` got a response to a ping too.
    pub fn note_dial_end(&mut self, link: u32, failure: Option<&Error>, is_proved: bool) {
        match failure {
            None => {
                let is_outage = self.dials.failures > 0;
                let link = self.network.link(link);
                (link.is_unproved, link.is_probe) = (!is_proved, !is_proved && is_outage);
                if is_proved {
                    self.dials.failures = 0;
                }
            }
            Some(error) if error.code() == Code::Cancelled => {}
            Some(_) => self.note_failed_dial(),
        }
    }

    /// A dial failed, or came to nothing later.
    pub fn note_failed_dial(&mut self) {
        self.dials.failures += 1;
        self.dials.failed_at = Some(self.now);
        self.network.forget_probes();
    }

    /// Nobody is refused for an outage while a request is in flight that will get a response.
    pub fn check_waiters_in_outage(&self) {
        let links = self.network.links();
        let awaits_response = |caller: &Caller| {
            let link = &links[caller.link as usize];
            caller.phase == Phase::Using && link.is_open() && !link.is_broken
        };
        assert!(
            self.network.server != Server::Up || !self.callers.iter().any(awaits_response),
            "rule 10: refused though a connection will come back"
        );
    }

    fn check_back_off(&self) {
        let Some(retry_at) = self.machine.outage_retry_at() else {
            assert_eq!(self.dials.failures, 0, "rule 10: an outage was forgotten");
            return;
        };
        assert!(self.dials.failures > 0, "rule 10: an outage that is over");
        let doublings = (self.dials.failures - 1).min(20);
        let longest = Duration::from_millis(50 << doublings).min(Duration::from_secs(5));
        let failed_at = self.dials.failed_at.expect("a failed dial");
        assert!(retry_at <= failed_at + longest, "rule 10: the back-off is too long");
    }

    fn is_spent(&self, link: &Link) -> bool {
        let lifetime = self.plan.options.max_lifetime;
        let retired = link.opened_at.filter(|_| !lifetime.is_zero()).map(|at| at + lifetime);
        [retired, link.keep_alive_until].into_iter().flatten().any(|until| until <= self.now)
    }

    fn check_nobody_waits_in_vain(&mut self) {
        self.check_back_off();
        let with_workers = self.machine.connections_with_workers().len();
        if self.waiting.len() <= with_workers || self.is_tick_due() {
            return;
        }
        let is_free = |link: &&Link| link.is_free() && link.is_open();
        assert!(
            !self.network.links().iter().any(|link| is_free(&link) && !self.is_spent(link)),
            "rule 6: somebody waits and a connection is idle"
        );
        let total = self.machine.status().total;
        let options = &self.plan.options;
        if total >= options.max_connections {
            return;
        }
        let is_cautious = self.plan.dials_first() || self.dials.failures > 0;
        assert!(is_cautious, "rule 6: somebody waits and there is room");
        let busy = self.dials.under_way() + self.dials.waiting_leases;
        match self.machine.outage_retry_at() {
            None => assert!(
                busy >= options.max_connecting as usize,
                "rule 6: somebody waits and a dial could be started"
            ),
            Some(retry_at) => assert!(
                busy > 0 || retry_at > self.now,
                "rule 10: somebody waits and the server is not tried again"
            ),
        }
    }

    fn check_nothing_is_overdue(&mut self) {
        let status = self.machine.status();
        let options = &self.plan.options;
        let links = self.network.links();
        if self.is_tick_due() {
            return;
        }
        let is_passing =
            |link: &&Link| link.holder == Holder::Worker && (link.is_closing || link.is_dialed);
        let staying = status.total as usize - links.iter().filter(is_passing).count();
        for link in links.iter().filter(|link| link.is_free() && link.is_open()) {
            assert!(!self.is_spent(link), "rule 16: kept past its life");
            let is_idle_long = !options.idle_timeout.is_zero()
                && link.returned_at.is_some_and(|at| at + options.idle_timeout <= self.now);
            let is_surplus = staying > options.min_connections as usize;
            assert!(!(is_surplus && is_idle_long), "rule 17: a surplus that stays");
        }
    }

    fn is_tick_due(&self) -> bool {
        self.machine.alarm().is_some_and(|alarm| alarm <= self.now)
    }

    /// A caller gets a connection.
    pub fn check_grant(&mut self, number: u32, grant: &Grant<u32>) {
        let now = self.now;
        self.tell(|| format!("caller {number} gets {}", grant.connection));
        self.network.link(grant.connection);
        let links = self.network.links();
        let link = &links[grant.connection as usize];
        assert_eq!(link.holder, Holder::Pool, "rule 2: handed out while somebody has it");
        assert!(!link.is_dirty, "rule 13: handed out without a rollback");
        assert!(!link.is_open() || !self.is_spent(link), "rule 16: handed out past its life");
        let is_old = link.is_open() && link.opened_at < self.last_reset;
        assert!(!is_old, "rule 18: handed out though it is older than the reset");
        assert!(
            !link.is_open() || link.heard_at() >= self.suspects_heard_before,
            "rule 14: handed out though it is suspect"
        );
        for other in links.iter().filter(|other| other.is_free() && other.is_open()) {
            assert!(
                (link.is_open() && other.returned <= link.returned) || self.is_spent(other),
                "rule 5: not the connection that came back last"
            );
        }
        let options = &self.plan.options;
        let is_stale =
            link.is_open() && link.returned_at.is_some_and(|at| now - at >= options.validate_after);
        let is_fresh = link.returned_at == Some(now);
        match options.validation {
            Validation::None => assert!(!grant.probe, "rule 14: validation is off"),
            _ if !is_stale => assert!(!grant.probe, "rule 14: a look at a fresh connection"),
            Validation::Socket => assert!(grant.probe || is_fresh, "rule 14: not looked at"),
            Validation::Ping => assert!(grant.probe || is_fresh, "rule 14: not validated"),
        }
        if self.dials.failures > 0 {
            assert!(link.is_open(), "rule 10: an unopened connection in an outage");
        }
    }

    /// Once the server is back, a burst of callers is served to the last.
    pub fn check_everybody_is_served(&mut self) {
        let options = &self.plan.options;
        let most = (2 * options.max_connections as usize).min(options.max_waiters as usize);
        let (timeout, first) = (options.acquire_timeout, self.callers.len());
        let nobody_may_wait = options.max_waiters == 0;
        for _ in 0..most.max(1) {
            self.new_caller();
        }
        self.pass(timeout + Duration::from_secs(20));
        for caller in &self.callers[first..] {
            let is_fair = match caller.refusal {
                None | Some(Code::WouldBlock | Code::Timeout) => true,
                // Where nobody may wait, one connection that is closing is one too few.
                Some(Code::Overloaded) => nobody_may_wait,
                _ => false,
            };
            assert!(is_fair, "the server is up, and a caller got {:?}", caller.refusal);
            let is_patient = timeout >= Duration::from_secs(30)
                && self.plan.longest_use <= Duration::from_millis(50);
            assert!(
                !is_patient || caller.refusal != Some(Code::Timeout),
                "the server is up, and a caller waited in vain"
            );
        }
        assert_eq!(self.dials.failures, 0, "rule 10: an outage that is over");
    }

    /// When nobody has used the pool for a long time, it is as small as it may be.
    pub fn check_rest(&mut self) {
        let status = self.machine.status();
        let options = &self.plan.options;
        assert_eq!((status.used, status.pending), (0, 0));
        assert!(status.available >= options.min_connections || self.keeps_renewing(), "rule 17");
        if !options.idle_timeout.is_zero() {
            // Each connection of the minimum may be about to be relieved by its successor.
            let renewed = if self.keeps_renewing() { options.min_connections } else { 0 };
            let most = options.min_connections + renewed;
            assert!(status.total <= most, "rule 17: the surplus is closed");
        }
    }

    /// Whether connections may be on their way out or in at any moment.
    fn keeps_renewing(&self) -> bool {
        self.plan.options.preconnect || !self.plan.options.max_lifetime.is_zero()
    }
}
