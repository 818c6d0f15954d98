//! Name look-ups that can be given up: on a thread of their own, because `getaddrinfo` can't.
#![allow(unsafe_code)]

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

use super::bound::Bound;
use super::cutter::Cutter;
use crate::sync::Mutex;

/// How often the lock, which is held for moments only, is tried for.
const LOCK_TRIES: usize = 100;

/// What ends the wait for a look-up.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Found(Result<Vec<SocketAddr>, String>),
    Cut,
}

/// Why there are no addresses.
#[derive(Debug)]
pub(super) enum NoAddress {
    Cut,
    TimedOut,
    Failed(String),
}

/// The look-ups of one host name. At most one thread runs at a time, however many wait for it or
/// have given up: a broken name server must not cost a thread for each try.
#[derive(Debug)]
pub(super) struct Resolver {
    host: String,
    port: u16,
    running: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    /// A child process inherits this note, but not the thread.
    process: u32,
    waiting: Vec<Sender<Event>>,
}

impl Resolver {
    pub(super) fn new(host: &str, port: u16) -> Resolver {
        Resolver { host: host.to_owned(), port, running: Arc::default() }
    }

    /// The addresses of the host, in the system's order of preference.
    pub(super) fn resolve(
        &self,
        bound: &Bound,
        cutter: &Cutter,
    ) -> Result<Vec<SocketAddr>, NoAddress> {
        let (sender, receiver) = mpsc::channel();
        cutter.watch_lookup(sender.clone()).map_err(|_| NoAddress::Cut)?;
        let event = match self.start(sender) {
            Ok(()) => receiver.recv_timeout(bound.left()),
            Err(error) => {
                cutter.forget_lookup();
                return Err(NoAddress::Failed(format!("no thread for the look-up: {error}")));
            }
        };
        cutter.forget_lookup();
        match event {
            Ok(Event::Found(Ok(addresses))) => Ok(addresses),
            Ok(Event::Found(Err(why))) => Err(NoAddress::Failed(why)),
            Ok(Event::Cut) => Err(NoAddress::Cut),
            Err(RecvTimeoutError::Timeout) => Err(NoAddress::TimedOut),
            Err(RecvTimeoutError::Disconnected) => {
                Err(NoAddress::Failed("the look-up broke off".to_owned()))
            }
        }
    }

    /// Has `sender` told what the running look-up finds, or starts one.
    fn start(&self, sender: Sender<Event>) -> io::Result<()> {
        // In a child process the lock may have been held at the fork by a thread that the child
        // does not have: then the name is looked up without it.
        let lock = (0..LOCK_TRIES).find_map(|_| {
            let lock = self.running.try_lock();
            if lock.is_none() {
                thread::yield_now();
            }
            lock
        });
        let Some(mut running) = lock else {
            return self.spawn(Arc::new(Mutex::new(Some(Running::new(sender)))));
        };
        match running.as_mut() {
            Some(lookup) if lookup.process == std::process::id() => {
                lookup.waiting.push(sender);
                Ok(())
            }
            _ => {
                *running = Some(Running::new(sender));
                let spawned = self.spawn(Arc::clone(&self.running));
                if spawned.is_err() {
                    *running = None;
                }
                spawned
            }
        }
    }

    fn spawn(&self, running: Arc<Mutex<Option<Running>>>) -> io::Result<()> {
        let (host, port) = (self.host.clone(), self.port);
        let look_up = move || {
            block_signals();
            let found = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
                .map_err(|error| error.to_string());
            let waiting = running.lock().take().map(|lookup| lookup.waiting);
            for sender in waiting.into_iter().flatten() {
                // Whoever gave up is gone.
                let _ = sender.send(Event::Found(found.clone()));
            }
        };
        thread::Builder::new().name("phantomdb-dns".to_owned()).spawn(look_up).map(drop)
    }
}

impl Running {
    fn new(first: Sender<Event>) -> Running {
        Running { process: std::process::id(), waiting: vec![first] }
    }
}

/// The program's signals are for its own threads.
fn block_signals() {
    // SAFETY: sigfillset initialises the set it is given, and pthread_sigmask only reads it; both
    // pointers are to a local that outlives the calls.
    unsafe {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn soon() -> Bound {
        Bound::caller(Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn a_name_is_looked_up_again_and_again() {
        let resolver = Resolver::new("localhost", 7);
        for _ in 0..3 {
            let addresses = resolver.resolve(&soon(), &Cutter::default()).unwrap();
            assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
            assert!(addresses.iter().all(|address| address.port() == 7));
        }
    }

    #[test]
    fn a_running_look_up_is_joined_given_up_and_cut() {
        let resolver = Resolver::new("localhost", 7);
        // A look-up that never ends, as far as this resolver knows.
        let (sender, _receiver) = mpsc::channel();
        *resolver.running.lock() = Some(Running::new(sender));
        let cutter = Cutter::default();
        let short = Bound::caller(Instant::now() + Duration::from_millis(20));
        assert!(matches!(resolver.resolve(&short, &cutter), Err(NoAddress::TimedOut)));
        assert_eq!(resolver.running.lock().as_ref().unwrap().waiting.len(), 2);

        cutter.begin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| resolver.resolve(&soon(), &cutter));
            while resolver.running.lock().as_ref().unwrap().waiting.len() < 3 {
                std::thread::yield_now();
            }
            cutter.cut();
            assert!(matches!(waiting.join().unwrap(), Err(NoAddress::Cut)));
        });

        // The same note in a child process is of a thread that is not there.
        resolver.running.lock().as_mut().unwrap().process = 0;
        cutter.begin();
        assert!(resolver.resolve(&soon(), &cutter).is_ok());
    }
}
