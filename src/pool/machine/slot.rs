//! A slot: room for one connection, and what the pool knows of it.

use std::time::{Duration, Instant};

use super::super::fast_path::{FastSlot, LeaseWord};
use super::super::stats::CloseReason;
use super::messages::ConnectionReport;
use crate::os::atomic::{Ordering::Relaxed, OwnedU64};
use crate::os::clock::{self, ALWAYS, Moment, NEVER};

/// The state of a slot; it is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// It can be handed out, if it is idle; otherwise a caller has it.
    Ready,
    /// A worker opens it.
    Dialing,
    /// A worker rolls its transaction back.
    Cleaning,
    /// A worker pings the server on it.
    Validating,
    /// A worker pings the server on it, because another connection died silently.
    Suspect,
    /// Its socket goes to the holder of a lease that has none.
    Reserved,
    /// A worker closes it; the server may count it until that is done.
    Closing,
    /// It does not exist and counts for nothing.
    Vacant,
}

pub const STATES: usize = SlotState::Vacant as usize + 1;

/// Room for one connection.
#[derive(Debug)]
pub struct Slot<C> {
    pub state: SlotState,
    /// What the fast path knows of it: whose it is, and the times.
    pub fast: &'static FastSlot,
    pub connection: Option<C>,
    /// Whether there is a socket, as far as the pool knows.
    pub is_open: bool,
    /// Which reset its socket came after.
    pub epoch: u64,
    /// The lease that was reported as a leak.
    pub leak_reported: Option<u64>,
    /// When to open a successor, so that it is there at `retire_at`.
    pub replace_at: Option<Instant>,
    /// A successor was asked for: as soon as it is there, this one can go.
    pub has_successor: bool,
    pub close_reason: CloseReason,
    /// It may have died as another did, and is to be checked before anybody gets it.
    pub is_suspect: bool,
    /// No byte of a response has come over its socket yet.
    pub is_unproved: bool,
    /// It was opened in an outage, which its first response ends.
    pub is_probe: bool,
    /// The last request of the lease got no response, and its socket is gone.
    pub has_failed: bool,
    /// A dial for it is under way.
    pub dialing_since: Option<Instant>,
    /// The slot whose socket it is to get.
    pub reserved: Option<usize>,
    /// It was cut, and its part of the fast path is for others to look at still.
    pub is_let_go: bool,
}

/// What a slot knows of its socket.
pub struct Socket {
    epoch: u64,
    opened_at: Moment,
    replace_at: Option<Instant>,
    has_successor: bool,
    retire_at: Moment,
    usable_until: Moment,
    heard_at: Moment,
}

impl<C> Slot<C> {
    pub fn vacant(fast: &'static FastSlot) -> Self {
        Slot {
            state: SlotState::Vacant,
            fast,
            connection: None,
            is_open: false,
            epoch: 0,
            leak_reported: None,
            replace_at: None,
            has_successor: false,
            close_reason: CloseReason::Closed,
            is_suspect: false,
            is_unproved: false,
            is_probe: false,
            has_failed: false,
            dialing_since: None,
            reserved: None,
            is_let_go: false,
        }
    }

    /// A new, unopened connection moves in.
    pub fn fill(&mut self, connection: C, epoch: u64) {
        self.fast.clear_times();
        *self = Slot { epoch, connection: Some(connection), ..Slot::vacant(self.fast) };
    }

    /// Since when it is idle, if it is.
    pub fn idle_since(&self) -> Instant {
        clock::instant(self.fast.idle_since.load(Relaxed))
    }

    /// When it must not be handed out any more: it is old, or the server is about to close it.
    pub fn usable_until(&self) -> Option<Instant> {
        read(&self.fast.usable_until)
    }

    /// When the server was last heard from on it, as far as the pool knows.
    pub fn heard_at(&self) -> Option<Instant> {
        read(&self.fast.heard_at)
    }

    /// Since when a caller has it, and by which lease; `None` if nobody has.
    pub fn leased(&self) -> Option<(Instant, u64)> {
        let word = self.fast.word();
        let is_leased = self.state == SlotState::Ready && word.has(LeaseWord::LEASED);
        let leased_at = || clock::instant(self.fast.leased_at.load(Relaxed));
        is_leased.then(|| (leased_at(), word.generation()))
    }

    /// Takes note of the state of the connection. `lifetime` says how long a new
    /// socket lives, and `lead` is how long before its end a replacement is looked for. What was
    /// last heard from before `suspects_heard_before` stays suspect.
    pub fn note(
        &mut self,
        report: &ConnectionReport,
        lifetime: impl FnOnce() -> Option<Duration>,
        lead: Duration,
        suspects_heard_before: Option<Instant>,
    ) {
        self.is_open = report.is_open;
        let heard_at = report.last_response_at.max(report.opened_at);
        self.fast.heard_at.store(heard_at.map_or(NEVER, clock::moment), Relaxed);
        self.is_suspect &= self.is_open && heard_at < suspects_heard_before;
        let opened_at = report.opened_at.map_or(NEVER, clock::moment);
        if self.fast.opened_at.load(Relaxed) != opened_at {
            self.fast.opened_at.store(opened_at, Relaxed);
            let retire_at = report.opened_at.and_then(|at| Some(at + lifetime()?));
            self.fast.retire_at.store(retire_at.map_or(ALWAYS, clock::moment), Relaxed);
            self.replace_at = retire_at.map(|at| at - lead);
            self.has_successor = false;
        }
        let keep_alive_until = report.keep_alive_until.map_or(ALWAYS, clock::moment);
        let usable_until = self.fast.retire_at.load(Relaxed).min(keep_alive_until);
        self.fast.usable_until.store(usable_until, Relaxed);
    }

    /// Its socket is another slot's from now on.
    pub fn give_socket(&mut self) -> Socket {
        self.is_open = false;
        Socket {
            epoch: self.epoch,
            opened_at: self.fast.opened_at.load(Relaxed),
            replace_at: self.replace_at,
            has_successor: self.has_successor,
            retire_at: self.fast.retire_at.load(Relaxed),
            usable_until: self.fast.usable_until.load(Relaxed),
            heard_at: self.fast.heard_at.load(Relaxed),
        }
    }

    /// Has the socket of another slot from now on.
    pub fn take_socket(&mut self, socket: Socket) {
        self.is_open = true;
        self.epoch = socket.epoch;
        self.fast.opened_at.store(socket.opened_at, Relaxed);
        self.replace_at = socket.replace_at;
        self.has_successor = socket.has_successor;
        self.fast.retire_at.store(socket.retire_at, Relaxed);
        self.fast.usable_until.store(socket.usable_until, Relaxed);
        self.fast.heard_at.store(socket.heard_at, Relaxed);
        self.is_suspect = false;
        self.is_unproved = false;
        self.is_probe = false;
        self.has_failed = false;
        self.fast.mark();
    }

    /// It is older by this than the clock says that its moments were measured with.
    pub fn age(&mut self, by: Duration) {
        self.replace_at = self.replace_at.map(|at| at.checked_sub(by).unwrap_or(at));
        let fast = self.fast;
        for time in [
            &fast.idle_since,
            &fast.ready_until,
            &fast.leased_at,
            &fast.retire_at,
            &fast.usable_until,
        ] {
            let at = time.load(Relaxed);
            if at != NEVER && at != ALWAYS {
                time.store(at.saturating_sub(by.as_nanos() as u64), Relaxed);
            }
        }
    }

    /// Another part of the fast path for it.
    pub fn renew(&mut self, fast: &'static FastSlot) {
        fast.copy_times(self.fast);
        self.fast = fast;
    }

    #[cfg(test)]
    pub fn is_as_in(&self, report: &ConnectionReport) -> bool {
        self.is_open == report.is_open
            && self.fast.opened_at.load(Relaxed) == report.opened_at.map_or(NEVER, clock::moment)
            && report.keep_alive_until.is_none()
    }

    pub fn is_spent(&self, now: Instant) -> bool {
        self.usable_until().is_some_and(|until| until <= now)
    }
}

fn read(time: &OwnedU64) -> Option<Instant> {
    match time.load(Relaxed) {
        NEVER | ALWAYS => None,
        at => Some(clock::instant(at)),
    }
}
