//! Queries of the client's own.

use super::body::Payload;
use super::errors::answer;
use super::fields;
use super::params::{InTransaction, Names};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{Access, sql};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// POST /databases/{db}/query
pub async fn execute(
    State(app): State<Arc<App>>,
    Names(database): Names<String>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let mut body = payload.required()?;
    let query = fields::text(&mut body, "query")?;
    let given = match body.remove("parameters") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(given)) => given,
        Some(_) => return Err(Error::bad_request("\"parameters\" must be an array")),
    };
    let place = transaction.at(database);
    let asked = Arc::new((query, given));
    // Only SQLite can tell whether a statement writes, and only a writer has to wait its turn.
    let mut outcome = sql::Outcome::NeedsWriteTurn;
    for access in [Access::Read, Access::Write] {
        let asked = Arc::clone(&asked);
        outcome = app
            .store
            .run(&place, access, move |session| {
                sql::query(session, &asked.0, &asked.1, access == Access::Write)
            })
            .await?;
        if matches!(outcome, sql::Outcome::Done(..)) {
            break;
        }
    }
    let sql::Outcome::Done(table, affected) = outcome else {
        return Err(Error::internal("a query was not run"));
    };
    let records = table.records();
    let count = table.rows.len();
    let body = json!({
        "columns": table.columns,
        "rows": table.rows,
        "rowCount": count,
        "affectedRows": affected,
        "results": records,
        "records": records,
        "affected_rows": affected,
    });
    Ok(answer(StatusCode::OK, &body))
}
