//! Whoever wants to cut one request, and no other on the same connection.

use std::sync::Arc;

use crate::client::transport::dial_limiter::CancelHandle;

/// Told, with its number, that a socket is closed: on whichever thread closes it, which may hold
/// locks. So it makes a note and wakes somebody, and nothing else.
pub type Closed = Box<dyn FnOnce(usize) + Send>;

/// Told when a request begins and when it ends.
pub trait Watch: Send + Sync {
    /// It begins: until [`Watch::ends`], the cancel_handle cuts this request and no other. False if
    /// it is not wanted any more; then nothing is sent, and the request fails with `Cancelled`.
    fn begins(&self, cancel_handle: &CancelHandle) -> bool;

    /// It ended, however it did.
    fn ends(&self);
}

/// A request under way, whose end is told even if it is a panic.
pub(super) struct Watched(Option<Arc<dyn Watch>>);

impl Watched {
    pub(super) fn begin(
        watch: Option<Arc<dyn Watch>>,
        cancel_handle: impl FnOnce() -> CancelHandle,
    ) -> Watched {
        if let Some(watch) = &watch {
            let cancel_handle = cancel_handle();
            if !watch.begins(&cancel_handle) {
                cancel_handle.cancel();
            }
        }
        Watched(watch)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.ends();
        }
    }
}
