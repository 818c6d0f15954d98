//! `phantomdb_operation`: the operations of a database by number.

use std::ffi::{CString, c_char, c_void};
use std::slice;
use std::sync::OnceLock;

use super::call::{bytes, call, optional_text, text};
use super::error::phantomdb_error;
use crate::client::{Operation, Request};
use crate::error::{Error, Result};

/// The operations by number, for `phantomdb_connection_run`, `phantomdb_pool_run` and their
/// asynchronous forms. Each takes the texts that are listed with it, in this order; those in
/// brackets may be NULL, or omitted at the end. The function of the same name, such as
/// `phantomdb_connection_select`, says what they mean. The numbers never change.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum phantomdb_operation {
    /// No arguments.
    PHANTOMDB_HEALTH_CHECK = 1,
    /// No arguments.
    PHANTOMDB_LIST_DATABASES = 2,
    /// name
    PHANTOMDB_CREATE_DATABASE = 3,
    /// database
    PHANTOMDB_DROP_DATABASE = 4,
    /// database
    PHANTOMDB_LIST_TABLES = 5,
    /// database, name, columns
    PHANTOMDB_CREATE_TABLE = 6,
    /// database, table
    PHANTOMDB_DROP_TABLE = 7,
    /// database, table, row
    PHANTOMDB_INSERT = 8,
    /// database, table, [condition]
    PHANTOMDB_SELECT = 9,
    /// database, table, data, [condition]
    PHANTOMDB_UPDATE = 10,
    /// database, table, condition
    PHANTOMDB_DELETE = 11,
    /// database, sql, [parameters]
    PHANTOMDB_EXECUTE_QUERY = 12,
    /// [database]; on a connection only
    PHANTOMDB_BEGIN_TRANSACTION = 13,
    /// [transaction_id]; on a connection only
    PHANTOMDB_COMMIT_TRANSACTION = 14,
    /// [transaction_id]; on a connection only
    PHANTOMDB_ROLLBACK_TRANSACTION = 15,
}

/// An operation with its name and arguments; see `phantomdb_operation_table`.
#[repr(C)]
pub struct phantomdb_operation_info {
    /// One of `phantomdb_operation`.
    pub operation: i32,
    /// How many arguments it takes.
    pub argument_count: u32,
    /// How many of them it requires; these come first.
    pub required_count: u32,
    /// For later versions; zero.
    pub reserved: u32,
    /// Its name, such as "list_databases".
    pub name: *const c_char,
    /// The names of its arguments.
    pub arguments: *const *const c_char,
}

// SAFETY: the pointers lead to what is never changed or freed.
unsafe impl Sync for phantomdb_operation_info {}
// SAFETY: no thread owns what they lead to.
unsafe impl Send for phantomdb_operation_info {}

/// Lists every operation with its name and arguments, in the order of the numbers.
///
/// Returns the first of `*count` entries, which are never freed. `count` may be NULL. Bindings
/// take their constants from here, or check them. Safe from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_operation_table(
    count: *mut u64,
) -> *const phantomdb_operation_info {
    static TABLE: OnceLock<Vec<phantomdb_operation_info>> = OnceLock::new();
    let table = TABLE.get_or_init(|| Operation::ALL.iter().copied().map(info).collect());
    // SAFETY: C promises that `count` is NULL or writable.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = table.len() as u64;
    }
    table.as_ptr()
}

fn info(operation: Operation) -> phantomdb_operation_info {
    let for_ever = |text: &str| -> *const c_char {
        CString::new(text).expect("the names of operations have no NUL").into_raw()
    };
    let parameters = operation.parameters();
    let names: Vec<_> = parameters.iter().map(|parameter| for_ever(parameter.name)).collect();
    phantomdb_operation_info {
        operation: operation as i32,
        argument_count: parameters.len() as u32,
        required_count: parameters.iter().filter(|parameter| !parameter.is_optional).count() as u32,
        reserved: 0,
        name: for_ever(operation.name()),
        arguments: names.leak().as_ptr(),
    }
}

/// The operation with this number.
fn by_number(number: i32) -> Result<Operation> {
    Operation::from_number(number).ok_or_else(|| {
        Error::invalid_argument("operation", format_args!("{number} is not a phantomdb_operation"))
    })
}

/// The request of an operation that needs no connection of its own.
///
/// # Safety
/// `arguments` is NULL or has `count` texts, each NULL or ended by a NUL.
pub(super) unsafe fn for_any_connection(
    number: i32,
    arguments: *const *const c_char,
    count: u64,
) -> Result<Request> {
    let operation = by_number(number)?;
    if operation.is_of_transactions() {
        let why = format!(
            "{} needs an acquired connection: a transaction belongs to the one that began it",
            operation.name()
        );
        return Err(Error::invalid_argument("operation", why));
    }
    // SAFETY: `arguments` holds `count` texts: this function asks the same of its caller.
    unsafe { with_arguments(operation, arguments, count) }
}

/// Checks the arguments of an operation as every call does that runs it, and does nothing else.
/// For programs that acquire a connection first and should not wait for one in vain. `operation`,
/// `arguments` and `argument_count` are those of `phantomdb_connection_run`.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_operation_check(
    operation: i32,
    arguments: *const *const c_char,
    argument_count: u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `arguments` holds `argument_count` texts and `error` is NULL or
    // writable.
    unsafe { call(error, || numbered(operation, arguments, argument_count).map(drop)) }
}

/// Checks the arguments of `phantomdb_connection_request`, and does nothing else.
///
/// Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phantomdb_request_check(
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
    error: *mut phantomdb_error,
) -> i32 {
    // SAFETY: C promises that `method` and `path` are NULL or texts, `body` holds `body_length`
    // bytes, and `error` is NULL or writable.
    unsafe { call(error, || raw(method, path, body, body_length).map(drop)) }
}

/// The request of any operation.
///
/// # Safety
/// As for [`for_any_connection`].
pub(super) unsafe fn numbered(
    number: i32,
    arguments: *const *const c_char,
    count: u64,
) -> Result<Request> {
    // SAFETY: `arguments` holds `count` texts: this function asks the same of its caller.
    unsafe { with_arguments(by_number(number)?, arguments, count) }
}

/// The request of an operation with arguments in a caller's array.
///
/// # Safety
/// `arguments` is NULL or has `count` texts, each NULL or ended by a NUL.
unsafe fn with_arguments(
    operation: Operation,
    arguments: *const *const c_char,
    count: u64,
) -> Result<Request> {
    // Whatever is behind that is not looked at.
    let most = operation.parameters().len() as u64 + 1;
    if arguments.is_null() && count > 0 {
        let why = format!("is NULL, but argument_count is {count}");
        return Err(Error::invalid_argument("arguments", why));
    }
    let given = if count == 0 {
        &[]
    } else {
        // SAFETY: `arguments` is not NULL, so it has `count` texts, and no more of them are read.
        unsafe { slice::from_raw_parts(arguments, count.min(most) as usize) }
    };
    // SAFETY: `arguments` holds `count` texts: this function asks the same of its caller.
    unsafe { request(operation, given) }
}

/// The request of an operation with these arguments.
///
/// # Safety
/// Each is NULL or ended by a NUL.
pub(super) unsafe fn request(operation: Operation, arguments: &[*const c_char]) -> Result<Request> {
    let parameters = operation.parameters();
    let mut texts = [None; 5];
    for (index, argument) in arguments.iter().enumerate().take(texts.len()) {
        let name = parameters.get(index).map_or("arguments", |parameter| parameter.name);
        // SAFETY: `arguments` are NULL or texts: this function asks the same of its caller.
        texts[index] = unsafe { optional_text(name, *argument) }?;
    }
    operation.request(&texts[..arguments.len().min(texts.len())])
}

/// A request that has no name.
///
/// # Safety
/// The texts are NULL or ended by a NUL; `body` is NULL or has `body_length` bytes.
pub(super) unsafe fn raw(
    method: *const c_char,
    path: *const c_char,
    body: *const c_void,
    body_length: u64,
) -> Result<Request> {
    // SAFETY: `method` and `path` are NULL or texts, and `body` holds `body_length` bytes: this
    // function asks the same of its caller.
    unsafe {
        Request::raw(
            text("method", method)?,
            text("path", path)?,
            bytes("body", body, body_length)?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_core_has_its_twin_with_the_same_number_and_arguments() {
        let header = include_str!("../../include/phantomdb.h");
        let mut documented = String::new();
        for operation in Operation::ALL {
            let name = operation.name().to_uppercase();
            let entry = format!("PHANTOMDB_{name} = {},", *operation as i32);
            let (before, _) = header.split_once(&entry).expect(&entry);
            let comment = before.rsplit("/**").next().unwrap_or_default();
            documented.clear();
            for parameter in operation.parameters() {
                if !documented.is_empty() {
                    documented.push_str(", ");
                }
                let (open, close) = if parameter.is_optional { ("[", "]") } else { ("", "") };
                documented.push_str(&format!("{open}{}{close}", parameter.name));
            }
            let expected = if documented.is_empty() { "No arguments" } else { &documented };
            assert!(comment.contains(expected), "{name} is documented as `{comment}`");
            assert!(operation.parameters().len() < 5, "`request` has room for four and one");
        }
    }
}
