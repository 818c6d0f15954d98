//! What may happen at once on the fast path.

use loom::model::Builder;
use loom::thread::{self, JoinHandle};

use crate::machine::{Acquired, Lease, Machine, Pool};
use crate::pool::fast_path::stack::Released;
use crate::pool::fast_path::word::{LeaseWord, Link};

fn check(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(scenario);
}

fn run<R: 'static>(act: impl FnOnce() -> R + 'static) -> JoinHandle<R> {
    thread::spawn(act)
}

fn lease(acquired: Acquired) -> Lease {
    match acquired {
        Acquired::Got(lease) => lease,
        _ => panic!("a connection was idle"),
    }
}

#[test]
fn rule_06_a_waiter_that_comes_while_a_release_pushes_is_served() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let releases = run(move || assert!(pool.release(held)));
        let acquired = pool.acquire();
        releases.join().unwrap();
        let served = pool.event(|machine, _| machine.served.len());
        match acquired {
            Acquired::Got(_) => assert_eq!(served, 0),
            Acquired::Queued => assert_eq!(served, 1, "rule 6: a wake-up was lost"),
            Acquired::Closed => unreachable!(),
        }
        assert!(pool.idle().is_empty(), "rule 2: it is leased and idle");
    });
}

#[test]
fn rule_05_no_acquire_passes_a_waiter() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        assert!(matches!(pool.acquire(), Acquired::Queued));
        let releases = run(move || assert!(pool.release(held)));
        assert!(!matches!(pool.acquire(), Acquired::Got(_)), "rule 5: it passed a waiter");
        releases.join().unwrap();
        assert_eq!(pool.event(|machine, _| machine.served.len()), 1);
    });
}

#[test]
fn rule_02_of_two_that_pop_one_slot_one_gets_it() {
    check(|| {
        let pool = Pool::new(1);
        let other = run(move || pool.acquire_fast(0).is_some());
        let own = pool.acquire_fast(LeaseWord::HELD).is_some();
        assert!(own ^ other.join().unwrap());
    });
}

#[test]
fn rule_02_a_head_that_comes_back_is_not_taken_for_the_one_before() {
    check(|| {
        let pool = Pool::new(2);
        // Pops both, and pushes the first again.
        let other = run(move || {
            let first = pool.acquire_fast(0)?;
            let second = pool.acquire_fast(0);
            assert_eq!(pool.release_fast(first), Released::Kept);
            second
        });
        let own = pool.acquire_fast(0);
        let other = other.join().unwrap();
        let mut seen = pool.idle();
        seen.extend(own.into_iter().chain(other).map(|(slot, ..)| slot.index()));
        seen.sort_unstable();
        assert_eq!(seen, [0, 1], "rule 2: each slot is somewhere once");
    });
}

#[test]
fn rule_12_of_two_releases_of_one_lease_one_wins() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let other = run(move || pool.release(held));
        let own = pool.release(held);
        assert!(own ^ other.join().unwrap());
        assert_eq!(pool.idle(), [0]);
        assert!(!pool.release(held), "it is stale");
    });
}

#[test]
fn rule_12_a_handle_of_an_idle_slot_releases_nothing() {
    check(|| {
        let pool = Pool::new(1);
        let guessed = (pool.slots.get(0).unwrap(), 5, 0);
        let other = run(move || pool.release(guessed));
        let own = pool.acquire_fast(0);
        let was_released = other.join().unwrap();
        // It may have guessed the lease that was acquired meanwhile.
        assert_eq!(pool.idle().len(), usize::from(was_released || own.is_none()));
    });
}

#[test]
fn a_lease_that_is_held_while_it_is_released_ends_once() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let (slot, generation, _) = held;
        let holds = run(move || slot.hold(generation));
        let was_released = pool.release(held);
        let is_held = holds.join().unwrap();
        assert!(was_released ^ is_held);
        if is_held {
            assert!(pool.release((slot, generation, LeaseWord::HELD)));
        }
        assert_eq!(pool.idle(), [0]);
    });
}

/// A release and an event that every caller must hear of: the slot is closed by one of the two.
fn is_heard_of(change: fn(&mut Machine)) {
    check(move || {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let releases = run(move || pool.release(held));
        pool.event(|machine, pool| {
            change(machine);
            machine.close_idle(pool);
        });
        assert!(releases.join().unwrap());
        assert_eq!(pool.event(|machine, _| machine.closed.clone()), [0]);
        assert!(pool.idle().is_empty());
    });
}

#[test]
fn rule_19_a_release_while_the_pool_closes_is_heard_of() {
    is_heard_of(|machine| machine.is_closing = true);
}

#[test]
fn rule_18_a_release_while_the_pool_becomes_smaller_is_heard_of() {
    is_heard_of(|machine| machine.is_uncommon = true);
}

#[test]
fn rule_18_a_release_while_the_pool_is_reset_is_heard_of() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let releases = run(move || pool.release(held));
        pool.event(|machine, pool| {
            machine.epoch = 1;
            machine.close_idle(pool);
            // The machine publishes again: the mark alone brings the release to it.
            pool.slots.get(0).unwrap().mark();
        });
        assert!(releases.join().unwrap());
        assert_eq!(pool.event(|machine, _| machine.closed.clone()), [0], "kept though it is old");
        assert!(pool.idle().is_empty());
    });
}

#[test]
fn rule_02_a_mark_takes_no_slot_from_who_is_just_acquiring_it() {
    check(|| {
        let pool = Pool::new(1);
        let acquires = run(move || pool.acquire_fast(0));
        let was_idle = pool.event(|machine, pool| {
            let was_idle = machine.pop(pool).inspect(|slot| machine.push(slot)).is_some();
            pool.slots.get(0).unwrap().mark();
            was_idle
        });
        let acquired = acquires.join().unwrap();
        assert!(was_idle || acquired.is_some(), "rule 2: a connection is lost");
        let is_leased = acquired.is_some();
        assert_eq!(pool.idle().is_empty(), is_leased);
        assert_eq!(acquired.is_some_and(|lease| pool.release(lease)), is_leased);
    });
}

#[test]
fn rule_10_an_acquire_while_an_outage_begins_is_before_it_or_heard_of() {
    check(|| {
        let pool = Pool::new(1);
        let acquires = run(move || pool.acquire_fast(0).is_some());
        let idle = pool.event(|machine, pool| {
            machine.is_uncommon = true;
            machine.pop(pool).is_some()
        });
        assert!(acquires.join().unwrap() ^ idle);
        assert!(pool.acquire_fast(0).is_none(), "nothing goes the fast way in an outage");
    });
}

/// Closes the pool, and cuts its slot if that is not idle, which this says.
fn close_and_cut(machine: &mut Machine, pool: &Pool) -> bool {
    machine.is_closing = true;
    let was_idle = machine.pop(pool).is_some();
    if !was_idle {
        pool.slots.get(0).unwrap().cut();
    }
    was_idle
}

#[test]
fn rule_19_a_cut_takes_the_slot_from_who_is_just_acquiring_it() {
    check(|| {
        let pool = Pool::new(1);
        let acquires = run(move || pool.acquire_fast(LeaseWord::HELD));
        let was_idle = pool.event(close_and_cut);
        let acquired = acquires.join().unwrap();
        assert!(!(was_idle && acquired.is_some()), "rule 2: it is leased and idle");
        if let Some(lease) = acquired {
            assert!(!pool.release(lease), "rule 19: the lease was cut");
        }
    });
}

#[test]
fn rule_19_a_cut_takes_the_slot_from_who_is_just_releasing_it() {
    check(|| {
        let pool = Pool::new(1);
        let held = lease(pool.acquire());
        let releases = run(move || pool.release(held));
        let was_idle = pool.event(close_and_cut);
        releases.join().unwrap();
        assert!(pool.idle().is_empty());
        let closed = pool.event(|machine, _| machine.closed.len());
        assert_eq!(closed, 0, "rule 2: it was cut, or idle, and comes back too: {was_idle}");
    });
}

#[test]
fn rule_20_a_stack_that_another_pool_has_by_now_gives_nothing() {
    check(|| {
        let pool = Pool::new(1);
        let late = run(move || pool.acquire_fast(0));
        // Its pool is gone, and another takes the stack and the slot.
        let was_idle = pool.stack.draw() != Link::NONE;
        pool.stack.set_key(0);
        let slot = pool.slots.get(0).unwrap();
        if !was_idle {
            slot.cut();
        }
        pool.stack.take(0, 0, u64::MAX);
        pool.stack.set_key(1);
        if was_idle {
            slot.take(0, 0, 0, 5);
            slot.note_idle(1, u64::MAX, false);
            slot.set_below(Link::NONE);
            pool.stack.publish(slot.link(), Default::default());
        }
        let acquired = late.join().unwrap();
        assert!(!(was_idle && acquired.is_some()), "a connection of another pool");
    });
}

#[test]
fn rule_22_what_two_threads_count_is_summed() {
    check(|| {
        let pool = Pool::new(1);
        let both = || {
            if let Some(lease) = pool.acquire_fast(0) {
                assert_eq!(pool.release_fast(lease), Released::Kept);
                return 1;
            }
            0
        };
        let other = run(both);
        let counted = both() + other.join().unwrap();
        let counts = pool.counts(1);
        assert_eq!(counts.acquires, counted);
        assert_eq!(counts.usage.buckets.iter().sum::<u64>(), counted);
    });
}
