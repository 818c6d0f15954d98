//! The real machine under a simulated clock, with a simulated server, simulated workers and
//! simulated callers, driven by random events.
//!
//! `PHANTOMDB_SIM_SEEDS=count` and `PHANTOMDB_SIM_STEPS=count` make a run larger,
//! `PHANTOMDB_SIM_SEED=n` replays one seed.
//!
//! More seeds find more than more steps do: the checks look at every connection and caller
//! there ever was, so that the time of one seed grows with the square of its steps.

mod caller;
mod callers;
mod checks;
mod dials;
mod network;
mod plan;
mod spike;
mod workers;
mod world;

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

const SEEDS: u64 = 120;
const STEPS: u32 = 250;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

/// How many events a seed took, and how many of them were acquires and releases by the fast path.
fn run(seed: u64, steps: u32) -> [u64; 3] {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    if let Err(panic) = outcome {
        panic!(
            "{}\n{}\nreplay with PHANTOMDB_SIM_SEED={seed} PHANTOMDB_SIM_STEPS={steps}",
            reason(&*panic),
            world.story()
        );
    }
    [world.events_seen(), world.fast_acquires, world.fast_releases]
}

#[test]
fn every_rule_holds_whatever_happens() {
    let steps = number("PHANTOMDB_SIM_STEPS").map_or(STEPS, |steps| steps as u32);
    let seeds = match number("PHANTOMDB_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PHANTOMDB_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let mut sums = [0; 3];
    for seed in seeds {
        sums.iter_mut().zip(run(seed, steps)).for_each(|(sum, more)| *sum += more);
    }
    let [events, acquires, releases] = sums;
    println!(
        "{count} seeds, {events} events, {acquires} acquires and {releases} releases of them fast"
    );
    assert!(count < SEEDS || acquires.min(releases) > 1000, "the fast path was seldom taken");
}
