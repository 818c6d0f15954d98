//! A queue of completions and the loop that takes from it, under the model checker.

use super::*;
use crate::async_pool::CompletionQueue;
use crate::os::clock;
use crate::pool::model::FOREVER;
use shuttle::thread::{JoinHandle, ThreadId};

type Queue = CompletionQueue<Result<Lease>>;

/// What a loop sleeps on: it goes on once for each time that it is woken, or more often.
#[derive(Clone, Default)]
struct Sleep(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    is_woken: bool,
    /// In the wake function.
    waking: usize,
    /// A loop that has not yet got fewer completions than it asked for.
    taking: Option<ThreadId>,
}

impl Sleep {
    fn waker(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let Sleep(shared) = self.clone();
        Some(Box::new(move || {
            let mut state = shared.0.lock();
            assert_ne!(
                state.taking,
                Some(thread::current().id()),
                "woken by itself while it takes"
            );
            state.waking += 1;
            drop(state);
            thread::yield_now();
            let mut state = shared.0.lock();
            state.is_woken = true;
            state.waking -= 1;
            shared.1.notify_all();
        }))
    }

    fn sleep(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        while !state.is_woken {
            state = changed.wait(state);
        }
        state.is_woken = false;
    }

    /// From now on its thread takes, and what it completes need not wake it.
    fn is_taking(&self) {
        self.0.0.lock().taking = Some(thread::current().id());
    }

    fn has_taken_all(&self) {
        self.0.0.lock().taking = None;
    }

    fn is_waking(&self) -> bool {
        self.0.0.lock().waking > 0
    }
}

/// An acquire whose outcome goes to the queue, now or later.
fn acquire(pool: &CallbackPool, queue: &Arc<Queue>, ticket: &Arc<Ticket>) {
    let posts = queue.clone();
    let prepare = || (ticket.clone(), move |outcome| posts.post(outcome));
    match pool.acquire_direct(None, prepare) {
        Ok(None) => {}
        Ok(Some(lease)) => queue.post(Ok(lease)),
        Err(error) => queue.post(Err(error)),
    }
}

fn callers(count: usize, pool: &Arc<CallbackPool>, queue: &Arc<Queue>) -> Vec<JoinHandle<()>> {
    (0..count)
        .map(|_| {
            let (pool, queue) = (pool.clone(), queue.clone());
            thread::spawn(move || acquire(&pool, &queue, &Ticket::new()))
        })
        .collect()
}

/// Takes at most `most`, without waiting.
fn take(queue: &Queue, most: usize) -> Vec<Result<Lease>> {
    let mut taken = Vec::new();
    let count = queue.take(most, None, |outcome| taken.push(outcome)).expect("the queue is open");
    assert_eq!(count, taken.len());
    taken
}

/// Takes until it gets fewer than it asks for, `most` at a time, and releases what it takes.
fn take_all(sleep: &Sleep, queue: &Queue, most: usize, left: &mut usize) {
    sleep.is_taking();
    loop {
        let taken = take(queue, most);
        let is_full = taken.len() == most;
        if !is_full {
            sleep.has_taken_all();
        }
        *left -= taken.len();
        for outcome in taken {
            is_served(outcome);
        }
        if !is_full {
            return;
        }
    }
}

fn end(pool: &CallbackPool, queue: &Queue, callers: Vec<JoinHandle<()>>) {
    callers.into_iter().for_each(done);
    queue.close().expect("this is not a callback");
    close(pool, &Callbacks::default());
}

#[test]
fn rule_06_a_loop_that_takes_until_it_gets_fewer_than_it_asks_for_misses_no_completion() {
    Explore::with(1, 1, Validation::None).exhaustive(500).run_with(CallbackPool::new, |pool| {
        let sleep = Sleep::default();
        let queue = Arc::new(Queue::new(sleep.waker()));
        let callers = callers(3, &pool, &queue);
        let mut left = 3;
        while left > 0 {
            sleep.sleep();
            take_all(&sleep, &queue, 2, &mut left);
        }
        end(&pool, &queue, callers);
    });
}

#[test]
fn rule_06_a_loop_that_gets_as_many_as_it_asks_for_is_not_woken_by_what_it_completes() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let sleep = Sleep::default();
        let queue = Arc::new(Queue::new(sleep.waker()));
        let mut left = 4;
        let held = pool.pool().acquire().expect("it is free");
        acquire(&pool, &queue, &Ticket::new());
        acquire(&pool, &queue, &Ticket::new());
        let callers = callers(2, &pool, &queue);
        drop(held);
        while left > 0 {
            sleep.sleep();
            take_all(&sleep, &queue, 1, &mut left);
        }
        end(&pool, &queue, callers);
    });
}

#[test]
fn rule_06_a_loop_that_defers_its_wake_up_misses_no_completion() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let sleep = Sleep::default();
        let queue = Arc::new(Queue::new(sleep.waker()));
        let mut left = 3;
        let held = pool.pool().acquire().expect("it is free");
        let callers = callers(2, &pool, &queue);
        acquire(&pool, &queue, &Ticket::new());
        // A turn of the loop that something else began.
        queue.defer_wake();
        sleep.is_taking();
        drop(held);
        take_all(&sleep, &queue, 2, &mut left);
        while left > 0 {
            sleep.sleep();
            take_all(&sleep, &queue, 2, &mut left);
        }
        end(&pool, &queue, callers);
    });
}

#[test]
fn rule_06_threads_that_wait_in_take_get_each_completion_once() {
    Explore::with(1, 1, Validation::None).run_with(CallbackPool::new, |pool| {
        let queue = Arc::new(Queue::new(None));
        let callers = callers(2, &pool, &queue);
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || {
                    let mut taken = None;
                    let until = clock::now() + FOREVER;
                    let count = queue.take(1, Some(until), |it| taken = Some(it));
                    assert_eq!(count.expect("it is open"), 1);
                    is_served(taken.expect("it was received"));
                })
            })
            .collect();
        takers.into_iter().for_each(done);
        assert!(take(&queue, 1).is_empty());
        end(&pool, &queue, callers);
    });
}

#[test]
fn rule_19_after_a_queue_is_closed_nobody_is_woken_and_no_connection_is_lost() {
    let explore = Explore::with(1, 1, Validation::None).must_see(&["woken", "not woken"]);
    explore.run_with(CallbackPool::new, |pool| {
        let sleep = Sleep::default();
        let queue = Arc::new(Queue::new(sleep.waker()));
        let callers = callers(2, &pool, &queue);
        pause();
        queue.close().expect("this is not a callback");
        assert!(!sleep.is_waking(), "rule 19: the wake function runs after the close");
        saw(if sleep.0.0.lock().is_woken { "woken" } else { "not woken" });
        let was_woken = sleep.0.0.lock().is_woken;
        callers.into_iter().for_each(done);
        assert_eq!(sleep.0.0.lock().is_woken, was_woken, "rule 19: woken after the close");
        close(&pool, &Callbacks::default());
    });
}
