//! A development server for the scenarios that need real SQL.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::port;

/// A `phantomdb-devserver` with its data in a folder, which it finds again after a restart.
pub struct DevServer {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    url: String,
}

impl DevServer {
    /// Starts one; with `tls` it has a certificate of its own, which [`DevServer::certificate`]
    /// names.
    pub fn start(tls: bool, arguments: &[String]) -> Result<DevServer, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let program = std::env::var_os("DEVSERVER").ok_or("DEVSERVER is not set")?.into();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("phantomdb-contract-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("data")).map_err(|error| error.to_string())?;
        let mut server = DevServer {
            program,
            arguments: arguments.to_vec(),
            folder,
            port: port::free(),
            child: None,
            url: String::new(),
        };
        let data = server.folder.join("data").display().to_string();
        server.arguments.extend(["--data".to_owned(), data]);
        if tls {
            server.make_certificate()?;
        }
        server.run()?;
        Ok(server)
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port that it listens on, also after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file of its certificate, which is its own authority.
    pub fn certificate(&self) -> String {
        self.folder.join("certificate.pem").display().to_string()
    }

    /// Starts it once more, on the same port and with the same data.
    pub fn run(&mut self) -> Result<(), String> {
        let mut child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--stop-on-stdin-eof"])
            .args(&self.arguments)
            .env_remove("PHANTOMDB_DEVSERVER_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It complains about clients that hang up, which they do here on purpose.
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        self.child = Some(child);
        let read = BufReader::new(output).read_line(&mut line);
        if read.is_err() || !line.starts_with("http") {
            return Err("the development server does not start".to_owned());
        }
        self.url = line.trim().to_owned();
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn make_certificate(&mut self) -> Result<(), String> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
        let key = self.folder.join("key.pem");
        let written = fs::write(self.certificate(), pair.cert.pem())
            .and_then(|()| fs::write(&key, pair.signing_key.serialize_pem()));
        written.map_err(|error| error.to_string())?;
        let certificate = self.certificate();
        self.arguments.extend(["--tls-cert".to_owned(), certificate]);
        self.arguments.extend(["--tls-key".to_owned(), key.display().to_string()]);
        Ok(())
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
