//! One SQLite connection, its limits, and what stops a statement on it.

use super::authorizer::{self, Facts};
use crate::error::{Error, Kind, Result};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Authorization;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, TransactionState, ffi};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many steps of SQLite's machine pass between two looks at the stopper.
const STEPS_BETWEEN_CHECKS: i32 = 4_000;

const LONGEST_VALUE: i32 = 64 * 1024 * 1024;

/// With the write lock in the server's hands SQLite has nothing to wait for but checkpoints
/// and programs that open the file themselves.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What statements may take.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of a database's file.
    pub database_bytes: u64,
    /// Bytes that SQLite may use, temporary tables and indexes among them.
    pub memory_bytes: u64,
    /// Rows of a result.
    pub result_rows: usize,
    /// Bytes of a response.
    pub result_bytes: usize,
}

/// A connection to one database, to be used by one request or transaction at a time.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    control: Arc<Control>,
    limits: Limits,
}

/// What a session shares with the hooks that SQLite calls.
#[derive(Debug)]
struct Control {
    trusted: AtomicBool,
    facts: Mutex<Facts>,
    stopper: Stopper,
}

/// Stops the statement that runs, from another thread.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Stopping>);

#[derive(Default)]
struct Stopping {
    stop: AtomicBool,
    connection: Mutex<Option<InterruptHandle>>,
}

impl std::fmt::Debug for Stopping {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stopping").field("stop", &self.stop).finish_non_exhaustive()
    }
}

impl Stopper {
    /// Stops what runs, at the next step of SQLite's machine or of a long count.
    pub fn stop(&self) {
        self.0.stop.store(true, SeqCst);
        if let Some(connection) = &*lock(&self.0.connection) {
            connection.interrupt();
        }
    }

    /// What begins now may run.
    pub fn go(&self) {
        self.0.stop.store(false, SeqCst);
    }

    /// Whether what runs has to stop.
    pub fn must_stop(&self) -> bool {
        self.0.stop.load(SeqCst)
    }

    /// The connection is about to be closed.
    pub fn forget_connection(&self) {
        *lock(&self.0.connection) = None;
    }
}

impl Session {
    /// Opens a connection; `lasting` makes every commit survive a loss of power.
    pub fn open(
        file: &Path,
        lasting: bool,
        create: bool,
        limits: Limits,
        stopper: Stopper,
    ) -> Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let mut connection = Connection::open_with_flags(file, flags).map_err(unexpected)?;
        *lock(&stopper.0.connection) = Some(connection.get_interrupt_handle());
        let control =
            Arc::new(Control { trusted: AtomicBool::new(true), facts: Mutex::default(), stopper });
        prepare(&mut connection, lasting, &limits, &control).map_err(unexpected)?;
        Ok(Self { connection, control, limits })
    }

    /// What statements may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Fails if nobody waits for the result any more.
    pub fn check_stop(&self) -> Result<()> {
        match self.control.stopper.must_stop() {
            true => Err(interrupted()),
            false => Ok(()),
        }
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

    /// Runs `work`; if it fails, nothing of it stays. Calls `ending` before what it did becomes
    /// visible to others.
    pub fn atomically<T>(
        &mut self,
        ending: &mut dyn FnMut(),
        work: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        let alone = self.is_autocommit();
        self.execute("SAVEPOINT request")?;
        let ended = work(self).and_then(|value| {
            if alone && self.writes() {
                // What ends the work must not be stopped half-way.
                ending();
            }
            self.execute("RELEASE request").map(|()| value)
        });
        if ended.is_err() {
            self.undo();
        }
        ended
    }

    fn writes(&self) -> bool {
        !matches!(
            self.connection.transaction_state(Some("main")),
            Ok(TransactionState::None | TransactionState::Read)
        )
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
                match by_code(&error, &msg) {
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
                by_code(&error, &message).unwrap_or_else(|| Error::new(Kind::BadSql, message))
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
    limits: &Limits,
    control: &Arc<Control>,
) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Temporary tables and indexes then count as memory, which has a limit, and no statement fills
    // the disk with files that nobody sees.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let memory = format!("PRAGMA hard_heap_limit = {}", limits.memory_bytes);
    connection.query_row(&memory, [], |_| Ok(()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = if lasting { "FULL" } else { "OFF" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let page_size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = (limits.database_bytes / page_size.max(1).unsigned_abs()).clamp(1, u32::MAX.into());
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    // A journal that had to grow does not stay so.
    connection.query_row("PRAGMA journal_size_limit = 1048576", [], |_| Ok(()))?;
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
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(move || hook.stopper.must_stop()))?;
    control.trusted.store(false, SeqCst);
    Ok(())
}

fn by_code(error: &ffi::Error, message: &str) -> Option<Error> {
    let kind = match error.code {
        ErrorCode::OperationInterrupted => return Some(interrupted()),
        ErrorCode::ConstraintViolation => match error.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => Kind::AlreadyExists,
            _ => Kind::Constraint,
        },
        ErrorCode::DatabaseBusy if error.extended_code == ffi::SQLITE_BUSY_SNAPSHOT => {
            return Some(Error::new(
                Kind::Conflict,
                "what this transaction has read was changed by another transaction, so it cannot write: begin a new one",
            ));
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Kind::Busy,
        ErrorCode::DiskFull => {
            return Some(Error::new(
                Kind::DatabaseFull,
                "the database has reached the largest size that the server grants it, or the disk is full",
            ));
        }
        ErrorCode::OutOfMemory => {
            return Some(Error::new(
                Kind::MemoryLimit,
                "the statement needs more memory than the server grants it",
            ));
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
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

/// The code that stopped the statement knows why, and says so.
fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "the statement was stopped")
}

/// An error of SQLite where a client's SQL plays no part.
fn unexpected(error: rusqlite::Error) -> Error {
    Error::internal(format!("the database cannot be opened: {error}"))
}

/// The data behind these locks is whole at every moment, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
