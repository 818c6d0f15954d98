//! Tells when sockets of the model checker are ready.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::socket::Socket;
use crate::sync::{Condvar, Mutex};

#[derive(Debug)]
pub struct Poller(Arc<Bell>);

#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_rung: bool,
    ready: Vec<usize>,
}

impl Poller {
    pub fn new() -> io::Result<Poller> {
        Ok(Poller(Arc::default()))
    }

    pub fn bell(&self) -> &Arc<Bell> {
        &self.0
    }

    pub(super) fn watch(&self, socket: &Socket) -> io::Result<()> {
        socket.be_watched(&self.0);
        Ok(())
    }

    pub fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<usize>) {
        let mut state = self.0.state.lock();
        let mut is_over = false;
        while !is_over && !state.is_rung && state.ready.is_empty() {
            match until {
                None => state = self.0.rung.wait(state),
                Some(until) => (state, is_over) = self.0.rung.wait_until(state, until),
            }
        }
        state.is_rung = false;
        ready.append(&mut mem::take(&mut state.ready));
    }
}

impl Bell {
    pub fn ring(&self) {
        self.state.lock().is_rung = true;
        self.rung.notify_all();
    }

    /// A socket has become ready.
    pub(super) fn tell(&self, socket: usize) {
        self.state.lock().ready.push(socket);
        self.rung.notify_all();
    }
}
