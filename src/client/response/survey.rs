//! The first look at a response: whether it is JSON, and where what matters of it is.

use std::ops::Range;

use crate::client::response::json::{self, JsonError, Quoted, Scanner, Shape, Token};
use crate::client::response::stop::Stop;
use crate::client::response::table::Source;

/// What servers call the number of rows that a statement changed.
pub(in crate::client) const AFFECTED_ROWS: &[&str] =
    &["affectedRows", "affected_rows", "count", "inserted"];
/// What servers call the number of rows of a response.
pub(in crate::client) const ROW_COUNT: &[&str] = &["rowCount", "row_count"];
/// What servers call a transaction's id.
pub(in crate::client) const TRANSACTION_ID: &[&str] = &["transaction_id", "transactionId"];

/// The members of a response's object that are ever read.
const NAMES: [&str; 15] = [
    "error",
    "columns",
    "rows",
    "results",
    "records",
    "databases",
    "tables",
    "affectedRows",
    "affected_rows",
    "count",
    "inserted",
    "rowCount",
    "row_count",
    "transaction_id",
    "transactionId",
];

/// What a value is and where it stands in the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) struct Part {
    pub(in crate::client) shape: Shape,
    pub(in crate::client) place: Range<usize>,
}

/// What is in a response.
#[derive(Debug)]
pub(in crate::client) struct Survey {
    pub(in crate::client) whole: Part,
    members: [Option<Part>; NAMES.len()],
}

impl Survey {
    /// Of a response. Of two members with the same name the last one counts.
    pub(in crate::client) fn of(text: &str, stop: &Stop) -> Result<Survey, JsonError> {
        let bytes = text.as_bytes();
        let mut scanner = Scanner::new(0..bytes.len(), stop);
        let mut members = [const { None }; NAMES.len()];
        let first = scanner.expect(bytes)?;
        let shape = first.shape();
        let place = match &first {
            Token::Object(start) => {
                while let Token::Key(name) = scanner.expect(bytes)? {
                    let wanted = Survey::wanted(text, &name);
                    let value = scanner.expect(bytes)?;
                    let place = scanner.skip(bytes, &value)?;
                    if let Some(index) = wanted {
                        members[index] = Some(Part { shape: value.shape(), place });
                    }
                }
                *start..scanner.place()
            }
            other => scanner.skip(bytes, other)?,
        };
        match scanner.next(bytes)? {
            None => Ok(Survey { whole: Part { shape, place }, members }),
            Some(_) => Err(JsonError::Invalid("trailing characters", scanner.place())),
        }
    }

    /// Which of the names a member has. One that is longer than any is not decoded, which would
    /// take as much memory again.
    fn wanted(text: &str, name: &Quoted) -> Option<usize> {
        let longest = NAMES.iter().map(|name| name.len()).max()?;
        // An escape has up to six bytes for a character.
        let may_be = name.content.len() <= 6 * longest;
        let name = may_be.then(|| json::strictly_decoded(text, name))??;
        NAMES.iter().position(|other| *other == name)
    }

    /// The first of these members that is there and is not null.
    pub(in crate::client) fn member(&self, names: &[&str]) -> Option<&Part> {
        names.iter().find_map(|name| {
            let index = NAMES.iter().position(|other| other == name)?;
            self.members[index].as_ref().filter(|part| part.shape != Shape::Null)
        })
    }

    /// What the first of these members says that holds a count: a whole number that is not
    /// negative. Anything else says nothing, since rows that can be read must not be lost for what
    /// stands beside them, nor the news of a write that was carried out.
    pub(in crate::client) fn count(&self, text: &str, names: &[&str]) -> Option<i64> {
        names.iter().find_map(|name| {
            let part = self.member(&[name]).filter(|part| part.shape == Shape::Number)?;
            let count = json::exact_integer(text.get(part.place.clone())?).ok()?;
            (count >= 0).then_some(count)
        })
    }

    /// The rows of a query, `None` if it has none; or why they make no table.
    pub(in crate::client) fn of_query(&self) -> Result<Option<Source>, String> {
        let member = |name: &'static str| self.member(&[name]).map(|part| (name, part));
        let columns = member("columns");
        if let (Some(columns), Some(rows)) = (columns, member("rows")) {
            return Ok(Some(Source::Columns { columns: array(columns)?, rows: array(rows)? }));
        }
        if let Some(rows) = member("results").or(member("records")).or(member("rows")) {
            return Ok(Some(Source::Objects(array(rows)?)));
        }
        match columns {
            // No rows at all.
            Some(columns) => {
                let columns = array(columns)?;
                Ok(Some(Source::Columns { columns, rows: 0..0 }))
            }
            None => Ok(None),
        }
    }

    /// The rows of a `select`; or why there are none.
    pub(in crate::client) fn of_select(&self) -> Result<Source, String> {
        let whole = &self.whole;
        match whole.shape {
            Shape::Array => Ok(Source::Objects(whole.place.clone())),
            Shape::Object => match (self.member(&["records"]), self.member(&["columns"])) {
                (None, Some(columns)) if self.member(&["rows"]).is_some() => {
                    let rows = self.member(&["rows"]).map(|rows| ("rows", rows));
                    let rows = rows.map_or(Ok(0..0), array)?;
                    Ok(Source::Columns { columns: array(("columns", columns))?, rows })
                }
                _ => match self.member(&["records", "rows", "results"]) {
                    Some(part) if part.shape == Shape::Array => {
                        Ok(Source::Objects(part.place.clone()))
                    }
                    _ => Err("the response has no array `records`".to_owned()),
                },
            },
            other => Err(format!("the response is {other}, not an object")),
        }
    }

    /// Whether a query's object has rows, so that it is a table whatever was asked for.
    pub(in crate::client) fn has_rows(&self) -> bool {
        ["results", "records", "rows"]
            .iter()
            .any(|name| self.member(&[name]).is_some_and(|part| part.shape == Shape::Array))
    }
}

fn array((name, part): (&str, &Part)) -> Result<Range<usize>, String> {
    match part.shape {
        Shape::Array => Ok(part.place.clone()),
        other => Err(format!("`{name}` is {other}, not an array")),
    }
}
