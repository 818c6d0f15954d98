//! Calls that take no thread while they wait.
//!
//! An [`AsyncPool`] gives futures; below it, a [`CallbackPool`] tells callbacks, for the C ABI too.
//! The dispatcher hands requests to the `reactor`, one thread that serves many sockets at once, and
//! to helpers. A [`Ticket`] cancels one call. A [`ConnectionQueue`] is a lease with the requests that
//! wait for their turn on it, and the one that the program carries on itself, step by step.

mod call;
mod callback_pool;
mod completion_queue;
mod connection_queue;
mod direct_callback;
mod dispatcher;
mod futures;
#[cfg(all(test, shuttle))]
mod model;
mod reactor;
mod request_task;
mod step_by_step;
mod ticket;
mod turns;

pub use callback_pool::CallbackPool;
pub use completion_queue::CompletionQueue;
pub use futures::{AsyncLease, AsyncPool};
pub use request_task::ConnectionQueue;
pub use ticket::Ticket;
