//! The command line.

use crate::engine;
use crate::store::Limits;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// A PhantomDB-compatible HTTP server on SQLite, for development and tests.
///
/// Prints its URL as the first line on standard output, and nothing more there.
/// SIGTERM and SIGINT finish the requests in flight and exit; a second one exits at once.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,

    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,

    /// Name under which clients may reach the server, besides its addresses, localhost and --host;
    /// can be repeated
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub allow_host: Vec<String>,

    /// Folder for the databases, one file each; without it they last as long as the server
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Bearer token that every request but GET /health must carry
    #[arg(
        long,
        env = "PHANTOMDB_DEVSERVER_TOKEN",
        hide_env_values = true,
        value_parser = token
    )]
    pub token: Option<String>,

    /// Certificate chain in PEM; with it the server speaks https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// CA in PEM; with it a client must show a certificate of this CA
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Largest request body that is accepted
    #[arg(long, value_name = "BYTES", default_value_t = 16 * MIB, value_parser = body_bytes)]
    pub max_body_bytes: usize,

    /// Most bytes of all request bodies in memory at once
    #[arg(long, value_name = "BYTES", default_value_t = 256 * MIB, value_parser = bytes)]
    pub max_total_body_bytes: usize,

    /// Largest response
    #[arg(long, value_name = "BYTES", default_value_t = 128 * MIB, value_parser = bytes)]
    pub max_result_bytes: usize,

    /// Most bytes of all large responses that clients have not read yet; at least one fits
    #[arg(long, value_name = "BYTES", default_value_t = 512 * MIB, value_parser = bytes)]
    pub max_total_result_bytes: usize,

    /// Most rows of a response
    #[arg(long, value_name = "ROWS", default_value_t = 1_000_000, value_parser = number)]
    pub max_result_rows: usize,

    /// Most memory that one statement may use, temporary tables and indexes included
    #[arg(long, value_name = "BYTES", default_value_t = 256 * MIB, value_parser = bytes)]
    pub max_statement_memory: usize,

    /// Largest size of a database's file, and of its journal
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * MIB, value_parser = bytes)]
    pub max_database_bytes: usize,

    /// Most databases that exist at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = number)]
    pub max_databases: usize,

    /// Most connections that are open at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = number)]
    pub max_connections: usize,

    /// Most transactions that are open at once; each has a process
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = number)]
    pub max_transactions: usize,

    /// Close a connection that has been idle for this long; announced to the clients
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 75,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub keep_alive_timeout: u64,

    /// Cut a client that takes longer than this to send a request or to read more of a response
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub client_timeout: Duration,

    /// Roll back a transaction that has been idle for this long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub transaction_timeout: Duration,

    /// Let a write wait this long for the transaction that writes to the same database
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub lock_timeout: Duration,

    /// Stop a statement that runs longer than this
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub query_timeout: Duration,

    /// Give the requests in flight this long when the server is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub drain_timeout: Duration,

    /// Stop when standard input ends, so that the server does not outlive the program that started it
    #[arg(long)]
    pub stop_on_stdin_eof: bool,
}

impl Options {
    /// What requests may take.
    pub fn limits(&self) -> Limits {
        Limits {
            lock: self.lock_timeout,
            query: self.query_timeout,
            transaction: self.transaction_timeout,
            transactions: self.max_transactions,
            databases: self.max_databases,
            results_bytes: self.max_total_result_bytes.max(self.max_result_bytes) as u64,
            statement: engine::Limits {
                database_bytes: self.max_database_bytes as u64,
                memory_bytes: self.max_statement_memory as u64,
                result_rows: self.max_result_rows,
                result_bytes: self.max_result_bytes,
            },
        }
    }

    /// A journal has a head for each page of the database.
    pub fn largest_file(&self) -> u64 {
        let most = self.max_database_bytes as u64;
        most + most / 64 + 4 * MIB as u64
    }

    /// What a worker may map. SQLite's own limit is reached long before; this one is for what it
    /// does not count.
    pub fn largest_process(&self) -> u64 {
        let parts = self.max_statement_memory + 4 * (self.max_result_bytes + self.max_body_bytes);
        (parts + 1024 * MIB) as u64
    }
}

const MIB: usize = 1024 * 1024;

fn bytes(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1 << 40).contains(number))
        .ok_or_else(|| "must be a number of bytes from 1 to 1099511627776".into())
}

fn body_bytes(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number <= 1 << 31)
        .ok_or_else(|| "must be a number of bytes from 0 to 2147483648".into())
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000_000_000).contains(number))
        .ok_or_else(|| "must be a number from 1 to 1000000000".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|value| (0.001..=86_400.0).contains(value))
        .and_then(|value| Duration::try_from_secs_f64(value).ok())
        .ok_or_else(|| "must be a number of seconds from 0.001 to 86400".into())
}

fn host(text: &str) -> Result<String, String> {
    if !crate::origin::is_host(text) {
        return Err("must be the name of a host, without a scheme or a port".into());
    }
    Ok(text.into())
}

fn token(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be visible ASCII characters without a space".into());
    }
    Ok(text.into())
}
