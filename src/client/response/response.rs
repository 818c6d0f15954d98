//! The response to an operation, as callers read it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::client::response::escaped::Written;
use crate::client::response::expected::Expected;
use crate::client::response::json::Shape;
use crate::client::response::list::Names;
use crate::client::response::mask::Mask;
use crate::client::response::reading::ReadError;
use crate::client::response::stop::Stop;
use crate::client::response::survey::Survey;
use crate::client::response::table::{Source, Table};
use crate::client::response::tokens::JsonTokens;
use crate::error::{Code, Error, Result};

/// The response to a request. Immutable; any thread may read it. A clone is the same response, not
/// a copy of it.
// Shared, so that it costs little to pass it on through the layers, and to keep it.
#[derive(Clone)]
pub struct Response(Arc<Parts>);

pub(super) struct Parts {
    /// For errors that quote it.
    mask: Mask,
    status: u16,
    expected: Expected,
    /// How many bytes the body had.
    length: usize,
    content: Content,
    said: Said,
    text: AtFirstCall<String>,
    table: AtFirstCall<Box<Table>>,
    names: AtFirstCall<Box<Names>>,
}

/// Written or read at the first call that asks for it. What is seldom needed is in boxes, so that a
/// response is small.
struct AtFirstCall<T>(OnceLock<std::result::Result<T, Box<Error>>>);

impl<T> AtFirstCall<T> {
    const fn new() -> AtFirstCall<T> {
        AtFirstCall(OnceLock::new())
    }

    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        let made = self.0.get_or_init(|| make().map_err(Box::new));
        made.as_ref().map_err(|error| Error::clone(error))
    }
}

/// What the server said beside the rows.
#[derive(Default)]
pub(super) struct Said {
    pub(super) row_count: Option<i64>,
    pub(super) affected_rows: Option<i64>,
    pub(super) transaction_id: Option<String>,
}

/// What the server sent is data of the program, which have no place in a log.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.0.status)
            .field("expected", &self.0.expected)
            .field("length", &self.0.length)
            .finish_non_exhaustive()
    }
}

pub(super) enum Content {
    /// As the server sent it, with a NUL after it; where its value stands if it is JSON.
    Text(String, Option<(Shape, Range<usize>)>),
    /// In a box, so that a response that is none costs less to pass on.
    Table(Box<Table>),
    Names(Names),
}

impl Response {
    #[inline(always)]
    pub(super) fn new(
        content: Content,
        length: usize,
        expected: Expected,
        status: u16,
        mask: &Mask,
        said: Said,
    ) -> Response {
        Response(Arc::new(Parts {
            mask: mask.clone(),
            status,
            expected,
            length,
            content,
            said,
            text: AtFirstCall::new(),
            table: AtFirstCall::new(),
            names: AtFirstCall::new(),
        }))
    }

    /// The operation's value as JSON text: the array of names for the lists, the array of row
    /// objects for `select`, for a query
    /// `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}` (`rowCount` is counted
    /// and `affectedRows` null if the server did not say), the whole object for the others. A raw
    /// request whose response has another content type than JSON gives that text as it is.
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
        match &self.0.content {
            Content::Text(text, _) => Ok(text),
            _ => self.0.text.get(|| self.written()).map(String::as_str),
        }
    }

    fn written(&self) -> Result<String> {
        let mut written = Written::new(self.0.length);
        match &self.0.content {
            Content::Text(..) => {}
            Content::Names(names) => written.names(names)?,
            Content::Table(table) if self.0.expected == Expected::Query => {
                written.push("{\"columns\":")?;
                written.columns(table)?;
                written.push(",\"rows\":")?;
                written.row_arrays(table)?;
                written.push(",\"rowCount\":")?;
                match self.0.said.row_count {
                    Some(count) => written.push(&count.to_string())?,
                    None => written.push(&table.row_count().to_string())?,
                }
                written.push(",\"affectedRows\":")?;
                match self.0.said.affected_rows {
                    Some(count) => written.push(&count.to_string())?,
                    None => written.push("null")?,
                }
                written.push("}")?;
            }
            Content::Table(table) => written.row_objects(table)?,
        }
        written.finish()
    }

    /// Where it is in memory.
    #[doc(hidden)]
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// The HTTP status, a 2xx.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The response as a table: the rows of a `select` or of a query (none for one that returns no
    /// rows, an INSERT say), or one row for any other object, which is read at the first call.
    ///
    /// # Errors
    ///
    /// `Type` if the response is not a table, `Protocol` if its rows are malformed, `OutOfMemory`,
    /// `TooLarge` for one of more than 4 GiB.
    pub fn table(&self) -> Result<&Table> {
        match &self.0.content {
            Content::Table(table) => Ok(table),
            Content::Names(_) => Err(no_table()),
            Content::Text(text, part) => {
                let read = || self.read_table(&text[..text.len() - 1], part.as_ref()).map(Box::new);
                self.0.table.get(read).map(|table| &**table)
            }
        }
    }

    fn read_table(&self, text: &str, part: Option<&(Shape, Range<usize>)>) -> Result<Table> {
        let (shape, place) = part.ok_or_else(no_table)?;
        let never = Stop::never();
        let source = match shape {
            Shape::Array => Source::Objects(place.clone()),
            Shape::Object if self.0.expected == Expected::Anything => {
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
        Table::read(copied(text)?, source, &never, &self.0.mask).map_err(of_unread)
    }

    /// The names of a list of databases or tables.
    ///
    /// # Errors
    ///
    /// `Type` if the response is not a list of names; `OutOfMemory`.
    pub fn names(&self) -> Result<&Names> {
        match &self.0.content {
            Content::Names(names) => Ok(names),
            Content::Text(text, Some((Shape::Array, place)))
                if self.0.expected == Expected::Anything =>
            {
                let read = || {
                    let bytes = copied(&text[..text.len() - 1])?;
                    let names = Names::read(bytes, place.clone(), &Stop::never());
                    names.map(Box::new).map_err(|unread| match unread {
                        ReadError::Malformed(why) => no_list(&why),
                        other => of_unread(other),
                    })
                };
                self.0.names.get(read).map(|names| &**names)
            }
            _ => Err(no_list("list_databases and list_tables return one")),
        }
    }

    /// The JSON of the response, or of one cell of its table, token by token from this position on,
    /// which is 0 or what [`JsonTokens::position`] said.
    ///
    /// # Errors
    ///
    /// `Type` if it is not JSON; as [`Response::text`] and [`Table::cell`].
    pub fn tokens(&self, cell: Option<(usize, usize)>, position: u64) -> Result<JsonTokens<'_>> {
        let text = match cell {
            Some((row, column)) => {
                let table = self.table()?;
                match table.json(row, column)? {
                    Some(json) => json,
                    None => return Err(table.cell(row, column)?.is_not_json()),
                }
            }
            None if matches!(self.0.content, Content::Text(_, None)) => {
                return Err(Error::new(Code::Type, "this response is not JSON"));
            }
            None => self.text()?,
        };
        JsonTokens::new(text, position)
    }

    /// How many rows a query, `update` or `delete` changed, if the server said so with a number
    /// that is whole and not negative.
    pub fn affected_rows(&self) -> Option<i64> {
        self.0.said.affected_rows
    }

    /// How many rows the response has: what the server said with a number that is whole and not
    /// negative, or else the rows counted.
    ///
    /// # Errors
    ///
    /// As [`Response::table`], if they have to be counted.
    pub fn row_count(&self) -> Result<Option<i64>> {
        match self.0.said.row_count {
            Some(said) => Ok(Some(said)),
            None => self.table().map(|table| i64::try_from(table.row_count()).ok()),
        }
    }

    /// The id in the response to `begin_transaction`.
    pub fn transaction_id(&self) -> Option<&str> {
        self.0.said.transaction_id.as_deref()
    }
}

fn copied(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(text.len());
    reserved.map_err(|_| Error::out_of_memory("a table"))?;
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

fn of_unread(unread: ReadError) -> Error {
    match unread {
        ReadError::Malformed(why) => unreadable(why),
        ReadError::TooLong => {
            Error::new(Code::TooLarge, "a table of more than 4 GiB can't be read")
        }
        // Nothing stops it.
        ReadError::OutOfMemory | ReadError::Stopped => Error::out_of_memory("a table"),
    }
}

fn unreadable(why: String) -> Error {
    Error::new(Code::Protocol, format!("the rows of the response can't be read: {why}"))
}

fn no_table() -> Error {
    Error::new(Code::Type, "this response is not a table; select and execute_query return one")
}

fn no_list(why: &str) -> Error {
    Error::new(Code::Type, format!("this response is not a list of names; {why}"))
}
