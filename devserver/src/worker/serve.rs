//! The worker's side.

use super::{LENGTHS, Report, SIGNAL, lengths, read_lengths};
use crate::engine::{Command, Engine, Pieces, Stopper};
use crate::error::{Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use tokio::signal::unix::{SignalKind, signal};

/// What the server sends.
struct Order {
    command: Command,
    body: Vec<u8>,
}

/// The whole life of a worker's process.
pub fn main(arguments: &[String]) -> ExitCode {
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::log::line(format_args!("a worker could not start: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &[String]) -> io::Result<()> {
    let number = |at: usize| {
        arguments.get(at).and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)
    };
    // A lower limit that the server inherited stays in force.
    let limit = |resource, most: u64| {
        let most = getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    limit(Resource::Fsize, number(0)?)?;
    limit(Resource::As, number(1)?)?;
    // It may well be ended by a signal; its memory is of no use to anybody.
    limit(Resource::Core, 0)?;
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    outlive_signals()?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    // Without the server nobody wants what runs here, and it might run for long.
    serve(UnixStream::from(socket), || std::process::exit(0))
}

/// What tells the server to stop may reach its workers too, and the server finishes what is in flight.
///
/// A signal that was listened for once keeps its handler, which does nothing when nobody listens.
fn outlive_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        drop(signal(kind)?);
    }
    Ok(())
}

/// Does what the other end of the socket says, until it is closed; then calls `leave` at once,
/// whatever is running.
pub fn serve(stream: UnixStream, leave: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let stopper = Stopper::default();
    let (orders, received) = mpsc::channel();
    let listener = stream.try_clone()?;
    let stops = stopper.clone();
    std::thread::Builder::new().name("listener".into()).spawn(move || {
        listen(listener, &stops, &orders);
        drop(orders);
        stops.stop();
        leave();
    })?;
    let mut engine = Engine::new(stopper);
    for Order { command, body } in received {
        let done = {
            let mut ending = || {
                // If nobody hears it, nobody is there.
                let _ = (&stream).write_all(&lengths(SIGNAL, 0));
            };
            engine.obey(command, &body, &mut ending)
        };
        drop(body);
        let (result, pieces) = match done {
            Ok((done, pieces)) => (Ok(done), pieces),
            Err(error) => (Err(error), Vec::new()),
        };
        report(&stream, Report { result, autocommit: engine.is_autocommit() }, &pieces)?;
    }
    Ok(())
}

fn report(mut stream: &UnixStream, report: Report, pieces: &Pieces) -> io::Result<()> {
    let head = serde_json::to_vec(&report)?;
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut first = lengths(head.len() as u32, size).to_vec();
    first.extend_from_slice(&head);
    stream.write_all(&first)?;
    pieces.iter().try_for_each(|piece| stream.write_all(piece))
}

fn listen(mut stream: UnixStream, stopper: &Stopper, orders: &mpsc::Sender<Order>) {
    loop {
        match read(&mut stream) {
            Ok(None) => stopper.stop(),
            Ok(Some(order)) => {
                // One order comes after the report on the one before, so nothing runs now.
                stopper.go();
                if orders.send(order).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn read(stream: &mut UnixStream) -> Result<Option<Order>> {
    let mut bytes = [0; LENGTHS];
    stream.read_exact(&mut bytes)?;
    let (head, size) = read_lengths(bytes);
    if head == SIGNAL {
        return Ok(None);
    }
    let mut text = vec![0; head as usize];
    stream.read_exact(&mut text)?;
    let mut body = vec![0; size as usize];
    stream.read_exact(&mut body)?;
    let command =
        serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Some(Order { command, body }))
}
