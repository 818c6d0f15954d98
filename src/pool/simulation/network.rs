//! The server and the sockets to it, as they really are, whatever the machine believes.

use std::time::Instant;

/// What the server does with what reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Up,
    /// Refuses.
    Down,
    /// Takes everything and never responds.
    Hanging,
}

/// Who has a connection at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Pool,
    Caller(u32),
    Worker,
    Nobody,
}

/// A socket of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    None,
    Opening,
    Open,
}

/// One connection that the machine asked for.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    pub holder: Holder,
    pub opened_at: Option<Instant>,
    pub keep_alive_until: Option<Instant>,
    pub last_response_at: Option<Instant>,
    /// The other side is gone, which only a look at the socket tells.
    pub is_broken: bool,
    /// Not to be handed to another caller as it is.
    pub is_dirty: bool,
    pub returned_at: Option<Instant>,
    /// The order in which connections came back.
    pub returned: u64,
    pub is_dial_queued: bool,
    pub is_dialed: bool,
    pub is_closing: bool,
    /// Its socket goes to somebody who has none.
    pub is_reserved: bool,
    /// No response came over its socket yet.
    pub is_unproved: bool,
    /// It was opened in an outage, which the first response on it ends.
    pub is_probe: bool,
}

/// All connections, and the server.
#[derive(Debug)]
pub struct Network {
    pub server: Server,
    links: Vec<Link>,
    sockets: usize,
}

impl Network {
    pub fn new() -> Self {
        Network { server: Server::Up, links: Vec::new(), sockets: 0 }
    }

    pub fn link(&mut self, number: u32) -> &mut Link {
        while self.links.len() <= number as usize {
            self.links.push(Link {
                socket: Socket::None,
                holder: Holder::Pool,
                opened_at: None,
                keep_alive_until: None,
                last_response_at: None,
                is_broken: false,
                is_dirty: false,
                returned_at: None,
                returned: 0,
                is_dial_queued: false,
                is_dialed: false,
                is_closing: false,
                is_reserved: false,
                is_unproved: false,
                is_probe: false,
            });
        }
        &mut self.links[number as usize]
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Sockets that are open or opening; one that is being closed is open until it is closed.
    pub fn sockets(&self) -> usize {
        self.sockets
    }

    pub fn start_opening(&mut self, number: u32) {
        assert_eq!(self.link(number).socket, Socket::None, "a connection has one socket");
        self.link(number).socket = Socket::Opening;
        self.sockets += 1;
    }

    pub fn open(&mut self, number: u32, now: Instant, keep_alive_until: Option<Instant>) {
        let link = self.link(number);
        assert_eq!(link.socket, Socket::Opening);
        link.socket = Socket::Open;
        link.opened_at = Some(now);
        link.keep_alive_until = keep_alive_until;
        link.is_broken = false;
    }

    pub fn close(&mut self, number: u32) {
        let link = self.link(number);
        let had_socket = link.socket != Socket::None;
        link.socket = Socket::None;
        link.opened_at = None;
        link.keep_alive_until = None;
        self.sockets -= usize::from(had_socket);
    }

    /// The socket of one connection becomes another's.
    pub fn move_socket(&mut self, from: u32, to: u32) {
        assert_eq!(self.link(to).socket, Socket::None, "a connection has one socket");
        let link = self.link(from);
        assert_eq!(link.socket, Socket::Open, "there is a socket to move");
        link.socket = Socket::None;
        link.holder = Holder::Nobody;
        let (opened_at, last_response_at) = (link.opened_at.take(), link.last_response_at);
        let (keep_alive_until, is_broken) = (link.keep_alive_until.take(), link.is_broken);
        let link = self.link(to);
        link.socket = Socket::Open;
        (link.opened_at, link.last_response_at) = (opened_at, last_response_at);
        (link.keep_alive_until, link.is_broken) = (keep_alive_until, is_broken);
        (link.is_unproved, link.is_probe) = (false, false);
    }

    /// A dial failed: what was opened before says nothing of new connections any more.
    pub fn forget_probes(&mut self) {
        for link in &mut self.links {
            link.is_probe = false;
        }
    }

    /// The server goes away or comes back: everything that was open is broken.
    pub fn restart(&mut self, server: Server) {
        self.server = server;
        for link in &mut self.links {
            link.is_broken |= link.socket == Socket::Open;
        }
    }
}

impl Link {
    pub fn is_open(&self) -> bool {
        self.socket == Socket::Open
    }

    /// Nobody has it, and nobody is to have it before others.
    pub fn is_free(&self) -> bool {
        self.holder == Holder::Pool && !self.is_reserved
    }

    /// When the server was last heard from on it.
    pub fn heard_at(&self) -> Option<Instant> {
        self.opened_at.max(self.last_response_at)
    }
}
