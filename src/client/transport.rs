//! Carries ureq's requests over a connection's own socket.
//!
//! ureq keeps no socket here: a transport takes the connection's socket for one request and puts
//! it back only when ureq says that the exchange ended with nothing left over. Every other end of
//! a transport closes the socket.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::buffers::{IoBuffers, MAX_HEAD};
use super::excerpt;
use super::station::{Failure, Order, Station};
use super::wire::{Broken, Received, Wire};

/// Hands a connection's socket to ureq.
pub(super) struct StationConnector(pub(super) Arc<Station>);

impl Connector for StationConnector {
    type Out = Exchange;

    fn connect(
        &self,
        _details: &ConnectionDetails,
        _chained: Option<()>,
    ) -> Result<Option<Exchange>, Error> {
        let station = &self.0;
        let Some(order) = station.take_order() else { return Ok(None) };
        match station.wire(&order) {
            Ok(mut wire) => {
                wire.buffers.prepare(order.head, order.body);
                station.report(|report| report.reused = wire.used);
                Ok(Some(Exchange {
                    station: Arc::clone(station),
                    order,
                    wire: Some(wire),
                    empty: IoBuffers::default(),
                    written: 0,
                    received: 0,
                    head_sent: false,
                    ended_well: false,
                }))
            }
            Err(error) => {
                station.report(|report| report.failure = Some(Failure::Dial(error)));
                Err(Error::ConnectionFailed)
            }
        }
    }
}

impl fmt::Debug for StationConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StationConnector").finish_non_exhaustive()
    }
}

/// Satisfies ureq, which asks before each request; the look-up is a part of dialling.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// One request and its answer on their way.
pub(super) struct Exchange {
    station: Arc<Station>,
    order: Order,
    /// There until the drop.
    wire: Option<Wire>,
    /// Stands in for the buffers of no wire.
    empty: IoBuffers,
    written: u64,
    received: u64,
    head_sent: bool,
    ended_well: bool,
}

impl Exchange {
    fn fail(&self, broken: Broken) -> Error {
        let failure = if self.station.cutter.is_cut() {
            Failure::Cut
        } else {
            match broken {
                Broken::TimedOut => Failure::TimedOut,
                Broken::Lost(error) => Failure::Lost(error),
                Broken::Tls(error) => Failure::Tls(error),
                Broken::Overflow => Failure::HeadTooLarge,
            }
        };
        self.station.report(|report| report.failure = Some(failure));
        // Not an I/O error: ureq takes some of those for the end of an answer.
        Error::ConnectionFailed
    }
}

impl Transport for Exchange {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.wire {
            Some(wire) => &mut wire.buffers,
            None => &mut self.empty,
        }
    }

    fn transmit_output(&mut self, amount: usize, _timeout: NextTimeout) -> Result<(), Error> {
        let Some(wire) = &mut self.wire else { return Err(Error::ConnectionFailed) };
        let is_head = !std::mem::replace(&mut self.head_sent, true);
        if is_head && self.order.body > 0 && wire.buffers.hold(amount) {
            return Ok(());
        }
        let mut buffers = std::mem::take(&mut wire.buffers);
        let bytes = buffers.take_output(amount);
        let sent = wire.send(bytes, self.order.bound.until, &mut self.written);
        wire.buffers = buffers;
        sent.map_err(|broken| self.fail(broken))
    }

    fn await_input(&mut self, _timeout: NextTimeout) -> Result<bool, Error> {
        let Some(wire) = &mut self.wire else { return Err(Error::ConnectionFailed) };
        let received = wire.receive(self.order.bound.until);
        // A cut looks like the peer's end of the connection, and so like the end of an answer.
        if self.station.cutter.is_cut() {
            return Err(self.fail(Broken::TimedOut));
        }
        match received {
            Ok(Received::Bytes(count)) => {
                self.received += count as u64;
                let in_head = !self.station.head_done.load(Ordering::Relaxed);
                if in_head && self.received > 2 * MAX_HEAD as u64 {
                    return Err(self.fail(Broken::Overflow));
                }
                Ok(true)
            }
            Ok(Received::End) => Ok(false),
            Ok(Received::RaggedEnd) => {
                self.station.report(|report| report.ragged = true);
                Ok(false)
            }
            Err(broken) => Err(self.fail(broken)),
        }
    }

    /// ureq asks this once, when the exchange has ended and nothing speaks against keeping the
    /// socket. It is then put back by the drop, not by ureq, hence the `false`.
    fn is_open(&mut self) -> bool {
        self.ended_well = self.wire.as_mut().is_some_and(Wire::is_clean);
        false
    }

    fn is_tls(&self) -> bool {
        self.wire.as_ref().is_some_and(Wire::is_tls)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(mut wire) = self.wire.take() else { return };
        let beginning = if self.station.head_done.load(Ordering::Relaxed) {
            Vec::new()
        } else {
            let input = wire.buffers.input();
            input[..input.len().min(excerpt::LENGTH)].to_vec()
        };
        self.station.report(|report| {
            report.written = self.written;
            report.received = self.received;
            report.beginning = beginning;
        });
        if self.ended_well {
            wire.used = true;
            wire.buffers.shrink();
            self.station.keep(wire);
        } else if self.received == 0 {
            // The server may be at work on the request, and not look at the socket before that is
            // done: until then it counts it.
            self.station.lay_aside(wire);
        } else {
            self.station.discard(wire);
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("order", &self.order).finish_non_exhaustive()
    }
}
