//! A server that responds to `GET [/SIZE]/databases` with a JSON text of about that many bytes, and costs
//! as little as a server can: one thread that watches all its sockets. It is a process of its own,
//! so that its processor time is not counted with anybody's.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);

/// A server that runs as long as this lives.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start() -> io::Result<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Server { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Prints its address and serves until the standard input ends.
pub fn serve() -> io::Result<()> {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut lines: HashMap<Token, Line> = HashMap::new();
    let mut responses = Responses::default();
    let mut next = 0;
    loop {
        if let Err(error) = poll.poll(&mut events, None) {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        for event in &events {
            if event.token() != LISTENER {
                let is_over = lines
                    .get_mut(&event.token())
                    .is_some_and(|line| line.go_on(&mut responses).is_err());
                if is_over {
                    lines.remove(&event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                let token = Token(next);
                next += 1;
                let _ = stream.set_nodelay(true);
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, token, interest)?;
                lines.insert(token, Line { stream, input: Vec::new(), output: Vec::new() });
            }
        }
    }
}

/// A connection of somebody.
struct Line {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Line {
    /// Reads and writes what can be; an error means that the connection is over.
    fn go_on(&mut self, responses: &mut Responses) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.input.extend_from_slice(&buffer[..count]);
                    // Less than there was room for: that was all.
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            self.output.extend_from_slice(responses.to(&self.input[..end]));
            self.input.drain(..end + 4);
        }
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whole responses, by their sizes.
#[derive(Default)]
struct Responses(HashMap<usize, Vec<u8>>);

impl Responses {
    fn to(&mut self, head: &[u8]) -> &[u8] {
        let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let size = target.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
        self.0.entry(size.unwrap_or(30)).or_insert_with_key(|size| response(*size))
    }
}

fn response(size: usize) -> Vec<u8> {
    let mut names = vec!["production".to_owned()];
    let mut length = json(&names).len();
    while length < size {
        let name = format!("database-{:06}", names.len());
        length += name.len() + 3;
        names.push(name);
    }
    let body = json(&names);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn json(names: &[String]) -> String {
    serde_json::json!({ "databases": names }).to_string()
}
