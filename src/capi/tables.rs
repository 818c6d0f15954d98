//! What handles name: one table for each kind, but for connections, which `leases` has.

use std::sync::Arc;

use super::handles::{HandleKind, HandleTable, Sharded};
use super::{leases, pending_close};
use crate::async_pool::{CallbackPool, Ticket};
use crate::client::Response;
use crate::error::{Code, Error};
use crate::os::fork;

pub static POOLS: HandleTable<Arc<CallbackPool>> = HandleTable::new(HandleKind::Pool);
pub static RESULTS: HandleTable<Response> = HandleTable::new(HandleKind::Result);
pub static TICKETS: HandleTable<Arc<Ticket>> = HandleTable::new(HandleKind::Ticket);

impl Sharded for Response {
    fn address(&self) -> usize {
        self.address()
    }
}

/// Sees to it that no other thread is changing a table while one forks.
pub fn hold_during_fork() {
    fork::hold_during_fork(&POOLS, lock_all);
}

fn lock_all() -> Box<dyn FnOnce(fork::Side)> {
    let locked = (POOLS.lock(), RESULTS.lock(), TICKETS.lock(), leases::lock());
    let pending_closes = pending_close::lock();
    Box::new(move |side| {
        pending_closes(side);
        drop(locked);
    })
}

/// A handle that is NULL, or otherwise names nothing: `why` says what became of it.
#[cold]
pub fn invalid_handle<H>(name: &str, handle: *const H, why: &str) -> Error {
    let what = if handle.is_null() { "is NULL" } else { why };
    Error::new(Code::InvalidHandle, format!("{name}: the handle {what}"))
}

/// A table is full.
#[cold]
pub fn too_many(what: &str) -> Error {
    Error::new(Code::Overloaded, format!("too many {what} are open: there is no handle left"))
}
