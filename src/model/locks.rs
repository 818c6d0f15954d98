//! The locks and atomics of the model checker: each use of them is a point where another thread
//! may go on. Atomics are sequentially consistent here, whatever order the code asks for.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Instant;

use shuttle::sync;

use super::time;

pub mod atomic {
    pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
}

#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

#[derive(Debug)]
pub struct MutexGuard<'a, T>(sync::MutexGuard<'a, T>);

/// Shared with the clock, which wakes those whose deadline has passed.
#[derive(Debug, Default)]
pub struct Condvar(Arc<sync::Condvar>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Mutex(sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(guard)),
            Err(TryLockError::Poisoned(error)) => Some(MutexGuard(error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Condvar::default()
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    #[must_use]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        MutexGuard(self.0.wait(guard.0).unwrap_or_else(PoisonError::into_inner))
    }

    #[must_use]
    pub fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        if deadline <= time::now() {
            return (guard, true);
        }
        let alarm = time::Alarm::set(deadline, &self.0);
        let guard = self.wait(guard);
        (guard, alarm.is_due())
    }
}
