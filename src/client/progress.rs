//! How far a request has come that no thread waits for.

use std::time::Instant;

use crate::client::in_flight::{InFlight, UnreadResponse};
use crate::client::response::response::Response;
use crate::error::Result;

/// How far a request has come that no thread waits for. Every layer above hands it on as it is.
#[derive(Debug)]
pub enum Progress {
    /// It goes on, by [`Connection::resume`](super::Connection::resume), when its socket is ready
    /// or its time is over.
    InFlight(Box<InFlight>),
    /// Its response has come, and takes a while to read: by
    /// [`Connection::read`](super::Connection::read).
    Unread(Box<UnreadResponse>),
    /// It needs a socket, and so a thread that may wait: see
    /// [`Connection::request_blocking`](super::Connection::request_blocking).
    NeedsThread {
        /// Set if it was sent once, over a socket that was closed: when it must be over.
        retry_until: Option<Instant>,
    },
    /// It is over.
    Done(Result<Response>),
}
