//! One connection to the server.
//!
//! A [`Connection`] speaks to an [`Endpoint`] over exactly one socket, which it opens at its first
//! request and again whenever the old one is gone. A [`Request`] is built and checked without a
//! connection; what comes back is an [`Answer`].
//!
//! HTTP is ureq's work; the socket below it is this module's own, because every wait has to end at
//! an absolute deadline or when another thread says so.

mod answer;
mod bound;
mod buffers;
mod cell;
mod connection;
mod cutter;
mod dial;
mod endpoint;
mod excerpt;
mod gate;
mod json;
mod outcome;
mod refusal;
mod resolve;
mod routes;
mod socket;
mod station;
mod table;
mod text;
mod tls;
mod transport;
mod wire;

pub use answer::{Answer, Names};
pub use cell::{Cell, Kind};
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use gate::{DialGate, Interrupter};
pub use routes::Request;
pub use table::Table;
