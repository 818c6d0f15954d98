//! The operations of the protocol as requests, checked before anything is sent.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq_proto::http::Method;

use crate::client::http::request_body::RequestBody;
use crate::client::response::expected::Expected;
use crate::client::response::json::{self, Shape};
use crate::client::response::member::Member;
use crate::error::{Error, Result};

/// All but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest path and query that the HTTP library sends, less the room for a prefix.
const MAX_TARGET: usize = 60_000;

/// One request to the server: an operation and its arguments, checked and encoded.
///
/// It belongs to no connection and can be sent any number of times, from any thread.
#[derive(Clone)]
pub struct Request {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    /// Path and query, without the base URL's prefix; empty for commit and rollback, whose path
    /// holds the transaction of the connection that sends them.
    pub(super) target: Cow<'static, str>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) expected: Expected,
}

/// Its body is data of the program, which have no place in a log.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target.split('?').next().unwrap_or_default())
            .field("body_length", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Whether a request of this method changes nothing at the server. (PUT and DELETE may be repeated
/// too, for HTTP, but here an update may count up, and a table may have been made anew meanwhile.)
pub(super) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// What a request means to the connection that sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Plain,
    Begin,
    Commit(Option<String>),
    Rollback(Option<String>),
}

impl Request {
    /// `GET /health`: whether the server is healthy.
    pub fn health_check() -> Request {
        Request::plain(Method::GET, "/health", None, Expected::Object)
    }

    /// The names of all databases.
    pub fn list_databases() -> Request {
        Request::plain(Method::GET, "/databases", None, Expected::Names(Member::DATABASES))
    }

    /// Creates a database.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name that is empty, `.`, `..` or holds a NUL.
    pub fn create_database(name: &str) -> Result<Request> {
        check_name("name", name)?;
        let body = RequestBody::default().json("{\"name\":")?.string(name)?.json("}")?;
        Ok(Request::plain(Method::POST, "/databases", Some(body), Expected::Object))
    }

    /// Drops a database with all its tables.
    ///
    /// # Errors
    ///
    /// As [`Request::create_database`].
    pub fn drop_database(database: &str) -> Result<Request> {
        let target = format!("/databases/{}", segment("database", database)?);
        Request::checked(Method::DELETE, target, None, Expected::Object)
    }

    /// The names of a database's tables.
    ///
    /// # Errors
    ///
    /// As [`Request::create_database`].
    pub fn list_tables(database: &str) -> Result<Request> {
        let target = format!("/databases/{}/tables", segment("database", database)?);
        Request::checked(Method::GET, target, None, Expected::Names(Member::TABLES))
    }

    /// Creates a table; `columns_json` is a JSON array of columns: `[{"name": ..., "type": ...}]`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, or columns that are no JSON array.
    pub fn create_table(database: &str, name: &str, columns_json: &str) -> Result<Request> {
        let target = format!("/databases/{}/tables", segment("database", database)?);
        check_name("name", name)?;
        let columns = check_json("columns", columns_json, Shape::Array)?;
        let body = RequestBody::default().json("{\"name\":")?.string(name)?;
        let body = body.json(",\"columns\":")?.json(columns)?.json("}")?;
        Request::checked(Method::POST, target, Some(body), Expected::Object)
    }

    /// Drops a table with all its rows.
    ///
    /// # Errors
    ///
    /// As [`Request::create_database`].
    pub fn drop_table(database: &str, table: &str) -> Result<Request> {
        Request::checked(Method::DELETE, table_path(database, table)?, None, Expected::Object)
    }

    /// Inserts one row; `row_json` is a JSON object of column to value.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, or a row that is not a JSON object.
    pub fn insert(database: &str, table: &str, row_json: &str) -> Result<Request> {
        let target = table_path(database, table)?;
        let row = RequestBody::default().json(check_json("row", row_json, Shape::Object)?)?;
        Request::checked(Method::POST, target, Some(row), Expected::Object)
    }

    /// Selects the rows that meet an SQL condition, or all rows.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, or a condition that is given but blank, holds a
    /// NUL or is too long for a URL.
    pub fn select(database: &str, table: &str, condition: Option<&str>) -> Result<Request> {
        let mut target = table_path(database, table)?;
        if let Some(condition) = condition {
            check_condition(condition, "leave it out for all rows")?;
            add_condition(&mut target, condition)?;
        }
        Request::checked(Method::GET, target, None, Expected::Records)
    }

    /// Sets columns of the rows that meet an SQL condition, or of all rows; `data_json` is a JSON
    /// object of column to value.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, data that is not a JSON object, or a condition
    /// that is given but blank.
    pub fn update(
        database: &str,
        table: &str,
        data_json: &str,
        condition: Option<&str>,
    ) -> Result<Request> {
        let target = table_path(database, table)?;
        let data = check_json("data", data_json, Shape::Object)?;
        let mut body = RequestBody::default().json("{\"data\":")?.json(data)?;
        if let Some(condition) = condition {
            check_condition(condition, "leave it out for all rows")?;
            body = body.json(",\"condition\":")?.string(condition)?;
        }
        let body = body.json("}")?;
        Request::checked(Method::PUT, target, Some(body), Expected::Object)
    }

    /// Deletes the rows that meet an SQL condition; all rows are `1=1`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, or a condition that is blank: on the wire a
    /// delete without one is the same as `drop_table`.
    pub fn delete(database: &str, table: &str, condition: &str) -> Result<Request> {
        let mut target = table_path(database, table)?;
        check_condition(condition, "use 1=1 for all rows")?;
        add_condition(&mut target, condition)?;
        Request::checked(Method::DELETE, target, None, Expected::Object)
    }

    /// Runs an SQL statement; `parameters_json` is a JSON array of the values of its parameters.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above, a blank statement, or parameters that are no
    /// JSON array.
    pub fn execute_query(
        database: &str,
        sql: &str,
        parameters_json: Option<&str>,
    ) -> Result<Request> {
        let target = format!("/databases/{}/query", segment("database", database)?);
        if sql.trim().is_empty() {
            return Err(Error::invalid_argument("sql", "is empty"));
        }
        let mut body = RequestBody::default().json("{\"query\":")?.string(sql)?;
        if let Some(parameters) = parameters_json {
            let parameters = check_json("parameters", parameters, Shape::Array)?;
            body = body.json(",\"parameters\":")?.json(parameters)?;
        }
        let body = body.json("}")?;
        Request::checked(Method::POST, target, Some(body), Expected::Query)
    }

    /// Begins a transaction on the connection that sends this.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for such a name as above.
    pub fn begin_transaction(database: Option<&str>) -> Result<Request> {
        let body = match database {
            None => None,
            Some(database) => {
                check_name("database", database)?;
                Some(RequestBody::default().json("{\"database\":")?.string(database)?.json("}")?)
            }
        };
        let target = "/transactions";
        let plain = Request::plain(Method::POST, target, body, Expected::Object);
        Ok(Request { kind: RequestKind::Begin, ..plain })
    }

    /// Commits the open transaction of the connection that sends this. An id must be that one's.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an empty id.
    pub fn commit_transaction(id: Option<&str>) -> Result<Request> {
        Request::end_transaction(RequestKind::Commit(check_id(id)?))
    }

    /// Rolls the open transaction of the connection that sends this back. An id must be that one's.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an empty id.
    pub fn rollback_transaction(id: Option<&str>) -> Result<Request> {
        Request::end_transaction(RequestKind::Rollback(check_id(id)?))
    }

    fn end_transaction(kind: RequestKind) -> Result<Request> {
        let plain = Request::plain(Method::POST, "", None, Expected::Object);
        Ok(Request { kind, ..plain })
    }

    /// Any request: a method, a path below the base URL (with its query, percent-encoded by the
    /// caller), and a JSON body if it needs one. Nothing is guarded here: a `DELETE` on a table's
    /// path without a condition drops the table.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a method that is not an HTTP token, a path that does not begin with `/`
    /// or holds a character that must be encoded, or a body that is not JSON.
    pub fn raw(method: &str, path: &str, body: Option<&[u8]>) -> Result<Request> {
        let invalid_method = |why: &str| Error::invalid_argument("method", why);
        if method.is_empty() || method.len() > 32 {
            return Err(invalid_method(
                "must be an HTTP method of 1 to 32 ASCII letters, such as GET",
            ));
        }
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| invalid_method("contains a character that an HTTP method can't have"))?;
        if method == Method::CONNECT {
            return Err(invalid_method("CONNECT is for proxies, not for a database"));
        }
        check_length("path", path.len())?;
        if !path.starts_with('/') {
            return Err(Error::invalid_argument("path", "must begin with `/`"));
        }
        if let Some(bad) =
            path.chars().find(|character| !character.is_ascii_graphic() || *character == '#')
        {
            return Err(Error::invalid_argument(
                "path",
                format_args!("holds {bad:?}, which must be percent-encoded"),
            ));
        }
        let body = match body {
            None | Some([]) => None,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| Error::invalid_argument("body", "is not UTF-8 text"))?;
                json::check(text).map_err(|why| not_json("body", &why))?;
                Some(RequestBody::default().json(text)?)
            }
        };
        Request::checked(method, path.to_owned(), body, Expected::Anything)
    }

    fn plain(
        method: Method,
        target: impl Into<Cow<'static, str>>,
        body: Option<RequestBody>,
        expected: Expected,
    ) -> Request {
        let target = target.into();
        Request {
            kind: RequestKind::Plain,
            method,
            target,
            body: body.map(RequestBody::finish),
            expected,
        }
    }

    fn checked(
        method: Method,
        target: String,
        body: Option<RequestBody>,
        expected: Expected,
    ) -> Result<Request> {
        let argument = match expected {
            Expected::Anything => "path",
            _ if target.contains('?') => "condition",
            _ => "database",
        };
        check_length(argument, target.len())?;
        Ok(Request::plain(method, target, body, expected))
    }
}

/// Whether a URL of so many bytes can be sent, or one with so many bytes of an argument in it.
fn check_length(argument: &str, length: usize) -> Result<()> {
    if length <= MAX_TARGET {
        return Ok(());
    }
    let instead = if argument == "condition" { "; send it with execute_query" } else { "" };
    let why = format!("makes a URL of {length} bytes or more, too long to be sent{instead}");
    Err(Error::invalid_argument(argument, why))
}

fn check_name(argument: &str, name: &str) -> Result<()> {
    let why = match name {
        "" => "is empty",
        "." | ".." => "can't be `.` or `..`, which a URL path can't carry",
        _ if name.contains('\0') => "contains a NUL character",
        _ => return Ok(()),
    };
    Err(Error::invalid_argument(argument, why))
}

fn segment(argument: &str, name: &str) -> Result<String> {
    check_name(argument, name)?;
    // Before it is encoded, for which there may be no memory.
    check_length(argument, name.len())?;
    Ok(encoded(name))
}

/// `text` fit for one segment of a path, or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn table_path(database: &str, table: &str) -> Result<String> {
    Ok(format!("/databases/{}/tables/{}", segment("database", database)?, segment("table", table)?))
}

fn check_condition(condition: &str, instead: &str) -> Result<()> {
    if condition.trim().is_empty() {
        return Err(Error::invalid_argument("condition", format_args!("is blank; {instead}")));
    }
    if condition.contains('\0') {
        return Err(Error::invalid_argument("condition", "contains a NUL character"));
    }
    Ok(())
}

fn add_condition(target: &mut String, condition: &str) -> Result<()> {
    check_length("condition", condition.len())?;
    target.push_str("?condition=");
    target.push_str(&encoded(condition));
    Ok(())
}

fn check_id(id: Option<&str>) -> Result<Option<String>> {
    match id {
        Some("") => Err(Error::invalid_argument(
            "transaction_id",
            "is empty; leave it out for the connection's open transaction",
        )),
        id => Ok(id.map(str::to_owned)),
    }
}

fn check_json<'a>(argument: &str, text: &'a str, wanted: Shape) -> Result<&'a str> {
    let shape = json::check(text).map_err(|why| not_json(argument, &why))?;
    if shape != wanted {
        return Err(Error::invalid_argument(
            argument,
            format_args!("must be {wanted} in JSON, not {shape}"),
        ));
    }
    Ok(text.trim())
}

fn not_json(argument: &str, why: &str) -> Error {
    Error::invalid_argument(argument, format_args!("is not valid JSON: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn shown(request: Result<Request>) -> String {
        let request = request.unwrap();
        let body = request.body.map(|body| String::from_utf8(body).unwrap()).unwrap_or_default();
        format!("{} {} {body}", request.method, request.target).trim_end().to_owned()
    }

    fn refused(request: Result<Request>) -> String {
        let error = request.expect_err("must be refused");
        assert_eq!(error.code(), Code::InvalidArgument);
        error.message().to_owned()
    }

    #[test]
    fn each_operation_has_its_route() {
        assert_eq!(shown(Ok(Request::health_check())), "GET /health");
        assert_eq!(shown(Ok(Request::list_databases())), "GET /databases");
        assert_eq!(shown(Request::create_database("a\"b")), r#"POST /databases {"name":"a\"b"}"#);
        assert_eq!(shown(Request::drop_database("a")), "DELETE /databases/a");
        assert_eq!(shown(Request::list_tables("a")), "GET /databases/a/tables");
        assert_eq!(
            shown(Request::create_table("a", "t", " [{\"name\":\"c\"}] ")),
            r#"POST /databases/a/tables {"name":"t","columns":[{"name":"c"}]}"#
        );
        assert_eq!(shown(Request::drop_table("a", "t")), "DELETE /databases/a/tables/t");
        assert_eq!(
            shown(Request::insert("a", "t", "{\"c\":1.0}")),
            "POST /databases/a/tables/t {\"c\":1.0}"
        );
        assert_eq!(shown(Request::select("a", "t", None)), "GET /databases/a/tables/t");
        assert_eq!(
            shown(Request::select("a", "t", Some("c = 'ü&#' AND 1"))),
            "GET /databases/a/tables/t?condition=c%20%3D%20%27%C3%BC%26%23%27%20AND%201"
        );
        assert_eq!(
            shown(Request::update("a", "t", "{\"c\":2}", Some("c=\"1\""))),
            r#"PUT /databases/a/tables/t {"data":{"c":2},"condition":"c=\"1\""}"#
        );
        assert_eq!(
            shown(Request::update("a", "t", "{\"c\":2}", None)),
            r#"PUT /databases/a/tables/t {"data":{"c":2}}"#
        );
        assert_eq!(
            shown(Request::delete("a", "t", "1=1")),
            "DELETE /databases/a/tables/t?condition=1%3D1"
        );
        assert_eq!(
            shown(Request::execute_query("a", "SELECT ?", Some("[1]"))),
            r#"POST /databases/a/query {"query":"SELECT ?","parameters":[1]}"#
        );
        assert_eq!(
            shown(Request::execute_query("a", "SELECT 1", None)),
            r#"POST /databases/a/query {"query":"SELECT 1"}"#
        );
        assert_eq!(shown(Request::begin_transaction(None)), "POST /transactions");
        assert_eq!(
            shown(Request::begin_transaction(Some("a"))),
            r#"POST /transactions {"database":"a"}"#
        );
        assert_eq!(shown(Request::raw("PATCH", "/x?y=1", Some(b"[]"))), "PATCH /x?y=1 []");
    }

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(
            shown(Request::drop_table("a/b?c#d%e f", "ü..")),
            "DELETE /databases/a%2Fb%3Fc%23d%25e%20f/tables/%C3%BC.."
        );
        assert_eq!(shown(Request::list_tables("a-b_c.d~e")), "GET /databases/a-b_c.d~e/tables");
    }

    #[test]
    fn names_that_a_path_can_not_carry_are_refused() {
        for bad in ["", ".", "..", "a\0b"] {
            assert!(refused(Request::create_database(bad)).starts_with("name: "));
            assert!(refused(Request::drop_database(bad)).starts_with("database: "));
            assert!(refused(Request::list_tables(bad)).starts_with("database: "));
            assert!(refused(Request::create_table("a", bad, "[]")).starts_with("name: "));
            assert!(refused(Request::drop_table("a", bad)).starts_with("table: "));
            assert!(refused(Request::insert("a", bad, "{}")).starts_with("table: "));
            assert!(refused(Request::select(bad, "t", None)).starts_with("database: "));
            assert!(refused(Request::update("a", bad, "{}", None)).starts_with("table: "));
            assert!(refused(Request::delete("a", bad, "1=1")).starts_with("table: "));
            assert!(refused(Request::execute_query(bad, "x", None)).starts_with("database: "));
            assert!(refused(Request::begin_transaction(Some(bad))).starts_with("database: "));
        }
        assert!(refused(Request::drop_table("a", &"x".repeat(70_000))).contains("too long"));
    }

    #[test]
    fn a_blank_condition_is_refused() {
        for blank in ["", " ", "\t\r\n", "\u{a0}"] {
            assert_eq!(
                refused(Request::delete("a", "t", blank)),
                "condition: is blank; use 1=1 for all rows"
            );
            assert!(refused(Request::select("a", "t", Some(blank))).starts_with("condition: "));
            assert!(
                refused(Request::update("a", "t", "{}", Some(blank))).starts_with("condition: ")
            );
        }
        let long = refused(Request::select("a", "t", Some(&"x".repeat(70_000))));
        assert!(long.starts_with("condition: ") && long.contains("execute_query"), "{long}");
        assert!(refused(Request::delete("a", "t", "a\0")).contains("NUL"));
    }

    #[test]
    fn json_arguments_are_checked_here() {
        assert!(
            refused(Request::insert("a", "t", "{\"a\":}")).starts_with("row: is not valid JSON")
        );
        assert_eq!(
            refused(Request::insert("a", "t", "[]")),
            "row: must be an object in JSON, not an array"
        );
        assert!(refused(Request::update("a", "t", "1", None)).starts_with("data: must be"));
        assert!(refused(Request::create_table("a", "t", "{}")).starts_with("columns: must be"));
        assert!(refused(Request::execute_query("a", "x", Some("{}"))).starts_with("parameters: "));
        assert_eq!(refused(Request::execute_query("a", " ", None)), "sql: is empty");
        assert!(refused(Request::insert("a", "t", "{} {}")).contains("trailing"));
    }

    #[test]
    fn raw_requests_can_not_break_out_of_their_line() {
        for path in ["", "x", "/a b", "/a\r\nX: y", "/a#b", "/ü", "/\0", "http://x/"] {
            assert!(refused(Request::raw("GET", path, None)).starts_with("path: "), "{path:?}");
        }
        for method in ["", "G T", "GET\r\n", "CONNECT", "ü"] {
            assert!(refused(Request::raw(method, "/", None)).starts_with("method: "), "{method:?}");
        }
        assert!(refused(Request::raw("POST", "/", Some(b"x"))).starts_with("body: "));
        assert!(refused(Request::raw("POST", "/", Some(b"\xff"))).starts_with("body: "));
    }

    #[test]
    fn an_empty_transaction_id_is_refused() {
        assert!(refused(Request::commit_transaction(Some(""))).starts_with("transaction_id: "));
        assert!(refused(Request::rollback_transaction(Some(""))).starts_with("transaction_id: "));
    }
}
