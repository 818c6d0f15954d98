//! `phantomdb_connection` and its calls: the operations of a database.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::call::{call, text};
use super::error::phantomdb_error;
use super::handles::{Found, Kept, Kind, Table};
use super::operation;
use super::result::{self, phantomdb_result};
use crate::async_pool::ConnectionQueue;
use crate::client::{Operation, Request};
use crate::error::{Code, Error, Result};

pub(super) static CONNECTIONS: Table<LeaseEntry> = Table::new(Kind::Connection);

/// What the handle of a connection names.
#[derive(Clone)]
pub(super) struct LeaseEntry {
    /// The number of the pool's handle.
    pub pool: usize,
    pub lane: Arc<ConnectionQueue>,
}

impl Kept for LeaseEntry {
    fn address(&self) -> usize {
        self.lane.address()
    }
}

/// A connection that was acquired from a pool, and is yours until you release it.
///
/// `phantomdb_connection_health_check`, `_list_databases`, `_create_database`, `_drop_database`,
/// `_list_tables`, `_create_table`, `_drop_table`, `_insert`, `_select`, `_update`, `_delete`,
/// `_execute_query`, `_begin_transaction`, `_commit_transaction`, `_rollback_transaction`, `_run`,
/// `_request`, `_interrupt`, `_set_owner`; without waiting `_run_async`, `_request_async`; step by
/// step `_start`, `_start_request`, `_resume`, `_finish`, `_finish_async`, `_watch_socket`.
///
/// One request at a time runs on it: a second thread that tries meanwhile gets
/// `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` may be called from any thread. It may be
/// used and released by another thread than the one that acquired it.
///
/// What each operation below has in common: texts are UTF-8 and end with a NUL, and need to
/// live only during the call. Names may hold any character; the library encodes them. JSON
/// arguments are checked before anything is sent. On success `*result` is the response, to be freed
/// with `phantomdb_result_free`; on failure it is NULL; `result` itself may be NULL if the response is of
/// no interest. A call takes at most `request_timeout_ms`. Their errors:
///
/// - `PHANTOMDB_ERR_INVALID_ARGUMENT`: an argument can't be used; nothing was sent.
/// - `PHANTOMDB_ERR_INVALID_HANDLE`: this connection was released, or never was one.
/// - `PHANTOMDB_ERR_HTTP`: the server answered with an error: 400 bad SQL, 404 no such database or
///   table, 409 already there, 500 and so on; see `http_status`.
/// - `PHANTOMDB_ERR_UNAUTHORIZED`: the token is missing or wrong.
/// - `PHANTOMDB_ERR_UNAVAILABLE`, `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CONNECTION_LOST`,
///   `PHANTOMDB_ERR_PROTOCOL`, `PHANTOMDB_ERR_TOO_LARGE`, `PHANTOMDB_ERR_TLS`: the way to the server. The
///   connection may be used again: it opens itself anew.
/// - `PHANTOMDB_ERR_OUT_OF_MEMORY`: there is no memory for the request or for what came.
/// - `PHANTOMDB_ERR_CANCELLED`: it was interrupted. `PHANTOMDB_ERR_BUSY`: see above.
///   `PHANTOMDB_ERR_CLOSED`: the pool was closed.
///
/// A request is sent again only if nothing of it reached the server, if it only reads, or if the server
/// says that it did not wait for it (408) and closes the connection: an insert is never carried out
/// twice. Whether you may send it again yourself is in `retriable` of the error.
pub struct phantomdb_connection {
    _private: (),
}

pub(super) fn find(connection: *mut phantomdb_connection) -> Result<LeaseEntry> {
    match CONNECTIONS.find(connection) {
        Found::Live(entry) => entry.lane.lease().check_process().map(|()| entry),
        _ => Err(unknown(connection)),
    }
}

pub(super) fn unknown(connection: *mut phantomdb_connection) -> Error {
    let what = if connection.is_null() {
        "is NULL"
    } else {
        "was released already, or never was a connection"
    };
    Error::new(Code::InvalidHandle, format!("connection: the handle {what}"))
}

/// Sends a request on a connection and gives the response to the caller.
///
/// # Safety
/// `result` and `error` are NULL or valid.
unsafe fn run(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
    request: impl FnOnce() -> Result<Request>,
) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe {
        call(error, || {
            result::response(result, || {
                let entry = find(connection)?;
                entry.lane.lease().request(&request()?)
            })
        })
    }
}

/// Runs an operation on a connection and gives the response to the caller.
///
/// # Safety
/// `result` and `error` are NULL or valid, the arguments NULL or texts.
unsafe fn operate(
    connection: *mut phantomdb_connection,
    operation: Operation,
    arguments: &[*const c_char],
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe { run(connection, result, error, || operation::request(operation, arguments)) }
}

/// Asks the server how it is: the response is an object whose `status` is "healthy" or "unhealthy".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_health_check(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::HealthCheck, &[], result, error) }
}

/// Lists the databases: the response is a list of names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_list_databases(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::ListDatabases, &[], result, error) }
}

/// Makes a database. HTTP status 409 if there is one of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_create_database(
    connection: *mut phantomdb_connection,
    name: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [name];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::CreateDatabase, &arguments, result, error) }
}

/// Removes a database with all that is in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_drop_database(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::DropDatabase, &arguments, result, error) }
}

/// Lists the tables of a database: the response is a list of names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_list_tables(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::ListTables, &arguments, result, error) }
}

/// Makes a table. `columns` is a JSON array of objects with `name` and `type`, and where wanted
/// `nullable`, `primaryKey`, `defaultValue`: `[{"name":"id","type":"integer","primaryKey":true}]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_create_table(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    name: *const c_char,
    columns: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, name, columns];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::CreateTable, &arguments, result, error) }
}

/// Removes a table with all its rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_drop_table(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::DropTable, &arguments, result, error) }
}

/// Adds one row: a JSON object of column to value, `{"id":1,"name":"Ada"}`. Never carried out twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_insert(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    row: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table, row];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::Insert, &arguments, result, error) }
}

/// Reads the rows that fulfil an SQL condition, or all if `condition` is NULL: the response is a
/// table, with its columns in the server's order. A blank condition is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_select(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    condition: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table, condition];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::Select, &arguments, result, error) }
}

/// Changes the rows that fulfil an SQL condition, or all if `condition` is NULL. `data` is a JSON
/// object of column to new value. A blank condition is refused.
/// `phantomdb_result_affected_rows` says how many rows changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_update(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    data: *const c_char,
    condition: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table, data, condition];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::Update, &arguments, result, error) }
}

/// Deletes the rows that fulfil an SQL condition. It is never optional: NULL or blank is refused
/// before anything is sent, because on the wire such a delete would drop the table. Say "1=1"
/// for all rows. `phantomdb_result_affected_rows` says how many went.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_delete(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    condition: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table, condition];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::Delete, &arguments, result, error) }
}

/// Runs one SQL statement. `parameters` is a JSON array, one value for each `?` of the statement,
/// or NULL. The response of a query is a table; `phantomdb_result_affected_rows` tells of other statements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_execute_query(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    sql: *const c_char,
    parameters: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, sql, parameters];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::ExecuteQuery, &arguments, result, error) }
}

/// Begins a transaction, of one database or (`database` NULL) of whichever it touches first. Every
/// request on this connection belongs to it until commit or rollback; releasing the connection
/// rolls it back. The response is an object with the `transaction_id`.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if one is open on this connection already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_begin_transaction(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::BeginTransaction, &arguments, result, error) }
}

/// Commits the transaction that is open on this connection. `transaction_id` is its id, or NULL,
/// which means the same.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if none is open, or one of another id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_commit_transaction(
    connection: *mut phantomdb_connection,
    transaction_id: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [transaction_id];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::CommitTransaction, &arguments, result, error) }
}

/// Rolls back the transaction that is open on this connection. `transaction_id` is its id, or NULL,
/// which means the same.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if none is open, or one of another id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_rollback_transaction(
    connection: *mut phantomdb_connection,
    transaction_id: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [transaction_id];
    // SAFETY: the caller promises what the arguments need.
    unsafe { operate(connection, Operation::RollbackTransaction, &arguments, result, error) }
}

/// Runs an operation that is chosen by number: one of `phantomdb_operation`, with its
/// `argument_count` texts. As the function of its name in all else.
///
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` for an unknown operation, or arguments that it does not take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_run(
    connection: *mut phantomdb_connection,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe {
        run(connection, result, error, || operation::numbered(operation, arguments, argument_count))
    }
}

/// Sends a request that has no name here yet.
///
/// `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent as it is, so
/// whatever needs it must be percent-encoded; `body` is JSON, or NULL with length 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_request(
    connection: *mut phantomdb_connection,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe { run(connection, result, error, || operation::raw(method, path, body, body_length)) }
}

/// Names who has the connection, for the report of a leak (`leak_threshold_ms`): the id of a
/// request, say, or a place in the program. Forgotten at the release.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_set_owner(
    connection: *mut phantomdb_connection,
    owner: *const c_char,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises what the arguments need.
    unsafe {
        call(error, || {
            find(connection)?.lane.lease().set_owner(text("owner", owner)?);
            Ok(())
        })
    }
}

/// Cuts the request that another thread has in flight on this connection: it fails with
/// `PHANTOMDB_ERR_CANCELLED`, and what the server made of it is unknown. With none in flight it does
/// nothing. Safe from any thread; returns at once.
///
/// Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_interrupt(
    connection: *mut phantomdb_connection,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or valid.
    unsafe {
        call(error, || {
            find(connection)?.lane.lease().cancel();
            Ok(())
        })
    }
}
