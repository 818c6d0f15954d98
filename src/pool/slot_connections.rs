//! The connections of a pool's slots, for those who have one by the fast path: without the pool's lock.

use std::fmt;
use std::sync::Arc;

use super::machine::Connections;
use super::pooled_connection::PooledConnection;
use crate::os::locks::Mutex;
use crate::os::permanent::Permanent;

type Table = Permanent<Mutex<Option<Arc<PooledConnection>>>>;

/// The connection of each slot that has one.
#[derive(Clone)]
pub struct SlotConnections(Arc<Table>);

/// Makes them, for the machine.
struct Source<F> {
    connections: SlotConnections,
    connect: F,
}

impl SlotConnections {
    /// What makes these connections, by `connect`.
    pub fn filled_by(
        &self,
        connect: impl Fn(usize) -> PooledConnection + Send + 'static,
    ) -> impl Connections<Arc<PooledConnection>> + Send + 'static {
        Source { connections: self.clone(), connect }
    }

    /// The connection of a slot that is leased.
    pub fn of(&self, slot: usize) -> Arc<PooledConnection> {
        let connection = self.0.get(slot).and_then(|connection| connection.lock().clone());
        connection.expect("a slot that is leased has a connection")
    }
}

impl<F: Fn(usize) -> PooledConnection> Connections<Arc<PooledConnection>> for Source<F> {
    fn make(&mut self, slot: usize) -> Arc<PooledConnection> {
        let connection = Arc::new((self.connect)(slot));
        *self.connections.0.make(slot).lock() = Some(connection.clone());
        connection
    }

    fn forget(&mut self, slot: usize) {
        // Dropped after the lock is released, since it closes its socket.
        let _forgotten = self.connections.0.make(slot).lock().take();
    }
}

impl Default for SlotConnections {
    fn default() -> Self {
        SlotConnections(Arc::new(Permanent::new()))
    }
}

impl fmt::Debug for SlotConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotConnections").finish_non_exhaustive()
    }
}
