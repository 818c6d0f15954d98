//! `phantomdb_completion_queue`: asynchronous calls whose outcomes a loop of the program takes.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use super::asynchronous::{
    phantomdb_acquire_callback, phantomdb_close_callback, phantomdb_result_callback,
};
use super::call::{UserData, call, call_at_once, output};
use super::completion::{
    QUEUES, Queue, find, hold_during_fork, phantomdb_completion, phantomdb_completion_queue,
    post_close, post_connection, post_result,
};
use super::error::phantomdb_error;
use super::member::from_ms;
use super::tables::too_many;
use crate::config::MAX_DURATION;
use crate::error::Error;

/// Wakes the loop that takes from a queue. It runs on the thread that brings the completion: one
/// of the library, or one of yours, within a call that ended another. So it must only wake the
/// loop, or record that there is something to take; it must call nothing of this library, and
/// return at once.
pub type phantomdb_wake_callback = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Returns the callback for `phantomdb_pool_acquire_async` and `phantomdb_pool_acquire_direct`
/// that posts the outcome to a queue. The `user_data` of the call is the address of a
/// `phantomdb_completion_target`, which is read during the call.
///
/// A callback of your own may call it, too, to pass on its arguments.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_post_connection() -> phantomdb_acquire_callback {
    Some(post_connection)
}

/// Returns the callback for `phantomdb_pool_run_async` and all other asynchronous requests that
/// posts the outcome to a queue. Otherwise like `phantomdb_post_connection`.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_post_result() -> phantomdb_result_callback {
    Some(post_result)
}

/// Returns the callback for `phantomdb_pool_close_async` that posts the outcome to a queue.
/// Otherwise like `phantomdb_post_connection`.
#[unsafe(no_mangle)]
pub extern "C" fn phantomdb_post_close() -> phantomdb_close_callback {
    Some(post_close)
}

/// Creates a queue. `wake` is called with `wake_user_data` to wake the loop that takes from it.
/// It may be NULL if the loop watches the queue's descriptor, or if a thread waits in
/// `phantomdb_completion_queue_take`.
///
/// On success `*queue` is the new queue, to be freed with `phantomdb_completion_queue_free`; on
/// failure it is NULL.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_completion_queue_create(
    wake: phantomdb_wake_callback,
    wake_user_data: *mut c_void,
    queue: *mut *mut phantomdb_completion_queue,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `queue` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            let output = output("queue", queue)?;
            *output = ptr::null_mut();
            hold_during_fork();
            let made = Arc::new(Queue::new(waker(wake, UserData(wake_user_data))));
            *output = QUEUES.insert(made).ok_or_else(|| too_many("queues"))?;
            Ok(())
        })
    }
}

fn waker(
    wake: phantomdb_wake_callback,
    user_data: UserData,
) -> Option<Box<dyn Fn() + Send + Sync>> {
    let wake = wake?;
    // SAFETY: the program passed `wake` to be called from any thread until the queue is freed.
    Some(Box::new(move || unsafe { wake(user_data.get()) }))
}

/// Gives the descriptor that becomes readable when the queue wakes its loop, for poll, epoll and
/// the like. It stays readable until a take gets fewer completions than there was room for. It is
/// the same one each time, and belongs to the library: only watch it.
/// `phantomdb_completion_queue_free` closes it.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_OVERLOADED` if the system has no
/// descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_completion_queue_descriptor(
    queue: *mut phantomdb_completion_queue,
    descriptor: *mut i32,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `descriptor` and `error` are NULL or writable.
    unsafe {
        call(error, || {
            let output = output("descriptor", descriptor)?;
            *output = -1;
            *output = find(queue)?.descriptor()?;
            Ok(())
        })
    }
}

/// Takes completions, in the order in which they came, and fills `completions`, which has room
/// for `capacity` of them. `*count` is their number; if it is less than `capacity`, nothing is
/// left, and the next completion wakes the loop.
///
/// If the queue is empty, it waits for the first completion, at most `timeout_ms` milliseconds.
/// With 0, which is what an event loop needs, it never waits.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`; `PHANTOMDB_ERR_INVALID_HANDLE`, also if the queue is
/// freed while this waits; `PHANTOMDB_ERR_WOULD_DEADLOCK` if it would wait in a callback of the
/// library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_completion_queue_take(
    queue: *mut phantomdb_completion_queue,
    timeout_ms: i64,
    completions: *mut phantomdb_completion,
    capacity: u64,
    count: *mut u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `completions` has room for `capacity` completions, and that `count`
    // and `error` are NULL or writable.
    unsafe {
        call(error, || {
            let count = output("count", count)?;
            *count = 0;
            let first: *mut phantomdb_completion = output("completions", completions)?;
            let most = usize::try_from(capacity).unwrap_or(usize::MAX);
            if most == 0 {
                return Err(Error::invalid_argument("capacity", "must be at least 1"));
            }
            let timeout = from_ms("timeout_ms", timeout_ms)?;
            let deadline = (!timeout.is_zero()).then(|| Instant::now() + timeout.min(MAX_DURATION));
            let mut next = first;
            let taken = find(queue)?.take(most, deadline, |completion| {
                completion.write(&mut *next);
                next = next.add(1);
            })?;
            *count = taken as u64;
            Ok(())
        })
    }
}

/// Lets no completion wake the loop until a take gets fewer completions than there is room for.
/// For a loop that is at work, and will take before it sleeps: what its own releases and cancels
/// complete does not wake it then.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_completion_queue_defer_wake(
    queue: *mut phantomdb_completion_queue,
    error: *mut phantomdb_error,
) -> i32 {
    let defer = || {
        find(queue)?.defer_wake();
        Ok(())
    };
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call_at_once(error, defer) }
}

/// Frees a queue. Connections and results in it that nobody has taken are released and freed.
/// Calls that name the queue and are in progress go on, unless you cancel them, and what they
/// bring is released and freed, too. After this has returned, the wake function does not run any
/// more.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE` for NULL and for a queue that has already been freed;
/// `PHANTOMDB_ERR_WOULD_DEADLOCK` in the wake function, where it frees nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_completion_queue_free(
    queue: *mut phantomdb_completion_queue,
    error: *mut phantomdb_error,
) -> i32 {
    let free = || {
        find(queue)?.close()?;
        QUEUES.remove(queue, |_| true);
        Ok(())
    };
    // SAFETY: C promises that `error` is NULL or writable.
    unsafe { call(error, free) }
}
