//! What time it is.

#[cfg(shuttle)]
pub use crate::model::time::now;

/// The time that deadlines are compared with.
#[cfg(not(shuttle))]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}
