//! A development server on a free port, ended with the test that started it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running `phantomdb-devserver`.
pub struct DevServer {
    child: Child,
    url: String,
}

impl DevServer {
    /// Starts one with its data in memory.
    pub fn start() -> DevServer {
        DevServer::start_with(&[])
    }

    /// Starts one with more arguments.
    pub fn start_with(arguments: &[&str]) -> DevServer {
        DevServer::start_on(0, arguments)
    }

    /// Starts one on this port; 0 is a free one.
    pub fn start_on(port: u16, arguments: &[&str]) -> DevServer {
        let mut child = Command::new(binary())
            .args(["--port", &port.to_string(), "--stop-on-stdin-eof"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("phantomdb-devserver starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("its output is piped"))
            .read_line(&mut url)
            .expect("its first line is its URL");
        assert!(url.starts_with("http"), "phantomdb-devserver did not start");
        DevServer { child, url: url.trim().to_owned() }
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the URL has a port")
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn binary() -> PathBuf {
    built("phantomdb-devserver")
}

/// A program of this workspace, as cargo built it beside the tests.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps/test");
    let binary = folder.join(name);
    assert!(
        binary.exists(),
        "{} is missing: run `make test`, or `cargo build --workspace --examples` first",
        binary.display()
    );
    binary
}
