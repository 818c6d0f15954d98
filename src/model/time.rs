//! Time under the model checker: it stands still, and jumps.
//!
//! A scenario says how much of it there is. The clock thread takes the earliest deadline that
//! some thread waits for, whenever the scheduler lets it run, moves the time there and wakes that
//! thread. So a wait may end by its deadline at any point of any other thread, as if the machine
//! were as slow as can be in between: more than real time allows, in every order that it allows.
//!
//! Deadlines past the scenario's end of time never come. A wake-up that is lost there is not
//! made good by a time-out but is a deadlock, which the checker reports.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use shuttle::rand::Rng;
use shuttle::sync::{Condvar, mpsc};
use shuttle::thread;

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// The way to the clock thread of the scenario that runs.
struct Clock {
    /// A scenario that fails leaves it behind, and then nothing may be done with it any more.
    waits: ManuallyDrop<mpsc::Sender<Arc<Wait>>>,
    end_of_time: Instant,
}

/// A wait with a deadline.
struct Wait {
    deadline: Instant,
    condvar: Arc<Condvar>,
    is_due: AtomicBool,
    is_over: AtomicBool,
}

/// Ends the wait of this thread at its deadline, if that is before the end of time.
pub struct Alarm(Option<Arc<Wait>>);

pub fn now() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now) + PASSED.get()
}

/// Runs a scenario in which at most so much time passes.
pub fn passing(most: Duration, scenario: impl FnOnce()) {
    PASSED.set(Duration::ZERO);
    if most.is_zero() {
        return scenario();
    }
    let (sender, receiver) = mpsc::channel();
    CLOCK.set(Some(Clock { waits: ManuallyDrop::new(sender), end_of_time: now() + most }));
    let clock = thread::spawn(move || run(&receiver));
    scenario();
    if let Some(clock) = CLOCK.take() {
        drop(ManuallyDrop::into_inner(clock.waits));
    }
    clock.join().expect("the clock doesn't panic");
}

fn run(new: &mpsc::Receiver<Arc<Wait>>) {
    let mut waits: Vec<Arc<Wait>> = Vec::new();
    let mut chance = shuttle::rand::thread_rng();
    loop {
        if waits.is_empty() {
            match new.recv() {
                Ok(wait) => waits.push(wait),
                Err(_) => return,
            }
        }
        // At once as often as after much else has happened.
        let wait_limit = 1 << chance.gen_range(0..8);
        for _ in 0..chance.gen_range(1..=wait_limit) {
            thread::yield_now();
        }
        waits.extend(new.try_iter());
        waits.retain(|wait| !wait.is_over.load(Relaxed));
        let next = waits.iter().filter(|wait| !wait.is_due.load(Relaxed));
        if let Some(next) = next.min_by_key(|wait| wait.deadline) {
            PASSED.set(PASSED.get() + next.deadline.saturating_duration_since(now()));
            next.is_due.store(true, Relaxed);
        }
        // Until it is over, since a thread may have set its alarm and not yet gone to sleep. This
        // wakes others too, which they must tolerate: a wait may end without a reason.
        for wait in waits.iter().filter(|wait| wait.is_due.load(Relaxed)) {
            wait.condvar.notify_all();
        }
    }
}

impl Alarm {
    pub fn set(deadline: Instant, condvar: &Arc<Condvar>) -> Alarm {
        let waits = CLOCK.with_borrow(|clock| {
            let clock = clock.as_ref().filter(|clock| deadline <= clock.end_of_time)?;
            Some((*clock.waits).clone())
        });
        let Some(waits) = waits else { return Alarm(None) };
        let wait = Arc::new(Wait {
            deadline,
            condvar: condvar.clone(),
            is_due: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let _ = waits.send(wait.clone());
        Alarm(Some(wait))
    }

    /// Whether the deadline has passed.
    pub fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|wait| wait.is_due.load(Relaxed))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(wait) = &self.0 {
            wait.is_over.store(true, Relaxed);
        }
    }
}
