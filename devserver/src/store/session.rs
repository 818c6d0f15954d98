//! One SQLite connection, its limits, and what stops a statement on it.

use super::authorizer::{self, Facts};
use super::database::Presence;
use crate::error::{Error, Kind, Result};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Authorization;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many steps of SQLite's machine pass between two looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 4_000;

const LONGEST_VALUE: i32 = 64 * 1024 * 1024;

/// With the write lock in the server's hands SQLite has nothing to wait for but checkpoints
/// and programs that open the file themselves.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to one database, to be used by one request or transaction at a time.
///
/// While a session exists its database's files stay: the presence goes after the connection.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    control: Arc<Control>,
    _presence: Presence,
}

/// What a session shares with the hooks that SQLite calls.
#[derive(Debug)]
struct Control {
    trusted: AtomicBool,
    facts: Mutex<Facts>,
    run: Mutex<Run>,
}

/// Why the statement that runs may have to stop.
#[derive(Clone, Debug)]
pub struct Run {
    /// When the statement has run for too long.
    pub deadline: Instant,
    /// Set when nobody waits for the answer any more.
    pub abandoned: Arc<AtomicBool>,
    /// Set when the database is being dropped.
    pub dropped: Arc<AtomicBool>,
}

impl Run {
    fn must_stop(&self) -> bool {
        self.abandoned.load(SeqCst) || self.dropped.load(SeqCst) || Instant::now() >= self.deadline
    }
}

impl Session {
    /// Opens a connection; `lasting` makes every commit survive a loss of power.
    pub fn open(file: &Path, lasting: bool, create: bool, presence: Presence) -> Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let mut connection = Connection::open_with_flags(file, flags).map_err(unexpected)?;
        let control = Arc::new(Control {
            trusted: AtomicBool::new(true),
            facts: Mutex::default(),
            run: Mutex::new(Run {
                deadline: Instant::now() + BUSY_TIMEOUT,
                abandoned: Arc::default(),
                dropped: Arc::default(),
            }),
        });
        prepare(&mut connection, lasting, &control).map_err(unexpected)?;
        Ok(Self { connection, control, _presence: presence })
    }

    /// The connection, for the server's own statements.
    pub fn trusted(&self) -> Trusted<'_> {
        self.control.trusted.store(true, SeqCst);
        Trusted(self)
    }

    /// The connection, for statements that hold a client's SQL.
    pub fn client(&self) -> &Connection {
        &self.connection
    }

    /// What was learned about the statement compiled last; empties the record.
    pub fn take_facts(&self) -> Facts {
        std::mem::take(&mut lock(&self.control.facts))
    }

    /// Whether no transaction is open.
    pub fn is_autocommit(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Runs `work` under the limits of `run`; if it fails, nothing of it stays.
    pub fn atomically<T>(
        &mut self,
        run: Run,
        work: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        *lock(&self.control.run) = run;
        self.execute("SAVEPOINT request")?;
        let result = work(self);
        // What ends the work must not be stopped half-way.
        lock(&self.control.run).deadline = Instant::now() + BUSY_TIMEOUT;
        lock(&self.control.run).abandoned = Arc::default();
        lock(&self.control.run).dropped = Arc::default();
        match result {
            Ok(value) => match self.execute("RELEASE request") {
                Ok(()) => Ok(value),
                Err(error) => {
                    self.undo();
                    Err(error)
                }
            },
            Err(error) => {
                self.undo();
                Err(error)
            }
        }
    }

    /// Runs statements of the server's own.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.trusted()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]).map(drop))
            .map_err(|error| self.explain(error))
    }

    /// SQLite itself may have rolled everything back already; then there is nothing to undo.
    fn undo(&self) {
        if !self.is_autocommit() {
            let _ = self.execute("ROLLBACK TO request");
            let _ = self.execute("RELEASE request");
        }
    }

    /// An error of SQLite as the client is told it.
    pub fn explain(&self, error: rusqlite::Error) -> Error {
        if let Some(refusal) = self.take_facts().refusal {
            return Error::new(Kind::SqlNotAllowed, refusal);
        }
        let run = lock(&self.control.run).clone();
        match error {
            rusqlite::Error::MultipleStatement => Error::new(
                Kind::BadSql,
                "one request runs one statement, and this text holds several",
            ),
            rusqlite::Error::InvalidParameterCount(given, expected) => Error::new(
                Kind::BadSql,
                format!("the statement takes {expected} parameters, and {given} were given"),
            ),
            rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
                match by_code(&error, &msg, &run) {
                    Some(known) => known,
                    None if offset >= 0 => Error::new(Kind::BadSql, msg).with("offset", offset),
                    None => Error::new(Kind::BadSql, msg),
                }
            }
            rusqlite::Error::SqliteFailure(error, message) => {
                let message = message.unwrap_or_else(|| error.to_string());
                // SQLite finds this before it asks the authorizer.
                if message.starts_with("cannot VACUUM") {
                    return Error::new(Kind::SqlNotAllowed, "VACUUM is not allowed");
                }
                by_code(&error, &message, &run).unwrap_or_else(|| Error::new(Kind::BadSql, message))
            }
            other => Error::new(Kind::BadSql, other.to_string()),
        }
    }
}

/// The connection with the authorizer out of the way; back in force when this goes.
pub struct Trusted<'s>(&'s Session);

impl std::ops::Deref for Trusted<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0.connection
    }
}

impl Drop for Trusted<'_> {
    fn drop(&mut self) {
        self.0.control.trusted.store(false, SeqCst);
    }
}

fn prepare(
    connection: &mut Connection,
    lasting: bool,
    control: &Arc<Control>,
) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = if lasting { "FULL" } else { "OFF" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    let hook = Arc::clone(control);
    connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
        if hook.trusted.load(SeqCst) || authorizer::allows(&context, &mut lock(&hook.facts)) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))?;
    let hook = Arc::clone(control);
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || lock(&hook.run).must_stop()))?;
    control.trusted.store(false, SeqCst);
    Ok(())
}

fn by_code(error: &ffi::Error, message: &str, run: &Run) -> Option<Error> {
    let kind = match error.code {
        ErrorCode::OperationInterrupted => return Some(interrupted(run)),
        ErrorCode::ConstraintViolation => match error.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => Kind::AlreadyExists,
            _ => Kind::Constraint,
        },
        ErrorCode::DatabaseBusy if error.extended_code == ffi::SQLITE_BUSY_SNAPSHOT => {
            return Some(Error::new(
                Kind::Conflict,
                "what this transaction has read was changed since by someone else, so it cannot write any more: begin it anew",
            ));
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Kind::Busy,
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::OutOfMemory
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::InternalMalfunction
        | ErrorCode::ApiMisuse => Kind::Internal,
        _ => return None,
    };
    Some(Error::new(kind, message))
}

fn interrupted(run: &Run) -> Error {
    if run.dropped.load(SeqCst) {
        Error::new(Kind::NoDatabase, "the database was dropped meanwhile")
    } else if run.abandoned.load(SeqCst) {
        Error::internal("the request was given up")
    } else {
        Error::new(Kind::QueryTimeout, "the statement ran for too long and was stopped")
    }
}

/// An error of SQLite where a client's SQL plays no part.
fn unexpected(error: rusqlite::Error) -> Error {
    Error::internal(format!("the database cannot be opened: {error}"))
}

/// The data behind these locks is whole at every moment, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
