//! Calls that don't wait: what they come to is told to a callback.
//!
//! An [`AsyncPool`] is a pool with a `dispatcher`: threads that carry requests out and run callbacks, the
//! `reactor` above all, which serves many sockets at once. A [`Ticket`] cancels one call. Waiting
//! for a connection takes no thread: the pool's queue holds whoever waits. A [`ConnectionQueue`] is a lease
//! with the requests that wait for their turn on it.

mod call;
mod completion_queue;
mod connection_queue;
mod dispatcher;
mod inline;
#[cfg(all(test, shuttle))]
mod model;
mod reactor;
mod request_task;
mod step_by_step;
mod ticket;

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Request, Response};
use crate::config::Options;
use crate::error::Result;
use crate::os::per_process::PerProcess;
use crate::pool::{Lease, Pool, Started, Withdrawal};
use call::Call;
use dispatcher::Dispatcher;
use request_task::RequestTask;

pub use completion_queue::CompletionQueue;
pub use connection_queue::ConnectionQueue;
pub use step_by_step::{Pace, Wanted};
pub use ticket::Ticket;

/// A pool whose calls can also be made without waiting.
///
/// Each asynchronous call takes a ticket, to cancel it, and a callback, `done`. If the call returns
/// `Ok`, the callback runs exactly once: on a thread of the library, never within the call itself,
/// with no lock held. What waits (acquire, a request, close) is refused in a callback. A
/// callback that takes its time holds up others.
///
/// Like a [`Pool`], it may be used from any thread, and a forked child finds it empty and usable:
/// calls of its parent are not its own, and their callbacks do not run in it.
///
/// ```no_run
/// use phantomdb::{AsyncPool, Options, Request, Ticket};
/// let pool = AsyncPool::new(Options::default())?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// pool.run(Request::list_databases(), &Ticket::new(), move |answer| {
///     let _ = sender.send(answer);
/// })?;
/// println!("{}", receiver.recv().expect("the callback runs")?.text()?);
/// pool.close()?;
/// # Ok::<(), phantomdb::Error>(())
/// ```
#[derive(Debug)]
pub struct AsyncPool {
    pool: Pool,
    dispatcher: PerProcess<Arc<Dispatcher>>,
}

impl AsyncPool {
    /// Makes a pool, as [`Pool::new`], and no thread yet.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn new(options: Options) -> Result<AsyncPool> {
        Ok(AsyncPool { pool: Pool::new(options)?, dispatcher: PerProcess::new(Arc::default()) })
    }

    /// The pool, for the calls that wait, and for its numbers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Acquires a connection. `timeout` instead of the option `acquire_timeout`, if it is given.
    ///
    /// # Errors
    /// `Overloaded` if the system has no thread to be had, `Closed`. The callback gets what
    /// [`Pool::acquire`] would have returned, or `Cancelled`.
    pub fn acquire(
        &self,
        timeout: Option<Duration>,
        ticket: &Arc<Ticket>,
        done: impl FnOnce(Result<Lease>) + Send + 'static,
    ) -> Result<()> {
        let dispatcher = self.dispatcher();
        let call = Call::new(ticket, dispatcher.expect_callback_of_reactor()?, done);
        let dispatcher = dispatcher.clone();
        self.start(timeout, call, move |call, outcome| dispatcher.complete(call, outcome));
        Ok(())
    }

    /// Acquires a connection by the shortest way there is: one that is free is returned at once.
    /// Otherwise `prepare` is called, and `Ok(None)` returned, and the callback that it gave runs
    /// once, on whichever thread brings the connection or the refusal: maybe within a release, a
    /// cancel or a close that another part of the program calls. It is for callbacks that do
    /// nothing but pass on what they get.
    ///
    /// # Errors
    /// As [`Pool::acquire`], or `Cancelled` if the ticket is cancelled before this returns; and then
    /// the callback does not run.
    pub fn acquire_direct<D>(
        &self,
        timeout: Option<Duration>,
        prepare: impl FnOnce() -> (Arc<Ticket>, D),
    ) -> Result<Option<Lease>>
    where
        D: FnOnce(Result<Lease>) + Send + 'static,
    {
        let prepared = OnceCell::new();
        let started = self.pool.start_acquire(timeout, || {
            let (ticket, done) = prepare();
            let call = Call::new(&ticket, self.dispatcher().expect_callback(), done);
            let _ = prepared.set(ticket);
            Box::new(move |outcome| {
                call.leave_queue();
                inline::run(move || call.complete(outcome));
            })
        });
        match (started, prepared.get()) {
            (Started::Over(outcome), _) => outcome.map(Some),
            (Started::Waiting(waiting), Some(ticket)) if !ticket.wait(&waiting) => {
                match waiting.withdraw(Withdrawal::Cancelled) {
                    Some((_, error)) => Err(error),
                    None => Ok(None),
                }
            }
            (Started::Waiting(_), _) => Ok(None),
        }
    }

    /// Acquires a connection, sends one request on it and releases it.
    ///
    /// # Errors
    /// As [`AsyncPool::acquire`]. The callback gets what [`Pool::request`] would have returned, or
    /// `Cancelled`.
    pub fn run(
        &self,
        request: Request,
        ticket: &Arc<Ticket>,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        let dispatcher = self.dispatcher();
        let call = Call::new(ticket, dispatcher.expect_callback_of_reactor()?, done);
        let dispatcher = dispatcher.clone();
        self.start(None, call, move |call, lease| match lease {
            Ok(lease) => dispatcher.carry_out(RequestTask::on_lease(lease, request, call)),
            Err(error) => dispatcher.complete(call, Err(error)),
        });
        Ok(())
    }

    /// Sends a request on a connection, after those that were given to it before and are not
    /// answered yet.
    ///
    /// # Errors
    /// As [`AsyncPool::acquire`]; `InvalidHandle` in a forked child, if the parent acquired the
    /// connection. The callback gets what [`Lease::request`] would have returned.
    pub fn run_on(
        &self,
        lane: &Arc<ConnectionQueue>,
        request: Request,
        ticket: &Arc<Ticket>,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        lane.lease().check_process()?;
        let dispatcher = self.dispatcher();
        let call = Call::new(ticket, dispatcher.expect_callback_of_reactor()?, done);
        lane.submit(dispatcher, request, None, call);
        Ok(())
    }

    /// Carries out a request that [`ConnectionQueue::start`] or [`ConnectionQueue::resume`] found to need a thread.
    ///
    /// # Errors
    /// As [`AsyncPool::run_on`]; `InvalidState` if there is no such request.
    pub fn finish(
        &self,
        lane: &Arc<ConnectionQueue>,
        ticket: &Arc<Ticket>,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        lane.lease().check_process()?;
        let dispatcher = self.dispatcher();
        let pending = dispatcher.expect_callback_of_reactor()?;
        let (request, again) = lane.stepped.take_for_a_thread()?;
        lane.submit(dispatcher, request, again, Call::new(ticket, pending, done));
        Ok(())
    }

    /// Closes the pool as [`Pool::close`] does. Once it has returned, no callback runs, and none
    /// will.
    ///
    /// # Errors
    /// `WouldDeadlock` from within a callback, and nothing is closed then.
    pub fn close(&self) -> Result<()> {
        self.close_within(self.pool.options().close_timeout)
    }

    /// As [`AsyncPool::close`], but connections in use get `timeout` instead of `close_timeout`.
    ///
    /// # Errors
    /// As [`AsyncPool::close`].
    pub fn close_within(&self, timeout: Duration) -> Result<()> {
        self.pool.close_within(timeout)?;
        self.dispatcher().close();
        Ok(())
    }

    fn dispatcher(&self) -> &Arc<Dispatcher> {
        self.dispatcher.own(|_| Arc::default())
    }

    /// Starts an acquire whose outcome, whenever it comes, is dealt with by `deal`.
    fn start<T: 'static>(
        &self,
        timeout: Option<Duration>,
        call: Call<T>,
        deal: impl FnOnce(Call<T>, Result<Lease>) + Send + 'static,
    ) {
        let ticket = call.ticket().clone();
        if ticket.is_cancelled() {
            // Counted as any other (rule 22), though it asks for no connection.
            return deal(call, Err(self.pool.acquire_cancelled()));
        }
        let parts = Cell::new(Some((call, deal)));
        let take = || parts.take().expect("an acquire ends at once or waits, not both");
        let started = self.pool.start_acquire(timeout, || {
            let (call, deal) = take();
            Box::new(move |outcome| {
                call.leave_queue();
                deal(call, outcome);
            })
        });
        match started {
            Started::Over(outcome) => {
                let (call, deal) = take();
                deal(call, outcome);
            }
            Started::Waiting(waiting) if !ticket.wait(&waiting) => {
                if let Some((receiver, error)) = waiting.withdraw(Withdrawal::Cancelled) {
                    receiver(Err(error));
                }
            }
            Started::Waiting(_) => {}
        }
    }
}

impl Drop for AsyncPool {
    fn drop(&mut self) {
        self.dispatcher().begin_close();
    }
}
