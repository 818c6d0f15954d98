//! What handles name: one table for each kind.

use std::sync::Arc;

use super::completion_queue::Queue;
use super::handles::{Kept, Kind, Table};
use super::pending_close;
use crate::async_pool::{CallbackPool, ConnectionQueue, Ticket};
use crate::client::Response;
use crate::error::{Code, Error};
use crate::os::fork;

pub static POOLS: Table<Arc<CallbackPool>> = Table::new(Kind::Pool);
pub static CONNECTIONS: Table<LeaseEntry> = Table::new(Kind::Connection);
pub static RESULTS: Table<Arc<Response>> = Table::new(Kind::Result);
pub static TICKETS: Table<Arc<Ticket>> = Table::new(Kind::Ticket);
pub static QUEUES: Table<Arc<Queue>> = Table::new(Kind::CompletionQueue);

/// What the handle of a connection names.
#[derive(Clone)]
pub struct LeaseEntry {
    /// The number of the pool's handle.
    pub pool: usize,
    pub lane: Arc<ConnectionQueue>,
}

impl Kept for LeaseEntry {
    fn address(&self) -> usize {
        self.lane.address()
    }
}

/// Sees to it that no other thread is changing a table while one forks.
pub fn hold_during_fork() {
    fork::hold_during_fork(&POOLS, hold_all);
}

fn hold_all() -> Box<dyn FnOnce(fork::Side)> {
    let held = (POOLS.hold(), CONNECTIONS.hold(), RESULTS.hold(), TICKETS.hold(), QUEUES.hold());
    let pending_closes = pending_close::hold();
    Box::new(move |side| {
        pending_closes(side);
        drop(held);
    })
}

/// There are more handles than a handle can number.
pub fn too_many(what: &str) -> Error {
    Error::new(Code::Overloaded, format!("More {what} are open than handles can name"))
}
