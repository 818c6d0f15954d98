//! Tables: making, dropping, listing and describing them.

use super::json::{self, Object, object};
use super::lexer;
use super::session::Session;
use super::values;
use crate::error::{Error, Kind, Result};
use crate::names::{self, RESERVED_PREFIX, quoted};
use rusqlite::OptionalExtension;
use rusqlite::types::Value as Sql;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// SQLite does not remember when a table was made; this table does. The empty name stands
/// for the database itself.
const CREATED: &str = "__phantomdb_created";

const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

const TABLES: &str = "SELECT name FROM pragma_table_list WHERE schema = 'main' \
     AND type IN ('table', 'virtual') \
     AND substr(name, 1, 7) <> 'sqlite_' COLLATE NOCASE \
     AND substr(name, 1, 12) <> '__phantomdb_' COLLATE NOCASE \
     ORDER BY name";

/// A column as a client asks for it.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub kind: String,
    /// Whether it takes null.
    pub nullable: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// Whether its values must differ.
    pub unique: bool,
    /// The value of rows that name none.
    pub default: Option<Sql>,
}

/// Takes the columns of a table to be made out of a request.
pub fn columns_of(request: &mut Object<'_>) -> Result<Vec<Column>> {
    request.take_list("columns")?.into_iter().map(column_of).collect()
}

fn column_of(value: &RawValue) -> Result<Column> {
    let mut object =
        object(value)?.ok_or_else(|| Error::bad_request("a column must be an object"))?;
    let key = object.take_flag("primaryKey")?.or(object.take_flag("primary_key")?);
    let default = ["defaultValue", "default_value", "default"].map(|name| object.take(name));
    let column = Column {
        name: object.take_text("name")?,
        kind: object.take_text("type")?,
        nullable: object.take_flag("nullable")?.unwrap_or(true),
        primary_key: key.unwrap_or(false),
        unique: object.take_flag("unique")?.unwrap_or(false),
        default: default.into_iter().flatten().next().map(json::to_sql).transpose()?,
    };
    object.finish("a column")?;
    Ok(column)
}

/// Makes the server's own table in a database that has none.
pub fn initialize(session: &Session) -> Result<()> {
    session
        .trusted()
        .execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS {CREATED} (name TEXT PRIMARY KEY, at TEXT NOT NULL);
             INSERT OR IGNORE INTO {CREATED} VALUES ('', {NOW});
             COMMIT"
        ))
        .map_err(|error| Error::internal(format!("the database cannot be opened: {error}")))
}

/// Brings the record of the tables up to date after a change of the schema.
pub fn record_changes(session: &Session) -> Result<()> {
    let own: i64 = session
        .trusted()
        .query_row(
            "SELECT count(*) FROM sqlite_schema \
             WHERE substr(name, 1, length(?1)) = ?1 COLLATE NOCASE",
            [RESERVED_PREFIX],
            |row| row.get(0),
        )
        .map_err(|error| session.explain(error))?;
    if own != 1 {
        return Err(Error::new(
            Kind::SqlNotAllowed,
            format!("names that begin with {RESERVED_PREFIX} belong to the server"),
        ));
    }
    session
        .trusted()
        .execute_batch(&format!(
            "DELETE FROM {CREATED} WHERE name <> '' AND name NOT IN ({TABLES});
             INSERT OR IGNORE INTO {CREATED} SELECT name, {NOW} FROM ({TABLES})"
        ))
        .map_err(|error| session.explain(error))
}

/// The names of the tables, in order.
pub fn list(session: &Session) -> Result<Vec<String>> {
    let connection = session.trusted();
    let mut statement =
        connection.prepare_cached(TABLES).map_err(|error| session.explain(error))?;
    statement
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(|error| session.explain(error))
}

/// The type of the table or view of this name, and its exact spelling.
fn find(session: &Session, name: &str) -> Result<Option<(String, String)>> {
    if names::is_reserved(name) {
        return Ok(None);
    }
    session
        .trusted()
        .prepare_cached(
            "SELECT type, name FROM sqlite_schema \
             WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
        )
        .and_then(|mut statement| {
            statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(|error| session.explain(error))
}

/// Refuses a table or view that does not exist.
pub fn check_exists(session: &Session, name: &str) -> Result<()> {
    match find(session, name)? {
        Some(_) => Ok(()),
        None => Err(Error::no_table(name)),
    }
}

/// Makes a table.
pub fn create(session: &Session, name: &str, columns: &[Column]) -> Result<()> {
    names::check_identifier("table", name)?;
    if columns.is_empty() {
        return Err(Error::bad_request("a table needs at least one column"));
    }
    if find(session, name)?.is_some() {
        return Err(Error::new(Kind::AlreadyExists, format!("there is already a table {name:?}"))
            .with("table", name));
    }
    let keys: Vec<String> = columns
        .iter()
        .filter(|column| column.primary_key)
        .map(|column| quoted(&column.name))
        .collect();
    let mut parts = Vec::new();
    for column in columns {
        // Only in this form does SQLite number the rows by itself.
        let inline_key = column.primary_key && keys.len() == 1;
        parts.push(declaration(column, inline_key)?);
    }
    if keys.len() > 1 {
        parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
    }
    let sql = format!("CREATE TABLE {} ({})", quoted(name), parts.join(", "));
    session.client().execute(&sql, []).map_err(|error| session.explain(error))?;
    record_changes(session)
}

fn declaration(column: &Column, inline_key: bool) -> Result<String> {
    names::check_identifier("column", &column.name)?;
    let declared = declared_type(&column.kind)?;
    let mut sql = format!("{} {declared}", quoted(&column.name));
    if inline_key {
        sql += " PRIMARY KEY";
    }
    if !column.nullable {
        sql += " NOT NULL";
    }
    if column.unique {
        sql += " UNIQUE";
    }
    if let Some(default) = &column.default {
        values::check_rounding(default, &column.name, &declared)?;
        sql += &format!(" DEFAULT {}", values::literal(default)?);
    }
    Ok(sql)
}

/// The type as SQLite is told it.
///
/// Two names of the field mean something else to SQLite: it numbers rows only under the full
/// word INTEGER, and takes STRING for a number, which would turn "007" into 7.
fn declared_type(kind: &str) -> Result<String> {
    let kind = kind.trim();
    if kind.eq_ignore_ascii_case("int") {
        return Ok("INTEGER".into());
    }
    if kind.eq_ignore_ascii_case("string") {
        return Ok("TEXT".into());
    }
    let (words, size) = match kind.split_once('(') {
        Some((words, rest)) => (words, rest.strip_suffix(')')),
        None => (kind, Some("1")),
    };
    let good_words = !words.trim().is_empty()
        && words
            .split_ascii_whitespace()
            .all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        && words.trim_start().starts_with(|first: char| first.is_ascii_alphabetic());
    let good_size = size.is_some_and(|size| {
        let numbers: Vec<_> = size.split(',').map(str::trim).collect();
        numbers.len() <= 2
            && numbers.iter().all(|number| {
                (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
            })
    });
    if !good_words || !good_size {
        return Err(Error::bad_request(format!(
            "{kind:?} is not a column type: expected words like integer, varchar(40) or decimal(10,2)"
        )));
    }
    // Each word is quoted, for CREATE TABLE would take some for the start of a constraint.
    let words: Vec<_> = words.split_ascii_whitespace().map(quoted).collect();
    Ok(match kind.find('(') {
        Some(at) => words.join(" ") + &kind[at..],
        None => words.join(" "),
    })
}

/// Drops a table.
pub fn drop(session: &Session, name: &str) -> Result<()> {
    let (kind, exact) = find(session, name)?.ok_or_else(|| Error::no_table(name))?;
    if kind != "table" {
        return Err(Error::bad_request(format!("{name:?} is a view, not a table")));
    }
    session
        .client()
        .execute(&format!("DROP TABLE {}", quoted(&exact)), [])
        .map_err(|error| session.explain(error))?;
    record_changes(session)
}

/// When the database was made.
pub fn created_at(session: &Session) -> Result<Value> {
    created(session, "")
}

fn created(session: &Session, name: &str) -> Result<Value> {
    let at: Option<String> = session
        .trusted()
        .query_row(&format!("SELECT at FROM {CREATED} WHERE name = ?1"), [name], |row| row.get(0))
        .optional()
        .map_err(|error| session.explain(error))?;
    Ok(at.into())
}

/// Everything about all tables.
pub fn describe_all(session: &Session) -> Result<Vec<Value>> {
    list(session)?.iter().map(|name| describe(session, name)).collect()
}

/// The declared types of a table's columns, by name.
pub fn types_of(session: &Session, table: &str) -> Result<Vec<(String, String)>> {
    session
        .trusted()
        .prepare_cached("SELECT name, type FROM pragma_table_info(?1)")
        .and_then(|mut statement| {
            statement
                .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
                .and_then(Iterator::collect)
        })
        .map_err(|error| session.explain(error))
}

/// Everything about a table, as the OpenAPI dialect shows it.
pub fn describe(session: &Session, name: &str) -> Result<Value> {
    let (_, exact) = find(session, name)?.ok_or_else(|| Error::no_table(name))?;
    let rows: i64 = session
        .client()
        .query_row(&format!("SELECT count(*) FROM {}", quoted(&exact)), [], |row| row.get(0))
        .map_err(|error| session.explain(error))?;
    Ok(json!({
        "name": exact,
        "columns": columns(session, &exact)?,
        "rowCount": rows,
        "createdAt": created(session, &exact)?,
        "indexes": indexes(session, &exact)?,
    }))
}

fn columns(session: &Session, table: &str) -> Result<Vec<Value>> {
    type Found = (String, String, bool, i64, Option<String>);
    let found: rusqlite::Result<Vec<Found>> = session
        .trusted()
        .prepare_cached(
            "SELECT name, type, \"notnull\", pk, dflt_value FROM pragma_table_info(?1) ORDER BY cid",
        )
        .and_then(|mut statement| {
            statement
                .query_map([table], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                })
                .and_then(Iterator::collect)
        });
    let found = found.map_err(|error| session.explain(error))?;
    let describe = |(name, kind, not_null, key, default): Found| {
        let boolean = values::is_boolean(Some(&kind));
        json!({
            "name": name,
            "type": kind,
            "nullable": !not_null && key == 0,
            "primaryKey": key > 0,
            "defaultValue": default_value(session, default, boolean),
        })
    };
    Ok(found.into_iter().map(describe).collect())
}

/// A default is kept as SQL text; one that is not constant stays text here too.
fn default_value(session: &Session, sql: Option<String>, boolean: bool) -> Value {
    let Some(sql) = sql else { return Value::Null };
    // To compute one could take as long as any statement.
    if !lexer::is_literal(&sql) {
        return sql.into();
    }
    let Ok(select) = lexer::statement(&format!("SELECT {sql}")).map(|text| text.into_owned())
    else {
        return sql.into();
    };
    let shown = session.client().query_row(&select, [], |row| {
        let mut text = Vec::new();
        json::write_value(&mut text, row.get_ref(0)?, boolean);
        Ok(text)
    });
    match shown.map(|text| serde_json::from_slice(&text)) {
        Ok(Ok(value)) => value,
        _ => sql.into(),
    }
}

fn indexes(session: &Session, table: &str) -> Result<Vec<Value>> {
    let connection = session.trusted();
    let mut statement = connection
        .prepare_cached(
            "SELECT list.name, list.\"unique\", info.name FROM pragma_index_list(?1) AS list \
             JOIN pragma_index_info(list.name) AS info ORDER BY list.name, info.seqno",
        )
        .map_err(|error| session.explain(error))?;
    let found: rusqlite::Result<Vec<(String, bool, Option<String>)>> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect);
    let mut indexes: Vec<Value> = Vec::new();
    for (name, unique, column) in found.map_err(|error| session.explain(error))? {
        if indexes.last().is_none_or(|last| last["name"] != name.as_str()) {
            indexes.push(json!({"name": name, "columns": [], "type": "B_TREE", "unique": unique}));
        }
        if let Some(columns) = indexes.last_mut().and_then(|last| last["columns"].as_array_mut()) {
            columns.push(column.into());
        }
    }
    Ok(indexes)
}
