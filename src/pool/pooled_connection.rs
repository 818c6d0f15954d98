//! The connection of one slot, as its user, the pool's threads and those that cancel share it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::machine::{ConnectionReport, Disposition, SlotConnection};
use crate::client::{CancelHandle, Connection, SocketHandle};
use crate::os::clock;
use crate::os::locks::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::os::locks::{Mutex, MutexGuard};

/// The connection of one slot.
#[derive(Debug)]
pub struct PooledConnection {
    connection: Mutex<Connection>,
    cancel_handle: CancelHandle,
    socket_handle: SocketHandle,
    is_cut: AtomicBool,
    /// Its last user wants it closed, after its transaction was rolled back too.
    is_discarded: AtomicBool,
    owner: Mutex<Owner>,
    made_at: Instant,
    /// When the server responded last, as nanoseconds after `made_at`; 0 if it never has.
    responded_after: AtomicU64,
}

/// Who has a connection, in the words of the program.
type Owner = Option<Arc<str>>;

impl PooledConnection {
    pub fn new(connection: Connection) -> Self {
        PooledConnection {
            cancel_handle: connection.cancel_handle(),
            socket_handle: connection.socket_handle(),
            connection: Mutex::new(connection),
            is_cut: AtomicBool::new(false),
            is_discarded: AtomicBool::new(false),
            owner: Mutex::default(),
            made_at: clock::now(),
            responded_after: AtomicU64::new(0),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, Connection>> {
        self.connection.try_lock()
    }

    /// Runs work of the pool on the connection while no caller has it.
    pub fn with_connection<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
        work(&mut self.connection.lock())
    }

    pub fn socket_handle(&self) -> &SocketHandle {
        &self.socket_handle
    }

    /// Looks whether the server has closed its socket while nobody uses it, and closes it then.
    /// Without the lock: a caller that gets the connection meanwhile must find it free.
    pub fn peek(&self) -> bool {
        self.socket_handle.probe()
    }

    /// Cuts what is in flight on it, and whatever is tried later.
    pub fn cancel_for_good(&self) {
        self.cancel_handle.cancel_for_good();
    }

    /// Cuts what is in flight on it at this moment.
    pub fn cancel(&self) {
        self.cancel_handle.cancel();
    }

    /// Cuts what is in flight, refuses what comes later, and closes the socket.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cancel_for_good();
        close_unless_busy(&mut self.connection.lock());
    }

    /// A request on it may be over: closes the connection if it was cut meanwhile.
    pub fn note_end(&self, connection: &mut Connection) {
        if self.is_cut() {
            close_unless_busy(connection);
        }
    }

    pub fn owner(&self) -> Owner {
        self.owner.lock().clone()
    }

    pub fn set_owner(&self, owner: Owner) {
        *self.owner.lock() = owner;
    }

    /// Its user wants it closed instead of reused.
    pub fn mark_discarded(&self) {
        self.is_discarded.store(true, Ordering::Relaxed);
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    /// Whether the socket is still fit for a request; closes it if it is not.
    pub fn probe(&self) -> bool {
        let mut connection = self.connection.lock();
        let is_alive = connection.probe();
        if !is_alive {
            connection.close(Duration::ZERO);
        }
        is_alive
    }

    /// Notes that the server responded just now.
    pub fn note_response(&self) {
        let after = clock::now().saturating_duration_since(self.made_at);
        self.responded_after.store((after.as_nanos() as u64).max(1), Ordering::Relaxed);
    }

    /// When the server responded last.
    fn responded_at(&self) -> Option<Instant> {
        let after = self.responded_after.load(Ordering::Relaxed);
        (after > 0).then(|| self.made_at + Duration::from_nanos(after))
    }

    pub fn report(&self) -> ConnectionReport {
        let connection = self.connection.lock();
        if connection.is_busy() {
            return ConnectionReport::lost();
        }
        ConnectionReport {
            disposition: if connection.transaction().is_some() {
                Disposition::RollBack
            } else if self.is_discarded.load(Ordering::Relaxed) {
                Disposition::Discard
            } else if !connection.is_reusable() {
                Disposition::Broken
            } else {
                Disposition::Reuse
            },
            is_open: connection.is_open(),
            opened_at: connection.opened_at(),
            keep_alive_until: connection.keep_alive_until(),
            last_response_at: self.responded_at(),
            pinged: None,
        }
    }
}

impl SlotConnection for Arc<PooledConnection> {
    fn heard_at(&self, now: Instant) -> Option<Instant> {
        if self.cancel_handle.is_in_flight() { Some(now) } else { self.responded_at() }
    }
}

/// One that has a request in flight is closed by the thread that ends that.
fn close_unless_busy(connection: &mut Connection) {
    if !connection.is_busy() {
        connection.close(Duration::ZERO);
    }
}
