//! A PhantomDB-compatible HTTP server on SQLite, for development and tests.

mod app;
mod cli;
mod error;
mod figures;
mod home;
mod log;
mod names;
mod routes;
mod serve;
mod store;

use app::App;
use clap::Parser;
use cli::Options;
use figures::Figures;
use home::Home;
use routes::guard::Names;
use serve::Manner;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Limits, Store};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

/// What statements that still run get when all connections are gone.
const LAST_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let options = Options::parse();
    match start(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            log::line("requests were cut off: they took longer than the drain timeout");
            ExitCode::FAILURE
        }
        Err(message) => {
            log::line(message);
            ExitCode::FAILURE
        }
    }
}

/// Runs the server to its end and tells whether every request got its answer.
fn start(options: &Options) -> Result<bool, String> {
    let home = Home::open(options.data.as_deref()).map_err(|error| match &options.data {
        Some(folder) => format!("cannot use the folder {}: {error}", folder.display()),
        None => format!("cannot make a temporary folder: {error}"),
    })?;
    let limits = Limits {
        lock: options.lock_timeout,
        query: options.query_timeout,
        transaction: options.transaction_timeout,
    };
    let folder = home.folder().to_owned();
    let store = Store::open(folder, !home.is_temporary(), limits)
        .map_err(|error| error.message)
        .map(Arc::new)?;
    let runtime = Runtime::new().map_err(|error| format!("cannot start threads: {error}"))?;
    let result = runtime.block_on(serve(options, &store));
    runtime.shutdown_timeout(LAST_GRACE);
    store.close();
    result
}

async fn serve(options: &Options, store: &Arc<Store>) -> Result<bool, String> {
    let stop = stopper(options.stop_on_stdin_eof)?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => {
            Some(serve::tls::acceptor(cert, key, options.tls_client_ca.as_deref())?)
        }
        _ => None,
    };
    let listener = TcpListener::bind((options.host.as_str(), options.port))
        .await
        .map_err(|error| format!("cannot listen on {}:{}: {error}", options.host, options.port))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if !address.ip().is_loopback() && options.token.is_none() {
        log::line("anyone who can reach this address can read and change everything: see --token");
    }
    let (drain, draining) = watch::channel(false);
    let figures = Arc::new(Figures::new());
    let app = Arc::new(App {
        store: Arc::clone(store),
        figures: Arc::clone(&figures),
        names: Names::new(
            options.allow_host.iter().map(String::as_str).chain([options.host.as_str()]),
            tls.is_some(),
        ),
        token: options.token.clone(),
        max_body_bytes: options.max_body_bytes,
        client_timeout: options.client_timeout,
    });
    let manner = Manner {
        router: routes::router(&app),
        figures,
        keep_alive: Duration::from_secs(options.keep_alive_timeout),
        client: options.client_timeout,
        draining,
    };
    let watched = Arc::clone(store);
    tokio::spawn(async move { watched.watch_transactions().await });
    announce(address, tls.is_some());
    let patience = options.drain_timeout;
    Ok(serve::run(listener, tls, manner, drain, stop, patience).await)
}

/// Prints the URL; that nobody reads it is no reason to stop.
fn announce(address: SocketAddr, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{scheme}://{address}").and_then(|()| stdout.flush());
}

/// A future that ends when the server is told to stop; told twice, it exits at once.
fn stopper(on_stdin_eof: bool) -> Result<impl Future<Output = ()>, String> {
    let failed = |error| format!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = Arc::new(Notify::new());
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.notify_one();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    if on_stdin_eof {
        let told = Arc::clone(&stop);
        // A thread of its own: it cannot be woken, and the runtime would wait for it at the end.
        std::thread::spawn(move || {
            let mut scrap = [0; 1024];
            while !matches!(std::io::stdin().read(&mut scrap), Ok(0) | Err(_)) {}
            told.notify_one();
        });
    }
    Ok(async move { stop.notified().await })
}

/// A name that nobody can guess.
fn random_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
