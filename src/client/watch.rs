//! What may cancel one request, and no other on the same connection.

use std::sync::Arc;

use crate::client::transport::dial_limiter::CancelHandle;

/// What may cancel one request.
pub trait Canceller: Send + Sync {
    /// The request begins: until [`Canceller::detach`], the handle cancels this request and no
    /// other. False if it was cancelled already; then nothing is sent, and the request fails with
    /// `Cancelled`.
    fn attach(&self, handle: &CancelHandle) -> bool;

    /// The request has ended.
    fn detach(&self);
}

/// What may cancel a request in flight, detached even if that ends in a panic.
#[derive(Default)]
pub(super) struct Watched(Option<Arc<dyn Canceller>>);

impl Watched {
    pub(super) fn begin(
        canceller: Option<Arc<dyn Canceller>>,
        handle: impl FnOnce() -> CancelHandle,
    ) -> Watched {
        if let Some(canceller) = &canceller {
            let handle = handle();
            if !canceller.attach(&handle) {
                handle.cancel();
            }
        }
        Watched(canceller)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(canceller) = &self.0 {
            canceller.detach();
        }
    }
}
