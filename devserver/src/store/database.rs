//! One database: its file, its sessions, and the order of its writers.

use super::schema;
use super::session::{Run, Session};
use crate::error::{Error, Kind, Result};
use crate::names;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, watch};

/// Sessions kept open for the next request.
const SESSIONS_KEPT: usize = 8;

/// Proof that a session exists; a drop waits until there is none.
///
/// Deleting the files earlier would be worse than untidy: the last session to close deletes
/// the log by its name, which by then could be the log of a new database.
pub type Presence = OwnedRwLockReadGuard<()>;

/// The right to write to a database; SQLite has one writer at a time.
pub type WriteTurn = OwnedMutexGuard<()>;

/// A database that exists, or is just being dropped.
#[derive(Debug)]
pub struct Database {
    /// The name that clients use.
    pub name: String,
    file: PathBuf,
    lasting: bool,
    idle: Mutex<Vec<Session>>,
    presence: Arc<RwLock<()>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    dropped: Arc<AtomicBool>,
    dropping: watch::Sender<bool>,
}

impl Database {
    /// Opens a database that exists, or makes it.
    pub fn open(folder: &Path, name: &str, lasting: bool, create: bool) -> Result<Self> {
        let file = folder.join(names::database_file(name)?);
        if create {
            if file.exists() {
                return Err(exists(name));
            }
            remove_logs(&file);
        }
        let database = Self {
            name: name.into(),
            file,
            lasting,
            idle: Mutex::default(),
            presence: Arc::default(),
            writer: Arc::default(),
            dropped: Arc::default(),
            dropping: watch::Sender::new(false),
        };
        let presence = Arc::clone(&database.presence)
            .try_read_owned()
            .map_err(|_| Error::internal("a new database is already locked"))?;
        let session = Session::open(&database.file, lasting, create, presence)?;
        schema::initialize(&session)?;
        if create && lasting {
            File::open(folder)?.sync_all()?;
        }
        database.put(session);
        Ok(database)
    }

    /// Whether the database has been dropped.
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(SeqCst)
    }

    /// What stops a statement on this database.
    pub fn run(&self, limit: Duration, abandoned: Arc<AtomicBool>) -> Run {
        Run {
            deadline: std::time::Instant::now() + limit,
            abandoned,
            dropped: Arc::clone(&self.dropped),
        }
    }

    /// The size of its files in bytes.
    pub fn size(&self) -> u64 {
        ["", "-wal"]
            .iter()
            .filter_map(|end| fs::metadata(with_ending(&self.file, end)).ok())
            .map(|metadata| metadata.len())
            .sum()
    }

    /// Waits for the right to write, first come, first served.
    ///
    /// Waiting here costs no thread. Were it left to SQLite, enough waiting writers would hold
    /// every thread that the commit they wait for needs.
    pub async fn write_turn(&self, patience: Duration) -> Result<WriteTurn> {
        let turn = tokio::time::timeout(patience, Arc::clone(&self.writer).lock_owned());
        tokio::select! {
            biased;
            () = self.until_dropped() => Err(Error::no_database(&self.name)),
            turn = turn => turn.map_err(|_| {
                Error::new(
                    Kind::Busy,
                    format!(
                        "the database {:?} is being written to by a transaction that has not ended within {} s",
                        self.name,
                        patience.as_secs_f64()
                    ),
                )
            }),
        }
    }

    /// Waits for the right to hold a session.
    pub async fn presence(&self) -> Result<Presence> {
        tokio::select! {
            biased;
            () = self.until_dropped() => Err(Error::no_database(&self.name)),
            presence = Arc::clone(&self.presence).read_owned() => Ok(presence),
        }
    }

    /// A session that was kept, or a new one.
    pub fn session(&self, presence: Presence) -> Result<Session> {
        match self.lock_idle().pop() {
            Some(session) => Ok(session),
            None => Session::open(&self.file, self.lasting, false, presence),
        }
    }

    /// Keeps a session for the next request, if it is of use.
    pub fn put(&self, session: Session) {
        let mut idle = self.lock_idle();
        if idle.len() < SESSIONS_KEPT && session.is_autocommit() && !self.is_dropped() {
            idle.push(session);
        }
    }

    /// From here on nobody gets in, and every statement that runs is stopped.
    pub fn start_drop(&self) {
        self.dropped.store(true, SeqCst);
        self.dropping.send_replace(true);
    }

    /// Waits for the sessions to end and deletes the files.
    pub async fn finish_drop(&self) -> Result<()> {
        self.close_idle();
        let nobody_left = Arc::clone(&self.presence).write_owned().await;
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || {
            // The database goes first: a log alone is no database, but a database without its
            // log would be one that has lost what was written last.
            let removed = fs::remove_file(&file);
            remove_logs(&file);
            drop(nobody_left);
            removed
        })
        .await
        .map_err(|error| Error::internal(error.to_string()))??;
        Ok(())
    }

    /// Closes the sessions that nobody uses.
    pub fn close_idle(&self) {
        let sessions = std::mem::take(&mut *self.lock_idle());
        drop(sessions);
    }

    async fn until_dropped(&self) {
        let mut dropping = self.dropping.subscribe();
        // The sender lives as long as `self`, so this ends only when the value is true.
        let _ = dropping.wait_for(|dropping| *dropping).await;
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A database of that name is already there.
pub fn exists(name: &str) -> Error {
    Error::new(Kind::AlreadyExists, format!("there is already a database {name:?}"))
        .with("database", name)
}

fn remove_logs(file: &Path) {
    for end in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(with_ending(file, end));
    }
}

fn with_ending(file: &Path, end: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    path.into()
}
