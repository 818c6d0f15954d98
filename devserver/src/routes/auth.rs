//! Who may ask.

use super::body;
use crate::app::App;
use crate::error::{Error, Kind};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Lets a request pass that carries the token, or needs none.
pub async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(token) = &app.token else {
        return next.run(request).await;
    };
    let path = request.uri().path();
    let open = matches!(*request.method(), Method::GET | Method::HEAD)
        && (path == "/health" || path == "/api/v1/health");
    let message = match bearer(&request) {
        // How long this takes must not tell how much of the token was right.
        Some(given) if bool::from(given.ct_eq(token.as_bytes())) => {
            return next.run(request).await;
        }
        // Nothing is kept of what strangers send.
        _ if open => return next.run(body::without_body(&app, request)).await,
        Some(_) => "the token is wrong",
        None => "the request needs a token: Authorization: Bearer TOKEN",
    };
    body::refuse(&app, request, Error::new(Kind::Unauthorized, message))
}

fn bearer(request: &Request) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}
