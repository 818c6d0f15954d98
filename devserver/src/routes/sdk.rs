//! The dialect of the client SDKs, at the root.

use super::body::Payload;
use super::errors::answer;
use super::fields;
use super::params::{InTransaction, Names, Params};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{Access, schema, sql};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

type Shared = State<Arc<App>>;

/// GET /databases
pub async fn list_databases(State(app): Shared) -> Response {
    answer(StatusCode::OK, &json!({"databases": app.store.list()}))
}

/// POST /databases
pub async fn create_database(
    State(app): Shared,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let name = new_database(&app, transaction, payload).await?;
    let body = json!({"message": format!("Database {name:?} created"), "name": name});
    Ok(answer(StatusCode::CREATED, &body))
}

/// Makes the database that the request asks for, in both dialects.
pub async fn new_database(
    app: &App,
    transaction: InTransaction,
    payload: Payload,
) -> Result<String> {
    transaction.none("creating a database")?;
    let mut body = payload.required()?;
    let name = fields::text(&mut body, "name")?;
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
    Ok(answer(StatusCode::OK, &body))
}

/// GET /databases/{db}/tables
pub async fn list_tables(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
) -> Result<Response> {
    let tables = app.store.run(&transaction.at(database), Access::Read, schema::list).await?;
    Ok(answer(StatusCode::OK, &json!({"tables": tables})))
}

/// POST /databases/{db}/tables
pub async fn create_table(
    State(app): Shared,
    Names(database): Names<String>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let (name, columns) = new_table(payload)?;
    let table = name.clone();
    app.store
        .run(&transaction.at(database), Access::Write, move |session| {
            schema::create(session, &table, &columns)
        })
        .await?;
    let body = json!({"message": format!("Table {name:?} created"), "name": name});
    Ok(answer(StatusCode::CREATED, &body))
}

/// The table that the request asks for, in both dialects.
pub fn new_table(payload: Payload) -> Result<(String, Vec<schema::Column>)> {
    let mut body = payload.required()?;
    let name = fields::text(&mut body, "name")?;
    let columns = fields::columns(&mut body)?;
    Ok((name, columns))
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
    let found = app
        .store
        .run(&transaction.at(database), Access::Read, move |session| {
            sql::select(session, &table, condition.as_deref())
        })
        .await?;
    Ok(answer(StatusCode::OK, &json!({"records": found.records()})))
}

/// POST /databases/{db}/tables/{table}
pub async fn insert(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let row = payload.required()?;
    let id = app
        .store
        .run(&transaction.at(database), Access::Write, move |session| {
            sql::insert(session, &table, &row)
        })
        .await?;
    app.figures.inserted(1);
    let body = json!({"message": "Row inserted", "id": id});
    Ok(answer(StatusCode::CREATED, &body))
}

/// PUT /databases/{db}/tables/{table}
pub async fn update(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    transaction: InTransaction,
    payload: Payload,
) -> Result<Response> {
    let mut body = payload.required()?;
    let data = fields::object(&mut body, "data")?;
    let condition = fields::optional_text(&mut body, "condition")?;
    fields::finish(&body, "an update")?;
    if data.is_empty() {
        return Err(Error::bad_request("\"data\" names no column"));
    }
    if let Some(condition) = &condition {
        not_blank(condition)?;
    }
    let count = app
        .store
        .run(&transaction.at(database), Access::Write, move |session| {
            sql::update(session, &table, &data, condition.as_deref())
        })
        .await?;
    let body = json!({"message": format!("{count} rows updated"), "count": count});
    Ok(answer(StatusCode::OK, &body))
}

/// DELETE /databases/{db}/tables/{table}: rows with a condition, the table without.
pub async fn delete(
    State(app): Shared,
    Names((database, table)): Names<(String, String)>,
    params: Params,
    transaction: InTransaction,
) -> Result<Response> {
    let name = table.clone();
    let body = match delete_or_drop(&app, database, table, params, transaction).await? {
        Some(count) => json!({"message": format!("{count} rows deleted"), "count": count}),
        None => json!({"message": format!("Table {name:?} dropped")}),
    };
    Ok(answer(StatusCode::OK, &body))
}

/// Deletes rows and counts them, or drops the table, in both dialects.
pub async fn delete_or_drop(
    app: &App,
    database: String,
    table: String,
    mut params: Params,
    transaction: InTransaction,
) -> Result<Option<u64>> {
    let condition = params.take("condition")?;
    params.finish()?;
    if let Some(condition) = &condition {
        not_blank(condition)?;
    }
    app.store
        .run(&transaction.at(database), Access::Write, move |session| match &condition {
            Some(condition) => sql::delete(session, &table, condition).map(Some),
            None => schema::drop(session, &table).map(|()| None),
        })
        .await
}

/// A blank condition would reach every row, which nobody means by it.
fn not_blank(condition: &str) -> Result<()> {
    if condition.trim().is_empty() {
        return Err(Error::bad_request("the condition is blank: for all rows say 1=1"));
    }
    Ok(())
}
