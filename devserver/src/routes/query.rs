//! Queries of the client's own.

use super::body::Payload;
use super::errors::respond;
use super::params::{InTransaction, Names};
use crate::app::App;
use crate::engine::Job;
use crate::error::{Error, Result};
use crate::store::Access;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// POST /databases/{db}/query
pub async fn execute(
    State(app): State<Arc<App>>,
    Names(database): Names<String>,
    transaction: InTransaction,
    Payload(body): Payload,
) -> Result<Response> {
    let place = transaction.at(database);
    // Only SQLite can tell whether a statement writes, and only a writer has to wait its turn.
    for access in [Access::Read, Access::Write] {
        let job = Job::Query { may_write: access == Access::Write };
        let outcome = app.store.run(&place, access, job, body.clone()).await?;
        if !outcome.done.needs_write_turn {
            return Ok(respond(StatusCode::OK, outcome.body));
        }
    }
    Err(Error::internal("a query was not run"))
}
