//! The permit for a dial, and what a dial and its socket came to.

use std::fmt;
use std::time::Instant;

use crate::error::{Code, Error};

/// What a request showed of the socket that it went over.
#[derive(Clone, Copy, Debug)]
pub enum SocketEvent<'a> {
    /// The first byte of the first response on a new socket came.
    Proved,
    /// A new socket was lost before that: its dial came to nothing after all.
    LostFresh(&'a Error),
    /// The first request on a new socket got no byte of a response in its time.
    SilentFresh(&'a Error),
    /// A kept socket was lost with a request on it, before a byte of the response.
    Lost,
    /// The request on a kept socket got no byte of a response in its time.
    Silent {
        /// When it was sent.
        since: Instant,
    },
    /// The request on a kept socket was cancelled before a byte of a response came.
    Cancelled {
        /// When it was sent.
        since: Instant,
    },
}

/// The permit for one dial. It goes back to its issuer with the outcome of the dial, even if the
/// dial panics.
pub struct DialPermit(Option<TakeBack>);

type TakeBack = Box<dyn FnOnce(std::result::Result<(), &Error>) + Send>;

impl DialPermit {
    /// A permit whose issuer is called once, with the outcome of the dial.
    pub fn new(
        take_back: impl FnOnce(std::result::Result<(), &Error>) + Send + 'static,
    ) -> DialPermit {
        DialPermit(Some(Box::new(take_back)))
    }

    /// Gives it back.
    pub(in crate::client) fn give_back(mut self, outcome: std::result::Result<(), &Error>) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: std::result::Result<(), &Error>) {
        if let Some(take_back) = self.0.take() {
            take_back(outcome);
        }
    }
}

impl Drop for DialPermit {
    fn drop(&mut self) {
        self.end(Err(&Error::new(Code::Panic, "dialling ended in a panic")));
    }
}

impl fmt::Debug for DialPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialPermit").finish_non_exhaustive()
    }
}
