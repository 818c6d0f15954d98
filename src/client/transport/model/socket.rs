//! A socket of the model checker: nothing but what a cancel can wake.

use std::sync::Arc;
use std::time::Instant;

use crate::client::cancel::Wait;
use crate::client::transport::poller::Waker;
use crate::os::locks::{Condvar, Mutex};

pub type OnClose = Box<dyn FnOnce(usize) + Send>;

#[derive(Debug)]
pub(in crate::client) struct Socket {
    pub(in crate::client) number: usize,
    state: Mutex<State>,
    cancelled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    watcher: Option<Arc<Waker>>,
}

impl Socket {
    pub(in crate::client) fn new(number: u64) -> Socket {
        Socket { number: number as usize, state: Mutex::default(), cancelled: Condvar::default() }
    }

    pub(in crate::client) fn is_cancelled(&self) -> bool {
        self.state.lock().is_cancelled
    }

    /// Who is told when it becomes ready from now on.
    pub(in crate::client) fn be_attached(&self, watcher: &Arc<Waker>) {
        self.state.lock().watcher = Some(watcher.clone());
    }

    /// The server has responded, or the socket was cancelled.
    pub(in crate::client) fn become_ready(&self) {
        let watcher = self.state.lock().watcher.clone();
        if let Some(watcher) = watcher {
            watcher.tell(self.number);
        }
    }

    /// Waits for bytes that never come; true if it was cancelled, false if the deadline passed.
    pub(in crate::client) fn hang(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        let mut is_over = false;
        while !state.is_cancelled && !is_over {
            (state, is_over) = self.cancelled.wait_until(state, until);
        }
        state.is_cancelled
    }
}

impl Wait for Socket {
    fn cancel(&self) {
        self.state.lock().is_cancelled = true;
        self.cancelled.notify_all();
        self.become_ready();
    }
}
