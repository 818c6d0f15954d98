//! The databases, and the rules by which requests get at them.

mod database;
mod sessions;
mod transactions;

use crate::engine::{self, Command, Job, Opening};
use crate::error::{Error, Kind, Result};
use crate::worker::{Outcome, Spawner, Stop};
use crate::{log, names};
use bytes::Bytes;
use database::Database;
use sessions::Sessions;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use transactions::Transactions;

/// Statements that run at once. None of them waits for another one, so that a queue here
/// always moves.
pub const STATEMENTS_AT_ONCE: usize = 32;

/// Databases that are made at once; each takes a process.
const MADE_AT_ONCE: usize = 4;

/// How long the opening of a database may take at the start, and its making later.
const OPENING: Duration = Duration::from_secs(30);

/// How long statements that still run get when the server ends.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// How long things may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a write waits for the one that is under way.
    pub lock: Duration,
    /// How long a statement runs.
    pub query: Duration,
    /// How long a transaction stays idle.
    pub transaction: Duration,
    /// Transactions that are open.
    pub transactions: usize,
    /// Databases.
    pub databases: usize,
    /// Bytes of all large results that clients have not read yet.
    pub results_bytes: u64,
    /// What one statement may take.
    pub statement: engine::Limits,
}

/// What a request means to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It only reads, and waits for nobody.
    Read,
    /// It may write, and waits for its turn.
    Write,
}

/// Where a request runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The database.
    pub database: String,
    /// The transaction that it belongs to.
    pub transaction: Option<String>,
}

/// All databases and transactions of the server.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Whether the databases outlive the server.
    lasting: bool,
    limits: Limits,
    databases: Mutex<BTreeMap<String, Arc<Database>>>,
    /// Who makes or drops a database of which name; others of that name wait, and nobody else.
    names: Arc<Names>,
    transactions: Arc<Transactions>,
    sessions: Arc<Sessions>,
    statements: Arc<Semaphore>,
    /// Databases that are made at once; apart, so that no statement holds it up.
    makers: Arc<Semaphore>,
}

type Names = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// The right to make or drop a database of a name.
struct NameHeld {
    name: String,
    names: Arc<Names>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for NameHeld {
    fn drop(&mut self) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.held = None;
        // Nobody but the map has it: nobody waits.
        if names.get(&self.name).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            names.remove(&self.name);
        }
    }
}

impl Store {
    /// Opens every database in the folder.
    pub async fn open(
        folder: PathBuf,
        lasting: bool,
        limits: Limits,
        spawner: Spawner,
    ) -> Result<Self> {
        let shares = usize::try_from(limits.results_bytes / 1024).unwrap_or(usize::MAX);
        let shares = Arc::new(Semaphore::new(shares.min(Semaphore::MAX_PERMITS)));
        let sessions = Sessions::new(spawner, limits.statement, lasting, shares);
        let store = Self {
            folder,
            lasting,
            limits,
            databases: Mutex::default(),
            names: Arc::default(),
            transactions: Arc::new(Transactions::new(limits.transactions)),
            sessions: Arc::new(sessions),
            statements: Arc::new(Semaphore::new(STATEMENTS_AT_ONCE)),
            makers: Arc::new(Semaphore::new(MADE_AT_ONCE)),
        };
        for entry in std::fs::read_dir(&store.folder)? {
            let file = entry?.file_name();
            let Some(name) = file.to_str().and_then(names::database_of_file) else {
                continue;
            };
            match store.opened(&name, Opening::Found).await {
                Ok(database) => {
                    store.lock().insert(name, database);
                }
                Err(error) => {
                    log::line(format_args!("leaving out the database {name:?}: {}", error.message))
                }
            }
        }
        Ok(store)
    }

    /// Opens a database once, or makes it.
    async fn opened(&self, name: &str, opening: Opening) -> Result<Arc<Database>> {
        let database = Arc::new(Database::new(&self.folder, name)?);
        match opening {
            Opening::New => database.clear_the_place()?,
            Opening::Found | Opening::Again => {
                database.check_the_place(self.limits.statement.database_bytes)?;
            }
        }
        let presence = database.presence().await?;
        let (_here, gone) = oneshot::channel();
        let mut stop = Stop::new(OPENING, gone, database.dropping());
        let session = self.sessions.take(&database, presence, opening, &mut stop).await;
        match session {
            Ok(session) => {
                self.sessions.put(session);
                Ok(database)
            }
            Err(error) => {
                if opening == Opening::New {
                    let _ = std::fs::remove_file(&database.file);
                }
                Err(error)
            }
        }
    }

    /// The names of the databases, in order.
    pub fn list(&self) -> Vec<String> {
        self.lock()
            .values()
            .filter(|database| !database.is_dropped())
            .map(|database| database.name.clone())
            .collect()
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.transactions.count()
    }

    /// The size of a database's files in bytes.
    pub fn size(&self, database: &str) -> Result<u64> {
        Ok(self.find(database)?.size())
    }

    /// Creates a database.
    pub async fn create(self: &Arc<Self>, name: String) -> Result<()> {
        names::database_file(&name)?;
        let held = self.hold_name(&name).await?;
        let permit = Arc::clone(&self.makers).acquire_owned().await;
        let store = Arc::clone(self);
        // In a task of its own: were the client to leave, half a database would remain.
        detached(async move {
            let (_held, _permit) = (held, permit);
            {
                let databases = store.lock();
                if databases.contains_key(&name) {
                    return Err(database::exists(&name));
                }
                if databases.len() >= store.limits.databases {
                    return Err(Error::new(
                        Kind::TooManyDatabases,
                        format!(
                            "there are {} databases, and more are not allowed",
                            databases.len()
                        ),
                    )
                    .with("max_databases", store.limits.databases));
                }
            }
            let database = store.opened(&name, Opening::New).await?;
            if store.lasting {
                File::open(&store.folder)?.sync_all()?;
            }
            store.lock().insert(name, database);
            Ok(())
        })
        .await
    }

    /// Drops a database: stops what runs in it, rolls back its transactions, deletes it.
    pub async fn drop(self: &Arc<Self>, name: &str) -> Result<()> {
        let held = self.hold_name(name).await?;
        let database = self.find(name)?;
        let store = Arc::clone(self);
        // In a task of its own: were the client to leave, half a drop would remain.
        detached(async move {
            let _held = held;
            database.stop();
            store.transactions.end_all_of(&database, &store.sessions).await;
            store.sessions.close_kept(&database).await;
            let result = database.finish_drop().await;
            store.lock().remove(&database.name);
            result
        })
        .await
    }

    /// Begins a transaction.
    pub fn begin(&self, database: Option<&str>) -> Result<String> {
        let database = database.map(|name| self.find(name)).transpose()?;
        self.transactions.begin(database)
    }

    /// Commits a transaction; once this returns, its changes last.
    pub async fn commit(&self, id: &str) -> Result<()> {
        let mut state = self.transactions.take(id).await?;
        let sessions = Arc::clone(&self.sessions);
        // Without a permit: the statements that hold them all must not hold up a commit, which
        // others may be waiting for.
        detached(async move {
            state.commit(&sessions).await.map_err(|error| error.with("transaction", "rolled back"))
        })
        .await
    }

    /// Rolls back a transaction.
    pub async fn roll_back(&self, id: &str) -> Result<()> {
        let mut state = self.transactions.take(id).await?;
        let sessions = Arc::clone(&self.sessions);
        detached(async move {
            state.roll_back(&sessions).await;
            Ok(())
        })
        .await
    }

    /// Does a job, all of it or nothing.
    pub async fn run(
        &self,
        place: &Place,
        access: Access,
        job: Job,
        body: Bytes,
    ) -> Result<Outcome> {
        match &place.transaction {
            None => self.run_alone(&place.database, access, job, body).await,
            Some(id) => self.run_within(id, &place.database, access, job, body).await,
        }
    }

    async fn run_alone(
        &self,
        name: &str,
        access: Access,
        job: Job,
        body: Bytes,
    ) -> Result<Outcome> {
        let database = self.find(name)?;
        let turn = match access {
            Access::Write => Some(database.write_turn(self.limits.lock).await?),
            Access::Read => None,
        };
        let permit = self.permit().await?;
        let presence = database.presence().await?;
        // Goes away with this future when the client leaves.
        let (_here, gone) = oneshot::channel();
        let mut stop = Stop::new(self.limits.query, gone, database.dropping());
        let sessions = Arc::clone(&self.sessions);
        // All that is held goes along, so that it is held until the work ends even if the
        // client leaves before.
        detached(async move {
            let (_permit, _turn) = (permit, turn);
            let mut session = sessions.take(&database, presence, Opening::Again, &mut stop).await?;
            let result = sessions.ask(&mut session, Command::Run(job), body, &mut stop).await;
            sessions.put(session);
            result
        })
        .await
    }

    async fn run_within(
        &self,
        id: &str,
        name: &str,
        access: Access,
        job: Job,
        body: Bytes,
    ) -> Result<Outcome> {
        let mut state = self.transactions.enter(id).await?;
        let database = match state.database.get() {
            Some(bound) if bound.name == name => bound,
            Some(bound) => {
                return Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the transaction is bound to the database {:?}, this request is for {name:?}",
                        bound.name
                    ),
                ));
            }
            None => {
                let database = self.find(name)?;
                state.database.get_or_init(|| database)
            }
        };
        let database = Arc::clone(database);
        if database.is_dropped() {
            return Err(Error::no_database(name));
        }
        if access == Access::Write && state.turn.is_none() {
            state.turn = Some(database.write_turn(self.limits.lock).await?);
        }
        let permit = self.permit().await?;
        let presence = database.presence().await?;
        let (_here, gone) = oneshot::channel();
        let mut stop = Stop::new(self.limits.query, gone, database.dropping());
        let sessions = Arc::clone(&self.sessions);
        let transactions = Arc::clone(&self.transactions);
        let id = id.to_owned();
        detached(async move {
            let _permit = permit;
            let mut session = match state.session.take() {
                Some(session) => session,
                None => {
                    let mut session =
                        sessions.take(&database, presence, Opening::Again, &mut stop).await?;
                    let begun =
                        sessions.ask(&mut session, Command::Begin, Bytes::new(), &mut stop).await;
                    if let Err(error) = begun {
                        sessions.put(session);
                        return Err(error);
                    }
                    session
                }
            };
            let result = sessions.ask(&mut session, Command::Run(job), body, &mut stop).await;
            let lost = matches!(&result, Err(error) if error.kind == Kind::Conflict);
            let rolled_back = !session.in_transaction() || lost;
            state.session = Some(session);
            state.touch();
            if rolled_back {
                state.roll_back(&sessions).await;
                transactions.forget(&id);
            }
            result.map_err(|error| {
                if rolled_back { error.with("transaction", "rolled back") } else { error }
            })
        })
        .await
    }

    /// Rolls back idle transactions, for ever.
    pub async fn watch_transactions(&self) {
        let timeout = self.limits.transaction;
        let pause = (timeout / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let mut ticks = tokio::time::interval(pause);
        loop {
            ticks.tick().await;
            for mut state in self.transactions.take_idle(timeout) {
                state.roll_back(&self.sessions).await;
            }
        }
    }

    /// Rolls back what is open and closes the files, so that the logs are merged.
    pub async fn close(&self) {
        let databases: Vec<_> = self.lock().values().cloned().collect();
        // A client that waited long enough has its response; what still runs is stopped.
        for database in &databases {
            database.stop();
        }
        let all = u32::try_from(STATEMENTS_AT_ONCE).unwrap_or(u32::MAX);
        let _ = timeout(LAST_GRACE, self.statements.acquire_many(all)).await;
        self.transactions.clear(&self.sessions).await;
        for database in databases {
            self.sessions.close_kept(&database).await;
        }
        self.sessions.have_closed().await;
    }

    fn find(&self, name: &str) -> Result<Arc<Database>> {
        self.lock()
            .get(name)
            .filter(|database| !database.is_dropped())
            .cloned()
            .ok_or_else(|| Error::no_database(name))
    }

    async fn hold_name(&self, name: &str) -> Result<NameHeld> {
        let mutex = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(names.entry(name.to_owned()).or_default())
        };
        let mut held =
            NameHeld { name: name.to_owned(), names: Arc::clone(&self.names), held: None };
        match timeout(self.limits.lock, mutex.lock_owned()).await {
            Ok(guard) => {
                held.held = Some(guard);
                Ok(held)
            }
            Err(_) => {
                Err(Error::new(Kind::Busy, format!("a database {name:?} is being made or dropped")))
            }
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.statements).acquire_owned();
        match timeout(self.limits.lock, permit).await {
            Ok(permit) => permit.map_err(|error| Error::internal(error.to_string())),
            Err(_) => Err(Error::new(
                Kind::Overloaded,
                format!("{STATEMENTS_AT_ONCE} statements are running, and no more are allowed"),
            )),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Database>>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what must come to its end even if nobody waits for it.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|error| {
        Error::internal(format!("the server failed to carry out the request: {error}"))
    })?
}
