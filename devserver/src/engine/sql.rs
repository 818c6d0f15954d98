//! Rows: reading and changing them, and queries of the client's own.

use super::Pieces;
use super::json::{self, Object, object};
use super::lexer;
use super::schema;
use super::session::Session;
use super::values;
use crate::error::{Error, Kind, Result};
use crate::names::quoted;
use rusqlite::types::Value as Sql;
use rusqlite::{Row, Statement, params_from_iter};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Which rows `page` gives.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

/// The rows that a statement gave, as JSON. Each part is counted as often as it will stand in the
/// response.
struct Rows {
    names: Names,
    /// Rows as arrays, where they are wanted.
    arrays: Option<Vec<u8>>,
    /// Rows as objects.
    objects: Vec<u8>,
    /// How often the objects will stand in the response.
    times: usize,
    count: usize,
}

/// The columns of a result.
struct Names {
    /// Each name with its quotes, once for all rows.
    quoted: Vec<Vec<u8>>,
    booleans: Vec<bool>,
    /// The columns of an object: of those with one name, the last one at the place of the first.
    members: Vec<usize>,
}

/// Inserts one row and tells its id.
pub fn insert(session: &Session, table: &str, row: &Object<'_>) -> Result<i64> {
    let columns: Vec<_> = row.members().map(|(name, _)| quoted(name)).collect();
    let sql = if columns.is_empty() {
        format!("INSERT INTO {} DEFAULT VALUES", quoted(table))
    } else {
        let marks = vec!["?"; columns.len()].join(", ");
        let columns = columns.join(", ");
        format!("INSERT INTO {} ({columns}) VALUES ({marks})", quoted(table))
    };
    change(session, table, &sql, &cells(session, table, row)?)?;
    Ok(session.client().last_insert_rowid())
}

/// Inserts a list of rows and counts them.
pub fn insert_rows(session: &Session, table: &str, body: &[u8]) -> Result<u64> {
    let rows = Object::required(body)?.take_list("rows")?;
    schema::check_exists(session, table)?;
    for row in &rows {
        let row = object(row)?.ok_or_else(|| Error::bad_request("a row must be an object"))?;
        session.check_stop()?;
        insert(session, table, &row)?;
    }
    Ok(rows.len() as u64)
}

/// The rows of a table for which the condition holds.
pub fn select(session: &Session, table: &str, condition: Option<&str>) -> Result<Pieces> {
    let sql = format!("SELECT * FROM {}{}", quoted(table), filter(condition)?);
    let rows = read(session, table, &sql)?;
    Ok(pieces([b"{\"records\":[".into(), rows.objects, b"]}".into()]))
}

/// Some of the rows of a table, and how many the condition finds in all.
pub fn page(session: &Session, table: &str, page: &Page) -> Result<Pieces> {
    let from = format!("FROM {}{}", quoted(table), filter(page.condition.as_deref())?);
    let order = match &page.order_by {
        Some(terms) => format!(" ORDER BY {}\n", lexer::part(terms)?),
        None => String::new(),
    };
    // SQLite takes a negative limit for none.
    let limit = format!(" LIMIT {} OFFSET {}", page.limit.unwrap_or(-1), page.offset);
    let rows = read(session, table, &format!("SELECT * {from}{order}{limit}"))?;
    let count: i64 = session
        .client()
        .query_row(&format!("SELECT count(*) {from}"), [], |row| row.get(0))
        .map_err(|error| session.explain(error))?;
    let end = format!("],\"count\":{count}}}").into_bytes();
    Ok(pieces([b"{\"rows\":[".into(), rows.objects, end]))
}

/// Changes the rows for which the condition holds, and counts them.
pub fn update(session: &Session, table: &str, body: &[u8]) -> Result<u64> {
    let mut body = Object::required(body)?;
    let data = body.take_object("data")?;
    let condition = body.take_optional_text("condition")?;
    body.finish("an update")?;
    if data.is_empty() {
        return Err(Error::bad_request("\"data\" names no column"));
    }
    if let Some(condition) = &condition {
        not_blank(condition)?;
    }
    let columns: Vec<_> = data.members().map(|(name, _)| format!("{} = ?", quoted(name))).collect();
    let filter = filter(condition.as_deref())?;
    let sql = format!("UPDATE {} SET {}{filter}", quoted(table), columns.join(", "));
    change(session, table, &sql, &cells(session, table, &data)?)
}

/// Deletes the rows for which the condition holds, and counts them.
pub fn delete(session: &Session, table: &str, condition: &str) -> Result<u64> {
    not_blank(condition)?;
    let sql = format!("DELETE FROM {}{}", quoted(table), filter(Some(condition))?);
    change(session, table, &sql, &[])
}

/// A blank condition would reach every row, which nobody means by it.
fn not_blank(condition: &str) -> Result<()> {
    if condition.trim().is_empty() {
        return Err(Error::bad_request("the condition is blank: for all rows say 1=1"));
    }
    Ok(())
}

/// Runs a statement of the client's own; nothing comes back from one that would write and must
/// not yet.
pub fn query(session: &Session, body: &[u8], may_write: bool) -> Result<Option<Pieces>> {
    let mut body = Object::required(body)?;
    let sql = body.take_text("query")?;
    let given = body.take_optional_list("parameters")?.unwrap_or_default();
    let given = given.into_iter().map(json::to_sql).collect::<Result<Vec<_>>>()?;
    let sql = lexer::statement(&sql)?;
    session.take_facts();
    let mut statement = session.client().prepare(&sql).map_err(|error| session.explain(error))?;
    if !statement.readonly() && !may_write {
        return Ok(None);
    }
    let facts = session.take_facts();
    let rows = Rows::collect(session, &mut statement, &given, true)?;
    drop(statement);
    let mut affected = 0;
    if facts.changes_schema {
        schema::record_changes(session)?;
    } else if facts.changes_rows {
        // SQLite keeps the count of the last change; of a mere read it would be a stale one.
        affected = session.client().changes();
    }
    let mut head = b"{\"columns\":[".to_vec();
    for (index, name) in rows.names.quoted.iter().enumerate() {
        if index > 0 {
            head.push(b',');
        }
        head.extend_from_slice(name);
    }
    head.extend_from_slice(b"],\"rows\":[");
    let count = rows.count;
    let middle = format!("],\"rowCount\":{count},\"affectedRows\":{affected},\"results\":[");
    let end = format!("],\"affected_rows\":{affected}}}");
    let objects = Rc::new(rows.objects);
    Ok(Some(vec![
        Rc::new(head),
        Rc::new(rows.arrays.unwrap_or_default()),
        Rc::new(middle.into_bytes()),
        Rc::clone(&objects),
        Rc::new(b"],\"records\":[".to_vec()),
        objects,
        Rc::new(end.into_bytes()),
    ]))
}

fn pieces<const N: usize>(parts: [Vec<u8>; N]) -> Pieces {
    parts.into_iter().map(Rc::new).collect()
}

fn read(session: &Session, table: &str, sql: &str) -> Result<Rows> {
    session.take_facts();
    let mut statement = or_no_table(session, table, session.client().prepare(sql))?;
    if !statement.readonly() {
        return Err(Error::new(Kind::SqlNotAllowed, "this route only reads"));
    }
    Rows::collect(session, &mut statement, &[], false)
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

/// The values of a row. A text that SQLite would take for a number, and round, is refused.
fn cells(session: &Session, table: &str, row: &Object<'_>) -> Result<Vec<Sql>> {
    let cells =
        row.members().map(|(_, value)| json::to_sql(value)).collect::<Result<Vec<Sql>>>()?;
    let suspect = |cell: &Sql| match cell {
        Sql::Text(text) => values::would_be_rounded(text, "NUMERIC"),
        _ => false,
    };
    if cells.iter().any(suspect) {
        let types = schema::types_of(session, table)?;
        for ((name, _), cell) in row.members().zip(&cells) {
            let declared = types.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            if let Some((_, declared)) = declared {
                values::check_rounding(cell, name, declared)?;
            }
        }
    }
    Ok(cells)
}

impl Names {
    fn of(statement: &Statement<'_>) -> Self {
        let columns = statement.columns();
        let mut members: Vec<usize> = Vec::with_capacity(columns.len());
        let mut places = std::collections::HashMap::new();
        let mut quoted = Vec::with_capacity(columns.len());
        let mut booleans = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let place = *places.entry(column.name()).or_insert(members.len());
            match members.get_mut(place) {
                Some(member) => *member = index,
                None => members.push(index),
            }
            let mut name = Vec::new();
            json::write_text(&mut name, column.name());
            quoted.push(name);
            booleans.push(values::is_boolean(column.decl_type()));
        }
        Self { quoted, booleans, members }
    }
}

impl Rows {
    fn collect(
        session: &Session,
        statement: &mut Statement<'_>,
        given: &[Sql],
        arrays: bool,
    ) -> Result<Self> {
        let expected = statement.parameter_count();
        if expected != given.len() {
            let error = rusqlite::Error::InvalidParameterCount(given.len(), expected);
            return Err(session.explain(error));
        }
        let names = Names::of(statement);
        let times = if arrays { 2 } else { 1 };
        let arrays = arrays.then(Vec::new);
        let mut all = Self { names, arrays, objects: Vec::new(), times, count: 0 };
        let mut rows =
            statement.query(params_from_iter(given)).map_err(|error| session.explain(error))?;
        while let Some(row) = rows.next().map_err(|error| session.explain(error))? {
            session.check_stop()?;
            all.add(session, row)?;
        }
        Ok(all)
    }

    fn add(&mut self, session: &Session, row: &Row<'_>) -> Result<()> {
        if self.count == session.limits().result_rows {
            return Err(Error::new(
                Kind::ResultTooLarge,
                format!("the result has more than {} rows: ask for fewer", self.count),
            ));
        }
        self.count += 1;
        if let Some(mut arrays) = self.arrays.take() {
            arrays.extend_from_slice(if arrays.is_empty() { b"[" } else { b",[" });
            for index in 0..self.names.quoted.len() {
                if index > 0 {
                    arrays.push(b',');
                }
                self.write(session, row, index, &mut arrays, 1)?;
            }
            arrays.push(b']');
            self.arrays = Some(arrays);
        }
        let mut objects = std::mem::take(&mut self.objects);
        objects.extend_from_slice(if objects.is_empty() { b"{" } else { b",{" });
        for (place, index) in self.names.members.iter().enumerate() {
            if place > 0 {
                objects.push(b',');
            }
            let name = &self.names.quoted[*index];
            self.check(session, objects.len() + name.len(), self.times)?;
            objects.extend_from_slice(name);
            objects.push(b':');
            self.write(session, row, *index, &mut objects, self.times)?;
        }
        objects.push(b'}');
        self.check(session, objects.len(), self.times)?;
        self.objects = objects;
        Ok(())
    }

    /// Writes a value, unless the response would then be too large.
    fn write(
        &self,
        session: &Session,
        row: &Row<'_>,
        index: usize,
        into: &mut Vec<u8>,
        times: usize,
    ) -> Result<()> {
        let value = row.get_ref(index).map_err(|error| session.explain(error))?;
        self.check(session, into.len() + json::least_size(value), times)?;
        json::write_value(into, value, self.names.booleans[index]);
        Ok(())
    }

    /// `size` is that of the part at hand, which is not in its place meanwhile.
    fn check(&self, session: &Session, size: usize, times: usize) -> Result<()> {
        let others = self.arrays.as_ref().map_or(0, Vec::len) + self.times * self.objects.len();
        let limit = session.limits().result_bytes;
        if others + times * size > limit {
            return Err(Error::new(
                Kind::ResultTooLarge,
                format!(
                    "the response would be larger than {limit} bytes, names of columns included: ask for fewer rows or columns"
                ),
            ));
        }
        Ok(())
    }
}

/// The line break keeps a comment at the end of the condition from swallowing the bracket.
fn filter(condition: Option<&str>) -> Result<String> {
    Ok(match condition {
        Some(condition) => format!(" WHERE ({}\n)", lexer::part(condition)?),
        None => String::new(),
    })
}
