//! HTTP/1.1 over one socket.

pub(super) mod buffers;
#[cfg(not(shuttle))]
pub(super) mod exchange;
pub(super) mod fast_path;
pub(super) mod framing;
pub(super) mod raw_response;
pub(super) mod request_body;
pub(super) mod request_head;
#[cfg(not(shuttle))]
mod response_body;
#[cfg(not(shuttle))]
mod response_head;
#[cfg(not(shuttle))]
pub(super) mod retry_after;
