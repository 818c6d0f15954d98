//! The folder that the databases live in.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";
const TEMPORARY_PREFIX: &str = "phantomdb-devserver-";

/// The folder of the databases, locked against a second server for as long as it lives.
///
/// Without `--data` it is a private temporary folder, not SQLite's memory databases: those
/// have no write-ahead log, so a transaction that writes would block every reader, and
/// programs would meet locks in tests that they never meet on files.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    temporary: bool,
    _lock: File,
}

impl Home {
    /// Takes the folder that the user named, or makes a temporary one.
    pub fn open(data: Option<&Path>) -> io::Result<Self> {
        match data {
            Some(folder) => Self::lasting(folder),
            None => {
                let parent = std::env::temp_dir();
                sweep(&parent);
                Self::temporary(&parent)
            }
        }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder goes away with the server.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    fn lasting(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.canonicalize()?, temporary: false, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another phantomdb-devserver uses this folder",
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Locks the folder before it gets the name that `sweep` looks for: so a folder of that
    /// name without a lock is always one whose server is dead.
    fn temporary(parent: &Path) -> io::Result<Self> {
        let id = crate::random_id().map_err(io::Error::other)?;
        let hidden = parent.join(format!(".{TEMPORARY_PREFIX}{id}"));
        DirBuilder::new().mode(0o700).create(&hidden)?;
        let lock = File::create(hidden.join(LOCK))?;
        lock.lock()?;
        let folder = parent.join(format!("{TEMPORARY_PREFIX}{id}"));
        fs::rename(&hidden, &folder)?;
        Ok(Self { folder, temporary: true, _lock: lock })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Removes what servers that were killed left behind.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        let abandoned =
            File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
