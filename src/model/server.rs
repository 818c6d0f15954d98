//! The server under the model checker: it counts sockets and says what becomes of dials.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use shuttle::thread::{self, Thread};

thread_local! {
    static SERVER: RefCell<Server> = RefCell::default();
}

/// What becomes of a dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dial {
    #[default]
    Opens,
    Fails,
    /// No response ever comes.
    Hangs,
}

#[derive(Debug, Default)]
struct Server {
    most_sockets: usize,
    most_dials: usize,
    /// Open sockets, and those that are being opened.
    sockets: BTreeSet<u64>,
    dials: BTreeSet<u64>,
    held: BTreeSet<u64>,
    last_socket: u64,
    coming_dials: VecDeque<Dial>,
    /// How many more sockets turn out to be closed when somebody looks.
    dying: usize,
    /// How many requests, and dials of workers, have begun so far.
    begun: usize,
    complaints: Vec<String>,
    waiting: Vec<Thread>,
}

fn with<R>(change: impl FnOnce(&mut Server) -> R) -> R {
    SERVER.with_borrow_mut(change)
}

/// A new server, which complains about more sockets or dials at once than these.
pub fn start(most_sockets: u32, most_dials: u32) {
    let (most_sockets, most_dials) = (most_sockets as usize, most_dials as usize);
    SERVER.set(Server { most_sockets, most_dials, ..Server::default() });
}

/// Says what becomes of the next dials; those after them open.
pub fn expect_dials(dials: &[Dial]) {
    with(|server| server.coming_dials.extend(dials));
}

/// This many sockets turn out to be closed when the pool looks at them.
pub fn let_die(sockets: usize) {
    with(|server| server.dying = sockets);
}

pub fn begin_dial() -> (u64, Dial) {
    let dial = with(|server| {
        server.last_socket += 1;
        let number = server.last_socket;
        server.sockets.insert(number);
        server.dials.insert(number);
        if server.sockets.len() > server.most_sockets {
            server.complain(format!("rule 1: {} sockets at once", server.sockets.len()));
        }
        if server.dials.len() > server.most_dials {
            server.complain(format!("rule 9: {} dials at once", server.dials.len()));
        }
        (number, server.coming_dials.pop_front().unwrap_or_default())
    });
    wake();
    dial
}

pub fn end_dial(number: u64, is_open: bool) {
    with(|server| {
        server.dials.remove(&number);
        if !is_open {
            server.sockets.remove(&number);
        }
    });
    wake();
}

pub fn close(number: u64) {
    with(|server| server.sockets.remove(&number));
    wake();
}

/// A connection has something in flight from now on, which can be cut.
pub fn begin_flight() {
    with(|server| server.begun += 1);
    wake();
}

/// Waits until so many requests and dials of workers have begun.
pub fn wait_for_flights(begun: usize) {
    wait_until(|server| server.begun >= begun);
}

/// Waits until the number of open sockets is as wanted.
pub fn wait_for_sockets(is_as_wanted: impl Fn(usize) -> bool) {
    wait_until(|server| is_as_wanted(server.sockets.len() - server.dials.len()));
}

/// Waits until so many dials are under way.
pub fn wait_for_dials(dials: usize) {
    wait_until(|server| server.dials.len() == dials);
}

fn wait_until(is_so: impl Fn(&Server) -> bool) {
    while !with(|server| is_so(server)) {
        with(|server| server.waiting.push(thread::current()));
        thread::park();
    }
}

fn wake() {
    for waiting in with(|server| std::mem::take(&mut server.waiting)) {
        waiting.unpark();
    }
}

/// Whether a socket still lives, now that somebody looks.
pub fn is_alive() -> bool {
    with(|server| {
        let is_alive = server.dying == 0;
        server.dying = server.dying.saturating_sub(1);
        is_alive
    })
}

/// A caller has the connection with this socket for itself from now on.
pub fn hold(number: u64) {
    with(|server| {
        if !server.held.insert(number) {
            server.complain(format!("rule 6: two callers have the connection {number}"));
        }
    });
}

pub fn let_go(number: u64) {
    with(|server| server.held.remove(&number));
}

pub fn sockets() -> usize {
    with(|server| server.sockets.len())
}

/// Panics if anything was not as it ought to be. Not where it was found out: that may be a thread
/// of the pool, which catches panics.
pub fn check() {
    let complaints = with(|server| std::mem::take(&mut server.complaints));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

impl Server {
    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }
}
