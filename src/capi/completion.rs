//! What an asynchronous call leaves for an event loop: the outcome, and in which queue.

use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::sync::Arc;

use super::call::{UserData, call};
use super::connection::{self, phantomdb_connection};
use super::error::phantomdb_error;
use super::handles::{HandleKind, HandleTable, Lookup, number};
use super::pool::phantomdb_pool;
use super::result::phantomdb_result;
use super::tables::{RESULTS, invalid_handle};
use crate::async_pool::CompletionQueue;
use crate::error::{Error, Result};
use crate::os::fork;

pub(super) type Queue = CompletionQueue<Completion>;

pub(super) static QUEUES: HandleTable<Arc<Queue>> = HandleTable::new(HandleKind::CompletionQueue);

/// Sees to it that no other thread is changing the table while one forks.
pub(super) fn hold_during_fork() {
    fork::hold_during_fork(&QUEUES, || {
        let locked = QUEUES.lock();
        Box::new(move |_| drop(locked))
    });
}

/// Where asynchronous calls leave their outcomes for your event loop, instead of calling a
/// function of yours on a thread of the library.
///
/// Wherever a call takes a callback and its `user_data`, pass `phantomdb_post_result()` (or
/// `phantomdb_post_connection()`, `phantomdb_post_close()`) and the address of a
/// `phantomdb_completion_target`, which names the queue. When the call is over, it adds one
/// `phantomdb_completion` to the queue and wakes your loop, which calls
/// `phantomdb_completion_queue_take` until it gets fewer completions than there is room for:
///
///     phantomdb_completion_target target = {.queue = queue, .user_data = call};
///     phantomdb_pool_run_async(pool, PHANTOMDB_LIST_DATABASES, NULL, 0, phantomdb_post_result(),
///                              &target, NULL, &error);
///     ...
///     phantomdb_completion done[16];
///     uint64_t count = 0;
///     do {
///         phantomdb_completion_queue_take(queue, 0, done, 16, &count, NULL);
///         for (uint64_t i = 0; i < count; i++) finish(done[i].user_data, &done[i]);
///     } while (count == 16);
///
/// The loop is woken by the function that was passed to `phantomdb_completion_queue_create`, by
/// the descriptor that `phantomdb_completion_queue_descriptor` returns, or by both. A thread with
/// nothing else to do may wait in `phantomdb_completion_queue_take` instead. A take that gets
/// fewer completions than there is room for has emptied the queue. The first completion after it
/// wakes the loop, and later ones don't until another take gets fewer than there is room for. So
/// always take until then. What completes between two takes, also by your own releases and
/// cancels, wakes nobody if the first filled its array; the second gets it.
///
/// Any number of pools may share a queue, and a pool may use any number of queues. Every function
/// may be called from any thread; if several threads take, each completion goes to one of them.
/// Completions are in the order in which their calls ended. Each call that returned
/// `PHANTOMDB_OK` has exactly one, also after `phantomdb_cancel` and after its pool was closed.
///
/// Create it with `phantomdb_completion_queue_create`, free it with
/// `phantomdb_completion_queue_free`. In a forked child a queue of the parent is
/// `PHANTOMDB_ERR_INVALID_HANDLE`: create another one there.
pub struct phantomdb_completion_queue {
    _private: (),
}

/// Where the outcome of one asynchronous call goes. It is read during the call that it is passed
/// to, and need not live longer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct phantomdb_completion_target {
    /// The queue.
    pub queue: *mut phantomdb_completion_queue,
    /// Passed on unchanged, in `phantomdb_completion.user_data`.
    pub user_data: *mut c_void,
    /// For later versions; must be zero.
    pub reserved: [u64; 2],
}

/// The outcome of one asynchronous call; filled by `phantomdb_completion_queue_take`.
#[repr(C)]
pub struct phantomdb_completion {
    /// The `user_data` of the call's `phantomdb_completion_target`.
    pub user_data: *mut c_void,
    /// After an acquire that succeeded: the connection, yours to release. Otherwise NULL.
    pub connection: *mut phantomdb_connection,
    /// The pool of that connection, where it is to be released. Otherwise NULL.
    pub pool: *mut phantomdb_pool,
    /// After a request that succeeded: its result, yours to free. Otherwise NULL.
    pub result: *mut phantomdb_result,
    /// For later versions; zero.
    pub reserved: [u64; 4],
    /// Its `code` is `PHANTOMDB_OK`, or says why the call failed.
    pub error: phantomdb_error,
}

/// An entry of a queue.
pub(super) struct Completion {
    user_data: UserData,
    brought: Brought,
}

/// What a call has brought. It goes back to the library if nobody takes it.
pub(super) enum Brought {
    Nothing,
    /// The number of a handle.
    Connection(usize),
    /// The number of a handle.
    Result(usize),
    /// Boxed, since it is large, and most calls do not fail.
    Failure(Box<phantomdb_error>),
}

impl Brought {
    pub(super) fn connection(handle: *mut phantomdb_connection) -> Brought {
        if handle.is_null() { Brought::Nothing } else { Brought::Connection(number(handle)) }
    }

    pub(super) fn result(handle: *mut phantomdb_result) -> Brought {
        if handle.is_null() { Brought::Nothing } else { Brought::Result(number(handle)) }
    }
}

impl Completion {
    pub(super) fn new(user_data: UserData, outcome: Result<Brought>) -> Completion {
        let failed = |error| Brought::Failure(Box::new(phantomdb_error::of(&error)));
        Completion { user_data, brought: outcome.unwrap_or_else(failed) }
    }

    /// Hands it to the program.
    pub(super) fn write(self, to: &mut phantomdb_completion) {
        to.user_data = self.user_data.get();
        to.connection = ptr::null_mut();
        to.pool = ptr::null_mut();
        to.result = ptr::null_mut();
        to.reserved = [0; 4];
        to.error.clear();
        let mut brought = self.brought;
        match &mut brought {
            Brought::Nothing => {}
            Brought::Connection(handle) => {
                to.connection = ptr::without_provenance_mut(*handle);
                to.pool = connection::pool_of(to.connection).unwrap_or(ptr::null_mut());
                // The program has it now.
                mem::forget(brought);
            }
            Brought::Result(handle) => {
                to.result = ptr::without_provenance_mut(*handle);
                // The program has it now.
                mem::forget(brought);
            }
            Brought::Failure(error) => mem::swap(&mut to.error, error),
        }
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        match *self {
            Brought::Connection(handle) => {
                connection::release_untaken(ptr::without_provenance_mut(handle))
            }
            Brought::Result(handle) => {
                RESULTS.remove::<phantomdb_result>(ptr::without_provenance_mut(handle), |_| true);
            }
            Brought::Nothing | Brought::Failure(_) => {}
        }
    }
}

/// What is told of the outcome of a call: a function of the program, or a queue.
pub(super) enum Receiver<F> {
    Callback(F, UserData),
    Queue(Arc<Queue>, UserData),
}

impl<F: Copy + PartialEq> Receiver<F> {
    /// `post` is the function that stands for a queue.
    ///
    /// # Safety
    /// If `callback` is `post`, `user_data` is NULL or leads to a [`phantomdb_completion_target`].
    pub(super) unsafe fn new(
        callback: Option<F>,
        user_data: *mut c_void,
        post: F,
    ) -> Result<Receiver<F>> {
        let callback = callback.ok_or_else(|| Error::invalid_argument("callback", "is NULL"))?;
        if callback != post {
            return Ok(Receiver::Callback(callback, UserData(user_data)));
        }
        // SAFETY: the callback is `post`, so `user_data` is NULL or leads to a target.
        let (queue, user_data) = unsafe { target(user_data) }?;
        Ok(Receiver::Queue(queue, user_data))
    }
}

/// The queue that a target names, and what goes with it.
///
/// # Safety
/// It is NULL or leads to a [`phantomdb_completion_target`].
unsafe fn target(target: *const c_void) -> Result<(Arc<Queue>, UserData)> {
    // SAFETY: `target` is NULL or leads to a target: this function asks the same of its caller.
    let target =
        unsafe { target.cast::<phantomdb_completion_target>().as_ref() }.ok_or_else(|| {
            Error::invalid_argument(
                "user_data",
                "is NULL, but must point to a phantomdb_completion_target",
            )
        })?;
    if target.reserved != [0; 2] {
        return Err(Error::invalid_argument(
            "user_data",
            "the target sets a member that this version of libphantomdb does not know",
        ));
    }
    Ok((find(target.queue)?, UserData(target.user_data)))
}

pub(super) fn find(queue: *mut phantomdb_completion_queue) -> Result<Arc<Queue>> {
    match QUEUES.find(queue) {
        Lookup::Live(found) => found.check_process().map(|()| found),
        _ => Err(invalid_handle("queue", queue, "has already been freed, or was never valid")),
    }
}

/// Posts what a callback was handed.
///
/// # Safety
/// `error` is NULL or valid, and `user_data` is NULL or leads to a [`phantomdb_completion_target`].
unsafe fn post(brought: Brought, error: *const phantomdb_error, user_data: *mut c_void) {
    let body = || {
        // SAFETY: `error` is NULL or readable: this function asks the same of its caller.
        let is_failure = unsafe { error.as_ref() }.is_some_and(|error| error.code != 0);
        let brought = if is_failure {
            // SAFETY: it is not NULL, and made of numbers alone, so that a copy is one of its own.
            Brought::Failure(Box::new(unsafe { ptr::read(error) }))
        } else {
            brought
        };
        // SAFETY: `user_data` is NULL or leads to a target: this function asks the same of its
        // caller.
        let (queue, user_data) = unsafe { target(user_data) }?;
        queue.post(Completion { user_data, brought });
        Ok(())
    };
    // SAFETY: there is no error struct.
    unsafe { call(ptr::null_mut(), body) };
}

pub(super) unsafe extern "C" fn post_connection(
    connection: *mut phantomdb_connection,
    error: *const phantomdb_error,
    user_data: *mut c_void,
) {
    // SAFETY: the library, or a callback that passes on its own arguments, promises that `error` is
    // NULL or readable, and that `user_data` is NULL or leads to a target.
    unsafe { post(Brought::connection(connection), error, user_data) };
}

pub(super) unsafe extern "C" fn post_result(
    result: *mut phantomdb_result,
    error: *const phantomdb_error,
    user_data: *mut c_void,
) {
    // SAFETY: the library, or a callback that passes on its own arguments, promises that `error` is
    // NULL or readable, and that `user_data` is NULL or leads to a target.
    unsafe { post(Brought::result(result), error, user_data) };
}

pub(super) unsafe extern "C" fn post_close(error: *const phantomdb_error, user_data: *mut c_void) {
    // SAFETY: the library, or a callback that passes on its own arguments, promises that `error` is
    // NULL or readable, and that `user_data` is NULL or leads to a target.
    unsafe { post(Brought::Nothing, error, user_data) };
}
