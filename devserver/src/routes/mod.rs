//! The routes of both dialects.

mod auth;
mod body;
mod errors;
pub mod guard;
mod openapi;
mod params;
mod query;
mod sdk;
mod service;
mod transactions;

use crate::app::App;
use crate::error::{Error, Kind};
use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// Every route of the server.
pub fn router(app: &Arc<App>) -> Router {
    let routes = Router::new()
        .route("/databases", get(sdk::list_databases).post(sdk::create_database))
        .route("/databases/{db}", axum::routing::delete(sdk::drop_database))
        .route("/databases/{db}/tables", get(sdk::list_tables).post(sdk::create_table))
        .route(
            "/databases/{db}/tables/{table}",
            get(sdk::select).post(sdk::insert).put(sdk::update).delete(sdk::delete),
        )
        .route("/databases/{db}/query", post(query::execute))
        .route("/transactions", post(transactions::begin))
        .route("/transactions/{id}/commit", post(transactions::commit))
        .route("/transactions/{id}/rollback", post(transactions::roll_back))
        .route("/api/v1/databases", get(openapi::list_databases).post(openapi::create_database))
        .route(
            "/api/v1/databases/{db}",
            get(openapi::describe_database).delete(openapi::drop_database),
        )
        .route(
            "/api/v1/databases/{db}/tables",
            get(openapi::list_tables).post(openapi::create_table),
        )
        .route(
            "/api/v1/databases/{db}/tables/{table}",
            get(openapi::describe_table).delete(openapi::drop_table),
        )
        .route(
            "/api/v1/databases/{db}/tables/{table}/rows",
            get(openapi::rows).post(openapi::insert_rows),
        )
        .route("/api/v1/databases/{db}/query", post(query::execute));
    let routes = ["", "/api/v1"].iter().fold(routes, |routes, prefix| {
        let routes = routes
            .route(&format!("{prefix}/"), get(service::welcome))
            .route(&format!("{prefix}/health"), get(service::health))
            .route(&format!("{prefix}/metrics"), get(service::metrics))
            .route(&format!("{prefix}/stats"), get(service::stats));
        match *prefix {
            "" => routes,
            prefix => routes.route(prefix, get(service::welcome)),
        }
    });
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // The last one runs first: nothing is read for those who may not ask.
        .layer(from_fn_with_state(Arc::clone(app), body::read))
        .layer(from_fn_with_state(Arc::clone(app), auth::check))
        .layer(from_fn_with_state(Arc::clone(app), guard::check))
        .with_state(Arc::clone(app))
}

async fn no_route(method: Method, uri: Uri) -> Error {
    Error::new(Kind::NoRoute, format!("there is no route {method} {}", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Error {
    Error::new(Kind::Method, format!("the route {} does not know {method}", uri.path()))
}
