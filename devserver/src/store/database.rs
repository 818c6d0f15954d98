//! One database: its file, who is in it, and the order of its writers.

use crate::error::{Error, Kind, Result};
use crate::names;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, watch};

/// The files that SQLite keeps beside a database.
const ENDINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

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
    /// Where it is.
    pub file: PathBuf,
    presence: Arc<RwLock<()>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    closing: tokio::sync::Mutex<()>,
    dropping: watch::Sender<bool>,
}

impl Database {
    /// A database in its place; nothing is opened yet.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            file: folder.join(names::database_file(name)?),
            presence: Arc::default(),
            writer: Arc::default(),
            closing: tokio::sync::Mutex::default(),
            dropping: watch::Sender::new(false),
        })
    }

    /// Makes sure that nothing is there where a database is to be made.
    pub fn clear_the_place(&self) -> Result<()> {
        if self.file.symlink_metadata().is_ok() {
            return Err(exists(&self.name));
        }
        self.remove_logs();
        Ok(())
    }

    /// Makes sure that what is there is a file, and closes it to other users.
    pub fn check_the_place(&self, most: u64) -> Result<()> {
        if !self.file.symlink_metadata()?.is_file() {
            return Err(Error::internal("it is not a regular file"));
        }
        if self.file.symlink_metadata()?.len() > most {
            return Err(Error::internal("it is larger than --max-database-bytes"));
        }
        fs::set_permissions(&self.file, Permissions::from_mode(0o600))?;
        for end in ENDINGS {
            let file = with_ending(&self.file, end);
            let Ok(found) = file.symlink_metadata() else { continue };
            // SQLite would follow a link, and would wait for the writer of a pipe.
            if !found.is_file() {
                return Err(Error::internal(format!(
                    "the file beside it that ends in {end} is not a regular file"
                )));
            }
            fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        }
        Ok(())
    }

    /// Whether the database has been dropped.
    pub fn is_dropped(&self) -> bool {
        *self.dropping.borrow()
    }

    /// Turns true when the database is dropped.
    pub fn dropping(&self) -> watch::Receiver<bool> {
        self.dropping.subscribe()
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
    /// Waiting here costs no thread and no process.
    pub async fn write_turn(&self, wait_limit: Duration) -> Result<WriteTurn> {
        let turn = tokio::time::timeout(wait_limit, Arc::clone(&self.writer).lock_owned());
        tokio::select! {
            biased;
            () = self.until_dropped() => Err(Error::no_database(&self.name)),
            turn = turn => turn.map_err(|_| {
                Error::new(
                    Kind::Busy,
                    format!(
                        "the database {:?} is being written to by a transaction that has not ended within {} s",
                        self.name,
                        wait_limit.as_secs_f64()
                    ),
                )
            }),
        }
    }

    /// Waits for the right to close a session. Of two that close at once, each would find the other
    /// still there, and neither would merge the log and remove it.
    pub async fn close_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.closing.lock().await
    }

    /// Waits for the right to hold a session.
    pub async fn presence(&self) -> Result<Presence> {
        tokio::select! {
            biased;
            () = self.until_dropped() => Err(Error::no_database(&self.name)),
            presence = Arc::clone(&self.presence).read_owned() => Ok(presence),
        }
    }

    /// From here on nobody gets in, and every statement that runs is stopped.
    pub fn stop(&self) {
        self.dropping.send_replace(true);
    }

    /// Waits for the sessions to end and deletes the files.
    pub async fn finish_drop(&self) -> Result<()> {
        let nobody_left = Arc::clone(&self.presence).write_owned().await;
        // The database goes first: a log alone is not a database, but a database without its
        // log would be one that has lost what was written last.
        let removed = fs::remove_file(&self.file);
        self.remove_logs();
        drop(nobody_left);
        Ok(removed?)
    }

    async fn until_dropped(&self) {
        let mut dropping = self.dropping.subscribe();
        // The sender lives as long as `self`, so this ends only when the value is true.
        let _ = dropping.wait_for(|dropping| *dropping).await;
    }

    fn remove_logs(&self) {
        for end in ENDINGS {
            let _ = fs::remove_file(with_ending(&self.file, end));
        }
    }
}

/// A database of that name is already there.
pub fn exists(name: &str) -> Error {
    Error::new(Kind::AlreadyExists, format!("there is already a database {name:?}"))
        .with("database", name)
}

fn with_ending(file: &Path, end: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    path.into()
}
