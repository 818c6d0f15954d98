//! Transactions that span requests.

use super::database::{Database, WriteTurn};
use super::sessions::{Session, Sessions};
use crate::engine::Command;
use crate::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// The transactions that are open.
#[derive(Debug)]
pub struct Transactions {
    open: Mutex<HashMap<String, Arc<Transaction>>>,
    most: usize,
}

/// The database of a transaction, once it has touched one.
///
/// Apart from the state, so that a drop finds the transactions of its database without
/// waiting for those of others.
pub type Binding = Arc<OnceLock<Arc<Database>>>;

/// One transaction; its requests run one after the other.
#[derive(Debug)]
pub struct Transaction {
    id: String,
    database: Binding,
    state: Arc<tokio::sync::Mutex<State>>,
}

/// What a transaction holds.
#[derive(Debug)]
pub struct State {
    /// The database that it is bound to.
    pub database: Binding,
    /// Its session, from its first request on. Closed before the turn is passed on.
    pub session: Option<Session>,
    /// The right to write, from its first write on.
    pub turn: Option<WriteTurn>,
    /// Whether it was committed or rolled back.
    pub finished: bool,
    last_used: Instant,
}

impl Transactions {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { open: Mutex::default(), most }
    }

    /// Begins a transaction; nothing is locked before its first request.
    pub fn begin(&self, database: Option<Arc<Database>>) -> Result<String> {
        let id = crate::random_id().map_err(Error::internal)?;
        let binding = Binding::default();
        if let Some(database) = database {
            binding.get_or_init(|| database);
        }
        let state = State {
            database: Arc::clone(&binding),
            session: None,
            turn: None,
            finished: false,
            last_used: Instant::now(),
        };
        let transaction = Transaction {
            id: id.clone(),
            database: binding,
            state: Arc::new(tokio::sync::Mutex::new(state)),
        };
        let mut open = self.lock();
        if open.len() >= self.most {
            return Err(Error::new(
                Kind::TooManyTransactions,
                format!("{} transactions are open, and more are not allowed", open.len()),
            )
            .with("max_transactions", self.most));
        }
        open.insert(id.clone(), Arc::new(transaction));
        Ok(id)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Waits for the turn of a request of this transaction.
    pub async fn enter(&self, id: &str) -> Result<OwnedMutexGuard<State>> {
        let transaction = self.lock().get(id).cloned().ok_or_else(|| Error::no_transaction(id))?;
        transaction.own(id).await
    }

    /// Takes a transaction out, to end it; a later call finds none.
    pub async fn take(&self, id: &str) -> Result<OwnedMutexGuard<State>> {
        let transaction = self.lock().remove(id).ok_or_else(|| Error::no_transaction(id))?;
        transaction.own(id).await
    }

    /// Forgets a transaction that has ended by itself.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Takes out those bound to a database and rolls them back.
    pub async fn end_all_of(&self, database: &Arc<Database>, sessions: &Arc<Sessions>) {
        let bound: Vec<_> = self
            .lock()
            .values()
            .filter(|transaction| {
                transaction.database.get().is_some_and(|bound| Arc::ptr_eq(bound, database))
            })
            .cloned()
            .collect();
        for transaction in bound {
            transaction.state.lock().await.roll_back(sessions).await;
            self.forget(&transaction.id);
        }
    }

    /// Takes out those that nobody has used for so long.
    pub fn take_idle(&self, timeout: Duration) -> Vec<OwnedMutexGuard<State>> {
        let mut idle = Vec::new();
        self.lock().retain(|_, transaction| {
            match Arc::clone(&transaction.state).try_lock_owned() {
                Ok(state) if state.last_used.elapsed() >= timeout => {
                    idle.push(state);
                    false
                }
                // One in use is not idle.
                _ => true,
            }
        });
        idle
    }

    /// Takes out all of them and rolls them back.
    pub async fn clear(&self, sessions: &Arc<Sessions>) {
        let all = std::mem::take(&mut *self.lock());
        for transaction in all.into_values() {
            transaction.state.lock().await.roll_back(sessions).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Transaction>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction {
    async fn own(&self, id: &str) -> Result<OwnedMutexGuard<State>> {
        let state = Arc::clone(&self.state).lock_owned().await;
        if state.finished {
            return Err(Error::no_transaction(id));
        }
        Ok(state)
    }
}

impl State {
    /// Notes the end of a request.
    pub fn touch(&mut self) {
        self.last_used = Instant::now();
    }

    /// Commits, and keeps the session for others.
    pub async fn commit(&mut self, sessions: &Arc<Sessions>) -> Result<()> {
        self.end(Command::Commit, sessions).await
    }

    /// Ends the transaction; what it has not committed is rolled back.
    pub async fn roll_back(&mut self, sessions: &Arc<Sessions>) {
        // If its worker cannot be told to roll back, it has ended, and has rolled back by that.
        let _ = self.end(Command::RollBack, sessions).await;
    }

    async fn end(&mut self, command: Command, sessions: &Arc<Sessions>) -> Result<()> {
        self.finished = true;
        let mut ended = Ok(());
        if let Some(mut session) = self.session.take() {
            if session.in_transaction() {
                ended = sessions.chore(&mut session, command).await.map(drop);
            }
            sessions.put(session);
        }
        self.turn = None;
        ended
    }
}
