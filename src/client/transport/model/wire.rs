//! An open connection to the server of the model checker.

use std::sync::Arc;
use std::time::Instant;

use crate::client::transport::socket::Socket;
use crate::model::server;
use crate::os::clock;

#[derive(Debug)]
pub(in crate::client) struct Wire {
    socket: Arc<Socket>,
    pub(in crate::client) number: u64,
    pub(in crate::client) opened_at: Instant,
    pub(in crate::client) keep_alive_until: Option<Instant>,
    /// Whether a response came over it already.
    pub(in crate::client) is_proved: bool,
}

impl Wire {
    pub(in crate::client) fn new(socket: Arc<Socket>, number: u64) -> Wire {
        Wire { socket, number, opened_at: clock::now(), keep_alive_until: None, is_proved: false }
    }

    pub(in crate::client) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(in crate::client) fn probe(&mut self) -> bool {
        server::is_alive()
    }

    /// The server closes its side too, if it is waited for.
    pub(in crate::client) fn finish(&mut self, until: Instant) -> bool {
        shuttle::thread::yield_now();
        until > clock::now()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        server::close(self.number);
    }
}
