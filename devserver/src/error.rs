//! The one error of the server: what kind, and a sentence for a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What went wrong, as far as a client can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The request itself is malformed.
    BadRequest,
    /// SQLite refused the statement or its parameters.
    BadSql,
    /// The statement would leave the sandbox of its database.
    SqlNotAllowed,
    /// The statement ran past the time that the server grants.
    QueryTimeout,
    /// The result is larger than the server is willing to build.
    ResultTooLarge,
    /// A constraint other than uniqueness does not hold.
    Constraint,
    /// The token is missing or wrong.
    Unauthorized,
    /// The server is asked for under a name that is not its own.
    HostNotAllowed,
    /// A web page of another origin made a browser send the request.
    CrossSite,
    /// No such database.
    NoDatabase,
    /// No such table.
    NoTable,
    /// No such transaction, or none any more.
    NoTransaction,
    /// No such route.
    NoRoute,
    /// The route exists, but not with this method.
    Method,
    /// The client took too long to send its request.
    RequestTimeout,
    /// A name or a unique value is already there.
    AlreadyExists,
    /// The transaction is bound to another database, or lost a race.
    Conflict,
    /// The body is larger than the limit.
    TooLarge,
    /// Another transaction kept the write lock for too long.
    Busy,
    /// The server is doing as much as it may.
    Overloaded,
    /// As many transactions are open as may be.
    TooManyTransactions,
    /// As many databases exist as may be.
    TooManyDatabases,
    /// The database, or its journal, is as large as it may be.
    DatabaseFull,
    /// The statement needs more memory than it may have.
    MemoryLimit,
    /// A worker was told to stop; never told to a client.
    Interrupted,
    /// Anything else.
    Internal,
}

/// An error on its way to the client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Error {
    /// Decides the status and the code of the response.
    pub kind: Kind,
    /// A sentence that a person can act on.
    pub message: String,
    /// Facts for programs.
    pub details: Map<String, Value>,
}

/// Longer messages lose their middle: SQLite repeats what it does not understand, which may be as long
/// as a body.
const LONGEST_MESSAGE: usize = 2000;

/// The result of everything that can become a response to the client.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without details.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: shortened(message.into()), details: Map::new() }
    }

    /// The same error with one more fact for programs.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// A malformed request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// A fault of the server or its machine.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// A database that does not exist.
    pub fn no_database(name: &str) -> Self {
        Self::new(Kind::NoDatabase, format!("there is no database {name:?}")).with("database", name)
    }

    /// A table that does not exist.
    pub fn no_table(name: &str) -> Self {
        Self::new(Kind::NoTable, format!("there is no table {name:?}")).with("table", name)
    }

    /// A transaction that does not exist.
    pub fn no_transaction(id: &str) -> Self {
        Self::new(
            Kind::NoTransaction,
            format!("there is no transaction {id:?}: unknown, finished, or rolled back"),
        )
        .with("transaction_id", id)
    }
}

fn shortened(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    let mut end = LONGEST_MESSAGE / 2;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = message.len() - LONGEST_MESSAGE / 2;
    while !message.is_char_boundary(rest) {
        rest += 1;
    }
    format!("{} … {}", &message[..end], &message[rest..])
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::internal(format!("input or output failed: {error}"))
    }
}
