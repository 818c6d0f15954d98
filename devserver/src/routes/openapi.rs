//! The dialect of the OpenAPI description, under /api/v1.

use super::body::Payload;
use super::errors::respond;
use super::params::{InTransaction, Names, Params};
use super::sdk::{delete_or_drop, new_database, run, run_with};
use crate::app::App;
use crate::engine::Job;
use crate::engine::sql::Page;
use crate::error::{Error, Kind, Result};
use crate::store::{Access, Place};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const MOST_ROWS: i64 = 10_000;

type Shared = State<Arc<App>>;

/// GET /api/v1/databases
pub async fn list_databases(State(app): Shared) -> Result<Response> {
    let mut body = b"{\"databases\":[".to_vec();
    let first = body.len();
    for name in app.store.list() {
        match described(&app, InTransaction(None).at(name)).await {
            Ok(database) => {
                if body.len() > first {
                    body.push(b',');
                }
                body.extend_from_slice(&database);
            }
            // Dropped since the list was made.
            Err(error) if error.kind == Kind::NoDatabase => {}
            Err(error) => return Err(error),
        }
        if body.len() > app.max_result_bytes {
            return Err(Error::new(
                Kind::ResultTooLarge,
                "the descriptions of all databases are too large: ask for one",
            ));
        }
    }
    body.extend_from_slice(b"]}");
    Ok(respond(StatusCode::OK, body.into()))
}

/// POST /api/v1/databases
pub async fn create_database(
    State(app): Shared,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let name = new_database(&app, transaction, payload).await?;
    let body = described(&app, InTransaction(None).at(name)).await?;
    Ok(respond(StatusCode::CREATED, body))
}

/// GET /api/v1/databases/{db}
pub async fn describe_database(
    State(app): Shared,
    Names(name): Names<String>,
    transaction: InTransaction,
) -> Result<Response> {
    let body = described(&app, transaction.at(name)).await?;
    Ok(respond(StatusCode::OK, body))
}

async fn described(app: &App, place: Place) -> Result<Bytes> {
    let name = place.database.clone();
    let job = Job::DescribeDatabase { size: app.store.size(&name)?, name };
    Ok(app.store.run(&place, Access::Read, job, Bytes::new()).await?.body)
}

/// DELETE /api/v1/databases/{db}
pub async fn drop_database(
    State(app): Shared,
    Names(name): Names<String>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    params.finish()?;
    transaction.none("dropping a database")?;
    app.store.drop(&name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// GET /api/v1/databases/{db}/tables
pub async fn list_tables(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
) -> Result<Response> {
    run(&app, transaction.at(database), Access::Read, Job::DescribeTables, StatusCode::OK).await
}

/// POST /api/v1/databases/{db}/tables
pub async fn create_table(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let job = Job::CreateTable { describe: true };
    let place = transaction.at(database);
    run_with(&app, place, Access::Write, job, payload, StatusCode::CREATED).await
}

/// GET /api/v1/databases/{db}/tables/{table}
pub async fn describe_table(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
) -> Result<Response> {
    let job = Job::DescribeTable { table };
    run(&app, transaction.at(database), Access::Read, job, StatusCode::OK).await
}

/// DELETE /api/v1/databases/{db}/tables/{table}
///
/// The description knows no condition here, but a client that sends one means rows: to drop
/// the table would be the worst of outcomes.
pub async fn drop_table(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let (job, drops) = delete_or_drop(table, params)?;
    let response = run(&app, transaction.at(database), Access::Write, job, StatusCode::OK).await?;
    Ok(if drops { StatusCode::NO_CONTENT.into_response() } else { response })
}

/// GET /api/v1/databases/{db}/tables/{table}/rows
pub async fn rows(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    mut params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let given = |text: &String| !text.trim().is_empty();
    let page = Page {
        condition: params.take("where")?.filter(given),
        order_by: params.take("orderBy")?.filter(given),
        limit: params.take_number("limit", 1..=MOST_ROWS)?,
        offset: params.take_number("offset", 0..=i64::MAX)?.unwrap_or(0),
    };
    params.finish()?;
    let job = Job::Page { table, page };
    run(&app, transaction.at(database), Access::Read, job, StatusCode::OK).await
}

/// POST /api/v1/databases/{db}/tables/{table}/rows
pub async fn insert_rows(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let job = Job::InsertRows { table };
    let place = transaction.at(database);
    run_with(&app, place, Access::Write, job, payload, StatusCode::CREATED).await
}
