//! A connection pool and client for PhantomDB.
//!
//! Arrows go down only: `capi` -> `executor` -> `pool` -> `client` -> `error`, `config`.
#![deny(unsafe_code)]
#![warn(missing_docs)]
// The model checker's build has no use for what speaks HTTP.
#![cfg_attr(shuttle, allow(dead_code, unused_imports, missing_docs))]

mod chance;
pub mod client;
mod clock;
mod config;
mod error;
mod executor;
mod fork;
#[cfg(shuttle)]
mod model;
mod per_process;
mod pool;
mod secure;
mod sync;
mod threads;

#[cfg(feature = "capi")]
pub mod capi;

pub use client::{Answer, Operation, Parameter, Request};
pub use config::{
    LogLevel, Logger, MAX_CONNECTIONS_LIMIT, MAX_DURATION, Options, Secret, Validation,
};
pub use error::{Code, Error, Result};
pub use executor::{Executor, Lane, Pace, Ticket, Wanted};
pub use pool::{Lease, Pool, Status};
