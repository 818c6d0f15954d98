//! The body of a request: all of it, in time, not too much, and JSON.

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::serve::ConnectionTimeouts;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// How much of a body that is too large is read and thrown away: a client that still writes
/// when the connection closes would see a reset instead of the response.
const THROWN_AWAY: u64 = 16 * 1024 * 1024;

/// The largest body of a route that takes a name and little more.
const SMALL: usize = 64 * 1024;

/// Reads the whole body, also where the route has no use for it: with one left unread the
/// connection could not be kept.
pub async fn read(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match collect(body, &app).await {
        Ok(bytes) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(error) => error.into_response(),
    }
}

/// Responds at once to a request that is refused.
pub fn refuse(app: &App, request: Request, error: Error) -> Response {
    drop(without_body(app, request));
    error.into_response()
}

/// The same request without its body, which is thrown away meanwhile, so that the connection can be
/// kept.
pub fn without_body(app: &App, request: Request) -> Request {
    let (head, body) = request.into_parts();
    // A client that waits for leave to send its body will not send it now.
    let sends_on = !body.is_end_stream()
        && !head.headers.contains_key(header::EXPECT)
        && body.size_hint().lower() <= THROWN_AWAY;
    if sends_on {
        let timeouts = head.extensions.get::<Arc<ConnectionTimeouts>>().cloned();
        let wait_limit = app.client_timeout;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(wait_limit, throw_away(body)).await;
            if let Some(timeouts) = timeouts {
                timeouts.drained();
            }
        });
    }
    Request::from_parts(head, Body::empty())
}

async fn throw_away(mut body: Body) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, |data| data.len() as u64);
        if seen > THROWN_AWAY {
            return;
        }
    }
}

async fn collect(body: Body, app: &App) -> Result<Bytes> {
    let wait_limit = app.client_timeout;
    tokio::time::timeout(wait_limit, collect_up_to(body, app)).await.unwrap_or_else(|_| {
        Err(Error::new(
            Kind::RequestTimeout,
            format!("the body has not arrived within {} s", wait_limit.as_secs_f64()),
        ))
    })
}

/// A body, and its share of what all of them together may take.
struct Held {
    bytes: BytesMut,
    shares: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Held {
    fn add(&mut self, data: &[u8], app: &App) -> Result<()> {
        let wanted = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let share = Arc::clone(&app.bodies).try_acquire_many_owned(wanted).map_err(|_| {
            Error::new(
                Kind::Overloaded,
                "the bodies of all requests in progress together have reached their limit",
            )
        })?;
        match &mut self.shares {
            Some(shares) => shares.merge(share),
            None => self.shares = Some(share),
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

async fn collect_up_to(mut body: Body, app: &App) -> Result<Bytes> {
    let limit = app.max_body_bytes as u64;
    let announced = body.size_hint().lower();
    let mut seen = 0;
    let mut held = Held { bytes: BytesMut::new(), shares: None };
    let mut refused = None;
    if announced.max(seen) <= limit.saturating_add(THROWN_AWAY) {
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| Error::bad_request(format!("the body was cut off: {error}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            seen += data.len() as u64;
            if seen > limit.saturating_add(THROWN_AWAY) {
                break;
            }
            if announced.max(seen) > limit || refused.is_some() {
                held = Held { bytes: BytesMut::new(), shares: None };
            } else {
                refused = held.add(&data, app).err();
            }
        }
    }
    if announced.max(seen) > limit {
        return Err(Error::new(Kind::TooLarge, format!("the body is larger than {limit} bytes"))
            .with("max_body_bytes", limit));
    }
    match refused {
        Some(error) => Err(error),
        None if held.bytes.is_empty() => Ok(Bytes::new()),
        None => Ok(Bytes::from_owner(held)),
    }
}

/// The body of a request, which is JSON or empty.
#[derive(Debug, Default)]
pub struct Payload(pub Bytes);

impl Payload {
    /// The body of a request that the server itself takes apart, not a worker. Only a small one: its
    /// members may take many times its size in memory, and other requests wait meanwhile.
    pub fn small(&self) -> Result<&[u8]> {
        if self.0.len() > SMALL {
            let message = format!("a body for this route has at most {SMALL} bytes");
            return Err(Error::new(Kind::TooLarge, message).with("max_body_bytes", SMALL));
        }
        Ok(&self.0)
    }
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (head, body) = request.into_parts();
        let bytes =
            body.collect().await.map_err(|error| Error::internal(error.to_string()))?.to_bytes();
        // A form may be empty, and its type still tells that a page sent it.
        if (!bytes.is_empty() || head.headers.contains_key(header::CONTENT_TYPE))
            && !is_json(&head.headers)
        {
            return Err(Error::bad_request(
                "a body must be declared as Content-Type: application/json",
            ));
        }
        Ok(Self(bytes))
    }
}

/// A page in a browser can send other types to any server without asking it first; so this
/// keeps strange web pages out of a server that runs without a token.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
