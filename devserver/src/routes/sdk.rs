//! The dialect of the client SDKs, at the root.

use super::body::Payload;
use super::errors::{respond, respond_json};
use super::params::{InTransaction, Names, Params};
use crate::app::App;
use crate::engine::Job;
use crate::engine::json::Object;
use crate::error::Result;
use crate::store::{Access, Place};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

type Shared = State<Arc<App>>;

/// GET /databases
pub async fn list_databases(State(app): Shared) -> Response {
    respond_json(StatusCode::OK, &json!({"databases": app.store.list()}))
}

/// POST /databases
pub async fn create_database(
    State(app): Shared,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let name = new_database(&app, transaction, payload).await?;
    let body = json!({"message": format!("Database {name:?} created"), "name": name});
    Ok(respond_json(StatusCode::CREATED, &body))
}

/// Makes the database that the request asks for, in both dialects.
pub async fn new_database(
    app: &App,
    transaction: InTransaction,
    payload: Payload,
) -> Result<String> {
    transaction.none("creating a database")?;
    let name = Object::required(payload.small()?)?.take_text("name")?;
    app.store.create(name.clone()).await?;
    Ok(name)
}

/// DELETE /databases/{db}
pub async fn drop_database(
    State(app): Shared,
    Names(name): Names<String>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    params.finish()?;
    transaction.none("dropping a database")?;
    app.store.drop(&name).await?;
    let body = json!({"message": format!("Database {name:?} dropped")});
    Ok(respond_json(StatusCode::OK, &body))
}

/// GET /databases/{db}/tables
pub async fn list_tables(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
) -> Result<Response> {
    run(&app, transaction.at(database), Access::Read, Job::ListTables, StatusCode::OK).await
}

/// Does a job that needs no body.
pub async fn run(
    app: &App,
    place: Place,
    access: Access,
    job: Job,
    status: StatusCode,
) -> Result<Response> {
    run_with(app, place, access, job, Payload::default(), status).await
}

/// Does a job with the body of the request.
pub async fn run_with(
    app: &App,
    place: Place,
    access: Access,
    job: Job,
    payload: Payload,
    status: StatusCode,
) -> Result<Response> {
    let outcome = app.store.run(&place, access, job, payload.0).await?;
    app.figures.inserted(outcome.done.inserted);
    Ok(respond(status, outcome.body))
}

/// POST /databases/{db}/tables
pub async fn create_table(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let job = Job::CreateTable { describe: false };
    let place = transaction.at(database);
    run_with(&app, place, Access::Write, job, payload, StatusCode::CREATED).await
}

/// GET /databases/{db}/tables/{table}
pub async fn select(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    mut params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let condition = params.take("condition")?.filter(|condition| !condition.trim().is_empty());
    params.finish()?;
    let job = Job::Select { table, condition };
    run(&app, transaction.at(database), Access::Read, job, StatusCode::OK).await
}

/// POST /databases/{db}/tables/{table}
pub async fn insert(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let job = Job::Insert { table };
    let place = transaction.at(database);
    run_with(&app, place, Access::Write, job, payload, StatusCode::CREATED).await
}

/// PUT /databases/{db}/tables/{table}
pub async fn update(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let job = Job::Update { table };
    run_with(&app, transaction.at(database), Access::Write, job, payload, StatusCode::OK).await
}

/// DELETE /databases/{db}/tables/{table}: rows with a condition, the table without.
pub async fn delete(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let (job, _) = delete_or_drop(table, params)?;
    run(&app, transaction.at(database), Access::Write, job, StatusCode::OK).await
}

/// Whether a request deletes rows or drops the table, in both dialects.
pub fn delete_or_drop(table: String, mut params: Params) -> Result<(Job, bool)> {
    let condition = params.take("condition")?;
    params.finish()?;
    Ok(match condition {
        Some(condition) => (Job::Delete { table, condition }, false),
        None => (Job::DropTable { table }, true),
    })
}
