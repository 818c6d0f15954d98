//! [`AsyncPool`]: a pool whose calls are futures, for any executor.
//!
//! A future starts its call when it is first polled, is woken by the call's callback, and cancels
//! the call when it is dropped.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::callback_pool::CallbackPool;
use super::request_task::ConnectionQueue;
use super::ticket::Ticket;
use crate::client::{Request, Response};
use crate::config::Options;
use crate::error::{Code, Error, Result};
use crate::os::locks::Mutex;
use crate::pool::{Lease, Pool};

/// A pool of connections whose calls return futures. It needs no runtime of its own and works with
/// any executor.
///
/// A future does nothing until it is polled. Dropping it cancels its call: a caller that waits for a
/// connection leaves the queue; a request in flight is cut, and the pool replaces its connection.
/// Whenever that happens, no connection is lost. While futures wait, they take no thread; the library's
/// own threads, which serve the sockets, call only the executor's wakers.
///
/// Clones are handles to the same pool. It is closed when [`AsyncPool::close`] is called, or, without
/// waiting for what is in flight, when the last handle and the last lease are dropped. A forked child
/// finds the pool empty and usable; futures and leases of its parent fail in it with `InvalidHandle`.
///
/// ```no_run
#[doc = include_str!("../../examples/rust/asynchronous.rs")]
/// ```
#[derive(Clone, Debug)]
pub struct AsyncPool {
    pub(super) calls: Arc<CallbackPool>,
}

impl AsyncPool {
    /// Makes a pool, as [`Pool::new`], and no thread yet.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn new(options: Options) -> Result<AsyncPool> {
        Ok(AsyncPool { calls: Arc::new(CallbackPool::new(options)?) })
    }

    /// The pool that this is built on: for its numbers and settings, and for calls that wait, which
    /// block their thread.
    pub fn pool(&self) -> &Pool {
        self.calls.pool()
    }

    /// Acquires a connection, within `acquire_timeout`.
    ///
    /// # Errors
    /// The future's: as [`Pool::acquire`].
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<AsyncLease>> + Send + Unpin + 'static + use<> {
        self.acquire_within(None)
    }

    /// Acquires a connection, within `timeout`.
    ///
    /// # Errors
    /// The future's: as [`Pool::acquire`].
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<AsyncLease>> + Send + Unpin + 'static + use<> {
        self.acquire_within(Some(timeout))
    }

    /// Takes a connection if one is free, without waiting and without the network.
    ///
    /// # Errors
    /// As [`Pool::try_acquire`].
    pub fn try_acquire(&self) -> Result<AsyncLease> {
        Ok(AsyncLease::new(self.pool().try_acquire()?, self.calls.clone()))
    }

    fn acquire_within(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<AsyncLease>> + Send + Unpin + 'static + use<> {
        let calls = self.calls.clone();
        CallFuture::new(move |ticket, completion: Completion<AsyncLease>| {
            if let Some(lease) = calls.pool().acquire_ready() {
                return Ok(Some(AsyncLease::new(lease, calls)));
            }
            let acquired = calls.acquire_direct(timeout, || {
                let calls = calls.clone();
                let callback = move |outcome: Result<Lease>| {
                    completion.complete(outcome.map(|lease| AsyncLease::new(lease, calls)));
                };
                (ticket.clone(), callback)
            })?;
            Ok(acquired.map(|lease| AsyncLease::new(lease, calls)))
        })
    }

    /// Acquires a connection, sends one request on it and releases it.
    ///
    /// # Errors
    /// The future's: as [`Pool::acquire`] and [`Lease::request`]; `Overloaded` if the system refuses a
    /// thread.
    pub fn request(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Response>> + Send + Unpin + 'static + use<> {
        let calls = self.calls.clone();
        CallFuture::new(move |ticket, completion: Completion<Response>| {
            calls.run(request, ticket, move |outcome| completion.complete(outcome))?;
            Ok(None)
        })
    }

    /// Closes the pool as [`Pool::close`] does, on a thread of its own. Afterwards no callback, socket
    /// or connection of the pool is left. Dropping the future does not keep a close that began from
    /// going on.
    ///
    /// # Errors
    /// The future's: `Overloaded` if the system refuses a thread, and nothing is closed then.
    pub fn close(&self) -> impl Future<Output = Result<()>> + Send + Unpin + 'static + use<> {
        self.close_within(self.pool().options().close_timeout)
    }

    /// As [`AsyncPool::close`], but connections in use get `timeout` instead of `close_timeout`.
    ///
    /// # Errors
    /// As [`AsyncPool::close`].
    pub fn close_within(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<()>> + Send + Unpin + 'static + use<> {
        let calls = self.calls.clone();
        CallFuture::new(move |_, completion: Completion<()>| {
            CallbackPool::start_close(move || completion.complete(calls.close_within(timeout)))?;
            Ok(None)
        })
    }
}

/// An acquired connection. Dropping it gives it back, after the requests on it that are not over.
///
/// Requests on it run one after the other, in the order in which their futures were first polled.
#[derive(Debug)]
pub struct AsyncLease {
    queue: Arc<ConnectionQueue>,
    calls: Arc<CallbackPool>,
}

impl AsyncLease {
    fn new(lease: Lease, calls: Arc<CallbackPool>) -> AsyncLease {
        AsyncLease { queue: ConnectionQueue::new(lease), calls }
    }

    /// Sends a request and gives its response, within `request_timeout`.
    ///
    /// # Errors
    /// The future's: as [`Lease::request`]; `Overloaded` if the system refuses a thread.
    pub fn request(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Response>> + Send + Unpin + 'static + use<> {
        let (queue, calls) = (self.queue.clone(), self.calls.clone());
        CallFuture::new(move |ticket, completion: Completion<Response>| {
            calls.run_on(&queue, request, ticket, move |outcome| completion.complete(outcome))?;
            Ok(None)
        })
    }

    /// Names who has the connection, as [`Lease::set_owner`].
    pub fn set_owner(&self, owner: &str) {
        self.queue.lease().set_owner(owner);
    }

    /// Closes the connection instead of giving it back for reuse.
    pub fn discard(self) {
        self.queue.lease().mark_discarded();
    }
}

/// A call that starts when it is first polled, and is cancelled when it is dropped.
struct CallFuture<T, S>(CallState<T, S>);

enum CallState<T, S> {
    New(S),
    Started { ticket: Arc<Ticket>, outcome: Arc<Outcome<T>> },
    Over,
}

/// What the callback leaves for the future.
struct Outcome<T>(Mutex<OutcomeState<T>>);

enum OutcomeState<T> {
    Awaited(Waker),
    There(Result<T>),
    /// The future took it, or was dropped.
    Unwanted,
}

/// The callback's end of it.
struct Completion<T>(Arc<Outcome<T>>);

impl<T, S> CallFuture<T, S>
where
    S: FnOnce(&Arc<Ticket>, Completion<T>) -> Result<Option<T>>,
{
    /// `start` starts the call, and returns what it came to if that is known at once.
    fn new(start: S) -> Self {
        CallFuture(CallState::New(start))
    }
}

impl<T> Completion<T> {
    /// Called once, by the callback.
    fn complete(self, outcome: Result<T>) {
        let mut state = self.0.0.lock();
        match mem::replace(&mut *state, OutcomeState::Unwanted) {
            OutcomeState::Awaited(waker) => {
                *state = OutcomeState::There(outcome);
                drop(state);
                waker.wake();
            }
            _ => {
                drop(state);
                // Which gives a connection back that nobody wants.
                drop(outcome);
            }
        }
    }
}

impl<T> Outcome<T> {
    fn poll(&self, waker: &Waker) -> Poll<Result<T>> {
        let mut next = OutcomeState::Awaited(waker.clone());
        let mut state = self.0.lock();
        if let OutcomeState::There(_) = *state {
            next = OutcomeState::Unwanted;
        }
        let before = mem::replace(&mut *state, next);
        // Dropping a waker may run code of the executor.
        drop(state);
        match before {
            OutcomeState::There(outcome) => Poll::Ready(outcome),
            OutcomeState::Awaited(_) => Poll::Pending,
            OutcomeState::Unwanted => unreachable!("a future that took its outcome is over"),
        }
    }

    /// Gives up what may have come, or come later.
    fn give_up(&self) {
        let unwanted = mem::replace(&mut *self.0.lock(), OutcomeState::Unwanted);
        // After the lock is released, because it may give a connection back.
        drop(unwanted);
    }
}

// Nothing in it is ever pinned.
impl<T, S> Unpin for CallFuture<T, S> {}

impl<T, S> Future for CallFuture<T, S>
where
    S: FnOnce(&Arc<Ticket>, Completion<T>) -> Result<Option<T>>,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        match mem::replace(&mut self.0, CallState::Over) {
            CallState::New(start) => {
                let ticket = Ticket::new();
                let awaited = OutcomeState::Awaited(context.waker().clone());
                let outcome = Arc::new(Outcome(Mutex::new(awaited)));
                if let Some(at_once) = start(&ticket, Completion(outcome.clone())).transpose() {
                    return Poll::Ready(at_once);
                }
                self.0 = CallState::Started { ticket, outcome };
                Poll::Pending
            }
            CallState::Started { ticket, outcome } if ticket.is_inherited() => {
                leak(ticket, outcome);
                Poll::Ready(Err(Error::new(
                    Code::InvalidHandle,
                    "the call belongs to the parent process, which made it before the fork",
                )))
            }
            CallState::Started { ticket, outcome } => {
                let polled = outcome.poll(context.waker());
                if polled.is_pending() {
                    self.0 = CallState::Started { ticket, outcome };
                }
                polled
            }
            CallState::Over => panic!("a future was polled after it was over"),
        }
    }
}

impl<T, S> Drop for CallFuture<T, S> {
    fn drop(&mut self) {
        match mem::replace(&mut self.0, CallState::Over) {
            CallState::Started { ticket, outcome } if ticket.is_inherited() => {
                leak(ticket, outcome)
            }
            CallState::Started { ticket, outcome } => {
                outcome.give_up();
                // Its only error is of an inherited ticket.
                let _ = ticket.cancel();
            }
            CallState::New(_) | CallState::Over => {}
        }
    }
}

/// Leaves alone what belongs to the parent process: a thread that this process does not have may hold
/// its locks.
fn leak<T>(ticket: Arc<Ticket>, outcome: Arc<Outcome<T>>) {
    mem::forget((ticket, outcome));
}
