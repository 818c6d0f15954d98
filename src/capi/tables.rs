//! What handles name: one table for each kind, but for connections, which `leases` has.

use std::sync::Arc;

use super::handles::{HandleKind, HandleTable, Sharded};
use crate::async_pool::{CallbackPool, Ticket};
use crate::client::Response;
use crate::error::{Code, Error};

pub static POOLS: HandleTable<Arc<CallbackPool>> = HandleTable::new(HandleKind::Pool);
pub static RESULTS: HandleTable<Response> = HandleTable::new(HandleKind::Result);
pub static TICKETS: HandleTable<Arc<Ticket>> = HandleTable::new(HandleKind::Ticket);

impl Sharded for Response {
    fn address(&self) -> usize {
        self.address()
    }
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
