//! The listener: accepting connections, and letting them end.

mod connection;
mod timeouts;
pub mod tls;

pub use connection::{ServerContext, serve};
pub use timeouts::ConnectionTimeouts;

use crate::log;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long to wait when the system has no descriptor left for another connection.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Connections that are being turned away, with a reason.
const REFUSALS_AT_ONCE: usize = 64;

/// How long that may take.
const REFUSAL: Duration = Duration::from_secs(2);

const TOO_MANY: &str = r#"{"code":"TOO_MANY_CONNECTIONS","message":"as many connections are open as may be: try again later","details":{}}"#;

/// Accepts connections until `stop`, then lets those that are open finish.
///
/// Tells whether all of them did within `wait_limit`.
pub async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    server: ServerContext,
    drain: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
    wait_limit: Duration,
) -> bool {
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let places = Arc::new(Semaphore::new(server.most));
    let refusals = Arc::new(Semaphore::new(REFUSALS_AT_ONCE));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, server, alive) = (tls.clone(), server.clone(), alive.clone());
                match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let open = server.figures.connection();
                        tokio::spawn(async move {
                            let (_alive, _place) = (alive, place);
                            greet(stream, open, tls, server).await;
                        });
                    }
                    Err(_) => {
                        server.figures.refused();
                        // Who is not even told so is told by the end of the connection.
                        if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                            tokio::spawn(async move {
                                let _place = place;
                                let _ = timeout(REFUSAL, turn_away(stream, tls)).await;
                            });
                        }
                    }
                }
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
    timeout(wait_limit, all_gone.recv()).await.is_ok()
}

/// Says that there are too many connections, and closes this one once the client has heard it.
async fn turn_away(stream: TcpStream, tls: Option<TlsAcceptor>) -> std::io::Result<()> {
    match tls {
        None => refuse(stream).await,
        Some(tls) => refuse(tls.accept(stream).await?).await,
    }
}

async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{TOO_MANY}",
        TOO_MANY.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    // To close with something unread would be a reset, which could overtake the response.
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await? > 0 {}
    Ok(())
}

async fn greet(
    stream: TcpStream,
    open: crate::figures::OpenConnection,
    tls: Option<TlsAcceptor>,
    mut server: ServerContext,
) {
    // Responses are small and complete: to wait for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return connection::serve(stream, open, server).await;
    };
    let handshake = timeout(server.client, tls.accept(stream));
    let drain = async {
        let _ = server.draining.wait_for(|draining| *draining).await;
    };
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = drain => return,
    };
    match shaken {
        Ok(Ok(stream)) => connection::serve(stream, open, server).await,
        Ok(Err(error)) => log::line(format_args!("TLS handshake failed: {error}")),
        Err(_) => log::line("TLS handshake took too long"),
    }
}
