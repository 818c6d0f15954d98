//! The command line.

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

    /// Name that clients may ask for the server under, besides its addresses, localhost and --host;
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
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub max_body_bytes: usize,

    /// Close a connection that has been idle for so long; announced to the clients
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 75,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub keep_alive_timeout: u64,

    /// Cut a client that takes longer than this to send a request or to read on in an answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub client_timeout: Duration,

    /// Roll back a transaction that has been idle for so long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub transaction_timeout: Duration,

    /// Let a write wait so long for the transaction that writes to the same database
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub lock_timeout: Duration,

    /// Stop a statement that runs longer than this
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub query_timeout: Duration,

    /// Grant the requests in flight so long when the server is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub drain_timeout: Duration,

    /// Stop when standard input ends, so that the server does not outlive whoever started it
    #[arg(long)]
    pub stop_on_stdin_eof: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|value| (0.001..=86_400.0).contains(value))
        .and_then(|value| Duration::try_from_secs_f64(value).ok())
        .ok_or_else(|| "must be a number of seconds from 0.001 to 86400".into())
}

fn host(text: &str) -> Result<String, String> {
    if !crate::routes::guard::is_host(text) {
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
