//! A request that the library carries out by itself: on which connection, and for which call.

use std::sync::Arc;

use super::call::{Call, cancelled, catch_panic};
use super::connection_queue;
use super::ticket::Ticket;
use crate::client::{InFlight, Poller, Progress, Request, Response};
use crate::error::{Error, Result};
use crate::pool::Lease;

/// A lease, and the tasks that wait for their turn on it.
pub type ConnectionQueue = connection_queue::ConnectionQueue<Box<RequestTask>>;

/// A request that is to be carried out.
pub struct RequestTask {
    connection: TaskConnection,
    request: Request,
    call: Call<Response>,
    /// How far the program has brought it, which now leaves the rest to the library.
    begun: Option<Progress>,
}

enum TaskConnection {
    /// Acquired for this task, and given back afterwards.
    Own(Lease),
    /// The program's, who may have more for it to do.
    Queue(Arc<ConnectionQueue>),
}

impl RequestTask {
    /// On a connection that was acquired for it.
    pub fn on_lease(lease: Lease, request: Request, call: Call<Response>) -> Box<RequestTask> {
        let connection = TaskConnection::Own(lease);
        Box::new(RequestTask { connection, request, call, begun: None })
    }

    /// On a connection that the program has.
    pub fn in_queue(
        queue: &Arc<ConnectionQueue>,
        request: Request,
        call: Call<Response>,
    ) -> Box<RequestTask> {
        let connection = TaskConnection::Queue(queue.clone());
        Box::new(RequestTask { connection, request, call, begun: None })
    }

    /// As [`RequestTask::in_queue`], of a request that the program has begun.
    pub fn begun(
        queue: &Arc<ConnectionQueue>,
        request: Request,
        progress: Progress,
        call: Call<Response>,
    ) -> Box<RequestTask> {
        let connection = TaskConnection::Queue(queue.clone());
        Box::new(RequestTask { connection, request, call, begun: Some(progress) })
    }

    pub fn is_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// What the program has begun, for a helper, now that its turn has come: from now on its ticket
    /// cancels it.
    pub fn take_begun(&mut self) -> Option<Progress> {
        let mut progress = self.begun.take()?;
        self.lease().attach(&mut progress, self.ticket().clone());
        Some(progress)
    }

    pub fn ticket(&self) -> &Arc<Ticket> {
        self.call.ticket()
    }

    /// Runs the callback of a task that was cancelled before its turn came.
    pub fn withdraw(self: Box<Self>) {
        self.call.complete(Err(cancelled()));
    }

    /// Begins it, as far as that can be done without waiting.
    pub fn start(&self, poller: &Poller) -> Progress {
        if !self.ticket().is_wanted() {
            return Progress::Done(Err(cancelled()));
        }
        let ticket = self.ticket().clone();
        catch_panic(|| self.lease().start(&self.request, Some(ticket), Some(poller)))
            .unwrap_or_else(failed)
    }

    /// Goes on with it, as far as that can be done without waiting.
    pub fn resume(&self, in_flight: Box<InFlight>) -> Progress {
        catch_panic(|| self.lease().resume(&self.request, in_flight)).unwrap_or_else(failed)
    }

    /// Does what is left of it, however long that takes.
    pub fn finish(&self, progress: Progress) -> Result<Response> {
        // One that was sent is in flight still: who cancels it meanwhile cuts it.
        let is_unsent = matches!(progress, Progress::NeedsThread { .. });
        if is_unsent && !self.ticket().is_wanted() {
            return Err(cancelled());
        }
        let ticket = self.ticket().clone();
        catch_panic(|| self.lease().finish(&self.request, progress, Some(ticket)))
            .unwrap_or_else(Err)
    }

    /// Lets go of the connection and then runs the callback, so that the program finds the
    /// connection free when it hears of the response. Returns the task whose turn it is now: what
    /// comes next on the connection waits until the callback has run.
    pub fn end(self: Box<Self>, outcome: Result<Response>) -> Option<Box<RequestTask>> {
        let RequestTask { connection, call, .. } = *self;
        let turns = match connection {
            TaskConnection::Own(lease) => {
                drop(lease);
                None
            }
            TaskConnection::Queue(queue) => Some(queue.turns().clone()),
        };
        call.complete(outcome);
        turns?.next()
    }

    fn lease(&self) -> &Lease {
        match &self.connection {
            TaskConnection::Own(lease) => lease,
            TaskConnection::Queue(queue) => queue.lease(),
        }
    }
}

fn failed(error: Error) -> Progress {
    Progress::Done(Err(error))
}
