//! The databases, and the rules by which requests get at them.

mod authorizer;
mod database;
pub mod schema;
mod session;
pub mod sql;
mod transactions;
mod values;

pub use session::Session;

use crate::error::{Error, Kind, Result};
use crate::{log, names};
use database::Database;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use transactions::Transactions;

/// Statements that run at once. None of them waits for another one, so that a queue here
/// always moves.
const STATEMENTS_AT_ONCE: usize = 32;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a write waits for the one that is under way.
    pub lock: Duration,
    /// How long a statement runs.
    pub query: Duration,
    /// How long a transaction stays idle.
    pub transaction: Duration,
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
    /// Databases are made and dropped one at a time.
    catalog: Arc<tokio::sync::Mutex<()>>,
    transactions: Arc<Transactions>,
    statements: Arc<Semaphore>,
}

/// Says that nobody waits any more when the request's future goes away.
struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

impl Store {
    /// Opens every database in the folder.
    pub fn open(folder: PathBuf, lasting: bool, limits: Limits) -> Result<Self> {
        let mut databases = BTreeMap::new();
        for entry in std::fs::read_dir(&folder)? {
            let file = entry?.file_name();
            let Some(name) = file.to_str().and_then(names::database_of_file) else {
                continue;
            };
            match Database::open(&folder, &name, lasting, false) {
                Ok(database) => {
                    databases.insert(name, Arc::new(database));
                }
                Err(error) => {
                    log::line(format_args!("leaving out the database {name:?}: {}", error.message))
                }
            }
        }
        Ok(Self {
            folder,
            lasting,
            limits,
            databases: Mutex::new(databases),
            catalog: Arc::default(),
            transactions: Arc::default(),
            statements: Arc::new(Semaphore::new(STATEMENTS_AT_ONCE)),
        })
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

    /// Makes a database.
    pub async fn create(self: &Arc<Self>, name: String) -> Result<()> {
        names::database_file(&name)?;
        let store = Arc::clone(self);
        let catalog = Arc::clone(&self.catalog).lock_owned().await;
        blocking(move || {
            let _catalog = catalog;
            if store.lock().contains_key(&name) {
                return Err(database::exists(&name));
            }
            let database = Database::open(&store.folder, &name, store.lasting, true)?;
            store.lock().insert(name, Arc::new(database));
            Ok(())
        })
        .await
    }

    /// Drops a database: stops what runs in it, rolls back its transactions, deletes it.
    pub async fn drop(self: &Arc<Self>, name: &str) -> Result<()> {
        let catalog = Arc::clone(&self.catalog).lock_owned().await;
        let database = self.find(name)?;
        let store = Arc::clone(self);
        // In a task of its own: were the client to leave, half a drop would remain.
        let task = tokio::spawn(async move {
            let _catalog = catalog;
            database.start_drop();
            store.transactions.end_all_of(&database).await;
            let result = database.finish_drop().await;
            store.lock().remove(&database.name);
            result
        });
        task.await.map_err(|error| Error::internal(error.to_string()))?
    }

    /// Begins a transaction.
    pub fn begin(&self, database: Option<&str>) -> Result<String> {
        let database = database.map(|name| self.find(name)).transpose()?;
        self.transactions.begin(database)
    }

    /// Commits a transaction; once this returns, its changes last.
    pub async fn commit(&self, id: &str) -> Result<()> {
        let mut state = self.transactions.take(id).await?;
        // Without a permit: the statements that hold them all must not hold up a commit, which
        // others may be waiting for.
        blocking(move || state.commit()).await
    }

    /// Rolls back a transaction.
    pub async fn roll_back(&self, id: &str) -> Result<()> {
        let mut state = self.transactions.take(id).await?;
        blocking(move || state.roll_back()).await
    }

    /// Runs `work` on a session, all of it or nothing.
    pub async fn run<T: Send + 'static>(
        &self,
        place: &Place,
        access: Access,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &place.transaction {
            None => self.run_alone(&place.database, access, work).await,
            Some(id) => self.run_within(id, &place.database, access, work).await,
        }
    }

    async fn run_alone<T: Send + 'static>(
        &self,
        name: &str,
        access: Access,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.find(name)?;
        let turn = match access {
            Access::Write => Some(database.write_turn(self.limits.lock).await?),
            Access::Read => None,
        };
        let permit = self.permit().await?;
        let presence = database.presence().await?;
        let watch = Watch(Arc::default());
        let run = database.run(self.limits.query, Arc::clone(&watch.0));
        // All that is held goes along, so that it is held until the work ends even if the
        // client leaves before.
        blocking(move || {
            let (_permit, _turn) = (permit, turn);
            let mut session = database.session(presence)?;
            let result = session.atomically(run, work);
            database.put(session);
            result
        })
        .await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        id: &str,
        name: &str,
        access: Access,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
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
        let watch = Watch(Arc::default());
        let run = database.run(self.limits.query, Arc::clone(&watch.0));
        let transactions = Arc::clone(&self.transactions);
        let id = id.to_owned();
        blocking(move || {
            let _permit = permit;
            let session = state.begun(|| database.session(presence))?;
            let result = session.atomically(run, work);
            let lost = matches!(&result, Err(error) if error.kind == Kind::Conflict);
            let rolled_back = session.is_autocommit() || lost;
            state.touch();
            if rolled_back {
                state.abandon();
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
                let _ = blocking(move || state.roll_back()).await;
            }
        }
    }

    /// Rolls back what is open and closes the files, so that the logs are merged.
    pub fn close(&self) {
        self.transactions.clear();
        for database in self.lock().values() {
            database.close_idle();
        }
    }

    fn find(&self, name: &str) -> Result<Arc<Database>> {
        self.lock()
            .get(name)
            .filter(|database| !database.is_dropped())
            .cloned()
            .ok_or_else(|| Error::no_database(name))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.statements)
            .acquire_owned()
            .await
            .map_err(|error| Error::internal(error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Database>>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what blocks on a thread that may be blocked.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("the request failed within: {error}")))?
}
