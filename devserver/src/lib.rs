//! A PhantomDB-compatible HTTP server on SQLite, for development and tests.
//!
//! The program is all of it; as a library it is there for the fuzzer.

#[doc(hidden)]
pub mod app;
mod cli;
mod data_folder;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod figures;
mod log;
mod names;
#[doc(hidden)]
pub mod origin;
#[doc(hidden)]
pub mod routes;
#[doc(hidden)]
pub mod serve;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod worker;

use app::App;
use clap::Parser;
use cli::Options;
use data_folder::DataFolder;
use figures::Figures;
use origin::Names;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serve::ServerContext;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};
use worker::Spawner;

/// What threads get when all connections are gone.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// File descriptors of a worker: its socket, its process, and one while it starts.
const DESCRIPTORS_OF_A_WORKER: u64 = 3;

/// Workers besides those of transactions.
const OTHER_WORKERS: u64 = 48;

/// File descriptors for everything else.
const OTHER_DESCRIPTORS: u64 = 32;

/// The program.
pub fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().map(|text| text.to_string_lossy().into_owned()).collect();
    if arguments.get(1).is_some_and(|first| first == worker::ARGUMENT) {
        return worker::main(&arguments[2..]);
    }
    let mut options = Options::parse();
    match start(&mut options) {
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

/// Runs the server to its end and tells whether every request got its response.
fn start(options: &mut Options) -> Result<bool, String> {
    fit_descriptors(options);
    let data_folder =
        DataFolder::open(options.data.as_deref()).map_err(|error| match &options.data {
            Some(folder) => format!("cannot use the folder {}: {error}", folder.display()),
            None => format!("cannot make a temporary folder: {error}"),
        })?;
    let folder = data_folder.folder().to_owned();
    let runtime = Runtime::new().map_err(|error| format!("cannot start threads: {error}"))?;
    let result = runtime.block_on(async {
        let spawner = Spawner::Processes {
            file_bytes: options.largest_file(),
            map_bytes: options.largest_process(),
        };
        let store = Store::open(folder, !data_folder.is_temporary(), options.limits(), spawner)
            .await
            .map_err(|error| error.message)
            .map(Arc::new)?;
        let result = serve(options, &store).await;
        store.close().await;
        result
    });
    runtime.shutdown_timeout(LAST_GRACE);
    result
}

/// Raises the limit of file descriptors to what the options may need; where that is not allowed,
/// lowers the options, so that a client is told what there is too much of.
fn fit_descriptors(options: &mut Options) {
    let workers = |transactions: usize| {
        DESCRIPTORS_OF_A_WORKER * (transactions as u64 + OTHER_WORKERS) + OTHER_DESCRIPTORS
    };
    let needed = options.max_connections as u64 + workers(options.max_transactions);
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    let mut current = limit.current.unwrap_or(u64::MAX);
    if current < needed && allowed > current {
        let wanted = needed.min(allowed);
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            current = wanted;
        }
    }
    if current >= needed {
        return;
    }
    // Half of what is left over for connections, half for transactions.
    let room = current.saturating_sub(workers(0));
    let most = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    options.max_transactions =
        options.max_transactions.min(most(room / 2 / DESCRIPTORS_OF_A_WORKER));
    let left = current.saturating_sub(workers(options.max_transactions));
    options.max_connections = options.max_connections.min(most(left));
    log::line(format_args!(
        "{current} file descriptors allow {} connections and {} transactions",
        options.max_connections, options.max_transactions
    ));
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
        max_result_bytes: options.max_result_bytes,
        max_body_bytes: options.max_body_bytes.min(options.max_total_body_bytes),
        max_total_body_bytes: options.max_total_body_bytes,
        bodies: Arc::new(Semaphore::new(options.max_total_body_bytes)),
        client_timeout: options.client_timeout,
    });
    let context = ServerContext {
        router: routes::router(&app),
        figures,
        most: options.max_connections,
        keep_alive: Duration::from_secs(options.keep_alive_timeout),
        client: options.client_timeout,
        draining,
    };
    let watched = Arc::clone(store);
    tokio::spawn(async move { watched.watch_transactions().await });
    announce(address, tls.is_some());
    let wait_limit = options.drain_timeout;
    Ok(serve::run(listener, tls, context, drain, stop, wait_limit).await)
}

/// Prints the URL. The server goes on if nobody reads it.
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
    getrandom::fill(&mut bytes).map_err(|error| format!("cannot get random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
