//! How the body of a response is read: checked once, when it comes, and made into a [`Response`].

use std::ops::Range;

use crate::client::response::expected::Expected;
use crate::client::response::json::{self, JsonError, Shape};
use crate::client::response::list::Names;
use crate::client::response::mask::Mask;
use crate::client::response::member::Member;
use crate::client::response::plain_list::{self, Tried};
use crate::client::response::reading::{MAX_LENGTH, ReadError};
use crate::client::response::response::{Content, Response, Said};
use crate::client::response::server_error;
use crate::client::response::stop::{Stop, StoppedError};
use crate::client::response::survey::Survey;
use crate::client::response::table::{Source, Table};

/// The longest body whose `error` is explained by its other members too.
const MAX_EXPLAINED: usize = 64 * 1024;

const UNREADABLE_ROWS: &str = "the rows of the response can't be read";

/// Why a body with a 2xx status is not a usable response.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum BodyError {
    /// Its object has an `error`; the text says which.
    Refused(String),
    /// It is not what the protocol says; the text says why.
    Malformed(String),
    /// There is no memory for it.
    OutOfMemory,
    /// It is longer than can be read; the text says so.
    TooLarge(String),
    /// Its time is over, or its request was cancelled.
    Stopped,
}

impl From<StoppedError> for BodyError {
    fn from(_: StoppedError) -> Self {
        BodyError::Stopped
    }
}

impl Response {
    /// Reads a body. `is_json` is what the response's Content-Type says, if it has one. Takes time
    /// in proportion to its length, and holds no lock.
    pub(in crate::client) fn read(
        expected: Expected,
        status: u16,
        mut body: Vec<u8>,
        is_json: Option<bool>,
        stop: &Stop<'_>,
        mask: &Mask,
    ) -> Result<Response, BodyError> {
        stop.look()?;
        if let Expected::Names(member) = expected {
            let length = body.len();
            match plain_list::read(body, member, stop) {
                Ok(Tried::Read(names)) => {
                    let (content, said) = (Content::Names(names), Said::default());
                    return Ok(Response::new(content, length, expected, status, mask, said));
                }
                Ok(Tried::Other(unchanged)) => body = unchanged,
                Err(error) => return Err(BodyError::of(error, member.name(), length)),
            }
        }
        let text = decoded(body, mask)?;
        let length = text.len();
        if expected == Expected::Anything && is_json == Some(false) {
            let content = Content::text(text, None)?;
            return Ok(Response::new(content, length, expected, status, mask, Said::default()));
        }
        let survey = Survey::of(&text, stop).map_err(|error| match error {
            JsonError::Stopped => BodyError::Stopped,
            why => {
                let why = why.described(text.as_bytes());
                malformed(&format!("the response is not valid JSON ({why})"), &text, mask)
            }
        })?;
        if let Some(error) = error_of(&text, &survey, mask) {
            return Err(BodyError::Refused(error));
        }
        let said = Said {
            row_count: survey.count(&text, Member::ROW_COUNT),
            affected_rows: survey.count(&text, Member::AFFECTED_ROWS),
            transaction_id: match expected {
                Expected::Anything | Expected::Object => transaction_id_of(&text, &survey),
                _ => None,
            },
        };
        let content = Body { text, survey: &survey, stop, mask }.content(expected)?;
        Ok(Response::new(content, length, expected, status, mask, said))
    }

    /// A response that no server sent, to be read with the same accessors where it is JSON.
    pub fn from_text(text: String) -> Response {
        Response::of_own(text, Expected::Anything)
    }

    /// The response to `begin_transaction`, whatever the server calls the id.
    pub(in crate::client) fn of_transaction(id: &str) -> Response {
        let text = format!("{{\"transaction_id\":{}}}", json::quoted(id));
        Response::of_own(text, Expected::Object)
    }

    fn of_own(text: String, expected: Expected) -> Response {
        let is_json = json::check(&text).is_ok();
        let never = Stop::never();
        let (bytes, mask) = (text.into_bytes(), Mask::default());
        let read = Response::read(expected, 200, bytes, Some(is_json), &never, &mask);
        // It can't be refused: no text of the library's own has an `error`.
        read.unwrap_or_else(|_| {
            let content = Content::Text("\0".to_owned(), None);
            Response::new(content, 0, expected, 200, &mask, Said::default())
        })
    }
}

/// The body as text, without a byte order mark; an empty object if there is none.
fn decoded(body: Vec<u8>, mask: &Mask) -> Result<String, BodyError> {
    let mut text = String::from_utf8(body).map_err(|error| {
        let shown = mask.excerpt(error.as_bytes());
        BodyError::Malformed(format!("the response is not UTF-8 text: {shown}"))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if text.trim_start().is_empty() {
        text = "{}".to_owned();
    }
    Ok(text)
}

fn malformed(why: &str, text: &str, mask: &Mask) -> BodyError {
    BodyError::Malformed(format!("{why}: {}", mask.excerpt(text.as_bytes())))
}

/// A body that is valid JSON, and where its parts are.
struct Body<'a> {
    text: String,
    survey: &'a Survey,
    stop: &'a Stop<'a>,
    mask: &'a Mask,
}

impl Body<'_> {
    /// What an operation makes of it.
    fn content(self, expected: Expected) -> Result<Content, BodyError> {
        let shape = self.survey.whole.shape;
        match expected {
            Expected::Object | Expected::Query if shape != Shape::Object => {
                Err(self.malformed(&format!("the response is {shape}, not an object")))
            }
            Expected::Anything | Expected::Object => {
                Content::text(self.text, Some((shape, self.survey.whole.place.clone())))
            }
            Expected::Query => match self.survey.of_query() {
                Ok(Some(source)) => self.table(source),
                Ok(None) => Ok(Content::Table(Box::default())),
                Err(why) => Err(self.malformed(&format!("{UNREADABLE_ROWS}: {why}"))),
            },
            Expected::Records => match self.survey.of_select() {
                Ok(source) => self.table(source),
                Err(why) => Err(self.malformed(&why)),
            },
            Expected::Names(member) => self.names(member),
        }
    }

    fn table(self, source: Source) -> Result<Content, BodyError> {
        let length = self.text.len();
        let table = Table::read(self.text.into_bytes(), source, self.stop, self.mask);
        let table = table.map_err(|error| BodyError::of(error, UNREADABLE_ROWS, length))?;
        Ok(Content::Table(Box::new(table)))
    }

    fn names(self, member: Member) -> Result<Content, BodyError> {
        let list = match self.survey.whole.shape {
            Shape::Array => Some(&self.survey.whole),
            _ => self.survey.member(&[member]).filter(|part| part.shape == Shape::Array),
        };
        let name = member.name();
        let Some(list) = list.map(|part| part.place.clone()) else {
            return Err(self.malformed(&format!("the response has no array `{name}`")));
        };
        let length = self.text.len();
        let names = Names::read(self.text.into_bytes(), list, self.stop).map_err(|error| {
            BodyError::of(error, &format!("`{name}` is not a list of names"), length)
        })?;
        Ok(Content::Names(names))
    }

    fn malformed(&self, why: &str) -> BodyError {
        malformed(why, &self.text, self.mask)
    }
}

impl BodyError {
    /// The error of what could not be read of a body of so many bytes.
    fn of(error: ReadError, what: &str, length: usize) -> BodyError {
        match error {
            ReadError::Malformed(why) => BodyError::Malformed(format!("{what}: {why}")),
            ReadError::OutOfMemory => BodyError::OutOfMemory,
            ReadError::TooLong => BodyError::TooLarge(format!(
                "the response has {length} bytes; a table or a list may have {MAX_LENGTH}"
            )),
            ReadError::Stopped => BodyError::Stopped,
        }
    }
}

impl Content {
    /// A text as it came.
    fn text(mut text: String, part: Option<(Shape, Range<usize>)>) -> Result<Content, BodyError> {
        if part.is_some() && (text.contains("\\ud") || text.contains("\\uD")) {
            let mut bytes = text.into_bytes();
            json::replace_surrogates(&mut bytes);
            // Digits became digits.
            text = String::from_utf8(bytes).unwrap_or_default();
        }
        text.try_reserve_exact(1).map_err(|_| BodyError::OutOfMemory)?;
        text.push('\0');
        Ok(Content::Text(text, part))
    }
}

fn transaction_id_of(text: &str, survey: &Survey) -> Option<String> {
    let part = survey.member(Member::TRANSACTION_ID)?;
    let json = text.get(part.place.clone())?;
    match part.shape {
        Shape::String => serde_json::from_str(json).ok().filter(|id: &String| !id.is_empty()),
        Shape::Number => Some(json.to_owned()),
        _ => None,
    }
}

/// What the `error` member of an object says, if it has one that says anything.
fn error_of(text: &str, survey: &Survey, mask: &Mask) -> Option<String> {
    let part = survey.member(&[Member::ERROR])?;
    let error = text.get(part.place.clone())?;
    if matches!(error, "false" | "\"\"") {
        return None;
    }
    let explained =
        || (text.len() <= MAX_EXPLAINED).then(|| server_error::reason(text.as_bytes(), mask));
    Some(explained().flatten().unwrap_or_else(|| mask.excerpt(error.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn read(expected: Expected, body: &str) -> Result<Response, BodyError> {
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
            Err(BodyError::Malformed(why)) => why,
            other => panic!("expected a malformed response, got {other:?}"),
        }
    }

    #[test]
    fn names_come_in_both_dialects() {
        for body in [
            r#"{"databases":["a","b\u0000"]}"#,
            r#" {"count": 2, "databases": [{"name":"a","size":1}, {"name":"b\u0000"}]} "#,
            "[\"a\",\"b\\u0000\"]",
        ] {
            let response = read(Expected::Names(Member::DATABASES), body).unwrap();
            assert_eq!(response.text().unwrap(), r#"["a","b\u0000"]"#);
            let with_nul = format!("{}\0", response.text().unwrap());
            assert_eq!(response.text_with_nul().unwrap(), with_nul);
            let names = response.names().unwrap();
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b\0"]);
            assert_eq!(names.get_with_nul(0), Some("a\0"));
            assert_eq!((names.len(), names.get(2)), (2, None));
            assert_eq!(response.table().unwrap_err().code(), Code::Type);
        }
        assert!(malformed(Expected::Names(Member::TABLES), b"{}").contains("no array `tables`"));
        assert!(
            malformed(Expected::Names(Member::TABLES), br#"{"tables":[1]}"#).contains("a number")
        );
    }

    /// A byte order mark, which is not a part of the text, keeps a list from being read in one pass.
    #[test]
    fn a_list_is_the_same_in_one_pass_and_in_two() {
        let seeds: [&[u8]; 6] = [
            br#"{"tables":["a","bc","","d e"]}"#,
            br#" { "tables" : [ "a" , "bc" ] } "#,
            br#"["a","bc","def"]"#,
            br#"{"tables":["a"],"error":"no","count":1}"#,
            br#"{"tables":[{"name":"a"},"b\n\u0000"]}"#,
            "{\"tables\":[\"\u{e9}\",\"\u{1f600} and more of it\"]}".as_bytes(),
        ];
        let outcome = |bytes: Vec<u8>| {
            let (expected, never) = (Expected::Names(Member::TABLES), Stop::never());
            Response::read(expected, 200, bytes, None, &never, &Mask::default()).map(|response| {
                let names = response.names().unwrap();
                let name = |index| (names.get(index).unwrap(), names.is_replaced(index));
                let names = format!("{:?}", (0..names.len()).map(name).collect::<Vec<_>>());
                (names, response.text().unwrap().to_owned(), response.row_count().is_err())
            })
        };
        let mut random = fastrand::Rng::with_seed(11);
        let bytes = b"{}[]\",:\\ntables u0012 \n\x00\x1f\xc3\xa9";
        let mut accepted = 0;
        for round in 0..50_000 {
            let mut body = seeds[round % seeds.len()].to_vec();
            for _ in 0..random.usize(0..3) {
                let at = random.usize(0..body.len());
                match random.u8(0..3) {
                    0 => body[at] = bytes[random.usize(0..bytes.len())],
                    1 => body.insert(at, bytes[random.usize(0..bytes.len())]),
                    _ => drop(body.remove(at)),
                }
            }
            let in_two = outcome([b"\xef\xbb\xbf", &*body].concat());
            let shown = String::from_utf8_lossy(&body).into_owned();
            let is_utf8 = std::str::from_utf8(&body).is_ok();
            let in_one = outcome(body);
            match (&in_one, &in_two) {
                // Its beginning is quoted, with the mark.
                (Err(one), Err(two)) if !is_utf8 => {
                    assert!(format!("{one:?}").contains("not UTF-8"), "{shown}: {one:?}");
                    assert!(format!("{two:?}").contains("not UTF-8"), "{shown}: {two:?}");
                }
                _ => assert_eq!(in_one, in_two, "{shown}"),
            }
            accepted += usize::from(in_one.is_ok());
        }
        assert!(accepted > 10_000, "{accepted}");
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
            Err(BodyError::Refused(why)) => why,
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
