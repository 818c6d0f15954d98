//! The library's own threads.
//!
//! Under the model checker (`--cfg shuttle`) they are its own; see `model`.

#[cfg(not(shuttle))]
mod plain;

#[cfg(shuttle)]
pub use crate::model::threads::{JoinHandle, is_ours, spawn};
#[cfg(not(shuttle))]
pub use plain::{JoinHandle, is_ours, spawn};
