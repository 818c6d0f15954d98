//! A slot: room for one connection, and what the pool knows of it.

use std::time::{Duration, Instant};

use super::super::stats::CloseReason;
use super::messages::ConnectionReport;

/// The state of a slot; it is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nobody has it; it can be handed out.
    Idle,
    /// A caller has it.
    Leased,
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
    /// Counts the leases, so that one that has ended can't be given back.
    pub generation: u32,
    pub connection: Option<C>,
    /// Whether there is a socket, as far as the pool knows.
    pub is_open: bool,
    /// Which reset its socket came after.
    pub epoch: u64,
    pub idle_since: Instant,
    pub leased_at: Instant,
    pub is_leak_reported: bool,
    opened_at: Option<Instant>,
    /// When to open a successor, so that it is there at `retire_at`.
    pub replace_at: Option<Instant>,
    /// A successor was asked for: as soon as it is there, this one can go.
    pub has_successor: bool,
    retire_at: Option<Instant>,
    /// When it must not be handed out any more: it is old, or the server is about to close it.
    pub usable_until: Option<Instant>,
    pub close_reason: CloseReason,
    /// When the server was last heard from on it, as far as the pool knows.
    pub heard_at: Option<Instant>,
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
}

/// What a slot knows of its socket.
pub struct Socket {
    epoch: u64,
    opened_at: Option<Instant>,
    replace_at: Option<Instant>,
    has_successor: bool,
    retire_at: Option<Instant>,
    usable_until: Option<Instant>,
    heard_at: Option<Instant>,
}

impl<C> Slot<C> {
    pub fn vacant(now: Instant) -> Self {
        Slot {
            state: SlotState::Vacant,
            generation: 0,
            connection: None,
            is_open: false,
            epoch: 0,
            idle_since: now,
            leased_at: now,
            is_leak_reported: false,
            opened_at: None,
            replace_at: None,
            has_successor: false,
            retire_at: None,
            usable_until: None,
            close_reason: CloseReason::Closed,
            heard_at: None,
            is_suspect: false,
            is_unproved: false,
            is_probe: false,
            has_failed: false,
            dialing_since: None,
            reserved: None,
        }
    }

    /// A new, unopened connection moves in.
    pub fn fill(&mut self, connection: C, epoch: u64, now: Instant) {
        let generation = self.generation;
        *self = Slot { generation, epoch, connection: Some(connection), ..Slot::vacant(now) };
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
        self.heard_at = report.last_response_at.max(report.opened_at);
        self.is_suspect &= self.is_open && self.heard_at < suspects_heard_before;
        if self.opened_at != report.opened_at {
            self.opened_at = report.opened_at;
            self.retire_at = report.opened_at.and_then(|at| Some(at + lifetime()?));
            self.replace_at = self.retire_at.map(|at| at - lead);
            self.has_successor = false;
        }
        self.usable_until = match (self.retire_at, report.keep_alive_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Its socket is another slot's from now on.
    pub fn give_socket(&mut self) -> Socket {
        self.is_open = false;
        Socket {
            epoch: self.epoch,
            opened_at: self.opened_at,
            replace_at: self.replace_at,
            has_successor: self.has_successor,
            retire_at: self.retire_at,
            usable_until: self.usable_until,
            heard_at: self.heard_at,
        }
    }

    /// Has the socket of another slot from now on.
    pub fn take_socket(&mut self, socket: Socket) {
        self.is_open = true;
        self.epoch = socket.epoch;
        self.opened_at = socket.opened_at;
        self.replace_at = socket.replace_at;
        self.has_successor = socket.has_successor;
        self.retire_at = socket.retire_at;
        self.usable_until = socket.usable_until;
        self.heard_at = socket.heard_at;
        self.is_suspect = false;
        self.is_unproved = false;
        self.is_probe = false;
        self.has_failed = false;
    }

    /// It is older by this than the clock says that its moments were measured with.
    pub fn age(&mut self, by: Duration) {
        let earlier = |at: Instant| at.checked_sub(by).unwrap_or(at);
        self.idle_since = earlier(self.idle_since);
        self.leased_at = earlier(self.leased_at);
        for at in [&mut self.replace_at, &mut self.retire_at, &mut self.usable_until] {
            *at = at.map(earlier);
        }
    }

    #[cfg(test)]
    pub fn is_as_in(&self, report: &ConnectionReport) -> bool {
        self.is_open == report.is_open
            && self.opened_at == report.opened_at
            && report.keep_alive_until.is_none()
    }

    pub fn is_spent(&self, now: Instant) -> bool {
        self.usable_until.is_some_and(|until| until <= now)
    }
}
