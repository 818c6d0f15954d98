//! The body of a request: all of it, in time, not too much, and JSON.

use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::serve::Pulse;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// How much of a body that is too large is read and thrown away: a client that still writes
/// when the connection closes would see a reset instead of the answer.
const THROWN_AWAY: u64 = 16 * 1024 * 1024;

/// Reads the whole body, also where the route has no use for it: with one left unread the
/// connection could not be kept.
pub async fn read(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match collect(body, app.max_body_bytes as u64, app.client_timeout).await {
        Ok(bytes) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(error) => error.into_response(),
    }
}

/// Answers at once a request that is not let in, and throws away what is left of it, so that the
/// connection can be kept.
pub fn refuse(app: &App, request: Request, error: Error) -> Response {
    let response = error.into_response();
    let (head, body) = request.into_parts();
    // A client that waits for leave to send its body will not send it now.
    let sends_on = !body.is_end_stream()
        && !head.headers.contains_key(header::EXPECT)
        && body.size_hint().lower() <= THROWN_AWAY;
    if sends_on {
        let pulse = head.extensions.get::<Arc<Pulse>>().cloned();
        let patience = app.client_timeout;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(patience, throw_away(body)).await;
            if let Some(pulse) = pulse {
                pulse.drained();
            }
        });
    }
    response
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

async fn collect(body: Body, limit: u64, patience: Duration) -> Result<Bytes> {
    tokio::time::timeout(patience, collect_up_to(body, limit)).await.unwrap_or_else(|_| {
        Err(Error::new(
            Kind::RequestTimeout,
            format!("the body has not arrived within {} s", patience.as_secs_f64()),
        ))
    })
}

async fn collect_up_to(mut body: Body, limit: u64) -> Result<Bytes> {
    let announced = body.size_hint().lower();
    let mut seen = 0;
    let mut bytes = BytesMut::new();
    if announced.max(seen) <= limit + THROWN_AWAY {
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| Error::bad_request(format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            seen += data.len() as u64;
            if seen <= limit {
                bytes.extend_from_slice(&data);
            } else if seen > limit + THROWN_AWAY {
                break;
            }
        }
    }
    if announced.max(seen) > limit {
        return Err(Error::new(Kind::TooLarge, format!("the body is larger than {limit} bytes"))
            .with("max_body_bytes", limit));
    }
    Ok(bytes.freeze())
}

/// The JSON object in the body; none where the body is empty.
#[derive(Debug)]
pub struct Payload(Option<Map<String, Value>>);

impl Payload {
    /// The object, which must be there.
    pub fn required(self) -> Result<Map<String, Value>> {
        self.0.ok_or_else(|| Error::bad_request("the request needs a JSON object as its body"))
    }

    /// The object; an empty one where the body is.
    pub fn optional(self) -> Map<String, Value> {
        self.0.unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (head, body) = request.into_parts();
        let bytes =
            body.collect().await.map_err(|error| Error::internal(error.to_string()))?.to_bytes();
        // A form may be empty, and its type still tells that a page sent it.
        if bytes.is_empty() && !head.headers.contains_key(header::CONTENT_TYPE) {
            return Ok(Self(None));
        }
        if !is_json(&head.headers) {
            return Err(Error::bad_request(
                "a body must be declared as Content-Type: application/json",
            ));
        }
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(Some(object))),
            Ok(_) => Err(Error::bad_request("the body must be a JSON object")),
            Err(error) => Err(Error::bad_request(format!("the body is not JSON: {error}"))),
        }
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
