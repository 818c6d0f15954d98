//! The folder that the databases live in.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";
const TEMPORARY_PREFIX: &str = "phantomdb-devserver-";

/// Only the user that runs the server reads what is in the folder.
const FOLDER_MODE: u32 = 0o700;

/// The folder of the databases, locked against a second server for as long as it lives.
///
/// Without `--data` it is a private temporary folder, not SQLite's memory databases: those
/// have no write-ahead log, so a transaction that writes would block every reader, and
/// programs would meet locks in tests that they never meet on files.
#[derive(Debug)]
pub struct DataFolder {
    folder: PathBuf,
    temporary: bool,
    _lock: File,
}

impl DataFolder {
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
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let folder = folder.canonicalize()?;
        let ours = is_ours(&folder)?;
        let lock = open_lock(&folder.join(LOCK), true)?;
        match lock_now(&lock) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another phantomdb-devserver uses this folder",
                ));
            }
            Err(error) => return Err(error),
        }
        if ours {
            fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE))?;
        } else if fs::metadata(&folder)?.mode() & 0o077 != 0 {
            crate::log::line(format_args!(
                "others can see the names of the databases in {}: it has other files too, so its \
                 permissions stay as they are",
                folder.display()
            ));
        }
        Ok(Self { folder, temporary: false, _lock: lock })
    }

    /// Locks the folder before it gets the name that `sweep` looks for: so a folder of that
    /// name without a lock is always one whose server is dead.
    fn temporary(parent: &Path) -> io::Result<Self> {
        let id = crate::random_id().map_err(io::Error::other)?;
        let hidden = parent.join(format!(".{TEMPORARY_PREFIX}{id}"));
        DirBuilder::new().mode(FOLDER_MODE).create(&hidden)?;
        let lock = open_lock(&hidden.join(LOCK), true)?;
        lock_now(&lock)?;
        let folder = parent.join(format!("{TEMPORARY_PREFIX}{id}"));
        fs::rename(&hidden, &folder)?;
        Ok(Self { folder, temporary: true, _lock: lock })
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether a folder holds nothing, or was used by a server before: then nothing but the server's
/// files is in it, and its permissions are the server's to tighten.
fn is_ours(folder: &Path) -> io::Result<bool> {
    let mine = fs::metadata(folder)?.uid() == rustix::process::geteuid().as_raw();
    let used = folder.join(LOCK).symlink_metadata().is_ok();
    Ok(mine && (used || fs::read_dir(folder)?.next().is_none()))
}

/// Opens the lock file, and nothing else that may be there under its name: not what a link points
/// to, nor a pipe or a device, which could hold up the start for ever.
fn open_lock(path: &Path, create: bool) -> io::Result<File> {
    let strange = |what: &str| {
        let message = format!("{} is {what}, not a regular file", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    // Looked at before it is opened as well, because opening some devices does something.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(strange(kind_of(found.file_type()))),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => {}
        Err(error) => return Err(error),
    }
    let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    flags |= OFlags::CLOEXEC;
    flags.set(OFlags::CREATE, create);
    let file = match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(strange("a symbolic link")),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(strange(kind_of(found.file_type())));
    }
    Ok(file)
}

fn kind_of(kind: fs::FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn lock_now(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// Removes what servers of this user that were killed left behind.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        let mine = entry.metadata().is_ok_and(|found| {
            found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
        });
        let abandoned = mine
            && open_lock(&entry.path().join(LOCK), false).is_ok_and(|lock| lock_now(&lock).is_ok());
        if abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
