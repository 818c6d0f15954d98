//! A connection pool and client for PhantomDB.
//!
//! Arrows go down only: `capi` -> `async_pool` -> `pool` -> `client` -> `os`, `error`, `config`.
// Allowed only in `os` and `capi`.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]
// The model checker's build has no use for what speaks HTTP.
#![cfg_attr(shuttle, allow(dead_code, unused_imports, missing_docs))]
// Without the C ABI nothing uses what is there for it alone.
#![cfg_attr(not(feature = "capi"), allow(dead_code, unused_imports))]

mod async_pool;
mod client;
mod config;
mod error;
#[cfg(shuttle)]
mod model;
mod os;
mod pool;

#[cfg(feature = "capi")]
#[doc(hidden)]
pub mod capi;

pub use async_pool::{AsyncLease, AsyncPool};
pub use client::{
    Cell, CellKind, Cells, JsonString, JsonToken, JsonTokens, Names, Number, Operation, Parameter,
    Request, Response, Table,
};
pub use config::{
    LogLevel, Logger, MAX_CONNECTIONS_LIMIT, MAX_DURATION, Options, Secret, Validation,
};
pub use error::{Code, Error, Result};
pub use pool::{Lease, Pool, Status};

/// What the tests, benches and fuzzers of this repository use. It may change at any time.
#[doc(hidden)]
pub mod internal {
    pub use crate::async_pool::{CallbackPool, CompletionQueue, ConnectionQueue, Ticket};
    pub use crate::client::*;
}
