//! The dials of a simulated pool.

use std::time::Instant;

/// The dials under way and how the last ones ended.
#[derive(Debug, Default)]
pub struct Dials {
    pub by_workers: usize,
    pub by_leases: usize,
    pub waiting_leases: usize,
    /// Failures since the last success.
    pub failures: u32,
    pub failed_at: Option<Instant>,
}

impl Dials {
    pub fn under_way(&self) -> usize {
        self.by_workers + self.by_leases
    }
}
