//! Ports that stay free while nobody listens on them.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections: one of those could take the
/// port of a server that is down, and on loopback a client that dials it can even reach itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// What keeps the ports of this process from others that run beside it: a process that wants one
/// binds the UDP port of the same number first, and keeps that until it ends.
static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// Listens on a port that can be listened on again later.
pub fn listener() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run side by side begin at different places.
    let start = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
    for _ in 0..COUNT {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + ((start + next) % u32::from(COUNT)) as u16;
        let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            CLAIMS.lock().expect("nobody panics with it").push(claim);
            return listener;
        }
    }
    panic!("no port is free");
}

/// How many sockets of this process are claims.
pub fn claims() -> usize {
    CLAIMS.lock().expect("nobody panics with it").len()
}

/// Such a port.
pub fn free() -> u16 {
    listener().local_addr().expect("it listens").port()
}
