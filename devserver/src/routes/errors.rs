//! Errors as responses: status, code, message and details.

use crate::error::{Error, Kind};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The status and the code that stand for a kind of error.
fn status_and_code(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::BadRequest => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Kind::BadSql => (StatusCode::BAD_REQUEST, "SQL_ERROR"),
        Kind::SqlNotAllowed => (StatusCode::BAD_REQUEST, "SQL_NOT_ALLOWED"),
        Kind::QueryTimeout => (StatusCode::BAD_REQUEST, "QUERY_TIMEOUT"),
        Kind::ResultTooLarge => (StatusCode::BAD_REQUEST, "RESULT_TOO_LARGE"),
        Kind::Constraint => (StatusCode::BAD_REQUEST, "CONSTRAINT_VIOLATION"),
        Kind::Unauthorized => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Kind::HostNotAllowed => (StatusCode::FORBIDDEN, "HOST_NOT_ALLOWED"),
        Kind::CrossSite => (StatusCode::FORBIDDEN, "CROSS_SITE_REQUEST"),
        Kind::NoDatabase => (StatusCode::NOT_FOUND, "DATABASE_NOT_FOUND"),
        Kind::NoTable => (StatusCode::NOT_FOUND, "TABLE_NOT_FOUND"),
        Kind::NoTransaction => (StatusCode::NOT_FOUND, "TRANSACTION_NOT_FOUND"),
        Kind::NoRoute => (StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND"),
        Kind::Method => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
        Kind::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
        Kind::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Kind::Conflict => (StatusCode::CONFLICT, "TRANSACTION_CONFLICT"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
        Kind::Busy => (StatusCode::SERVICE_UNAVAILABLE, "DATABASE_BUSY"),
        Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "SERVER_OVERLOADED"),
        Kind::TooManyTransactions => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_TRANSACTIONS"),
        Kind::TooManyDatabases => (StatusCode::INSUFFICIENT_STORAGE, "TOO_MANY_DATABASES"),
        Kind::DatabaseFull => (StatusCode::INSUFFICIENT_STORAGE, "DATABASE_FULL"),
        Kind::MemoryLimit => (StatusCode::BAD_REQUEST, "MEMORY_LIMIT"),
        Kind::Interrupted | Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

/// A response whose body is JSON already.
pub fn respond(status: StatusCode, body: Bytes) -> Response {
    let json = HeaderValue::from_static("application/json");
    let body = match body.len() {
        ..=PIECE => Body::from(body),
        _ => Body::new(Piecewise(body)),
    };
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

/// How much of a large body is handed over at once.
const PIECE: usize = 64 * 1024;

/// A large body that is handed over piece by piece: to take it as a whole, as TLS would, costs a
/// copy of it, for as long as which nothing else would be done.
struct Piecewise(Bytes);

impl http_body::Body for Piecewise {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// A response with a JSON object.
pub fn respond_json(status: StatusCode, body: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body.to_string()).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = status_and_code(self.kind);
        if self.kind == Kind::Internal {
            crate::log::line(&self.message);
        }
        let body = json!({"code": code, "message": self.message, "details": self.details});
        let mut response = respond_json(status, &body);
        match self.kind {
            Kind::Unauthorized => {
                let challenge = HeaderValue::from_static("Bearer realm=\"phantomdb\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Kind::Busy | Kind::Overloaded | Kind::TooManyTransactions => {
                let soon = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, soon);
            }
            // The rest of the request is still under way, and nobody will read it.
            Kind::RequestTimeout => {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            _ => {}
        }
        response
    }
}
