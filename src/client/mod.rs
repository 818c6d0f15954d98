//! One connection to the server.
//!
//! A [`Connection`] speaks to an [`Endpoint`] over exactly one socket, which it opens at its first
//! request and again whenever the old one is gone. A [`Request`] is built and checked without a
//! connection; what comes back is a [`Response`].
//!
//! HTTP is ureq-proto's work; the socket below it is this module's own, because every wait has to
//! end at an absolute deadline or when another thread says so.
//!
//! Where to look: `connection.rs` is what callers have. `connection_sockets.rs` holds its sockets
//! and opens others, by way of `transport/`. `in_flight.rs` is a request on a socket, whose HTTP is
//! `http/exchange.rs`. `cancel.rs` ends one from another thread. `response/body.rs` reads what
//! came, and `outcome.rs` says what a failure means.
//!
//! Files use each other in one direction.
//!
//! For the model checker (see `crate::model`), what speaks HTTP and TCP is replaced; the part that
//! threads share is not.

mod cancel;
#[cfg_attr(shuttle, path = "model/connection.rs")]
mod connection;
mod connection_sockets;
mod http;
#[cfg_attr(shuttle, path = "model/in_flight.rs")]
mod in_flight;
mod operation;
#[cfg(not(shuttle))]
mod outcome;
mod progress;
#[cfg(not(shuttle))]
mod request_error;
mod response;
mod routes;
mod transport;

pub use cancel::{CancelHandle, Canceller};
pub use connection::Connection;
pub use connection_sockets::{DialLimiter, SocketHandle};
pub use in_flight::{InFlight, UnreadResponse};
pub use operation::{Operation, Parameter};
pub use progress::Progress;
pub use response::cell::{Cell, Number};
pub use response::cell_kind::CellKind;
pub(crate) use response::excerpt::one_line;
pub use response::list::Names;
pub use response::response::Response;
pub use response::table::{Cells, Table};
pub use response::tokens::{JsonString, JsonToken, JsonTokens};
pub use routes::Request;
pub use transport::dial_permit::{DialPermit, SocketEvent};
pub use transport::endpoint::Endpoint;
pub use transport::poller::{Poller, Waker};
pub use transport::socket::OnClose;
