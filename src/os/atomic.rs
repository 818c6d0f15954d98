//! The atomics of the pool's fast path, which a model checker replaces by its own: shuttle, for the
//! pool as a whole, or loom, for the fast path alone and with weak memory (`tests/loom`).

#[cfg(all(shuttle, not(loom)))]
pub use crate::model::locks::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(any(shuttle, loom)))]
pub use std::sync::atomic::{AtomicU64, Ordering};

/// What one thread at a time writes. To shuttle, whose memory is not weak, its uses are no points at
/// which others may go on.
#[cfg(loom)]
pub use loom::sync::atomic::AtomicU64 as OwnedU64;
#[cfg(not(loom))]
pub use std::sync::atomic::AtomicU64 as OwnedU64;
