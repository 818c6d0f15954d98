//! A socket of the model checker: nothing but what a cut can wake.

use std::sync::Arc;
use std::time::Instant;

use crate::client::transport::poller::Waker;
use crate::os::locks::{Condvar, Mutex};

#[derive(Debug)]
pub(in crate::client) struct Socket {
    pub(in crate::client) number: usize,
    state: Mutex<State>,
    cut: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    watcher: Option<Arc<Waker>>,
}

impl Socket {
    pub(in crate::client) fn new(number: u64) -> Socket {
        Socket { number: number as usize, state: Mutex::default(), cut: Condvar::default() }
    }

    pub(in crate::client) fn cut(&self) {
        self.state.lock().is_cut = true;
        self.cut.notify_all();
        self.become_ready();
    }

    pub(in crate::client) fn is_cut(&self) -> bool {
        self.state.lock().is_cut
    }

    /// Who is told when it becomes ready from now on.
    pub(in crate::client) fn be_watched(&self, watcher: &Arc<Waker>) {
        self.state.lock().watcher = Some(watcher.clone());
    }

    /// The server has answered; or the socket was cut.
    pub(in crate::client) fn become_ready(&self) {
        let watcher = self.state.lock().watcher.clone();
        if let Some(watcher) = watcher {
            watcher.tell(self.number);
        }
    }

    /// Waits for bytes that never come; true if it was cut, false if the deadline passed.
    pub(in crate::client) fn hang(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        let mut is_over = false;
        while !state.is_cut && !is_over {
            (state, is_over) = self.cut.wait_until(state, until);
        }
        state.is_cut
    }
}
