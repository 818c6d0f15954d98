//! A request that is to be carried out: on which connection, and for which call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::call::{Call, cancelled};
use super::connection_queue::ConnectionQueue;
use super::dispatcher::Dispatcher;
use super::ticket::Ticket;
use crate::client::{Poller, Request, Response};
use crate::error::{Code, Error, Result};
use crate::pool::{Lease, Sent, UnderwayRequest, UnreadResponse};

/// A request that is to be carried out.
pub struct RequestTask {
    on: On,
    request: Request,
    call: Call<Response>,
    /// It was sent before, over a socket that was closed, and is to be over by then.
    again: Option<Instant>,
}

enum On {
    /// A connection of its own, which is given back afterwards.
    Lease(Lease),
    /// One that somebody has, who may have more for it to do.
    ConnectionQueue(Arc<ConnectionQueue>),
}

/// How far a request task has come that no thread waits for.
pub enum Step {
    /// It goes on when its socket is ready, or its time is over.
    Underway(Box<RequestTask>, UnderwayRequest),
    /// It needs a thread that may wait, or take its time.
    NeedsThread(Box<RequestTask>, Job),
    Over,
}

/// What of a request task would hold others up.
pub enum Job {
    /// All of it, since a socket has to be opened; with a time if it was sent before, over one that was
    /// closed, and is to be over by then.
    CarryOut(Option<Instant>),
    /// A large response.
    Read(UnreadResponse),
}

impl RequestTask {
    /// On a connection that was acquired for it.
    pub fn on_lease(lease: Lease, request: Request, call: Call<Response>) -> Box<RequestTask> {
        Box::new(RequestTask { on: On::Lease(lease), request, call, again: None })
    }

    /// On a connection that somebody has.
    pub fn in_lane(
        lane: Arc<ConnectionQueue>,
        request: Request,
        again: Option<Instant>,
        call: Call<Response>,
    ) -> Box<RequestTask> {
        Box::new(RequestTask { on: On::ConnectionQueue(lane), request, call, again })
    }

    pub fn ticket(&self) -> &Arc<Ticket> {
        self.call.ticket()
    }

    /// Its call, since nothing is to be carried out any more.
    pub fn into_call(self) -> Call<Response> {
        self.call
    }

    /// Begins it without waiting, if that can be done.
    pub fn start(self: Box<Self>, dispatcher: &Arc<Dispatcher>, poller: &Poller) -> Step {
        if !self.ticket().is_wanted() {
            self.end(dispatcher, || (), Err(cancelled()));
            return Step::Over;
        }
        if self.again.is_some() {
            let again = self.again;
            return Step::NeedsThread(self, Job::CarryOut(again));
        }
        let watch = self.ticket().clone();
        let sent = safely(|| self.lease().start(&self.request, Some(watch), Some(poller)));
        self.step(dispatcher, sent)
    }

    /// Goes on with it.
    pub fn resume(
        self: Box<Self>,
        dispatcher: &Arc<Dispatcher>,
        underway: UnderwayRequest,
    ) -> Step {
        let sent = safely(|| self.lease().resume(&self.request, underway));
        self.step(dispatcher, sent)
    }

    fn step(self: Box<Self>, dispatcher: &Arc<Dispatcher>, sent: Result<Sent>) -> Step {
        let outcome = match sent {
            Ok(Sent::Underway(request)) => return Step::Underway(self, request),
            Ok(Sent::NeedsThread(again)) => return Step::NeedsThread(self, Job::CarryOut(again)),
            Ok(Sent::Unread(response)) => return Step::NeedsThread(self, Job::Read(response)),
            Ok(Sent::Over(outcome)) => outcome,
            Err(panic) => Err(panic),
        };
        self.end(dispatcher, || (), outcome);
        Step::Over
    }

    /// Does what is left of it, however long that takes.
    pub fn finish(
        self: Box<Self>,
        dispatcher: &Arc<Dispatcher>,
        job: Job,
        before_release: impl FnOnce(),
    ) {
        let outcome = match job {
            // It is under way still, and whoever cancels it meanwhile cuts it.
            Job::Read(response) => safely(|| self.lease().read(&self.request, response)),
            Job::CarryOut(again) if self.ticket().is_wanted() => {
                let watch = self.ticket().clone();
                safely(|| self.lease().request_again(&self.request, again, watch))
            }
            Job::CarryOut(_) => Ok(Err(cancelled())),
        };
        self.end(dispatcher, before_release, outcome.unwrap_or_else(Err));
    }

    fn lease(&self) -> &Lease {
        match &self.on {
            On::Lease(lease) => lease,
            On::ConnectionQueue(lane) => lane.lease(),
        }
    }

    /// Lets go of the connection and then runs the callback: whoever hears of the response finds the
    /// connection free. What comes next on it has to wait until the callback has run.
    fn end(
        self,
        dispatcher: &Arc<Dispatcher>,
        before_release: impl FnOnce(),
        outcome: Result<Response>,
    ) {
        let RequestTask { on, call, .. } = self;
        before_release();
        let turns = match on {
            On::Lease(lease) => {
                drop(lease);
                None
            }
            On::ConnectionQueue(lane) => Some(lane.turns().clone()),
        };
        call.complete(outcome);
        if let Some(next) = turns.and_then(|turns| turns.next()) {
            dispatcher.carry_out(next);
        }
    }
}

/// A bug in there must not take the thread along, which others wait for.
pub(super) fn safely<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| Error::new(Code::Panic, "A bug in libphantomdb: a request panicked"))
}
