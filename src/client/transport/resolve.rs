//! Name look-ups that can be given up: on a thread of their own, because `getaddrinfo` can't.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crate::client::cancel::{CancelState, Wait};
use crate::client::transport::request_deadline::RequestDeadline;
use crate::os::locks::{Condvar, Mutex};
use crate::os::threads;

/// What ends the wait for a look-up.
#[derive(Clone, Debug)]
enum Event {
    Found(Result<Vec<SocketAddr>, String>),
    Cancelled,
}

/// Where one caller waits for a look-up. Not a channel of std: that keeps something for each thread
/// that waits, which of a thread that std did not start is never freed.
#[derive(Debug, Default)]
struct LookUp {
    event: Mutex<Option<Event>>,
    has_come: Condvar,
}

impl LookUp {
    /// Ends the wait; the first who does decides.
    fn tell(&self, event: Event) {
        self.event.lock().get_or_insert(event);
        self.has_come.notify_all();
    }

    fn wait(&self, until: Instant) -> Option<Event> {
        let mut event = self.event.lock();
        let mut is_over = false;
        while event.is_none() && !is_over {
            (event, is_over) = self.has_come.wait_until(event, until);
        }
        event.take()
    }
}

impl Wait for LookUp {
    fn cancel(&self) {
        self.tell(Event::Cancelled);
    }
}

/// Why a name has no addresses.
#[derive(Debug)]
pub(in crate::client) enum ResolveError {
    Cancelled,
    TimedOut,
    Failed(String),
}

/// The look-ups of one host name. At most one thread runs at a time, however many wait for it or
/// have given up: a broken name server must not cost a thread for each try.
#[derive(Debug)]
pub(in crate::client) struct Resolver {
    host: String,
    port: u16,
    /// Who waits for the look-up that runs, if one does.
    running: Arc<Mutex<Option<Vec<Arc<LookUp>>>>>,
}

impl Resolver {
    pub(in crate::client) fn new(host: &str, port: u16) -> Resolver {
        Resolver { host: host.to_owned(), port, running: Arc::default() }
    }

    /// The same in a forked child, which has no look-up running.
    pub(in crate::client) fn reborn(&self) -> Resolver {
        Resolver::new(&self.host, self.port)
    }

    /// The addresses of the host, in the system's order of preference.
    pub(in crate::client) fn resolve(
        &self,
        deadline: &RequestDeadline,
        cancel: &CancelState,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let look_up = Arc::<LookUp>::default();
        cancel.wait_for(look_up.clone()).map_err(|_| ResolveError::Cancelled)?;
        let event = match self.start(look_up.clone()) {
            Ok(()) => look_up.wait(deadline.until),
            Err(error) => {
                cancel.forget();
                return Err(ResolveError::Failed(format!(
                    "could not start a thread for the look-up: {error}"
                )));
            }
        };
        cancel.forget();
        match event {
            Some(Event::Found(Ok(addresses))) => Ok(addresses),
            Some(Event::Found(Err(why))) => Err(ResolveError::Failed(why)),
            Some(Event::Cancelled) => Err(ResolveError::Cancelled),
            None => Err(ResolveError::TimedOut),
        }
    }

    /// Has `look_up` told what the running look-up finds, or starts one.
    fn start(&self, look_up: Arc<LookUp>) -> io::Result<()> {
        let mut running = self.running.lock();
        match running.as_mut() {
            Some(waiting) => {
                waiting.push(look_up);
                Ok(())
            }
            None => {
                *running = Some(vec![look_up]);
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
            for waiting in waiting.into_iter().flatten() {
                waiting.tell(Event::Found(found.clone()));
            }
        };
        threads::spawn("phantomdb-dns", look_up).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn soon() -> RequestDeadline {
        RequestDeadline::caller(Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn a_name_is_looked_up_again_and_again() {
        let resolver = Resolver::new("localhost", 7);
        for _ in 0..3 {
            let addresses = resolver.resolve(&soon(), &CancelState::default()).unwrap();
            assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
            assert!(addresses.iter().all(|address| address.port() == 7));
        }
    }

    #[test]
    fn a_running_look_up_is_joined_given_up_and_cancelled() {
        let resolver = Resolver::new("localhost", 7);
        // A look-up that never ends, as far as this resolver knows.
        *resolver.running.lock() = Some(vec![Arc::default()]);
        let cancel = CancelState::default();
        let short = RequestDeadline::caller(Instant::now() + Duration::from_millis(20));
        assert!(matches!(resolver.resolve(&short, &cancel), Err(ResolveError::TimedOut)));
        assert_eq!(resolver.running.lock().as_ref().unwrap().len(), 2);

        cancel.begin();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| resolver.resolve(&soon(), &cancel));
            while resolver.running.lock().as_ref().unwrap().len() < 3 {
                std::thread::yield_now();
            }
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(ResolveError::Cancelled)));
        });
    }
}
