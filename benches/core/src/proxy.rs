//! A network that takes its time: a proxy that passes everything on later.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Passes everything on, each way after half of `round_trip`. The first bytes of a connection wait for
/// a whole round trip more: the handshake of TCP, which a proxy on the same machine can't delay.
pub fn start(to: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else {
                continue;
            };
            let one_way = round_trip / 2;
            thread::spawn(move || pass_on(client, server, one_way, round_trip));
            thread::spawn(move || pass_on(server2, client2, one_way, Duration::ZERO));
        }
    });
    Ok(address)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration, mut at_first: Duration) {
    let mut buffer = [0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => {
                let due = Instant::now() + delay + std::mem::take(&mut at_first);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
