//! The project's development server, with TLS.

use std::ffi::CString;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

unsafe extern "C" {
    /// See c/phantomdb.c.
    fn bench_create_database(
        host: *const libc::c_char,
        port: i32,
        ca_file: *const libc::c_char,
    ) -> i32;
}

/// A server that runs as long as this lives.
pub struct Devserver {
    child: Child,
    pub address: SocketAddr,
    /// Its certificate, which is its own authority.
    pub ca_file: String,
}

impl Devserver {
    /// Starts it; its key and certificate go into the folder.
    pub fn start(program: &str, folder: &Path) -> io::Result<Devserver> {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let signed = signed.map_err(io::Error::other)?;
        let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
        std::fs::write(&key, signed.signing_key.serialize_pem())?;
        std::fs::write(&certificate, signed.cert.pem())?;
        let mut child = Command::new(program)
            .args(["--port", "0", "--stop-on-stdin-eof", "--tls-cert"])
            .arg(&certificate)
            .arg("--tls-key")
            .arg(&key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().trim_start_matches("https://").parse();
        let address = address.map_err(|_| io::Error::other(format!("no address: {line}")))?;
        let ca_file = certificate.to_string_lossy().into_owned();
        let server = Devserver { child, address, ca_file };
        server.create_database()?;
        Ok(server)
    }

    fn create_database(&self) -> io::Result<()> {
        let host = CString::new(self.address.ip().to_string())?;
        let ca_file = CString::new(self.ca_file.as_str())?;
        let port = i32::from(self.address.port());
        // SAFETY: the texts end with NULs and outlive the call.
        match unsafe { bench_create_database(host.as_ptr(), port, ca_file.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::other("the development server made no database")),
        }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Devserver {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
