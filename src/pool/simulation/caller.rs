//! One simulated caller, and how far it has come.

use std::time::{Duration, Instant};

use crate::error::Code;
use crate::pool::machine::LeaseId;
use crate::pool::waiters::{QueuePosition, WaitLimit};

/// Where a caller is with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Waiting,
    Looking,
    Dialing,
    WaitingToDial,
    Using,
    Done,
}

/// One caller; each makes one acquire.
#[derive(Debug)]
pub struct Caller {
    pub position: Option<QueuePosition>,
    /// Of a caller that leaves it to the machine to watch the clock.
    pub wait_limit: Option<WaitLimit>,
    pub phase: Phase,
    /// Counts its phases, so that an event meant for an earlier one is known.
    pub epoch: u32,
    pub lease: Option<LeaseId>,
    pub link: u32,
    pub probe: bool,
    pub is_cut: bool,
    pub outcomes: u32,
    pub refusal: Option<Code>,
    pub requests: u32,
    pub deadline: Instant,
    /// When the request began that is under way.
    pub sent_at: Instant,
}

impl Caller {
    /// One that has not acquired yet, and is going to make so many requests.
    pub fn new(requests: u32, now: Instant, timeout: Duration) -> Caller {
        Caller {
            position: None,
            wait_limit: None,
            phase: Phase::Waiting,
            epoch: 0,
            lease: None,
            link: 0,
            probe: false,
            is_cut: false,
            outcomes: 0,
            refusal: None,
            requests,
            deadline: now + timeout,
            sent_at: now,
        }
    }
}
