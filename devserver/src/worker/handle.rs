//! The server's side: starting, asking, stopping and ending a worker.

use super::{ARGUMENT, LENGTHS, Report, SIGNAL, lengths, read_lengths};
use crate::engine::{Command, Done};
use crate::error::{Error, Kind};
use bytes::Bytes;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// What a statement that was told to stop gets to do so.
const GRACE: Duration = Duration::from_millis(250);

/// What a commit gets beyond all time-outs, for slow disks.
const COMMIT_GRACE: Duration = Duration::from_secs(10);

/// Results of this size and more take part in the limit of all of them together.
const LARGE: u64 = 64 * 1024;

/// How long the end of a process that was killed is waited for, to learn how it ended.
const BURIAL: Duration = Duration::from_secs(1);

const SIGXFSZ: i32 = 25;

/// Why a statement must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has run for too long.
    Timeout,
    /// Its client has left.
    Gone,
    /// Its database is being dropped.
    Dropped,
}

/// Tells when a statement has to stop.
#[derive(Debug)]
pub struct Stop {
    deadline: Instant,
    /// Ends when the client has left.
    gone: oneshot::Receiver<()>,
    has_gone: bool,
    dropping: watch::Receiver<bool>,
}

/// What a worker has to say for itself.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub done: Done,
    /// The body of the response; while it exists it has its share of what all large ones together
    /// may take.
    pub body: Bytes,
}

/// A large body and its share.
struct Shared {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why there is no outcome.
#[derive(Debug)]
pub enum Lost {
    /// The worker says what is wrong, and lives on.
    Failed(Error),
    /// The worker has ended, and what was uncommitted is rolled back.
    Ended(Error),
}

/// How workers are started.
#[derive(Clone, Debug)]
pub enum Spawner {
    /// As processes of this program.
    Processes {
        /// Bytes that a file may have.
        file_bytes: u64,
        /// Bytes that a process may map.
        map_bytes: u64,
    },
    /// As threads, which cannot be ended: for the fuzzer, which watches what they do.
    Threads,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    stream: UnixStream,
    /// None of a thread.
    child: Option<Child>,
    /// Whether a transaction is open in it.
    pub in_transaction: bool,
    dead: bool,
}

impl Stop {
    /// Stops after so long, or when `gone` ends, or when `dropping` turns true.
    pub fn new(
        limit: Duration,
        gone: oneshot::Receiver<()>,
        dropping: watch::Receiver<bool>,
    ) -> Self {
        Self { deadline: Instant::now() + limit, gone, has_gone: false, dropping }
    }

    async fn reason(&mut self) -> Reason {
        let gone = async {
            if !self.has_gone {
                let _ = (&mut self.gone).await;
                self.has_gone = true;
            }
        };
        let dropping = async {
            // Once nobody can drop it any more, nobody does.
            if self.dropping.wait_for(|dropping| *dropping).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = dropping => Reason::Dropped,
            () = gone => Reason::Gone,
            () = sleep_until(self.deadline) => Reason::Timeout,
        }
    }
}

impl Reason {
    fn error(self) -> Error {
        match self {
            Reason::Timeout => {
                Error::new(Kind::QueryTimeout, "the statement ran for too long and was stopped")
            }
            Reason::Gone => Error::internal("the request was given up"),
            Reason::Dropped => Error::new(Kind::NoDatabase, "the database was dropped meanwhile"),
        }
    }
}

impl Spawner {
    /// Starts a worker.
    pub fn spawn(&self) -> io::Result<Worker> {
        let (near, far) = std::os::unix::net::UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let stream = UnixStream::from_std(near)?;
        let child = match self {
            Spawner::Processes { file_bytes, map_bytes } => {
                Some(process(far, *file_bytes, *map_bytes)?)
            }
            Spawner::Threads => {
                std::thread::Builder::new().spawn(move || super::serve::serve(far, || {}))?;
                None
            }
        };
        Ok(Worker { stream, child, in_transaction: false, dead: false })
    }
}

fn process(socket: std::os::unix::net::UnixStream, file: u64, map: u64) -> io::Result<Child> {
    // The program itself, also if its file has been replaced since.
    let own = PathBuf::from("/proc/self/exe");
    let program = if own.exists() { own } else { std::env::current_exe()? };
    tokio::process::Command::new(program)
        .arg0("phantomdb-devserver")
        .args([ARGUMENT, &file.to_string(), &map.to_string()])
        // The token is in the environment, perhaps; a worker needs nothing of it.
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        // A terminal's interrupt is for the server, which lets requests finish.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

impl Worker {
    /// Whether it can do something else.
    pub fn is_alive(&self) -> bool {
        !self.dead
    }

    /// Tells it what to do, and waits until it is done or has to stop.
    ///
    /// However it ends: within a moment of the reason to stop it has, by its own doing or by force.
    pub async fn ask(
        &mut self,
        command: Command,
        body: Bytes,
        stop: &mut Stop,
        shares: &Arc<Semaphore>,
    ) -> Result<Outcome, Lost> {
        let asked = self.converse(command, body, stop, shares).await;
        if matches!(asked, Err(Lost::Ended(_))) {
            self.in_transaction = false;
        }
        asked
    }

    async fn converse(
        &mut self,
        command: Command,
        body: Bytes,
        stop: &mut Stop,
        shares: &Arc<Semaphore>,
    ) -> Result<Outcome, Lost> {
        let head = match serde_json::to_vec(&command) {
            Ok(head) => head,
            Err(error) => return Err(Lost::Failed(Error::internal(error.to_string()))),
        };
        let mut message = lengths(head.len() as u32, body.len() as u64).to_vec();
        message.extend_from_slice(&head);
        let sending = async {
            if body.len() < 16 * 1024 {
                message.extend_from_slice(&body);
                return self.stream.write_all(&message).await;
            }
            self.stream.write_all(&message).await?;
            self.stream.write_all(&body).await
        };
        let sent = tokio::select! {
            sent = sending => sent.map_err(Some),
            why = stop.reason() => {
                self.kill();
                return Err(Lost::Ended(why.error()));
            }
        };
        drop(body);
        if let Err(error) = sent {
            return Err(self.buried(error, false).await);
        }
        let mut why = None;
        let mut until = Instant::now();
        let committing = AtomicBool::new(false);
        let mut granted = false;
        let received = {
            let (mut near, mut far) = self.stream.split();
            let receiving = receive(&mut near, &committing, shares);
            let mut receiving = std::pin::pin!(receiving);
            loop {
                tokio::select! {
                    biased;
                    received = &mut receiving => break Some(received),
                    reason = stop.reason(), if why.is_none() => {
                        why = Some(reason);
                        until = Instant::now() + GRACE;
                        let _ = far.write_all(&lengths(SIGNAL, 0)).await;
                    }
                    () = sleep_until(until), if why.is_some() => {
                        if granted || !committing.load(SeqCst) {
                            break None;
                        }
                        granted = true;
                        until = Instant::now() + COMMIT_GRACE;
                    }
                }
            }
        };
        let committing = committing.load(SeqCst);
        match (received, why) {
            (Some(Ok((report, body))), why) => {
                self.in_transaction = !report.autocommit;
                let done = report.result.map_err(|error| match (error.kind, why) {
                    (Kind::Interrupted, why) => {
                        Lost::Failed(why.unwrap_or(Reason::Timeout).error())
                    }
                    _ => Lost::Failed(error),
                })?;
                Ok(Outcome { done, body })
            }
            (Some(Err(error)), _) => Err(self.buried(Some(error), committing).await),
            (None, why) => {
                self.kill();
                Err(Lost::Ended(match committing {
                    true => unknown("the commit took too long"),
                    false => why.unwrap_or(Reason::Timeout).error(),
                }))
            }
        }
    }

    /// Ends it, whatever it does; what it has not committed is rolled back.
    pub fn kill(&mut self) {
        self.dead = true;
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
            tokio::spawn(async move { child.wait().await });
        }
    }

    /// Learns how a worker ended that did so by itself.
    async fn buried(&mut self, error: Option<io::Error>, committing: bool) -> Lost {
        self.dead = true;
        if error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory) {
            self.kill();
            return Lost::Ended(match committing {
                true => unknown("there is no memory for the response"),
                false => Error::new(Kind::Overloaded, "there is no memory for the response"),
            });
        }
        let mut status = None;
        if let Some(mut child) = self.child.take() {
            status = timeout(BURIAL, child.wait()).await.ok().and_then(Result::ok);
            let _ = child.start_kill();
        }
        let signal = status.and_then(|status| status.signal());
        if committing {
            return Lost::Ended(unknown("the process of the statement ended while it committed"));
        }
        Lost::Ended(match signal {
            Some(SIGXFSZ) => Error::new(
                Kind::DatabaseFull,
                "the database or its journal would be larger than the server allows",
            ),
            // An allocation that fails ends a program in Rust, and the system ends what is too large.
            Some(6 | 9) => Error::new(
                Kind::MemoryLimit,
                "the statement needs more memory than the server grants it",
            ),
            _ => Error::internal(format!(
                "the process of the statement ended: {}",
                match (status, error) {
                    (Some(status), _) => status.to_string(),
                    (None, Some(error)) => error.to_string(),
                    (None, None) => "for an unknown reason".into(),
                }
            )),
        })
    }
}

/// Reads a report, and its body once there is room for it.
async fn receive(
    stream: &mut (impl AsyncReadExt + Unpin),
    committing: &AtomicBool,
    shares: &Arc<Semaphore>,
) -> io::Result<(Report, Bytes)> {
    let (head, size) = loop {
        let mut bytes = [0; LENGTHS];
        stream.read_exact(&mut bytes).await?;
        match read_lengths(bytes) {
            (SIGNAL, _) => committing.store(true, SeqCst),
            lengths => break lengths,
        }
    };
    let mut text = vec![0; head as usize];
    stream.read_exact(&mut text).await?;
    let report = serde_json::from_slice(&text)?;
    let mut share = None;
    if size >= LARGE {
        let wanted = u32::try_from(size / 1024).unwrap_or(u32::MAX);
        // Clients that read free their shares, and those that do not are cut.
        let granted = Arc::clone(shares).acquire_many_owned(wanted).await;
        share = Some(granted.map_err(io::Error::other)?);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(size as usize, 0);
    stream.read_exact(&mut bytes).await?;
    let body = match share {
        Some(share) => Bytes::from_owner(Shared { bytes, _share: share }),
        None => bytes.into(),
    };
    Ok((report, body))
}

fn unknown(what: &str) -> Error {
    Error::internal(format!("{what}: it is not known whether the request took effect"))
}
