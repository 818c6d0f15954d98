//! The dialect of the OpenAPI description, under /api/v1.

use super::body::Payload;
use super::errors::answer;
use super::fields;
use super::params::{InTransaction, Names, Params};
use super::sdk::{delete_or_drop, new_database, new_table};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::store::{Access, Place, Session, schema, sql};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

const MOST_ROWS: i64 = 10_000;

type Shared = State<Arc<App>>;

/// GET /api/v1/databases
pub async fn list_databases(State(app): Shared) -> Result<Response> {
    let mut databases = Vec::new();
    for name in app.store.list() {
        match described(&app, InTransaction(None).at(name)).await {
            Ok(database) => databases.push(database),
            // Dropped since the list was made.
            Err(error) if error.kind == Kind::NoDatabase => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer(StatusCode::OK, &json!({"databases": databases})))
}

/// POST /api/v1/databases
pub async fn create_database(
    State(app): Shared,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let name = new_database(&app, transaction, payload).await?;
    let body = described(&app, InTransaction(None).at(name)).await?;
    Ok(answer(StatusCode::CREATED, &body))
}

/// GET /api/v1/databases/{db}
pub async fn describe_database(
    State(app): Shared,
    Names(name): Names<String>,
    transaction: InTransaction,
) -> Result<Response> {
    let body = described(&app, transaction.at(name)).await?;
    Ok(answer(StatusCode::OK, &body))
}

async fn described(app: &App, place: Place) -> Result<Value> {
    let (created_at, tables) = app
        .store
        .run(&place, Access::Read, |session| {
            Ok((schema::created_at(session)?, all_tables(session)?))
        })
        .await?;
    Ok(json!({
        "name": place.database,
        "createdAt": created_at,
        "tables": tables,
        "size": app.store.size(&place.database)?,
    }))
}

fn all_tables(session: &Session) -> Result<Vec<Value>> {
    schema::list(session)?.iter().map(|name| schema::describe(session, name)).collect()
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
    let tables = app.store.run(&transaction.at(database), Access::Read, all_tables).await?;
    Ok(answer(StatusCode::OK, &json!({"tables": tables})))
}

/// POST /api/v1/databases/{db}/tables
pub async fn create_table(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let (name, columns) = new_table(payload)?;
    let body = app
        .store
        .run(&transaction.at(database), Access::Write, move |session| {
            schema::create(session, &name, &columns)?;
            schema::describe(session, &name)
        })
        .await?;
    Ok(answer(StatusCode::CREATED, &body))
}

/// GET /api/v1/databases/{db}/tables/{table}
pub async fn describe_table(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
) -> Result<Response> {
    let body = app
        .store
        .run(&transaction.at(database), Access::Read, move |session| {
            schema::describe(session, &table)
        })
        .await?;
    Ok(answer(StatusCode::OK, &body))
}

/// DELETE /api/v1/databases/{db}/tables/{table}
///
/// The description knows no condition here, but a client that sends one means rows: to drop
/// the table would be the worst of answers.
pub async fn drop_table(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    Ok(match delete_or_drop(&app, database, table, params, transaction).await? {
        Some(count) => {
            let body = json!({"message": format!("{count} rows deleted"), "count": count});
            answer(StatusCode::OK, &body)
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// GET /api/v1/databases/{db}/tables/{table}/rows
pub async fn rows(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    mut params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let given = |text: &String| !text.trim().is_empty();
    let page = sql::Page {
        condition: params.take("where")?.filter(given),
        order_by: params.take("orderBy")?.filter(given),
        limit: params.take_number("limit", 1..=MOST_ROWS)?,
        offset: params.take_number("offset", 0..=i64::MAX)?.unwrap_or(0),
    };
    params.finish()?;
    let (found, count) = app
        .store
        .run(&transaction.at(database), Access::Read, move |session| {
            sql::page(session, &table, &page)
        })
        .await?;
    let body = json!({"rows": found.records(), "count": count});
    Ok(answer(StatusCode::OK, &body))
}

/// POST /api/v1/databases/{db}/tables/{table}/rows
pub async fn insert_rows(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let rows = fields::list(&mut payload.required()?, "rows")?
        .into_iter()
        .map(|row| match row {
            Value::Object(row) => Ok(row),
            _ => Err(Error::bad_request("a row must be an object")),
        })
        .collect::<Result<Vec<_>>>()?;
    let count = rows.len();
    app.store
        .run(&transaction.at(database), Access::Write, move |session| {
            schema::check_exists(session, &table)?;
            rows.iter().try_for_each(|row| sql::insert(session, &table, row).map(drop))
        })
        .await?;
    app.figures.inserted(count);
    Ok(answer(StatusCode::CREATED, &json!({"inserted": count})))
}
