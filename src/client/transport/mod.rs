//! How bytes reach the server: names, TCP, TLS, and when a socket may be opened.

#[cfg_attr(shuttle, path = "model/dial.rs")]
pub(super) mod dial;
pub(super) mod dial_permit;
pub(super) mod endpoint;
#[cfg_attr(shuttle, path = "model/poller.rs")]
pub(super) mod poller;
pub(super) mod request_deadline;
pub(super) mod resolve;
#[cfg_attr(shuttle, path = "model/socket.rs")]
pub(super) mod socket;
pub(super) mod tls;
#[cfg_attr(shuttle, path = "model/wire.rs")]
pub(super) mod wire;
