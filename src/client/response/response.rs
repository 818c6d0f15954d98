//! What the server answered: checked and read once, when it comes.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::client::response::escaped::Written;
use crate::client::response::json::{self, Fault, Shape};
use crate::client::response::list::Names;
use crate::client::response::mask::Mask;
use crate::client::response::reading::Unread;
use crate::client::response::server_error;
use crate::client::response::stop::{Stop, Stopped};
use crate::client::response::survey::{AFFECTED_ROWS, ROW_COUNT, Survey, TRANSACTION_ID};
use crate::client::response::table::{Source, Table};
use crate::client::response::tokens::Tokens;
use crate::error::{Code, Error, Result};

/// What an operation makes of a successful response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Expected {
    /// The whole object.
    Object,
    /// The array of names in the member of this name.
    Names(&'static str),
    /// The array of row objects of a `select`.
    Records,
    /// The whole object of a query, which holds a table.
    Query,
    /// Whatever it is: a request that has no name here.
    Anything,
}

/// Why a body with a 2xx status is no response all the same.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum Unusable {
    /// Its object has an `error`; the text says which.
    Refused(String),
    /// It is not what the protocol says; the text says why.
    Malformed(String),
    /// There is no memory for it.
    OutOfMemory,
    /// It is longer than can be read; the text says so.
    TooLarge(String),
    /// Nobody waits for it any more.
    Stopped,
}

impl From<Stopped> for Unusable {
    fn from(Stopped: Stopped) -> Self {
        Unusable::Stopped
    }
}

/// The longest body whose `error` is explained by its other members too.
const MAX_EXPLAINED: usize = 64 * 1024;

/// What the server answered to a request. Immutable; any thread may read it.
pub struct Response {
    /// For errors that quote it.
    mask: Mask,
    status: u16,
    expected: Expected,
    /// How many bytes the body had.
    length: usize,
    content: Content,
    row_count: Option<i64>,
    affected_rows: Option<i64>,
    transaction_id: Option<String>,
    /// Written or read at the first call that asks for it.
    text: OnceLock<Result<String>>,
    table: OnceLock<Result<Box<Table>>>,
    names: OnceLock<Result<Box<Names>>>,
}

/// What the server sent is data of the program, which have no place in a log.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("expected", &self.expected)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

enum Content {
    /// As the server sent it, with a NUL after it; where its value stands if it is JSON.
    Text(String, Option<(Shape, Range<usize>)>),
    /// In a box, so that a response that is none costs less to pass on.
    Table(Box<Table>),
    Names(Names),
}

impl Response {
    /// Reads a body. `is_json` is what the response's Content-Type says, if it has one. Takes time in
    /// proportion to its length, and holds no lock.
    pub(in crate::client) fn read(
        expected: Expected,
        status: u16,
        body: Vec<u8>,
        is_json: Option<bool>,
        stop: &Stop<'_>,
        mask: &Mask,
    ) -> std::result::Result<Response, Unusable> {
        let malformed = |why: &str, text: &str| {
            Unusable::Malformed(format!("{why}: {}", mask.excerpt(text.as_bytes())))
        };
        let mut text = String::from_utf8(body).map_err(|error| {
            let shown = mask.excerpt(error.as_bytes());
            Unusable::Malformed(format!("the response is not UTF-8 text: {shown}"))
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        if text.trim_start().is_empty() {
            text = "{}".to_owned();
        }
        stop.look()?;
        let new = |content: Content, length: usize| Response {
            mask: mask.clone(),
            status,
            expected,
            length,
            content,
            row_count: None,
            affected_rows: None,
            transaction_id: None,
            text: OnceLock::new(),
            table: OnceLock::new(),
            names: OnceLock::new(),
        };
        let length = text.len();
        if expected == Expected::Anything && is_json == Some(false) {
            return Ok(new(Content::text(text, None)?, length));
        }
        let survey = Survey::of(&text, stop).map_err(|fault| match fault {
            Fault::Stopped => Unusable::Stopped,
            why => {
                let why = why.described(text.as_bytes());
                malformed(&format!("the response is not valid JSON ({why})"), &text)
            }
        })?;
        if let Some(error) = error_of(&text, &survey, mask) {
            return Err(Unusable::Refused(error));
        }
        let shape = survey.whole.shape;
        let row_count = survey.count(&text, ROW_COUNT);
        let affected_rows = survey.count(&text, AFFECTED_ROWS);
        let mut transaction_id = None;
        let unread = |unread: Unread, what: &str| match unread {
            Unread::Malformed(why) => Unusable::Malformed(format!("{what}: {why}")),
            Unread::OutOfMemory => Unusable::OutOfMemory,
            Unread::TooLong => Unusable::TooLarge(format!(
                "the response has {length} bytes; a table or a list may have {}",
                crate::client::response::reading::MAX_LENGTH
            )),
            Unread::Stopped => Unusable::Stopped,
        };
        let no_table = "the rows of the response can't be read";
        let content = match expected {
            Expected::Object | Expected::Query if shape != Shape::Object => {
                return Err(malformed(&format!("the response is {shape}, not an object"), &text));
            }
            Expected::Anything | Expected::Object => {
                transaction_id = transaction_id_of(&text, &survey);
                let part = (shape, survey.whole.place);
                Content::text(text, Some(part))?
            }
            Expected::Query => match survey.of_query() {
                Ok(None) => Content::Table(Box::default()),
                Ok(Some(source)) => Table::read(text.into_bytes(), source, stop, mask)
                    .map(|table| Content::Table(Box::new(table)))
                    .map_err(|why| unread(why, no_table))?,
                Err(why) => return Err(malformed(&format!("{no_table}: {why}"), &text)),
            },
            Expected::Records => match survey.of_select() {
                Ok(source) => Table::read(text.into_bytes(), source, stop, mask)
                    .map(|table| Content::Table(Box::new(table)))
                    .map_err(|why| unread(why, no_table))?,
                Err(why) => return Err(malformed(&why, &text)),
            },
            Expected::Names(member) => {
                let list = match shape {
                    Shape::Array => Some(&survey.whole),
                    _ => survey.member(&[member]).filter(|part| part.shape == Shape::Array),
                };
                let Some(list) = list else {
                    let why = format!("the response has no array `{member}`");
                    return Err(malformed(&why, &text));
                };
                Names::read(text.into_bytes(), list.place.clone(), stop)
                    .map(Content::Names)
                    .map_err(|why| unread(why, &format!("`{member}` is not a list of names")))?
            }
        };
        Ok(Response { row_count, affected_rows, transaction_id, ..new(content, length) })
    }

    /// A response that no server sent, to be read with the same accessors where it is JSON.
    pub fn from_text(text: String) -> Response {
        let is_json = json::check(&text).is_ok();
        let never = Stop::never();
        let (bytes, mask) = (text.into_bytes(), Mask::default());
        let read = Response::read(Expected::Anything, 200, bytes, Some(is_json), &never, &mask);
        // It can't be refused: no text of the library's own has an `error`.
        read.unwrap_or_else(|_| Response::empty())
    }

    /// The response to `begin_transaction`, whatever the server calls the id.
    pub(in crate::client) fn of_transaction(id: &str) -> Response {
        Response {
            expected: Expected::Object,
            ..Response::from_text(format!("{{\"transaction_id\":{}}}", json::quoted(id)))
        }
    }

    fn empty() -> Response {
        Response {
            mask: Mask::default(),
            status: 200,
            expected: Expected::Anything,
            length: 0,
            content: Content::Text("\0".to_owned(), None),
            row_count: None,
            affected_rows: None,
            transaction_id: None,
            text: OnceLock::new(),
            table: OnceLock::new(),
            names: OnceLock::new(),
        }
    }

    /// The operation's value as JSON text: the array of names for the lists, the array of row objects
    /// for `select`, for a query `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}`
    /// (`rowCount` is counted and `affectedRows` null if the server did not say), the whole object for the others. A raw request to a server that answers it with
    /// another content type than JSON gives that text as it is.
    ///
    /// A table or a list is written at the first call.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a query whose rows have so few columns in common that the text would be many times
    /// what the server sent; `OutOfMemory`.
    pub fn text(&self) -> Result<&str> {
        self.text_with_nul().map(|text| &text[..text.len() - 1])
    }

    /// [`Response::text`] with one NUL byte after it.
    ///
    /// # Errors
    ///
    /// As [`Response::text`].
    pub fn text_with_nul(&self) -> Result<&str> {
        match &self.content {
            Content::Text(text, _) => Ok(text),
            _ => match self.text.get_or_init(|| self.written()) {
                Ok(text) => Ok(text),
                Err(error) => Err(error.clone()),
            },
        }
    }

    fn written(&self) -> Result<String> {
        let mut written = Written::new(self.length);
        match &self.content {
            Content::Text(..) => {}
            Content::Names(names) => written.names(names)?,
            Content::Table(table) if self.expected == Expected::Query => {
                written.push("{\"columns\":")?;
                written.columns(table)?;
                written.push(",\"rows\":")?;
                written.row_arrays(table)?;
                written.push(",\"rowCount\":")?;
                match self.row_count {
                    Some(count) => written.push(&count.to_string())?,
                    None => written.push(&table.row_count().to_string())?,
                }
                written.push(",\"affectedRows\":")?;
                match self.affected_rows {
                    Some(count) => written.push(&count.to_string())?,
                    None => written.push("null")?,
                }
                written.push("}")?;
            }
            Content::Table(table) => written.row_objects(table)?,
        }
        written.finish()
    }

    /// The HTTP status, a 2xx.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The response as a table: the rows of a `select` or of a query (none for one that returns no rows, an
    /// INSERT say), or one row for any other object, which is read at the first call.
    ///
    /// # Errors
    ///
    /// `Type` if the response is not a table, `Protocol` if its rows are malformed, `OutOfMemory`,
    /// `TooLarge` for one of more than 4 GiB.
    pub fn table(&self) -> Result<&Table> {
        match &self.content {
            Content::Table(table) => Ok(table),
            Content::Names(_) => Err(no_table()),
            Content::Text(text, part) => {
                let read = || self.read_table(&text[..text.len() - 1], part.as_ref()).map(Box::new);
                self.table.get_or_init(read).as_deref().map_err(Clone::clone)
            }
        }
    }

    fn read_table(&self, text: &str, part: Option<&(Shape, Range<usize>)>) -> Result<Table> {
        let (shape, place) = part.ok_or_else(no_table)?;
        let never = Stop::never();
        let source = match shape {
            Shape::Array => Source::Objects(place.clone()),
            Shape::Object if self.expected == Expected::Anything => {
                let survey = Survey::of(text, &never).map_err(|_| no_table())?;
                match survey.has_rows() {
                    true => survey.of_query().map_err(unreadable)?,
                    false => None,
                }
                .unwrap_or(Source::Row(place.clone()))
            }
            Shape::Object => Source::Row(place.clone()),
            _ => return Err(no_table()),
        };
        Table::read(copied(text)?, source, &never, &self.mask).map_err(of_unread)
    }

    /// The names of a list of databases or tables.
    ///
    /// # Errors
    ///
    /// `Type` if the response is not a list of names; `OutOfMemory`.
    pub fn names(&self) -> Result<&Names> {
        match &self.content {
            Content::Names(names) => Ok(names),
            Content::Text(text, Some((Shape::Array, place)))
                if self.expected == Expected::Anything =>
            {
                let read = || {
                    let bytes = copied(&text[..text.len() - 1])?;
                    let names = Names::read(bytes, place.clone(), &Stop::never());
                    names.map(Box::new).map_err(|unread| match unread {
                        Unread::Malformed(why) => no_list(&why),
                        other => of_unread(other),
                    })
                };
                self.names.get_or_init(read).as_deref().map_err(Clone::clone)
            }
            _ => Err(no_list("list_databases and list_tables give one")),
        }
    }

    /// The JSON of the response, or of one cell of its table, token by token from this position on, which is 0
    /// or what [`Tokens::position`] said.
    ///
    /// # Errors
    ///
    /// `Type` if it is not JSON; as [`Response::text`] and [`Table::cell`].
    pub fn tokens(&self, cell: Option<(usize, usize)>, position: u64) -> Result<Tokens<'_>> {
        let text = match cell {
            Some((row, column)) => {
                let table = self.table()?;
                match table.json(row, column)? {
                    Some(json) => json,
                    None => return Err(table.cell(row, column)?.is_not_json()),
                }
            }
            None if matches!(self.content, Content::Text(_, None)) => {
                return Err(Error::new(Code::Type, "this response is not JSON"));
            }
            None => self.text()?,
        };
        Tokens::new(text, position)
    }

    /// How many rows a query, `update` or `delete` changed, if the server said so with a number that is
    /// whole and not negative.
    pub fn affected_rows(&self) -> Option<i64> {
        self.affected_rows
    }

    /// How many rows the response has: what the server said with a number that is whole and not negative, or
    /// else the rows counted.
    ///
    /// # Errors
    ///
    /// As [`Response::table`], if they have to be counted.
    pub fn row_count(&self) -> Result<Option<i64>> {
        match self.row_count {
            Some(said) => Ok(Some(said)),
            None => self.table().map(|table| i64::try_from(table.row_count()).ok()),
        }
    }

    /// The id in the response to `begin_transaction`.
    pub fn transaction_id(&self) -> Option<&str> {
        self.transaction_id.as_deref()
    }
}

impl Content {
    /// A text as it came.
    fn text(
        mut text: String,
        part: Option<(Shape, Range<usize>)>,
    ) -> std::result::Result<Content, Unusable> {
        if part.is_some() && (text.contains("\\ud") || text.contains("\\uD")) {
            let mut bytes = text.into_bytes();
            json::replace_surrogates(&mut bytes);
            // Digits became digits.
            text = String::from_utf8(bytes).unwrap_or_default();
        }
        text.try_reserve_exact(1).map_err(|_| Unusable::OutOfMemory)?;
        text.push('\0');
        Ok(Content::Text(text, part))
    }
}

fn transaction_id_of(text: &str, survey: &Survey) -> Option<String> {
    let part = survey.member(TRANSACTION_ID)?;
    let json = text.get(part.place.clone())?;
    match part.shape {
        Shape::String => serde_json::from_str(json).ok().filter(|id: &String| !id.is_empty()),
        Shape::Number => Some(json.to_owned()),
        _ => None,
    }
}

/// What the `error` member of an object says, if it has one that says anything.
fn error_of(text: &str, survey: &Survey, mask: &Mask) -> Option<String> {
    let part = survey.member(&["error"])?;
    let error = text.get(part.place.clone())?;
    if matches!(error, "false" | "\"\"") {
        return None;
    }
    let explained =
        || (text.len() <= MAX_EXPLAINED).then(|| server_error::reason(text.as_bytes(), mask));
    Some(explained().flatten().unwrap_or_else(|| mask.excerpt(error.as_bytes())))
}

fn copied(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(text.len());
    reserved.map_err(|_| Error::out_of_memory("a table"))?;
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

fn of_unread(unread: Unread) -> Error {
    match unread {
        Unread::Malformed(why) => unreadable(why),
        Unread::TooLong => Error::new(Code::TooLarge, "a table of more than 4 GiB can't be read"),
        // Nothing stops it.
        Unread::OutOfMemory | Unread::Stopped => Error::out_of_memory("a table"),
    }
}

fn unreadable(why: String) -> Error {
    Error::new(Code::Protocol, format!("the rows of the response can't be read: {why}"))
}

fn no_table() -> Error {
    Error::new(Code::Type, "this response is not a table; select and execute_query give one")
}

fn no_list(why: &str) -> Error {
    Error::new(Code::Type, format!("this response is not a list of names; {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expected: Expected, body: &str) -> std::result::Result<Response, Unusable> {
        Response::read(
            expected,
            200,
            body.as_bytes().to_vec(),
            Some(true),
            &Stop::never(),
            &Mask::default(),
        )
    }

    fn malformed(expected: Expected, body: &[u8]) -> String {
        match Response::read(expected, 200, body.to_vec(), None, &Stop::never(), &Mask::default()) {
            Err(Unusable::Malformed(why)) => why,
            other => panic!("expected a malformed answer, got {other:?}"),
        }
    }

    #[test]
    fn names_come_in_both_dialects() {
        for body in [
            r#"{"databases":["a","b\u0000"]}"#,
            r#" {"count": 2, "databases": [{"name":"a","size":1}, {"name":"b\u0000"}]} "#,
            "[\"a\",\"b\\u0000\"]",
        ] {
            let response = read(Expected::Names("databases"), body).unwrap();
            assert_eq!(response.text().unwrap(), r#"["a","b\u0000"]"#);
            let with_nul = format!("{}\0", response.text().unwrap());
            assert_eq!(response.text_with_nul().unwrap(), with_nul);
            let names = response.names().unwrap();
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b\0"]);
            assert_eq!(names.get_with_nul(0), Some("a\0"));
            assert_eq!((names.len(), names.get(2)), (2, None));
            assert_eq!(response.table().unwrap_err().code(), Code::Type);
        }
        assert!(malformed(Expected::Names("tables"), b"{}").contains("no array `tables`"));
        assert!(malformed(Expected::Names("tables"), br#"{"tables":[1]}"#).contains("a number"));
    }

    #[test]
    fn records_are_cut_out_of_the_response() {
        for body in
            [r#"{"x":[0],"records":[{"a": 1}],"y":2}"#, r#"{"rows": [{"a": 1}]}"#, r#"[{"a": 1}]"#]
        {
            let response = read(Expected::Records, body).unwrap();
            assert_eq!(response.text().unwrap(), r#"[{"a":1}]"#);
            assert_eq!(response.table().unwrap().cell(0, 0).unwrap().int64().unwrap(), 1);
            assert_eq!(response.row_count(), Ok(Some(1)));
            assert_eq!(response.names().unwrap_err().code(), Code::Type);
        }
        assert!(malformed(Expected::Records, b"{}").contains("no array `records`"));
        assert!(malformed(Expected::Records, br#"{"records":null}"#).contains("records"));
        assert!(malformed(Expected::Records, br#"{"records":[1]}"#).contains("row 0 is a number"));
    }

    #[test]
    fn a_query_is_a_table_in_every_shape() {
        for body in [
            r#"{"columns":["a"],"rows":[[1]],"rowCount":1,"affectedRows":0}"#,
            r#"{"results":[{"a":1}],"row_count":1,"affected_rows":0}"#,
            r#"{"records":[{"a":1}],"affected_rows":0}"#,
            r#"{"rows":[{"a":1}],"affected_rows":0}"#,
            r#"{"columns":["a"],"rows":[[1]],"records":[{"a":1}],"affectedRows":0.0}"#,
        ] {
            let response = read(Expected::Query, body).unwrap();
            assert_eq!(
                response.text().unwrap(),
                r#"{"columns":["a"],"rows":[[1]],"rowCount":1,"affectedRows":0}"#
            );
            let table = response.table().unwrap();
            assert_eq!(table.column_name(0).unwrap(), "a");
            assert_eq!(table.cell(0, 0).unwrap().text(), "1");
            assert_eq!((response.row_count(), response.affected_rows()), (Ok(Some(1)), Some(0)));
        }
        let response = read(Expected::Object, r#"{"id":7,"rows":[]}"#).unwrap();
        assert_eq!(response.table().unwrap().cell(0, 0).unwrap().int64(), Ok(7));
        let response = Response::from_text("{\"used\":1}".to_owned());
        assert_eq!(response.table().unwrap().column_index("used"), Ok(0));
        assert!(Response::from_text("{".to_owned()).table().is_err());
        let response = read(Expected::Query, r#"{"affectedRows":3}"#).unwrap();
        assert_eq!(response.table().unwrap().row_count(), 0);
        assert_eq!(response.affected_rows(), Some(3));
    }

    #[test]
    fn what_is_not_a_count_says_nothing() {
        for wrong in ["\"3\"", "1e400", "5.5", "-1", "true", "[3]", "9223372036854775808"] {
            let body = format!(
                r#"{{"columns":["a"],"rows":[[1]],"rowCount":{wrong},"affectedRows":{wrong}}}"#
            );
            let response = read(Expected::Query, &body).unwrap();
            assert_eq!(
                (response.row_count(), response.affected_rows()),
                (Ok(Some(1)), None),
                "{wrong}"
            );
            let text = r#"{"columns":["a"],"rows":[[1]],"rowCount":1,"affectedRows":null}"#;
            assert_eq!(response.text().unwrap(), text);
            // The next member that is one does.
            let body = format!(r#"{{"affectedRows":{wrong},"affected_rows":2}}"#);
            assert_eq!(read(Expected::Object, &body).unwrap().affected_rows(), Some(2), "{wrong}");
        }
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(read(Expected::Object, "").unwrap().text().unwrap(), "{}");
        assert_eq!(read(Expected::Anything, " \r\n").unwrap().text().unwrap(), "{}");
        assert_eq!(read(Expected::Object, "\u{feff}{}").unwrap().text().unwrap(), "{}");
    }

    #[test]
    fn an_error_member_is_an_error_if_it_says_something() {
        let refused = |body| match read(Expected::Object, body) {
            Err(Unusable::Refused(why)) => why,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(refused(r#"{"error":"bad"}"#), "bad");
        assert_eq!(refused(r#"{"error":{"message":"bad"}}"#), "bad");
        assert_eq!(refused(r#"{"error":true,"message":"why"}"#), "why");
        assert!(read(Expected::Object, r#"{"error":null}"#).is_ok());
        assert!(read(Expected::Object, r#"{"a":{"error":"x"}}"#).is_ok());
    }

    #[test]
    fn what_is_not_json_is_quoted_briefly() {
        let why = malformed(Expected::Object, b"<html>\x1b[0m");
        assert!(why.starts_with("the response is not valid JSON (expected value"), "{why}");
        assert!(why.ends_with("<html>\u{fffd}[0m"), "{why}");
        assert!(malformed(Expected::Object, b"[]").contains("an array, not an object"));
        assert!(malformed(Expected::Object, b"{\"a\":1").contains("not valid JSON"));
        assert!(malformed(Expected::Object, b"\xff").contains("not UTF-8"));
        assert!(malformed(Expected::Query, &b"[".repeat(100_000)).contains("not valid JSON"));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(malformed(Expected::Object, deep.as_bytes()).contains("deeper than 128"));
    }

    #[test]
    fn a_raw_request_may_get_other_text() {
        let body = b"# TYPE x counter\n".to_vec();
        let response = Response::read(
            Expected::Anything,
            200,
            body,
            Some(false),
            &Stop::never(),
            &Mask::default(),
        )
        .unwrap();
        assert_eq!(response.text().unwrap(), "# TYPE x counter\n");
        assert!(response.table().is_err());
        assert!(response.names().is_err());
        assert_eq!(response.affected_rows(), None);
    }

    #[test]
    fn transaction_ids_are_strings_or_numbers() {
        let id = |body| read(Expected::Object, body).unwrap().transaction_id().map(str::to_owned);
        assert_eq!(id(r#"{"transaction_id":"tx-1"}"#).as_deref(), Some("tx-1"));
        assert_eq!(id(r#"{"transaction_id":7}"#).as_deref(), Some("7"));
        assert_eq!(id(r#"{"transaction_id":""}"#), None);
        assert_eq!(id("{}"), None);
    }
}
