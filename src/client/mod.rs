//! One connection to the server.
//!
//! A [`Connection`] speaks to an [`Endpoint`] over exactly one socket, which it opens at its first
//! request and again whenever the old one is gone. A [`Request`] is built and checked without a
//! connection; what comes back is an [`Answer`].
//!
//! HTTP is ureq-proto's work; the socket below it is this module's own, because every wait has to end at
//! an absolute deadline or when another thread says so.
//!
//! For the model checker (see `crate::model`), what speaks HTTP and TCP is replaced; the part that
//! threads share is not.

mod answer;
mod body;
mod bound;
mod buffers;
mod cell;
mod columns;
#[cfg_attr(shuttle, path = "model/connection.rs")]
mod connection;
mod cutter;
#[cfg_attr(shuttle, path = "model/dial.rs")]
mod dial;
mod endpoint;
mod excerpt;
#[cfg(not(shuttle))]
mod exchange;
#[cfg(not(shuttle))]
mod flight;
mod framing;
mod gate;
mod json;
mod list;
mod mask;
mod operation;
#[cfg(not(shuttle))]
mod outcome;
#[cfg_attr(shuttle, path = "model/poller.rs")]
mod poller;
mod reading;
mod refusal;
mod resolve;
#[cfg(not(shuttle))]
mod retry_after;
mod routes;
mod segments;
#[cfg_attr(shuttle, path = "model/socket.rs")]
mod socket;
mod station;
mod stop;
mod survey;
mod table;
mod text;
mod tls;
mod tokens;
mod usual;
mod watch;
#[cfg_attr(shuttle, path = "model/wire.rs")]
mod wire;
mod written;

pub use answer::Answer;
pub use cell::{Cell, Kind, Number};
pub use connection::{Connection, Progress, Underway, Unread};
pub use endpoint::Endpoint;
pub(crate) use excerpt::one_line;
pub use gate::{DialGate, Interrupter, Sign};
pub use list::Names;
pub use operation::{Operation, Parameter};
pub use poller::{Bell, Poller};
pub use routes::Request;
pub use table::{Cells, Table};
pub use tokens::{JsonString, JsonToken, Tokens};
pub use watch::{Closed, Watch};
