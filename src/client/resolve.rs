//! Name look-ups that can be given up: on a thread of their own, because `getaddrinfo` can't.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};

use super::bound::Bound;
use super::cutter::Cutter;
use crate::sync::Mutex;
use crate::threads;

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
    /// Who waits for the look-up that runs, if one does.
    running: Arc<Mutex<Option<Vec<Sender<Event>>>>>,
}

impl Resolver {
    pub(super) fn new(host: &str, port: u16) -> Resolver {
        Resolver { host: host.to_owned(), port, running: Arc::default() }
    }

    /// The same in a forked child, which has no look-up running.
    pub(super) fn reborn(&self) -> Resolver {
        Resolver::new(&self.host, self.port)
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
        let mut running = self.running.lock();
        match running.as_mut() {
            Some(waiting) => {
                waiting.push(sender);
                Ok(())
            }
            None => {
                *running = Some(vec![sender]);
                let spawned = self.spawn();
                if spawned.is_err() {
                    *running = None;
                }
                spawned
            }
        }
    }

    fn spawn(&self) -> io::Result<()> {
        let (host, port, running) = (self.host.clone(), self.port, Arc::clone(&self.running));
        let look_up = move || {
            let found = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
                .map_err(|error| error.to_string());
            let waiting = running.lock().take();
            for sender in waiting.into_iter().flatten() {
                // Whoever gave up is gone.
                let _ = sender.send(Event::Found(found.clone()));
            }
        };
        threads::spawn("phantomdb-dns", look_up).map(drop)
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
        *resolver.running.lock() = Some(vec![sender]);
        let cutter = Cutter::default();
        let short = Bound::caller(Instant::now() + Duration::from_millis(20));
        assert!(matches!(resolver.resolve(&short, &cutter), Err(NoAddress::TimedOut)));
        assert_eq!(resolver.running.lock().as_ref().unwrap().len(), 2);

        cutter.begin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| resolver.resolve(&soon(), &cutter));
            while resolver.running.lock().as_ref().unwrap().len() < 3 {
                std::thread::yield_now();
            }
            cutter.cut();
            assert!(matches!(waiting.join().unwrap(), Err(NoAddress::Cut)));
        });
    }
}
