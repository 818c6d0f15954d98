//! An open connection to the server of the model checker.

use std::sync::Arc;
use std::time::Instant;

use super::socket::Socket;
use crate::clock;
use crate::model::server;

#[derive(Debug)]
pub(super) struct Wire {
    socket: Arc<Socket>,
    pub(super) number: u64,
    pub(super) opened_at: Instant,
    pub(super) keep_alive_until: Option<Instant>,
    /// Whether an answer came over it already.
    pub(super) is_proved: bool,
}

impl Wire {
    pub(super) fn new(socket: Arc<Socket>, number: u64) -> Wire {
        Wire { socket, number, opened_at: clock::now(), keep_alive_until: None, is_proved: false }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(super) fn probe(&mut self) -> bool {
        server::is_alive()
    }

    /// The server closes its side too, if it is waited for.
    pub(super) fn finish(&mut self, until: Instant) -> bool {
        shuttle::thread::yield_now();
        until > clock::now()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        server::close(self.number);
    }
}
