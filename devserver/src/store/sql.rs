//! Rows: reading and changing them, and queries of the client's own.

use super::schema;
use super::session::Session;
use super::values;
use crate::error::{Error, Kind, Result};
use crate::names::quoted;
use rusqlite::types::Value as Sql;
use rusqlite::{Statement, params_from_iter};
use serde_json::{Map, Value};

/// An answer is built in memory, so it must end somewhere.
const LARGEST_RESULT: usize = 64 * 1024 * 1024;

/// What a cell costs besides its text.
const COST_OF_A_CELL: usize = 24;

/// A row as a client sends it: column to value.
pub type Row = Map<String, Value>;

/// The rows that a statement gave.
#[derive(Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

/// What a query of the client's own did.
#[derive(Debug)]
pub enum Outcome {
    /// It ran; the second part counts the rows that it changed.
    Done(Table, u64),
    /// It would write, and has not run.
    NeedsWriteTurn,
}

/// Which rows `page` gives.
#[derive(Debug, Default)]
pub struct Page {
    /// A condition in SQL.
    pub condition: Option<String>,
    /// Terms to sort by, in SQL.
    pub order_by: Option<String>,
    /// At most so many rows.
    pub limit: Option<i64>,
    /// Rows to pass over.
    pub offset: i64,
}

impl Table {
    /// The rows as objects of column to value.
    pub fn records(&self) -> Vec<Value> {
        self.rows
            .iter()
            .map(|row| {
                self.columns.iter().cloned().zip(row.iter().cloned()).collect::<Map<_, _>>().into()
            })
            .collect()
    }
}

/// Inserts one row and tells its id.
pub fn insert(session: &Session, table: &str, row: &Row) -> Result<i64> {
    let columns: Vec<_> = row.keys().map(|name| quoted(name)).collect();
    let sql = if columns.is_empty() {
        format!("INSERT INTO {} DEFAULT VALUES", quoted(table))
    } else {
        let marks = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        format!("INSERT INTO {} ({columns}) VALUES ({marks})", quoted(table))
    };
    change(session, table, &sql, &parameters(row.values())?)?;
    Ok(session.client().last_insert_rowid())
}

/// The rows of a table for which the condition holds.
pub fn select(session: &Session, table: &str, condition: Option<&str>) -> Result<Table> {
    let sql = format!("SELECT * FROM {}{}", quoted(table), filter(condition)?);
    read(session, table, &sql)
}

/// Some of the rows of a table, and how many the condition finds in all.
pub fn page(session: &Session, table: &str, page: &Page) -> Result<(Table, i64)> {
    let from = format!("FROM {}{}", quoted(table), filter(page.condition.as_deref())?);
    let order = match &page.order_by {
        Some(terms) => format!(" ORDER BY {}\n", checked(terms)?),
        None => String::new(),
    };
    // SQLite takes a negative limit for none.
    let limit = format!(" LIMIT {} OFFSET {}", page.limit.unwrap_or(-1), page.offset);
    let rows = read(session, table, &format!("SELECT * {from}{order}{limit}"))?;
    let count = read(session, table, &format!("SELECT count(*) {from}"))?;
    Ok((rows, count.rows[0][0].as_i64().unwrap_or_default()))
}

/// Changes the rows for which the condition holds, and counts them.
pub fn update(session: &Session, table: &str, data: &Row, condition: Option<&str>) -> Result<u64> {
    let columns: Vec<_> = data.keys().map(|name| format!("{} = ?", quoted(name))).collect();
    let sql = format!("UPDATE {} SET {}{}", quoted(table), columns.join(", "), filter(condition)?);
    change(session, table, &sql, &parameters(data.values())?)
}

/// Deletes the rows for which the condition holds, and counts them.
pub fn delete(session: &Session, table: &str, condition: &str) -> Result<u64> {
    let sql = format!("DELETE FROM {}{}", quoted(table), filter(Some(condition))?);
    change(session, table, &sql, &[])
}

/// Runs a statement of the client's own; one that writes only if `may_write`.
pub fn query(session: &Session, sql: &str, given: &[Value], may_write: bool) -> Result<Outcome> {
    let given = parameters(given)?;
    session.take_facts();
    let mut statement =
        session.client().prepare(checked(sql)?).map_err(|error| session.explain(error))?;
    // Of a text that holds no statement SQLite makes none.
    if statement.expanded_sql().is_none() {
        return Err(Error::new(Kind::BadSql, "the query is empty"));
    }
    if !statement.readonly() && !may_write {
        return Ok(Outcome::NeedsWriteTurn);
    }
    let facts = session.take_facts();
    let table = collect(session, &mut statement, &given)?;
    drop(statement);
    if facts.changes_schema {
        schema::record_changes(session)?;
        return Ok(Outcome::Done(table, 0));
    }
    // SQLite keeps the count of the last change; of a mere read it would be a stale one.
    let affected = if facts.changes_rows { session.client().changes() } else { 0 };
    Ok(Outcome::Done(table, affected))
}

fn read(session: &Session, table: &str, sql: &str) -> Result<Table> {
    session.take_facts();
    let mut statement = or_no_table(session, table, session.client().prepare(sql))?;
    if !statement.readonly() {
        return Err(Error::new(Kind::SqlNotAllowed, "this route only reads"));
    }
    collect(session, &mut statement, &[])
}

fn change(session: &Session, table: &str, sql: &str, given: &[Sql]) -> Result<u64> {
    session.take_facts();
    let mut statement = or_no_table(session, table, session.client().prepare_cached(sql))?;
    // Counted by hand, for a condition could hold a question mark of its own.
    if statement.parameter_count() != given.len() {
        return Err(Error::new(Kind::BadSql, "a condition takes no parameters: use a query"));
    }
    // A statement kept from before may find only now that its table is gone.
    or_no_table(session, table, statement.execute(params_from_iter(given)))
        .map(|count| count as u64)
}

/// A result of SQLite, or the news that the table does not exist.
///
/// The look for the table comes last, to cost nothing where all is well.
fn or_no_table<T>(session: &Session, table: &str, result: rusqlite::Result<T>) -> Result<T> {
    result.map_err(|error| {
        let error = session.explain(error);
        match schema::check_exists(session, table) {
            Err(missing) if missing.kind == Kind::NoTable => missing,
            _ => error,
        }
    })
}

fn collect(session: &Session, statement: &mut Statement<'_>, given: &[Sql]) -> Result<Table> {
    let expected = statement.parameter_count();
    if expected != given.len() {
        return Err(session.explain(rusqlite::Error::InvalidParameterCount(given.len(), expected)));
    }
    let (columns, booleans): (Vec<_>, Vec<_>) = statement
        .columns()
        .into_iter()
        .map(|column| (column.name().to_owned(), values::is_boolean(column.decl_type())))
        .unzip();
    let mut table = Table { columns, rows: Vec::new() };
    let mut size = 0;
    let mut rows =
        statement.query(params_from_iter(given)).map_err(|error| session.explain(error))?;
    while let Some(row) = rows.next().map_err(|error| session.explain(error))? {
        let mut cells = Vec::with_capacity(booleans.len());
        for (index, boolean) in booleans.iter().enumerate() {
            let cell = row.get_ref(index).map_err(|error| session.explain(error))?;
            size += COST_OF_A_CELL + cell.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
            cells.push(values::to_json(cell, *boolean));
        }
        if size > LARGEST_RESULT {
            return Err(Error::new(
                Kind::ResultTooLarge,
                format!(
                    "the result is larger than {LARGEST_RESULT} bytes: ask for fewer rows or columns"
                ),
            ));
        }
        table.rows.push(cells);
    }
    Ok(table)
}

fn parameters<'v>(given: impl IntoIterator<Item = &'v Value>) -> Result<Vec<Sql>> {
    given.into_iter().map(values::to_sql).collect()
}

/// The line break keeps a comment at the end of the condition from swallowing the bracket.
fn filter(condition: Option<&str>) -> Result<String> {
    Ok(match condition {
        Some(condition) => format!(" WHERE ({}\n)", checked(condition)?),
        None => String::new(),
    })
}

/// SQLite would take a NUL for the end of the text and ignore the rest in silence.
fn checked(sql: &str) -> Result<&str> {
    if sql.contains('\0') {
        return Err(Error::new(Kind::BadSql, "SQL text contains a NUL character"));
    }
    Ok(sql)
}
