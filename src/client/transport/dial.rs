//! Opening a socket: name look-up, TCP, TLS, all before one deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cancel::CancelState;
use crate::client::response::excerpt::excerpt;
use crate::client::transport::endpoint::Endpoint;
use crate::client::transport::request_deadline::RequestDeadline;
use crate::client::transport::resolve::ResolveError;
use crate::client::transport::socket::Socket;
use crate::client::transport::tls;
use crate::client::transport::wire::{Wire, WireError};
use crate::error::{Code, Error, Result};

/// More addresses of one name than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// How long the server's end of a socket is waited for, on which TLS failed.
const LINGER: Duration = Duration::from_millis(50);

/// Opens a connection before `deadline`. A cancel reaches its socket from then on, until
/// [`CancelState::forget`].
pub(in crate::client) fn dial(
    endpoint: &Endpoint,
    cancel: &CancelState,
    deadline: &RequestDeadline,
) -> Result<Box<Wire>> {
    let dial = Dial { endpoint, cancel, deadline };
    let addresses = match endpoint.literal_address() {
        Some(address) => vec![address],
        None => dial.look_up()?,
    };
    let socket = dial.connect(&addresses)?;
    let opened = dial.secure(socket.clone());
    if opened.is_err() {
        // The next dial would otherwise meet a server that still counts this one.
        socket.finish(Instant::now() + LINGER.min(deadline.left() / 2));
        cancel.forget();
    }
    opened
}

struct Dial<'a> {
    endpoint: &'a Endpoint,
    cancel: &'a CancelState,
    deadline: &'a RequestDeadline,
}

impl Dial<'_> {
    fn look_up(&self) -> Result<Vec<SocketAddr>> {
        let host = self.endpoint.host();
        match self.endpoint.resolver.resolve(self.deadline, self.cancel) {
            Ok(addresses) if addresses.is_empty() => {
                Err(self.unavailable(&format!("the name `{host}` has no address")))
            }
            Ok(addresses) => Ok(addresses),
            Err(ResolveError::Cancelled) => Err(self.cancelled()),
            Err(ResolveError::TimedOut) => {
                Err(self.timed_out(&format!("the look-up of the name `{host}` gave no result")))
            }
            Err(ResolveError::Failed(why)) => Err(self.unavailable(&format!(
                "the name `{host}` can't be resolved ({})",
                excerpt(why.as_bytes())
            ))),
        }
    }

    /// Tries the addresses in turn, each with its share of the time that is left.
    fn connect(&self, addresses: &[SocketAddr]) -> Result<Arc<Socket>> {
        let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
        let mut failures: Vec<String> = Vec::new();
        let mut refused = false;
        let mut silent = false;
        for (index, address) in addresses.iter().enumerate() {
            let left = self.deadline.left();
            if left.is_zero() {
                silent = true;
                break;
            }
            let share = left / (addresses.len() - index) as u32;
            let until = Instant::now() + share.max(Duration::from_millis(1));
            match self.connect_to(address, until) {
                Ok(socket) => return Ok(socket),
                Err(_) if self.cancel.is_cancelled() => return Err(self.cancelled()),
                Err(error) => {
                    let why = if error.kind() == io::ErrorKind::TimedOut {
                        silent = true;
                        "no response".to_owned()
                    } else {
                        refused |= error.kind() == io::ErrorKind::ConnectionRefused;
                        plain(&error)
                    };
                    failures.push(format!("{address}: {why}"));
                }
            }
        }
        let tried = failures.join(", ");
        if silent && self.deadline.left().is_zero() {
            return Err(self.timed_out(&tried));
        }
        let hint = if refused { "; is the server running there?" } else { "" };
        Err(self.unavailable(&format!("{tried}{hint}")))
    }

    fn connect_to(&self, address: &SocketAddr, until: Instant) -> io::Result<Arc<Socket>> {
        let socket = Arc::new(Socket::new(address)?);
        if self.cancel.wait_for(socket.clone()).is_err() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let connected = socket.connect(address, until);
        if connected.is_err() {
            self.cancel.forget();
        }
        connected.map(|()| socket)
    }

    fn secure(&self, socket: Arc<Socket>) -> Result<Box<Wire>> {
        let Some(tls) = &self.endpoint.tls else { return Ok(Box::new(Wire::new(socket, None))) };
        let mut wire = Box::new(Wire::new(socket, Some(tls.session()?)));
        match wire.shake_hands(self.deadline.until) {
            Ok(()) => {
                wire.opened_at = Instant::now();
                Ok(wire)
            }
            Err(_) if self.cancel.is_cancelled() => Err(self.cancelled()),
            Err(WireError::TimedOut) => {
                Err(self.timed_out("the server did not complete the TLS handshake"))
            }
            Err(WireError::Tls(error)) => {
                let why = tls::explained(&error) + &tls.complaint();
                tls.expire();
                Err(Error::new(
                    Code::Tls,
                    format!("no connection to {}: {why}", self.endpoint.url()),
                ))
            }
            Err(WireError::Lost(error)) => {
                Err(self.unavailable(&format!("TLS handshake: {}", plain(&error))))
            }
            Err(WireError::Overflow) => {
                Err(self.unavailable("TLS handshake: a message is too long"))
            }
        }
    }

    fn unavailable(&self, why: &str) -> Error {
        Error::new(Code::Unavailable, format!("no connection to {}: {why}", self.endpoint.url()))
    }

    fn timed_out(&self, what: &str) -> Error {
        let what = if what.is_empty() { "the deadline passed before the first try" } else { what };
        Error::new(
            Code::Timeout,
            format!("Timeout: no connection to {} {}: {what}", self.endpoint.url(), self.deadline),
        )
    }

    fn cancelled(&self) -> Error {
        Error::new(
            Code::Cancelled,
            format!("connecting to {} was interrupted", self.endpoint.url()),
        )
    }
}

/// An operating system's error without its number: `connection refused`.
pub(in crate::client) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "unknown error".to_owned(),
    }
}
