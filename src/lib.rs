//! A connection pool and client for PhantomDB.
//!
//! Arrows go down only: `capi` -> `pool` -> `client` -> `error`, `config`.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod client;
mod config;
mod error;
mod fork;
mod pool;
mod sync;
mod threads;

#[cfg(feature = "capi")]
pub mod capi;

pub use client::{Answer, Request};
pub use config::{
    LogLevel, Logger, MAX_CONNECTIONS_LIMIT, MAX_DURATION, Options, Secret, Validation,
};
pub use error::{Code, Error, Result};
pub use pool::{Lease, Pool, Status};
