//! What a forked child must not share with its parent.
//!
//! A child has one thread, the one that forked; it inherits every lock as it was, and a copy of
//! every file descriptor. So locks that are reachable from everywhere are held by the forking
//! thread during the fork ([`hold_during_fork`]); everything else that belongs to the parent is
//! recognised by its [`generation`] and left alone.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::locks::{StaticMutex, StaticMutexGuard};

/// On which side of a fork something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Parent,
    Child,
}

/// Lets go of what is held during a fork.
type Release = Box<dyn FnOnce(Side)>;
/// Takes hold of something before a fork.
type Hold = fn() -> Release;

struct Holds {
    /// Each with the address of what it holds. Not its own: the compiler may have several copies of
    /// one function, and a lock that is taken by two of them is never free again.
    all: Vec<(usize, Hold)>,
    is_installed: bool,
}

static GENERATION: AtomicU64 = AtomicU64::new(0);
static HOLDS: StaticMutex<Holds> = StaticMutex::new(Holds { all: Vec::new(), is_installed: false });

thread_local! {
    /// What this thread holds while it forks.
    static HELD: RefCell<Vec<Release>> = const { RefCell::new(Vec::new()) };
}

/// How many forks lie between the first process and this one. What was made under another
/// generation belongs to the parent.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// The number of this process; always the same to the model checker, whose runs can be repeated.
pub fn process_id() -> u32 {
    if cfg!(shuttle) { 0 } else { std::process::id() }
}

/// Calls `hold`, which takes hold of `what`, before every fork from now on, and what it returned
/// after it, on both sides, in the thread that forks. Asking for the same again changes nothing.
pub fn hold_during_fork<T>(what: &'static T, hold: Hold) {
    let address = ptr::from_ref(what).addr();
    let mut holds = HOLDS.lock();
    if !holds.all.iter().any(|(other, _)| *other == address) {
        holds.all.push((address, hold));
    }
    if !holds.is_installed {
        // SAFETY: the handlers are functions of this library, which is never unloaded.
        let code = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        // It fails only for lack of memory; the next call tries again.
        holds.is_installed = code == 0;
    }
}

extern "C" fn before() {
    let holds: StaticMutexGuard<'static, Holds> = HOLDS.lock();
    let mut held: Vec<Release> = holds.all.iter().map(|(_, hold)| hold()).collect();
    held.insert(0, Box::new(move |_| drop(holds)));
    HELD.set(held);
}

extern "C" fn in_parent() {
    release(Side::Parent);
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    release(Side::Child);
}

fn release(side: Side) {
    for release in HELD.take().into_iter().rev() {
        release(side);
    }
}
