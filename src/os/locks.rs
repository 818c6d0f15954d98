//! The locks of the library: those of std, without poisoning.
//!
//! They are std's and not parking_lot's because of fork: a futex is a word of memory, so a lock
//! made after a fork depends on no thread that is gone, while parking_lot's global table of
//! parked threads may stay locked for ever in a child. A panic is caught where it happens and
//! must not make the pool unusable, so poisoning is of no use.
//!
//! Under the model checker (`--cfg shuttle`) they are its own; see `model`.

mod plain;

/// For statics. The model checker's locks do not outlive one of its runs, so these are never its.
#[allow(unused_imports, reason = "only the C ABI has a static that waits")]
pub use plain::Condvar as StaticCondvar;
#[cfg(not(shuttle))]
pub use plain::{Condvar, Mutex, MutexGuard};
pub use plain::{Mutex as StaticMutex, MutexGuard as StaticMutexGuard};
#[cfg(not(shuttle))]
pub use std::sync::atomic;

#[cfg(shuttle)]
pub use crate::model::locks::{Condvar, Mutex, MutexGuard, atomic};
