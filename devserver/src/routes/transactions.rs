//! Beginning and ending transactions.

use super::body::Payload;
use super::errors::respond_json;
use super::params::{InTransaction, Names};
use crate::app::App;
use crate::engine::json::Object;
use crate::error::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

/// POST /transactions
pub async fn begin(
    State(app): State<Arc<App>>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    transaction.none("beginning a transaction")?;
    let mut body = Object::parse(payload.small()?)?.unwrap_or_default();
    let database = body.take_optional_text("database")?;
    body.finish("a transaction")?;
    let id = app.store.begin(database.as_deref())?;
    Ok(respond_json(StatusCode::OK, &json!({"transaction_id": id})))
}

/// POST /transactions/{id}/commit
pub async fn commit(State(app): State<Arc<App>>, Names(id): Names<String>) -> Result<Response> {
    app.store.commit(&id).await?;
    let body = json!({"message": "Transaction committed", "transaction_id": id});
    Ok(respond_json(StatusCode::OK, &body))
}

/// POST /transactions/{id}/rollback
pub async fn roll_back(State(app): State<Arc<App>>, Names(id): Names<String>) -> Result<Response> {
    app.store.roll_back(&id).await?;
    let body = json!({"message": "Transaction rolled back", "transaction_id": id});
    Ok(respond_json(StatusCode::OK, &body))
}
