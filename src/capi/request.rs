//! Requests: the operations of a database, by name and by number, on a connection and on a pool.

use std::ffi::{c_char, c_void};

use super::call::call;
use super::connection::{self, phantomdb_connection};
use super::error::phantomdb_error;
use super::operation;
use super::pool::{self, phantomdb_pool};
use super::result::{self, phantomdb_result};
use crate::client::{Operation, Request};
use crate::error::Result;

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
    // SAFETY: `result` and `error` are NULL or writable: this function asks the same of its caller.
    unsafe {
        call(error, || {
            result::response(result, || {
                let entry = connection::find(connection)?;
                entry.queue.lease().request(&request()?)
            })
        })
    }
}

/// Sends a request on a connection of the pool, whichever it is, and gives the response to the
/// caller.
///
/// # Safety
/// `result` and `error` are NULL or valid.
unsafe fn run_on_pool(
    pool: *mut phantomdb_pool,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
    request: impl FnOnce() -> Result<Request>,
) -> i32 {
    // SAFETY: `result` and `error` are NULL or writable: this function asks the same of its caller.
    unsafe {
        call(error, || {
            result::response(result, || {
                let async_pool = pool::find(pool)?;
                async_pool.pool().request(&request()?)
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
    // SAFETY: `arguments` are NULL or texts and `result` and `error` are NULL or writable: this
    // function asks the same of its caller.
    unsafe { run(connection, result, error, || operation::request(operation, arguments)) }
}

/// Asks the server for its health. The response is an object whose `status` is "healthy" or
/// "unhealthy".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_health_check(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe { operate(connection, Operation::HealthCheck, &[], result, error) }
}

/// Lists the databases. The response is a list of names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_list_databases(
    connection: *mut phantomdb_connection,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `result` and `error` are NULL or writable.
    unsafe { operate(connection, Operation::ListDatabases, &[], result, error) }
}

/// Creates a database. HTTP status 409 if the name is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_create_database(
    connection: *mut phantomdb_connection,
    name: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [name];
    // SAFETY: C promises that `name` is NULL or a text and `result` and `error` are NULL or
    // writable.
    unsafe { operate(connection, Operation::CreateDatabase, &arguments, result, error) }
}

/// Drops a database with everything in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_drop_database(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: C promises that `database` is NULL or a text and `result` and `error` are NULL or
    // writable.
    unsafe { operate(connection, Operation::DropDatabase, &arguments, result, error) }
}

/// Lists the tables of a database. The response is a list of names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_list_tables(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: C promises that `database` is NULL or a text and `result` and `error` are NULL or
    // writable.
    unsafe { operate(connection, Operation::ListTables, &arguments, result, error) }
}

/// Creates a table. `columns` is a JSON array of objects with `name` and `type` and, optionally,
/// `nullable`, `primaryKey` and `defaultValue`:
/// `[{"name":"id","type":"integer","primaryKey":true}]`.
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
    // SAFETY: C promises that `database`, `name` and `columns` are NULL or texts, and `result` and
    // `error` are NULL or writable.
    unsafe { operate(connection, Operation::CreateTable, &arguments, result, error) }
}

/// Drops a table with all its rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_drop_table(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    table: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database, table];
    // SAFETY: C promises that `database` and `table` are NULL or texts, and `result` and `error`
    // are NULL or writable.
    unsafe { operate(connection, Operation::DropTable, &arguments, result, error) }
}

/// Inserts one row: a JSON object of columns and values, `{"id":1,"name":"Ada"}`. It is never
/// carried out twice.
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
    // SAFETY: C promises that `database`, `table` and `row` are NULL or texts, and `result` and
    // `error` are NULL or writable.
    unsafe { operate(connection, Operation::Insert, &arguments, result, error) }
}

/// Reads the rows that match an SQL condition, or all rows if `condition` is NULL. The response
/// is a table with its columns in the server's order. A blank condition is refused.
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
    // SAFETY: C promises that `database`, `table` and `condition` are NULL or texts, and `result`
    // and `error` are NULL or writable.
    unsafe { operate(connection, Operation::Select, &arguments, result, error) }
}

/// Updates the rows that match an SQL condition, or all rows if `condition` is NULL. `data` is a
/// JSON object of columns and new values. A blank condition is refused.
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
    // SAFETY: C promises that `database`, `table`, `data` and `condition` are NULL or texts, and
    // `result` and `error` are NULL or writable.
    unsafe { operate(connection, Operation::Update, &arguments, result, error) }
}

/// Deletes the rows that match an SQL condition. The condition is required: NULL or a blank one
/// is refused before anything is sent, because on the wire such a delete would drop the table.
/// For all rows, pass "1=1". `phantomdb_result_affected_rows` says how many rows were deleted.
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
    // SAFETY: C promises that `database`, `table` and `condition` are NULL or texts, and `result`
    // and `error` are NULL or writable.
    unsafe { operate(connection, Operation::Delete, &arguments, result, error) }
}

/// Runs one SQL statement. `parameters` is a JSON array with one value for each `?` of the
/// statement, or NULL. The response to a query is a table; for other statements,
/// `phantomdb_result_affected_rows` says how many rows changed.
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
    // SAFETY: C promises that `database`, `sql` and `parameters` are NULL or texts, and `result`
    // and `error` are NULL or writable.
    unsafe { operate(connection, Operation::ExecuteQuery, &arguments, result, error) }
}

/// Begins a transaction on one database or, if `database` is NULL, on the first one that it uses.
/// Every request on this connection belongs to it until a commit or rollback; releasing the
/// connection rolls it back. The response is an object with the `transaction_id`.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if a transaction is already open on this connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_begin_transaction(
    connection: *mut phantomdb_connection,
    database: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [database];
    // SAFETY: C promises that `database` is NULL or a text and `result` and `error` are NULL or
    // writable.
    unsafe { operate(connection, Operation::BeginTransaction, &arguments, result, error) }
}

/// Commits the transaction that is open on this connection. `transaction_id` is its id, or NULL,
/// which means the same.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if no transaction is open, or one with another id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_commit_transaction(
    connection: *mut phantomdb_connection,
    transaction_id: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [transaction_id];
    // SAFETY: C promises that `transaction_id` is NULL or a text and `result` and `error` are NULL
    // or writable.
    unsafe { operate(connection, Operation::CommitTransaction, &arguments, result, error) }
}

/// Rolls back the transaction that is open on this connection. `transaction_id` is its id, or
/// NULL, which means the same.
///
/// `PHANTOMDB_ERR_INVALID_STATE` if no transaction is open, or one with another id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_rollback_transaction(
    connection: *mut phantomdb_connection,
    transaction_id: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    let arguments = [transaction_id];
    // SAFETY: C promises that `transaction_id` is NULL or a text and `result` and `error` are NULL
    // or writable.
    unsafe { operate(connection, Operation::RollbackTransaction, &arguments, result, error) }
}

/// Runs an operation by its number: `operation` is one of `phantomdb_operation`, and `arguments`
/// has its `argument_count` texts. Otherwise like the function of the same name.
///
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` if the operation is unknown or does not take these arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_connection_run(
    connection: *mut phantomdb_connection,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `result` and `error` are
    // NULL or writable.
    unsafe {
        run(connection, result, error, || operation::numbered(operation, arguments, argument_count))
    }
}

/// Sends a request that has no function of its own.
///
/// `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent unchanged, so
/// percent-encode what needs it; `body` is JSON, or NULL with length 0.
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
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `result` and `error` are NULL or writable.
    unsafe { run(connection, result, error, || operation::raw(method, path, body, body_length)) }
}

/// Acquires a connection, runs one SQL statement on it and gives it back.
///
/// `parameters` is a JSON array with one value for each `?` of the statement, or NULL. On success
/// `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
/// `result` itself may be NULL.
///
/// Errors: like `phantomdb_pool_acquire` and `phantomdb_connection_execute_query`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_query(
    pool: *mut phantomdb_pool,
    database: *const c_char,
    sql: *const c_char,
    parameters: *const c_char,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `database`, `sql` and `parameters` are NULL or texts, and `result`
    // and `error` are NULL or writable.
    unsafe {
        let arguments = [database, sql, parameters];
        let request = || operation::request(Operation::ExecuteQuery, &arguments);
        run_on_pool(pool, result, error, request)
    }
}

/// Acquires a connection, runs one operation on it and gives it back.
///
/// `operation` is one of `phantomdb_operation`, and `arguments` has its `argument_count` texts.
/// On success `*result` is the response, to be freed with `phantomdb_result_free`; on failure it
/// is NULL. `result` itself may be NULL.
///
/// Errors: like `phantomdb_pool_acquire` and the function of the operation's name;
/// `PHANTOMDB_ERR_INVALID_ARGUMENT` for an operation on transactions, which needs a connection
/// that you have acquired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_run(
    pool: *mut phantomdb_pool,
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `result` and `error` are
    // NULL or writable.
    unsafe {
        let request = || operation::for_any_connection(operation, arguments, argument_count);
        run_on_pool(pool, result, error, request)
    }
}

/// Acquires a connection, sends one request on it and gives it back.
///
/// `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent unchanged, so
/// percent-encode what needs it; `body` is JSON, or NULL with length 0. On success `*result` is
/// the response, to be freed with `phantomdb_result_free`; on failure it is NULL. `result` itself
/// may be NULL if the response does not matter.
///
/// Errors: like `phantomdb_pool_acquire` and `phantomdb_connection_request`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_pool_request(
    pool: *mut phantomdb_pool,
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    result: *mut *mut phantomdb_result,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `result` and `error` are NULL or writable.
    unsafe { run_on_pool(pool, result, error, || operation::raw(method, path, body, body_length)) }
}
