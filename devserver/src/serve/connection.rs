//! One connection: its requests, one after the other, and its end.

use super::timeouts::{ConnectionTimeouts, TimedStream};
use crate::figures::{Figures, OpenConnection, RequestInFlight};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, Version, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Larger heads get 431: what they take is taken before anybody knows who asks.
const LARGEST_HEAD: usize = 256 * 1024;

/// What all connections have in common.
#[derive(Clone, Debug)]
pub struct ServerContext {
    /// Where requests go.
    pub router: Router,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// How many connections may be open.
    pub most: usize,
    /// How long a connection may be idle.
    pub keep_alive: Duration,
    /// How long a client may keep the server waiting.
    pub client: Duration,
    /// Turns true when the server is to stop.
    pub draining: watch::Receiver<bool>,
}

/// Serves a connection to its end.
pub async fn serve<S>(stream: S, open: OpenConnection, server: ServerContext)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let timeouts = Arc::new(ConnectionTimeouts::new(server.keep_alive, server.client));
    let io = TokioIo::new(TimedStream::new(stream, Arc::clone(&timeouts), open));
    let service = service_fn(|request| respond(request, &server, &timeouts));
    // The time-outs see slow heads, which hyper would not tell from idle connections.
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(LARGEST_HEAD);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut draining = server.draining.clone();
    let mut told = false;
    loop {
        let drain = async {
            let _ = draining.wait_for(|draining| *draining).await;
        };
        tokio::select! {
            // Its errors are those of the client, who has gone.
            _ = connection.as_mut() => return,
            () = drain, if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            () = timeouts.expired() => return,
        }
    }
}

fn respond(
    mut request: Request<Incoming>,
    server: &ServerContext,
    timeouts: &Arc<ConnectionTimeouts>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    timeouts.serving();
    let served = Served { timeouts: Arc::clone(timeouts), _counted: server.figures.request() };
    let seconds = server.keep_alive.as_secs();
    let draining = server.draining.clone();
    request.extensions_mut().insert(Arc::clone(timeouts));
    let last = request.version() < Version::HTTP_11 || wants_close(&request);
    let response = TowerToHyperService::new(server.router.clone()).call(request);
    async move {
        let mut response = response.await?;
        let headers = response.headers_mut();
        if *draining.borrow() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        } else if !last && !headers.contains_key(header::CONNECTION) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
            if let Ok(value) = HeaderValue::try_from(format!("timeout={seconds}")) {
                headers.insert("keep-alive", value);
            }
        }
        Ok(response.map(|body| Body::new(Tracked { body, _served: served })))
    }
}

fn wants_close(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// A request counts as served when the body of its response is gone, sent or not.
struct Served {
    timeouts: Arc<ConnectionTimeouts>,
    _counted: RequestInFlight,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.timeouts.idle();
    }
}

struct Tracked {
    body: Body,
    _served: Served,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
