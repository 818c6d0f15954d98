//! Keeps out what a web page in somebody's browser sends.

use super::body;
use crate::app::App;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Lets a request pass that is asked of this server, by a program.
pub async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.names.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => body::refuse(&app, request, error),
    }
}
