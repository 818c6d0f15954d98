//! What the machine is told, and what it decides.

use std::time::{Duration, Instant};

use super::super::fast_path::{FastSlot, Used, memory};
use crate::error::Error;
use crate::os::clock;

/// A connection, as the machine knows it.
pub trait SlotConnection: Clone {
    /// When the server was last heard from on it: `now` while a request is under way on it. Asked of
    /// connections that callers have.
    fn heard_at(&self, now: Instant) -> Option<Instant>;
}

/// Names one lease of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId {
    pub(super) slot: usize,
    /// Of the slot's part of the fast path.
    pub(super) index: u32,
    pub(super) generation: u64,
}

impl LeaseId {
    /// The lease of a slot's generation.
    pub fn new(fast: &FastSlot, generation: u64) -> LeaseId {
        LeaseId { slot: fast.number(), index: fast.index(), generation }
    }

    /// The generation of the slot.
    pub fn generation(self) -> u64 {
        self.generation
    }

    /// The slot's part of the fast path.
    pub fn fast(self) -> &'static FastSlot {
        memory().slots.get(self.index as usize).expect("a slot that was leased is never gone")
    }

    /// The slot that is leased.
    #[cfg(test)]
    pub fn slot(self) -> usize {
        self.slot
    }
}

/// A connection handed to a caller.
#[derive(Debug)]
pub struct Grant<C> {
    pub lease: LeaseId,
    pub connection: C,
    /// The caller must look at the socket first; see [`Machine::found_dead`].
    pub probe: bool,
}

/// The immediate outcome of an acquire.
#[derive(Debug)]
pub enum Acquired<C> {
    Granted(Grant<C>),
    Queued,
    Refused(Error),
}

/// How a connection comes back, and so what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Reuse,
    RollBack,
    /// Its user does not want it to be reused.
    Discard,
    /// A request left it unfit for reuse.
    Broken,
}

/// What is known of a connection that comes back from a caller or a worker.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionReport {
    pub disposition: Disposition,
    pub is_open: bool,
    pub opened_at: Option<Instant>,
    /// When the server said that it closes this connection.
    pub keep_alive_until: Option<Instant>,
    /// The last time that the server responded on it.
    pub last_response_at: Option<Instant>,
    /// The status of the response to a ping, if it was pinged just now.
    pub pinged: Option<u16>,
}

impl ConnectionReport {
    /// Of a connection of which nothing is known any more.
    pub fn lost() -> Self {
        ConnectionReport {
            disposition: Disposition::Broken,
            is_open: false,
            opened_at: None,
            keep_alive_until: None,
            last_response_at: None,
            pinged: None,
        }
    }
}

impl Used {
    /// What the fast path needs of a report; `None` if something follows from it.
    pub fn of(report: &ConnectionReport) -> Option<Used> {
        let is_plain = report.disposition == Disposition::Reuse && report.is_open;
        let opened_at = report.opened_at.filter(|_| is_plain)?;
        Some(Used {
            opened_at: clock::moment(opened_at),
            keep_alive_until: report.keep_alive_until.map(clock::moment),
            heard_at: clock::moment(report.last_response_at.max(Some(opened_at))?),
        })
    }
}

/// What a worker does, because it may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    Dial,
    /// A dial, and a ping that must get a response.
    Probe,
    RollBack,
    Ping,
    Close,
}

impl JobKind {
    /// Whether it opens a connection.
    pub fn is_dial(self) -> bool {
        matches!(self, JobKind::Dial | JobKind::Probe)
    }
}

/// A job on the connection of a slot.
#[derive(Debug)]
pub struct Job<C> {
    pub kind: JobKind,
    pub slot: usize,
    pub connection: C,
}

/// Whether the holder of a lease may open its connection now.
#[derive(Debug)]
pub enum DialDecision<C> {
    /// It dials; [`super::Machine::end_lease_dial`] is told the outcome.
    Dial,
    /// It has the socket of this connection, which nobody uses any more.
    TakeSocket(C),
    /// It asks again when a dial has ended.
    Wait,
    Refuse(Error),
}

/// What the driver does after it has released the lock.
#[derive(Debug)]
pub struct Effects<C, W> {
    /// Waiters and what each of them gets.
    pub outcomes: Vec<(W, Result<Grant<C>, Error>)>,
    /// How many new jobs wait for a worker.
    pub new_jobs: usize,
    /// The housekeeper must wake earlier than it was told.
    pub alarm_moved: bool,
    /// A dial ended, so that a lease holder who waits to dial may ask again.
    pub dial_ended: bool,
    /// Idle connections whose sockets are to be looked at; see [`super::Machine::found_closed`].
    pub peeks: Vec<(LeaseId, C)>,
    /// What the log is to be told.
    pub events: Vec<LogEvent<C>>,
}

impl<C, W> Effects<C, W> {
    pub(super) fn none() -> Self {
        Effects {
            outcomes: Vec::new(),
            new_jobs: 0,
            alarm_moved: false,
            dial_ended: false,
            peeks: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn are_any(&self) -> bool {
        self.alarm_moved
            || self.dial_ended
            || self.new_jobs > 0
            || !self.outcomes.is_empty()
            || !self.events.is_empty()
    }
}

/// Something for the program's log.
#[derive(Debug)]
pub enum LogEvent<C> {
    /// A lease is out for longer than `leak_threshold`.
    Leak { connection: C, age: Duration },
    /// A dial failed, after none had.
    OutageBegan(Error),
    /// The server responded on a new connection, after dials had failed.
    OutageEnded { lasted: Duration },
    /// The server responds to pings with 503, or no longer does.
    ServerDraining(bool),
}
