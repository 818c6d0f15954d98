//! Tells when sockets of the model checker are ready.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::client::transport::socket::Socket;
use crate::os::locks::{Condvar, Mutex};

#[derive(Debug)]
pub struct Poller(Arc<Waker>);

#[derive(Debug, Default)]
pub struct Waker {
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

    pub fn waker(&self) -> &Arc<Waker> {
        &self.0
    }

    pub(in crate::client) fn watch(&self, socket: &Socket) -> io::Result<()> {
        socket.be_attached(&self.0);
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

impl Waker {
    pub fn wake(&self) {
        self.state.lock().is_rung = true;
        self.rung.notify_all();
    }

    /// A socket has become ready.
    pub(in crate::client) fn tell(&self, socket: usize) {
        self.state.lock().ready.push(socket);
        self.rung.notify_all();
    }
}
