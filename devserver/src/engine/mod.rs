//! SQLite: what a request does in one database.
//!
//! All of it runs in a worker, a process that can be ended at any moment: some statements
//! spend minutes or gigabytes in a single step, in which nothing can stop them.

mod authorizer;
pub mod json;
pub mod lexer;
pub mod schema;
mod session;
pub mod sql;
pub mod values;

pub use session::{Limits, Session, Stopper};

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::rc::Rc;

/// What a worker is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Open a database; the one that was open is closed.
    Open {
        /// Its file.
        file: PathBuf,
        /// Whether every commit must survive a loss of power.
        lasting: bool,
        /// How it is found.
        opening: Opening,
        /// What statements may take.
        limits: Limits,
    },
    /// Close the database; what is uncommitted is rolled back.
    Close,
    /// Begin a transaction.
    Begin,
    /// Commit it.
    Commit,
    /// Roll it back.
    RollBack,
    /// Do what a request asks for, all of it or nothing.
    Run(Job),
}

/// In what state a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening {
    /// It is made.
    New,
    /// It was there when the server started.
    Found,
    /// This server has opened it before.
    Again,
}

/// What a request asks for; the rest is in its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Job {
    /// A statement of the client's own.
    Query {
        /// Whether this is the request's turn to write.
        may_write: bool,
    },
    /// The rows for which a condition holds.
    Select {
        /// Of this table.
        table: String,
        /// The condition.
        condition: Option<String>,
    },
    /// Some of the rows, and how many there are.
    Page {
        /// Of this table.
        table: String,
        /// Which of them.
        page: sql::Page,
    },
    /// Insert one row.
    Insert {
        /// Into this table.
        table: String,
    },
    /// Insert a list of rows.
    InsertRows {
        /// Into this table.
        table: String,
    },
    /// Change rows.
    Update {
        /// Of this table.
        table: String,
    },
    /// Delete rows.
    Delete {
        /// From this table.
        table: String,
        /// Where this holds.
        condition: String,
    },
    /// The names of the tables.
    ListTables,
    /// The descriptions of the tables.
    DescribeTables,
    /// Make a table.
    CreateTable {
        /// Whether its description is wanted, as in the OpenAPI dialect.
        describe: bool,
    },
    /// Drop a table.
    DropTable {
        /// This one.
        table: String,
    },
    /// Everything about one table.
    DescribeTable {
        /// This one.
        table: String,
    },
    /// Everything about the database.
    DescribeDatabase {
        /// Its name.
        name: String,
        /// The size of its files.
        size: u64,
    },
}

/// What came of a job, besides its response.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// Rows that were inserted.
    pub inserted: u64,
    /// The statement would write and has not run: it needs its turn.
    pub needs_write_turn: bool,
}

/// The body of a response, in pieces: some of them stand in it twice.
pub type Pieces = Vec<Rc<Vec<u8>>>;

/// One worker's database, if it has one open.
#[derive(Debug, Default)]
pub struct Engine {
    session: Option<Session>,
    stopper: Stopper,
}

impl Engine {
    /// An engine without a database, which `stopper` stops.
    pub fn new(stopper: Stopper) -> Self {
        Self { session: None, stopper }
    }

    /// Does what it is told; calls `ending` before it commits what cannot be taken back.
    pub fn obey(
        &mut self,
        command: Command,
        body: &[u8],
        ending: &mut dyn FnMut(),
    ) -> Result<(Done, Pieces)> {
        match command {
            Command::Open { file, lasting, opening, limits } => {
                self.close();
                let create = opening == Opening::New;
                let session = Session::open(&file, lasting, create, limits, self.stopper.clone())?;
                // Later it would wait for the transaction that writes.
                if opening != Opening::Again {
                    schema::initialize(&session)?;
                }
                self.session = Some(session);
            }
            Command::Close => self.close(),
            Command::Begin => self.session()?.execute("BEGIN")?,
            Command::Commit => {
                ending();
                self.end("COMMIT")?;
            }
            Command::RollBack => self.end("ROLLBACK")?,
            Command::Run(job) => {
                let session = self.session()?;
                return session.atomically(ending, |session| run(session, &job, body));
            }
        }
        Ok(Default::default())
    }

    /// Whether no transaction is open.
    pub fn is_autocommit(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_autocommit)
    }

    fn end(&mut self, statement: &str) -> Result<()> {
        let session = self.session()?;
        let ended = session.execute(statement);
        if ended.is_err() && !session.is_autocommit() {
            let _ = session.execute("ROLLBACK");
        }
        ended
    }

    fn close(&mut self) {
        self.stopper.forget_connection();
        self.session = None;
    }

    fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::internal("no database is open"))
    }
}

fn run(session: &Session, job: &Job, body: &[u8]) -> Result<(Done, Pieces)> {
    let done = Done::default();
    let small = |value: serde_json::Value| vec![Rc::new(value.to_string().into_bytes())];
    use serde_json::json;
    let (done, pieces) = match job {
        Job::Query { may_write } => match sql::query(session, body, *may_write)? {
            None => (Done { needs_write_turn: true, ..done }, Vec::new()),
            Some(pieces) => (done, pieces),
        },
        Job::Select { table, condition } => {
            (done, sql::select(session, table, condition.as_deref())?)
        }
        Job::Page { table, page } => (done, sql::page(session, table, page)?),
        Job::Insert { table } => {
            let id = sql::insert(session, table, &json::Object::required(body)?)?;
            (Done { inserted: 1, ..done }, small(json!({"message": "Row inserted", "id": id})))
        }
        Job::InsertRows { table } => {
            let count = sql::insert_rows(session, table, body)?;
            (Done { inserted: count, ..done }, small(json!({"inserted": count})))
        }
        Job::Update { table } => {
            let count = sql::update(session, table, body)?;
            let message = format!("{count} rows updated");
            (done, small(json!({"message": message, "count": count})))
        }
        Job::Delete { table, condition } => {
            let count = sql::delete(session, table, condition)?;
            let message = format!("{count} rows deleted");
            (done, small(json!({"message": message, "count": count})))
        }
        Job::ListTables => (done, small(json!({"tables": schema::list(session)?}))),
        Job::DescribeTables => (done, small(json!({"tables": schema::describe_all(session)?}))),
        Job::CreateTable { describe } => {
            let mut object = json::Object::required(body)?;
            let name = object.take_text("name")?;
            let columns = schema::columns_of(&mut object)?;
            schema::create(session, &name, &columns)?;
            let body = match describe {
                true => schema::describe(session, &name)?,
                false => json!({"message": format!("Table {name:?} created"), "name": name}),
            };
            (done, small(body))
        }
        Job::DropTable { table } => {
            schema::drop(session, table)?;
            (done, small(json!({"message": format!("Table {table:?} dropped")})))
        }
        Job::DescribeTable { table } => (done, small(schema::describe(session, table)?)),
        Job::DescribeDatabase { name, size } => {
            let body = json!({
                "name": name,
                "createdAt": schema::created_at(session)?,
                "tables": schema::describe_all(session)?,
                "size": size,
            });
            (done, small(body))
        }
    };
    let limit = session.limits().result_bytes;
    if pieces.iter().map(|piece| piece.len()).sum::<usize>() > limit {
        return Err(Error::new(
            Kind::ResultTooLarge,
            format!("the response would be larger than {limit} bytes"),
        ));
    }
    Ok((done, pieces))
}
