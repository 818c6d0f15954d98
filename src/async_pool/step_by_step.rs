//! Requests that the program carries on itself, step by step, in its own event loop.
//!
//! No step waits; the one that gets a large response reads it. Between two steps the request and its connection are here; whoever makes a step
//! has them, so that two threads never make one at once.

use std::os::fd::{OwnedFd, RawFd};
use std::time::Instant;

use super::connection_queue::ConnectionQueue;
use super::request_task::safely;
use crate::client::{OnClose, Request, Response};
use crate::error::{Code, Error, Result};
use crate::os::locks::Mutex;
use crate::os::threads;
use crate::pool::{Sent, UnderwayRequest};

/// How far a request has come that the program carries on.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, and an allocation costs more than that")]
pub enum Pace {
    /// It goes on by [`ConnectionQueue::resume`], when this holds.
    Waits(Wanted),
    /// It goes on by [`AsyncPool::finish`](super::AsyncPool::finish).
    NeedsThread,
    /// It is over, and this is what it came to.
    Over(Result<Response>),
}

/// What a request waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of the socket, which it goes over and which stays the connection's.
    pub descriptor: RawFd,
    /// The number of the socket, which no other of this process ever has.
    pub socket: usize,
    /// The socket takes bytes again; otherwise, it has some.
    pub is_sending: bool,
    /// Nothing: there is more to do already.
    pub is_ready: bool,
    /// Or this time has come.
    pub until: Instant,
}

/// The request of a lane that is carried on so, if there is one.
#[derive(Default)]
pub struct Stepped(Mutex<Option<(Request, Stage)>>);

enum Stage {
    Underway(UnderwayRequest),
    NeedsThread(Option<Instant>),
}

impl ConnectionQueue {
    /// Sends a request as far as that can be done without waiting.
    pub fn start(&self, request: Request) -> Pace {
        let mut place = self.stepped.0.lock();
        if place.is_some() {
            let why = "A request that was started on this connection is not over";
            return Pace::Over(Err(Error::new(Code::Busy, why)));
        }
        let sent = safely(|| self.lease().start(&request, None, None));
        self.note(&mut place, request, sent)
    }

    /// Goes on with it as far as that can be done without waiting.
    pub fn resume(&self) -> Pace {
        let mut place = self.stepped.0.lock();
        match place.take() {
            Some((request, Stage::Underway(underway))) => {
                let sent = safely(|| self.lease().resume(&request, underway));
                self.note(&mut place, request, sent)
            }
            Some(needs_thread) => {
                *place = Some(needs_thread);
                Pace::NeedsThread
            }
            None => Pace::Over(Err(none())),
        }
    }

    fn note(
        &self,
        place: &mut Option<(Request, Stage)>,
        request: Request,
        sent: Result<Sent>,
    ) -> Pace {
        match sent {
            Ok(Sent::Underway(underway)) => {
                let it = underway.request();
                let wanted = Wanted {
                    descriptor: it.descriptor(),
                    socket: it.socket(),
                    is_sending: it.is_sending(),
                    is_ready: it.is_ready(),
                    until: it.until(),
                };
                *place = Some((request, Stage::Underway(underway)));
                Pace::Waits(wanted)
            }
            Ok(Sent::NeedsThread(again)) => {
                *place = Some((request, Stage::NeedsThread(again)));
                Pace::NeedsThread
            }
            Ok(Sent::Unread(response)) => {
                let read = safely(|| self.lease().read(&request, response));
                Pace::Over(read.unwrap_or_else(Err))
            }
            Ok(Sent::Over(outcome)) => Pace::Over(outcome),
            Err(panic) => Pace::Over(Err(panic)),
        }
    }

    /// Waits for its end, however far it has come.
    ///
    /// # Errors
    /// As [`Lease::request`](crate::pool::Lease::request); `InvalidState` without such a request.
    pub fn finish(&self) -> Result<Response> {
        threads::refuse_in_callback("request")?;
        let started = self.stepped.0.lock().take();
        let (request, stage) = started.ok_or_else(none)?;
        safely(|| match stage {
            Stage::Underway(underway) => self.lease().finish(&request, underway),
            Stage::NeedsThread(again) => self.lease().request_here(&request, again),
        })
        .unwrap_or_else(Err)
    }

    /// A duplicate of the descriptor of the socket that it waits for; `closed` is told when that
    /// socket is closed. Whoever resumes the request has to wait meanwhile, so that it is the
    /// right one.
    ///
    /// # Errors
    /// `InvalidState` without a request that waits; `Overloaded` with the system's reason, and the
    /// request goes on.
    pub fn duplicate(&self, closed: Option<OnClose>) -> Result<OwnedFd> {
        let place = self.stepped.0.lock();
        let Some((_, Stage::Underway(underway))) = &*place else {
            let why = "No request that was started on this connection waits for a socket";
            return Err(Error::new(Code::InvalidState, why));
        };
        underway.request().duplicate(closed).map_err(|error| {
            let why = format!("The socket's descriptor could not be duplicated: {error}");
            Error::new(Code::Overloaded, why)
        })
    }
}

impl Stepped {
    /// Forgets the request that is not over, and gives what is under way of it.
    pub(super) fn take_underway(&mut self) -> Option<UnderwayRequest> {
        let place = self.0.get_mut();
        // Mostly there is nothing in it, and to look is cheaper than to write.
        place.as_ref()?;
        match place.take()?.1 {
            Stage::Underway(underway) => Some(underway),
            Stage::NeedsThread(_) => None,
        }
    }

    pub(super) fn take_for_a_thread(&self) -> Result<(Request, Option<Instant>)> {
        let mut place = self.0.lock();
        match place.take() {
            Some((request, Stage::NeedsThread(again))) => Ok((request, again)),
            Some(underway) => {
                *place = Some(underway);
                let why = "The request on this connection needs no thread: go on with it";
                Err(Error::new(Code::InvalidState, why))
            }
            None => Err(none()),
        }
    }
}

fn none() -> Error {
    Error::new(Code::InvalidState, "No request was started on this connection")
}
