//! What the server answered: the operation's value as JSON text, and views of it.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::json::{self, Shape};
use super::mask::Mask;
use super::query;
use super::refusal;
use super::stop::{Stop, Stopped};
use super::table::{self, Table};
use super::text::{Span, Texts};
use crate::error::{Code, Error, Result};

/// What an operation makes of a successful answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
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

/// Why a body with a 2xx status is no answer all the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Its object has an `error`; the text says which.
    Refused(String),
    /// It is not what the protocol says; the text says why.
    Malformed(String),
    /// Its time was over, or its request was cut, before it was read.
    Stopped,
}

impl From<Stopped> for Unusable {
    fn from(Stopped: Stopped) -> Self {
        Unusable::Stopped
    }
}

/// What the server answered to a request. Immutable; any thread may read it.
pub struct Answer {
    /// With a NUL after it.
    text: String,
    /// For errors that quote it.
    mask: Mask,
    status: u16,
    expected: Expected,
    table: OnceLock<Result<Table>>,
    names: OnceLock<Result<Names>>,
    transaction_id: OnceLock<Option<String>>,
}

/// What the server sent is data of the program, which have no place in a log.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("expected", &self.expected)
            .field("length", &self.text().len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads a body, unless `stop` ends that. `is_json` is what the answer's Content-Type says, if it
    /// has one.
    pub(super) fn read(
        expected: Expected,
        status: u16,
        body: Vec<u8>,
        is_json: Option<bool>,
        stop: &Stop<'_>,
        mask: &Mask,
    ) -> std::result::Result<Answer, Unusable> {
        let mut answer = Answer::read_body(expected, status, body, is_json, stop, mask)?;
        answer.mask = mask.clone();
        Ok(answer)
    }

    fn read_body(
        expected: Expected,
        status: u16,
        body: Vec<u8>,
        is_json: Option<bool>,
        stop: &Stop<'_>,
        mask: &Mask,
    ) -> std::result::Result<Answer, Unusable> {
        let malformed = |why: &str, text: &str| {
            Unusable::Malformed(format!("{why}: {}", mask.excerpt(text.as_bytes())))
        };
        let mut text = String::from_utf8(body).map_err(|error| {
            let shown = mask.excerpt(error.as_bytes());
            Unusable::Malformed(format!("the answer is not UTF-8 text: {shown}"))
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        if text.trim().is_empty() {
            text = "{}".to_owned();
        }
        stop.look()?;
        let new = |text: String| Answer::new(text, status, expected);
        if expected == Expected::Anything && is_json == Some(false) {
            return Ok(new(text));
        }
        let member = match expected {
            Expected::Names(member) => member,
            _ => "",
        };
        let found = json::check_and_find(&text, ["error", member], stop);
        stop.look()?;
        let (shape, [error, list]) = found
            .map_err(|why| malformed(&format!("the answer is not valid JSON ({why})"), &text))?;
        if let Some(error) = error.and_then(|error| error_of(&text, error, mask)) {
            return Err(Unusable::Refused(error));
        }
        match expected {
            Expected::Anything => Ok(new(text)),
            Expected::Object | Expected::Query => match shape {
                Shape::Object if expected == Expected::Query => {
                    let uniform = query::uniform(&text);
                    Ok(new(uniform.unwrap_or(text)))
                }
                Shape::Object => Ok(new(text)),
                other => Err(malformed(&format!("the answer is {other}, not an object"), &text)),
            },
            Expected::Names(member) => {
                let list = if shape == Shape::Array { Some(&*text) } else { list };
                let is_array = |list: &&str| Shape::of(list) == Shape::Array;
                let list = list.filter(is_array).ok_or_else(|| {
                    malformed(&format!("the answer has no array `{member}`"), &text)
                })?;
                if let Some(names) = Names::of_strings(list) {
                    let range = range_in(&text, list);
                    let answer = new(cut_out(text, range));
                    let _ = answer.names.set(Ok(names));
                    return Ok(answer);
                }
                let mut names = Vec::new();
                json::elements(list, |name| {
                    names.push(serde_json::Value::from(table::name_of(name)?));
                    Ok(())
                })
                .map_err(|why| {
                    malformed(&format!("`{member}` is no list of names ({why})"), list)
                })?;
                Ok(new(serde_json::Value::from(names).to_string()))
            }
            Expected::Records => {
                let records = array_of(&text, shape, &["records", "rows", "results"])
                    .ok_or_else(|| malformed("the answer has no array `records`", &text))?;
                let range = range_in(&text, records);
                Ok(new(cut_out(text, range)))
            }
        }
    }

    /// An answer that no server sent, to be read with the same accessors where it is JSON.
    pub fn from_text(text: String) -> Answer {
        Answer::new(text, 200, Expected::Anything)
    }

    /// The answer to `begin_transaction`, whatever the server calls the id.
    pub(super) fn of_transaction(id: &str) -> Answer {
        let text = format!("{{\"transaction_id\":{}}}", json::quoted(id));
        Answer::new(text, 200, Expected::Object)
    }

    fn new(mut text: String, status: u16, expected: Expected) -> Answer {
        text.reserve_exact(1);
        text.push('\0');
        Answer {
            text,
            mask: Mask::default(),
            status,
            expected,
            table: OnceLock::new(),
            names: OnceLock::new(),
            transaction_id: OnceLock::new(),
        }
    }

    /// The operation's value as JSON text: the array of names for the lists, the array of row objects
    /// for `select`, for a query `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}`
    /// (the last two null if the server did not say), the whole object for the others. A raw request to a server that answers it with
    /// another content type than JSON gives that text as it is.
    pub fn text(&self) -> &str {
        &self.text[..self.text.len() - 1]
    }

    /// [`Answer::text`] with one NUL byte after it.
    pub fn text_with_nul(&self) -> &str {
        &self.text
    }

    /// The HTTP status, a 2xx.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The answer as a table, made at the first call: the rows of a `select` or of a query (none
    /// for one that returns no rows, an INSERT say), or one row for any other object.
    ///
    /// # Errors
    ///
    /// `Type` if the answer is no table, `Protocol` if its rows are malformed.
    pub fn table(&self) -> Result<&Table> {
        self.table.get_or_init(|| self.read_table()).as_ref().map_err(Clone::clone)
    }

    fn read_table(&self) -> Result<Table> {
        let text = self.text();
        let table = match (self.expected, Shape::of(text)) {
            (Expected::Names(_), _) => return Err(no_table()),
            (Expected::Query, _) => query::table(text).unwrap_or_else(|| Table::from_objects("[]")),
            (_, Shape::Object) => match query::table(text) {
                Some(table) if self.expected == Expected::Anything => table,
                _ => Table::from_object(text),
            },
            (_, Shape::Array) => Table::from_objects(text),
            _ => return Err(no_table()),
        };
        table.map_err(|why| {
            Error::new(Code::Protocol, format!("the rows of the answer can't be read: {why}"))
        })
    }

    /// The names of a list of databases or tables, made at the first call.
    ///
    /// # Errors
    ///
    /// `Type` if the answer is no list of names.
    pub fn names(&self) -> Result<&Names> {
        self.names.get_or_init(|| self.read_names()).as_ref().map_err(Clone::clone)
    }

    fn read_names(&self) -> Result<Names> {
        let mut names = Names::default();
        let read = match self.expected {
            Expected::Names(_) | Expected::Anything if Shape::of(self.text()) == Shape::Array => {
                json::elements(self.text(), |name| {
                    let span = names.texts.add(&table::name_of(name)?);
                    names.spans.push(span);
                    Ok(())
                })
            }
            _ => Err("list_databases and list_tables give one".to_owned()),
        };
        match read {
            Ok(()) => Ok(names),
            Err(why) => {
                Err(Error::new(Code::Type, format!("this answer is no list of names; {why}")))
            }
        }
    }

    /// How many rows a query, `update` or `delete` changed, if the server said so.
    ///
    /// # Errors
    ///
    /// `Type` if what it said is no 64-bit integer.
    pub fn affected_rows(&self) -> Result<Option<i64>> {
        self.number(query::AFFECTED_ROWS)
    }

    /// How many rows the answer has: what the server said, or else the rows counted.
    ///
    /// # Errors
    ///
    /// `Type` if what it said is no 64-bit integer, or if the answer is no table.
    pub fn row_count(&self) -> Result<Option<i64>> {
        match self.number(query::ROW_COUNT)? {
            Some(said) => Ok(Some(said)),
            None => self.table().map(|table| i64::try_from(table.row_count()).ok()),
        }
    }

    /// The id in the answer to `begin_transaction`.
    pub fn transaction_id(&self) -> Option<&str> {
        self.transaction_id.get_or_init(|| self.read_transaction_id()).as_deref()
    }

    fn read_transaction_id(&self) -> Option<String> {
        let id = json::member(self.object()?, &["transaction_id", "transactionId"])?;
        match Shape::of(id) {
            Shape::String => json::string(id).ok().filter(|id| !id.is_empty()),
            Shape::Number => Some(id.to_owned()),
            _ => None,
        }
    }

    fn number(&self, names: &[&str]) -> Result<Option<i64>> {
        let Some(number) = self.object().and_then(|object| json::member(object, names)) else {
            return Ok(None);
        };
        let integer = match Shape::of(number) {
            Shape::Null => return Ok(None),
            Shape::Number => json::exact_integer(number).ok(),
            _ => None,
        };
        integer.map(Some).ok_or_else(|| {
            let shown = self.mask.excerpt(number.as_bytes());
            Error::new(
                Code::Type,
                format!("the `{}` of the answer is {shown}, not a 64-bit integer", names[0]),
            )
        })
    }

    fn object(&self) -> Option<&str> {
        (Shape::of(self.text()) == Shape::Object).then(|| self.text())
    }
}

/// The names of a list, in the server's order. Immutable; any thread may read it.
#[derive(Debug, Default)]
pub struct Names {
    texts: Texts,
    spans: Vec<Span>,
}

impl Names {
    /// Of an array that holds nothing but strings.
    fn of_strings(list: &str) -> Option<Names> {
        // At once as much as it will be: a text is no longer than its JSON, quotes included.
        let quotes = list.bytes().filter(|byte| *byte == b'"').count();
        let mut names =
            Names { texts: Texts::with_room(list.len()), spans: Vec::with_capacity(quotes / 2) };
        let has_only_strings = json::strings(list, |name| {
            let span = names.texts.add(name);
            names.spans.push(span);
        });
        has_only_strings.then_some(names)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// One name, counted from 0.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.get_with_nul(index).map(|name| &name[..name.len() - 1])
    }

    /// [`Names::get`] with one NUL byte after it.
    pub fn get_with_nul(&self, index: usize) -> Option<&str> {
        self.spans.get(index).map(|span| self.texts.get(*span))
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// What the `error` member of an object says, if it has one that says anything.
fn error_of(object: &str, error: &str, mask: &Mask) -> Option<String> {
    if matches!(error, "null" | "false" | "\"\"") {
        return None;
    }
    Some(refusal::reason(object.as_bytes(), mask).unwrap_or_else(|| mask.excerpt(error.as_bytes())))
}

/// Where a part of a text lies in it.
fn range_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// What is left of a text without what is around a part of it.
fn cut_out(mut text: String, part: Range<usize>) -> String {
    text.truncate(part.end);
    text.drain(..part.start);
    text
}

/// The array in the first of these members of an object; some servers answer with the bare array.
fn array_of<'a>(text: &'a str, shape: Shape, members: &[&str]) -> Option<&'a str> {
    match shape {
        Shape::Array => Some(text),
        Shape::Object => {
            json::member(text, members).filter(|value| Shape::of(value) == Shape::Array)
        }
        _ => None,
    }
}

fn no_table() -> Error {
    Error::new(Code::Type, "this answer is no table; select and execute_query give one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expected: Expected, body: &str) -> std::result::Result<Answer, Unusable> {
        Answer::read(
            expected,
            200,
            body.as_bytes().to_vec(),
            Some(true),
            &Stop::never(),
            &Mask::default(),
        )
    }

    fn malformed(expected: Expected, body: &[u8]) -> String {
        match Answer::read(expected, 200, body.to_vec(), None, &Stop::never(), &Mask::default()) {
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
            let answer = read(Expected::Names("databases"), body).unwrap();
            assert_eq!(answer.text(), r#"["a","b\u0000"]"#);
            assert_eq!(answer.text_with_nul(), format!("{}\0", answer.text()));
            let names = answer.names().unwrap();
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b\0"]);
            assert_eq!(names.get_with_nul(0), Some("a\0"));
            assert_eq!((names.len(), names.get(2)), (2, None));
            assert_eq!(answer.table().unwrap_err().code(), Code::Type);
        }
        assert!(malformed(Expected::Names("tables"), b"{}").contains("no array `tables`"));
        assert!(malformed(Expected::Names("tables"), br#"{"tables":[1]}"#).contains("a number"));
    }

    #[test]
    fn records_are_cut_out_of_the_answer() {
        for body in
            [r#"{"x":[0],"records":[{"a": 1}],"y":2}"#, r#"{"rows": [{"a": 1}]}"#, r#"[{"a": 1}]"#]
        {
            let answer = read(Expected::Records, body).unwrap();
            assert_eq!(answer.text(), r#"[{"a": 1}]"#);
            assert_eq!(answer.table().unwrap().cell(0, 0).unwrap().int64().unwrap(), 1);
            assert_eq!(answer.row_count(), Ok(Some(1)));
            assert_eq!(answer.names().unwrap_err().code(), Code::Type);
        }
        assert!(malformed(Expected::Records, b"{}").contains("no array `records`"));
        assert!(malformed(Expected::Records, br#"{"records":null}"#).contains("records"));
        let answer = read(Expected::Records, r#"{"records":[1]}"#).unwrap();
        assert_eq!(answer.table().unwrap_err().code(), Code::Protocol);
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
            let answer = read(Expected::Query, body).unwrap();
            let affected = if body.contains("0.0") { "0.0" } else { "0" };
            let row_count = if body.contains("ount") { "1" } else { "null" };
            assert_eq!(
                answer.text(),
                format!(
                    r#"{{"columns":["a"],"rows":[[1]],"rowCount":{row_count},"affectedRows":{affected}}}"#
                )
            );
            let table = answer.table().unwrap();
            assert_eq!(table.column_name(0).unwrap(), "a");
            assert_eq!(table.cell(0, 0).unwrap().text(), "1");
            assert_eq!((answer.row_count(), answer.affected_rows()), (Ok(Some(1)), Ok(Some(0))));
        }
        let answer = read(Expected::Object, r#"{"id":7,"rows":[]}"#).unwrap();
        assert_eq!(answer.table().unwrap().cell(0, 0).unwrap().int64(), Ok(7));
        let answer = Answer::from_text("{\"used\":1}".to_owned());
        assert_eq!(answer.table().unwrap().column_index("used"), Ok(0));
        assert!(Answer::from_text("{".to_owned()).table().is_err());
        let answer = read(Expected::Query, r#"{"affectedRows":3}"#).unwrap();
        assert_eq!(answer.table().unwrap().row_count(), 0);
        assert_eq!(answer.affected_rows(), Ok(Some(3)));
        let answer = read(Expected::Query, r#"{"affectedRows":"3"}"#).unwrap();
        assert_eq!(answer.affected_rows().unwrap_err().code(), Code::Type);
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(read(Expected::Object, "").unwrap().text(), "{}");
        assert_eq!(read(Expected::Anything, " \r\n").unwrap().text(), "{}");
        assert_eq!(read(Expected::Object, "\u{feff}{}").unwrap().text(), "{}");
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
    fn what_is_no_json_is_quoted_briefly() {
        let why = malformed(Expected::Object, b"<html>\x1b[0m");
        assert!(why.starts_with("the answer is not valid JSON (expected value"), "{why}");
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
        let answer = Answer::read(
            Expected::Anything,
            200,
            body,
            Some(false),
            &Stop::never(),
            &Mask::default(),
        )
        .unwrap();
        assert_eq!(answer.text(), "# TYPE x counter\n");
        assert!(answer.table().is_err());
        assert!(answer.names().is_err());
        assert_eq!(answer.affected_rows(), Ok(None));
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
