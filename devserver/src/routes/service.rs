//! The server about itself.

use super::errors::respond_json;
use crate::app::App;
use crate::figures::Now;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// GET /
pub async fn welcome() -> Response {
    respond_json(
        StatusCode::OK,
        &json!({
            "message": "PhantomDB development server",
            "version": env!("CARGO_PKG_VERSION"),
            "routes": {"sdk": "/", "openapi": "/api/v1"},
        }),
    )
}

/// GET /health
pub async fn health() -> Response {
    respond_json(
        StatusCode::OK,
        &json!({
            "status": "healthy",
            "server": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
        }),
    )
}

fn now(app: &App) -> Now {
    Now {
        databases: app.store.list().len(),
        transactions: app.store.open_transactions(),
        body_bytes: app.max_total_body_bytes - app.bodies.available_permits(),
    }
}

/// GET /stats
pub async fn stats(State(app): State<Arc<App>>) -> Response {
    respond_json(StatusCode::OK, &app.figures.to_json(&now(&app)))
}

/// GET /metrics
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let text = app.figures.to_prometheus(&now(&app));
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
