//! [`CallbackPool`]: a pool whose calls do not wait, and tell a callback how they ended.
//!
//! Waiting for a connection takes no thread: the pool's queue holds the caller. Requests are handed
//! to the dispatcher's threads.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::direct_callback;
use super::dispatcher::Dispatcher;
use super::reactor;
use super::request_task::{ConnectionQueue, RequestTask};
use super::ticket::Ticket;
use crate::client::{Request, Response};
use crate::config::Options;
use crate::error::{Error, Result};
use crate::os::per_process::PerProcess;
use crate::os::threads;
use crate::pool::{Lease, Pool, StartedAcquire};

/// A pool whose calls can also be made without waiting: what they come to is told to a callback.
///
/// Each asynchronous call takes a ticket, to cancel it, and a callback. If the call returns
/// `Ok`, the callback runs exactly once: on a thread of the library, never within the call itself,
/// with no lock held. What waits (acquire, a request, close) is refused in a callback. A
/// callback that takes its time holds up others.
///
/// Like a [`Pool`], it may be used from any thread, and a forked child finds it empty and usable:
/// calls of its parent are not its own, and their callbacks do not run in it.
#[derive(Debug)]
pub struct CallbackPool {
    pool: Pool,
    dispatcher: PerProcess<Arc<Dispatcher>>,
}

impl CallbackPool {
    /// Makes a pool, as [`Pool::new`], and no thread yet.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn new(options: Options) -> Result<CallbackPool> {
        Ok(CallbackPool {
            pool: Pool::new(options)?,
            dispatcher: PerProcess::new(Dispatcher::new(reactor::run)),
        })
    }

    /// The pool, for the calls that wait, and for its numbers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Acquires a connection. `timeout` instead of the option `acquire_timeout`, if it is given.
    ///
    /// # Errors
    /// `Overloaded` if the system refuses a thread, `Closed`. The callback gets what
    /// [`Pool::acquire`] would have returned, or `Cancelled`.
    pub fn acquire(
        &self,
        timeout: Option<Duration>,
        ticket: &Arc<Ticket>,
        callback: impl FnOnce(Result<Lease>) + Send + 'static,
    ) -> Result<()> {
        let dispatcher = self.dispatcher();
        let call = Call::new(ticket, dispatcher.expect_callback_of_reactor()?, callback);
        let dispatcher = dispatcher.clone();
        self.start(timeout, call, move |call, outcome| {
            dispatcher.run_callback(move || call.complete(outcome));
        });
        Ok(())
    }

    /// Acquires a connection by the shortest way there is, for a caller that has tried
    /// [`Pool::acquire_ready`]: one that is free by now is returned at once.
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
            let (ticket, callback) = prepare();
            let call = Call::new(&ticket, self.dispatcher().expect_callback(), callback);
            let _ = prepared.set(ticket);
            Box::new(move |outcome| {
                call.ticket().leave();
                direct_callback::run(move || call.complete(outcome));
            })
        });
        match (started, prepared.get()) {
            (StartedAcquire::Done(outcome), _) => outcome.map(Some),
            (StartedAcquire::Waiting(waiter), Some(ticket))
                if !ticket.wait_for_connection(&waiter) =>
            {
                match waiter.cancel() {
                    Some((_, error)) => Err(error),
                    None => Ok(None),
                }
            }
            (StartedAcquire::Waiting(_), _) => Ok(None),
        }
    }

    /// Acquires a connection, sends one request on it and releases it.
    ///
    /// # Errors
    /// As [`CallbackPool::acquire`]. The callback gets what [`Pool::request`] would have returned, or
    /// `Cancelled`.
    pub fn run(
        &self,
        request: Request,
        ticket: &Arc<Ticket>,
        callback: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        let dispatcher = self.dispatcher();
        let call = Call::new(ticket, dispatcher.expect_callback_of_reactor()?, callback);
        let dispatcher = dispatcher.clone();
        self.start(None, call, move |call, lease| match lease {
            Ok(lease) => dispatcher.start(RequestTask::on_lease(lease, request, call)),
            Err(error) => dispatcher.run_callback(move || call.complete(Err(error))),
        });
        Ok(())
    }

    /// Sends a request on a connection, after those that were given to it before and are not over.
    ///
    /// # Errors
    /// As [`CallbackPool::acquire`]; `InvalidHandle` in a forked child, if the parent acquired the
    /// connection. The callback gets what [`Lease::request`] would have returned.
    pub fn run_on(
        &self,
        queue: &Arc<ConnectionQueue>,
        request: Request,
        ticket: &Arc<Ticket>,
        callback: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        queue.lease().check_process()?;
        let call = Call::new(ticket, self.dispatcher().expect_callback_of_reactor()?, callback);
        self.submit(queue, RequestTask::in_queue(queue, request, call));
        Ok(())
    }

    /// Carries out what is left of a request that [`ConnectionQueue::start`] began, however far it
    /// has come.
    ///
    /// # Errors
    /// As [`CallbackPool::run_on`]; `InvalidState` if no request was started.
    pub fn finish(
        &self,
        queue: &Arc<ConnectionQueue>,
        ticket: &Arc<Ticket>,
        callback: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<()> {
        queue.lease().check_process()?;
        let pending = self.dispatcher().expect_callback_of_reactor()?;
        let (request, progress) = queue.take_started()?;
        let call = Call::new(ticket, pending, callback);
        self.submit(queue, RequestTask::begun(queue, request, progress, call));
        Ok(())
    }

    fn submit(&self, queue: &ConnectionQueue, task: Box<RequestTask>) {
        let dispatcher = self.dispatcher();
        let (ticket, turns) = (task.ticket().clone(), queue.turns().clone());
        let is_begun = task.is_begun();
        match turns.enter(task) {
            Some(task) => dispatcher.start(task),
            // It is on the connection already, and its turn comes soon.
            None if is_begun => {}
            None => {
                let (dispatcher, its_ticket) = (dispatcher.clone(), ticket.clone());
                ticket.wait_for_turn(move || {
                    if let Some(task) =
                        turns.withdraw(|task| Arc::ptr_eq(task.ticket(), &its_ticket))
                    {
                        dispatcher.run_callback(move || task.withdraw());
                    }
                });
            }
        }
    }

    /// Closes the pool as [`Pool::close`] does. Once it has returned, no callback runs, and none
    /// will.
    ///
    /// # Errors
    /// `WouldDeadlock` from within a callback, and nothing is closed then.
    pub fn close(&self) -> Result<()> {
        self.close_within(self.pool.options().close_timeout)
    }

    /// As [`CallbackPool::close`], but connections in use get `timeout` instead of `close_timeout`.
    ///
    /// # Errors
    /// As [`CallbackPool::close`].
    pub fn close_within(&self, timeout: Duration) -> Result<()> {
        self.pool.close_within(timeout)?;
        self.dispatcher().close();
        Ok(())
    }

    /// Runs a close on a thread of its own, which nobody joins: it joins those of the pool.
    ///
    /// # Errors
    /// `Overloaded` if the system refuses a thread.
    pub fn start_close(close: impl FnOnce() + Send + 'static) -> Result<()> {
        threads::spawn("phantomdb-close", close)
            .map(drop)
            .map_err(|error| Error::of_system("Could not start a thread to close the pool", &error))
    }

    fn dispatcher(&self) -> &Arc<Dispatcher> {
        self.dispatcher.own(|parents| parents.for_child())
    }

    /// Starts an acquire whose outcome, whenever it comes, is handled by `handle`.
    fn start<T: 'static>(
        &self,
        timeout: Option<Duration>,
        call: Call<T>,
        handle: impl FnOnce(Call<T>, Result<Lease>) + Send + 'static,
    ) {
        let ticket = call.ticket().clone();
        if ticket.is_cancelled() {
            // Counted as any other (rule 22), though it asks for no connection.
            return handle(call, Err(self.pool.acquire_cancelled()));
        }
        if let Some(lease) = self.pool.acquire_ready() {
            return handle(call, Ok(lease));
        }
        let parts = Cell::new(Some((call, handle)));
        let take = || parts.take().expect("an acquire ends at once or waits, not both");
        let started = self.pool.start_acquire(timeout, || {
            let (call, handle) = take();
            Box::new(move |outcome| {
                call.ticket().leave();
                handle(call, outcome);
            })
        });
        match started {
            StartedAcquire::Done(outcome) => {
                let (call, handle) = take();
                handle(call, outcome);
            }
            StartedAcquire::Waiting(waiter) if !ticket.wait_for_connection(&waiter) => {
                if let Some((callback, error)) = waiter.cancel() {
                    callback(Err(error));
                }
            }
            StartedAcquire::Waiting(_) => {}
        }
    }
}

impl Drop for CallbackPool {
    fn drop(&mut self) {
        self.dispatcher().begin_close();
    }
}
