//! Workers with a database open, kept for the next request.

use super::database::{Database, Presence};
use crate::engine::{Command, Limits, Opening};
use crate::error::{Error, Kind, Result};
use crate::worker::{Lost, Outcome, Spawner, Stop, Worker};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

/// Workers that wait for something to do; each is a process.
const KEPT: usize = 8;

/// How long a worker may take for what belongs to no request: to close a database, to roll back.
const CHORE: Duration = Duration::from_secs(5);

/// A worker with a database open. While it exists the database's files stay.
#[derive(Debug)]
pub struct Session {
    worker: Worker,
    database: Arc<Database>,
    _presence: Presence,
}

/// A worker that waits.
#[derive(Debug)]
enum Kept {
    Open(Session),
    Empty(Worker),
}

/// Where sessions come from and where they go.
#[derive(Debug)]
pub struct Sessions {
    spawner: Spawner,
    limits: Limits,
    lasting: bool,
    /// Kilobytes that all large results together may take.
    shares: Arc<Semaphore>,
    kept: Mutex<VecDeque<Kept>>,
    /// Sessions that are being closed.
    closing: Mutex<JoinSet<()>>,
}

impl Sessions {
    /// None yet.
    pub fn new(spawner: Spawner, limits: Limits, lasting: bool, shares: Arc<Semaphore>) -> Self {
        Self { spawner, limits, lasting, shares, kept: Mutex::default(), closing: Mutex::default() }
    }

    /// A session of a database: one that was kept, or a new one.
    pub async fn take(
        self: &Arc<Self>,
        database: &Arc<Database>,
        presence: Presence,
        opening: Opening,
        stop: &mut Stop,
    ) -> Result<Session> {
        let found = {
            let mut kept = self.lock();
            let same = |kept: &Kept| match kept {
                Kept::Open(session) => Arc::ptr_eq(&session.database, database),
                Kept::Empty(_) => false,
            };
            // The last one first: its cache is the warmest.
            match kept.iter().rposition(same) {
                Some(at) => kept.remove(at),
                None => {
                    let empty = kept.iter().position(|kept| matches!(kept, Kept::Empty(_)));
                    match empty {
                        Some(at) => kept.remove(at),
                        None if kept.len() >= KEPT => kept.pop_front(),
                        None => None,
                    }
                }
            }
        };
        let mut worker = match found {
            Some(Kept::Open(session)) if Arc::ptr_eq(&session.database, database) => {
                return Ok(session);
            }
            Some(Kept::Open(session)) => match self.closed(session).await {
                Some(worker) => worker,
                None => self.spawn()?,
            },
            Some(Kept::Empty(worker)) => worker,
            None => self.spawn()?,
        };
        let open = Command::Open {
            file: database.file.clone(),
            lasting: self.lasting,
            opening,
            limits: self.limits,
        };
        match worker.ask(open, Bytes::new(), stop, &self.shares).await {
            Ok(_) => Ok(Session { worker, database: Arc::clone(database), _presence: presence }),
            Err(Lost::Failed(error)) => {
                self.lock().push_back(Kept::Empty(worker));
                Err(error)
            }
            Err(Lost::Ended(error)) => Err(error),
        }
    }

    fn spawn(&self) -> Result<Worker> {
        self.spawner.spawn().map_err(|error| {
            crate::log::line(format_args!("cannot start a worker: {error}"));
            let message = format!("the server cannot start a process for the statement: {error}");
            Error::new(Kind::Overloaded, message)
        })
    }

    /// Keeps a session for the next request, if it is of use.
    pub fn put(self: &Arc<Self>, session: Session) {
        if !session.worker.is_alive() {
            return;
        }
        if session.worker.in_transaction || session.database.is_dropped() {
            let sessions = Arc::clone(self);
            self.close_aside(async move { sessions.retire(session).await });
            return;
        }
        let oldest = {
            let mut kept = self.lock();
            kept.push_back(Kept::Open(session));
            if kept.len() > KEPT { kept.pop_front() } else { None }
        };
        if let Some(Kept::Open(session)) = oldest {
            let sessions = Arc::clone(self);
            // Without its database open it would be one too many.
            self.close_aside(async move { drop(sessions.closed(session).await) });
        }
    }

    fn close_aside(&self, closing: impl Future<Output = ()> + Send + 'static) {
        let mut all = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(closing);
    }

    /// Waits until the sessions are closed that are closing already.
    pub async fn have_closed(&self) {
        let all = {
            let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *closing)
        };
        all.join_all().await;
    }

    /// Closes a session, and keeps its worker if there is room.
    async fn retire(self: &Arc<Self>, session: Session) {
        if let Some(worker) = self.closed(session).await {
            let mut kept = self.lock();
            if kept.len() < KEPT {
                kept.push_back(Kept::Empty(worker));
            }
        }
    }

    /// Closes the database of a session; what it had not committed is rolled back.
    async fn closed(&self, mut session: Session) -> Option<Worker> {
        let database = Arc::clone(&session.database);
        let _turn = database.close_turn().await;
        let _ = self.chore(&mut session, Command::Close).await;
        let Session { worker, .. } = session;
        worker.is_alive().then_some(worker)
    }

    /// Closes the sessions of a database that nobody uses.
    pub async fn close_kept(self: &Arc<Self>, database: &Arc<Database>) {
        loop {
            let found = {
                let mut kept = self.lock();
                let same = |kept: &Kept| matches!(kept, Kept::Open(session) if Arc::ptr_eq(&session.database, database));
                match kept.iter().position(same) {
                    Some(at) => kept.remove(at),
                    None => return,
                }
            };
            if let Some(Kept::Open(session)) = found {
                self.retire(session).await;
            }
        }
    }

    /// Has a session do what belongs to no request, without a limit but that of a chore.
    pub async fn chore(&self, session: &mut Session, command: Command) -> Result<Outcome> {
        let (_here, gone) = oneshot::channel();
        let (_staying, dropping) = watch::channel(false);
        let mut stop = Stop::new(CHORE, gone, dropping);
        self.ask(session, command, Bytes::new(), &mut stop).await
    }

    /// Has a session do something.
    pub async fn ask(
        &self,
        session: &mut Session,
        command: Command,
        body: Bytes,
        stop: &mut Stop,
    ) -> Result<Outcome> {
        match session.worker.ask(command, body, stop, &self.shares).await {
            Ok(outcome) => Ok(outcome),
            Err(Lost::Failed(error) | Lost::Ended(error)) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Whether a transaction is open in it.
    pub fn in_transaction(&self) -> bool {
        self.worker.in_transaction
    }
}
