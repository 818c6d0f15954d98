//! The listener: accepting connections, and letting them end.

mod connection;
mod pulse;
pub mod tls;

pub use connection::Manner;
pub use pulse::Pulse;

use crate::log;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long to wait when the system has no descriptor left for another connection.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Accepts connections until `stop`, then lets those that are open finish.
///
/// Tells whether all of them did within `patience`.
pub async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    manner: Manner,
    drain: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
    patience: Duration,
) -> bool {
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let open = manner.figures.connection();
                let (tls, manner, alive) = (tls.clone(), manner.clone(), alive.clone());
                tokio::spawn(async move {
                    let _alive = alive;
                    greet(stream, open, tls, manner).await;
                });
            }
            Err(error) => {
                log::line(format_args!("cannot accept a connection: {error}"));
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
    drop(listener);
    drop(alive);
    drain.send_replace(true);
    timeout(patience, all_gone.recv()).await.is_ok()
}

async fn greet(
    stream: TcpStream,
    open: crate::figures::OpenConnection,
    tls: Option<TlsAcceptor>,
    mut manner: Manner,
) {
    // Answers are small and complete: to wait for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return connection::serve(stream, open, manner).await;
    };
    let handshake = timeout(manner.client, tls.accept(stream));
    let drain = async {
        let _ = manner.draining.wait_for(|draining| *draining).await;
    };
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = drain => return,
    };
    match shaken {
        Ok(Ok(stream)) => connection::serve(stream, open, manner).await,
        Ok(Err(error)) => log::line(format_args!("TLS handshake failed: {error}")),
        Err(_) => log::line("TLS handshake took too long"),
    }
}
