//! HTTP/1.1 over one socket.

pub(super) mod body;
pub(super) mod buffers;
#[cfg(not(shuttle))]
pub(super) mod exchange;
pub(super) mod fast_path;
pub(super) mod framing;
#[cfg(not(shuttle))]
pub(super) mod retry_after;
