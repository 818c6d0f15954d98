//! A queue of completions and the loop that takes from it, under the model checker.

use super::*;
use crate::async_pool::CompletionQueue;
use crate::os::clock;
use crate::pool::model::FOREVER;
use shuttle::thread::JoinHandle;

type Queue = CompletionQueue<Result<Lease>>;

/// What a loop sleeps on: it goes on once for each time that it is woken, or more often.
#[derive(Clone, Default)]
struct Sleep(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    is_woken: bool,
    /// In the wake function.
    waking: usize,
}

impl Sleep {
    fn waker(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let Sleep(shared) = self.clone();
        Some(Box::new(move || {
            shared.0.lock().waking += 1;
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

/// Takes until nothing is left, `most` at a time, and releases what it takes.
fn take_all(queue: &Queue, most: usize, left: &mut usize) {
    loop {
        let taken = queue.take(most, None).expect("the queue is open");
        if taken.is_empty() {
            return;
        }
        *left -= taken.len();
        for outcome in taken {
            is_served(outcome);
        }
    }
}

fn end(pool: &CallbackPool, queue: &Queue, callers: Vec<JoinHandle<()>>) {
    callers.into_iter().for_each(done);
    queue.close().expect("this is not a callback");
    close(pool, &Callbacks::default());
}

#[test]
fn rule_06_a_loop_that_takes_until_nothing_is_left_misses_no_completion() {
    Explore::with(1, 1, Validation::None).exhaustive(500).run_with(CallbackPool::new, |pool| {
        let sleep = Sleep::default();
        let queue = Arc::new(Queue::new(sleep.waker()));
        let callers = callers(3, &pool, &queue);
        let mut left = 3;
        while left > 0 {
            sleep.sleep();
            take_all(&queue, 1, &mut left);
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
        drop(held);
        take_all(&queue, 2, &mut left);
        while left > 0 {
            sleep.sleep();
            take_all(&queue, 2, &mut left);
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
                    let taken = queue.take(1, Some(clock::now() + FOREVER)).expect("it is open");
                    assert_eq!(taken.len(), 1);
                    taken.into_iter().for_each(is_served);
                })
            })
            .collect();
        takers.into_iter().for_each(done);
        assert!(queue.take(1, None).expect("it is open").is_empty());
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
