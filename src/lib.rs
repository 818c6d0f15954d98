//! A connection pool and client for PhantomDB.
//!
//! Arrows go down only: `capi` -> `async_pool` -> `pool` -> `client` -> `os`, `error`, `config`.
#![deny(unsafe_code)]
#![warn(missing_docs)]
// The model checker's build has no use for what speaks HTTP.
#![cfg_attr(shuttle, allow(dead_code, unused_imports, missing_docs))]

mod async_pool;
pub mod client;
mod config;
mod error;
#[cfg(shuttle)]
mod model;
mod os;
mod pool;

#[cfg(feature = "capi")]
pub mod capi;

#[doc(hidden)]
pub use async_pool::CompletionQueue;
pub use async_pool::{AsyncPool, ConnectionQueue, Pace, Ticket, Wanted};
pub use client::{Operation, Parameter, Request, Response};
pub use config::{
    LogLevel, Logger, MAX_CONNECTIONS_LIMIT, MAX_DURATION, Options, Secret, Validation,
};
pub use error::{Code, Error, Result};
pub use pool::{Lease, Pool, Status};
