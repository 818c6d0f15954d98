//! What one simulated pool is like, and how rough its world is.

use std::time::Duration;

use fastrand::Rng;

use crate::config::{Options, Validation};

/// The options of the pool, and chances out of 100 of what befalls it.
#[derive(Debug)]
pub struct Plan {
    pub options: Options,
    pub server_trouble: u32,
    pub breakage: u32,
    pub cancellation: u32,
    /// Resets and resizes.
    pub changes: u32,
    pub sleep: u32,
    pub rough_release: u32,
    pub longest_pause: Duration,
    pub longest_use: Duration,
    pub longest_dial: Duration,
    pub largest_burst: usize,
    /// Everything takes its longest time.
    pub is_exact: bool,
}

fn one_of<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

impl Plan {
    pub fn random(random: &mut Rng) -> Plan {
        let ms = Duration::from_millis;
        let min_connections = random.u32(0..=4);
        let options = Options {
            min_connections,
            max_connections: random.u32(min_connections.max(1)..=8),
            max_connecting: random.u32(1..=3),
            max_waiters: one_of(random, &[0, 1, 3, 20, 10_000, 10_000]),
            validation: one_of(
                random,
                &[Validation::Socket, Validation::Socket, Validation::Ping, Validation::None],
            ),
            preconnect: random.u32(..3) == 0,
            acquire_timeout: one_of(random, &[ms(20), ms(1000), ms(30_000)]),
            idle_timeout: one_of(random, &[ms(0), ms(200), ms(5000), ms(60_000)]),
            max_lifetime: one_of(random, &[ms(0), ms(1000), ms(30_000)]),
            validate_after: one_of(random, &[ms(0), ms(20), ms(500)]),
            validation_timeout: one_of(random, &[ms(100), ms(1000)]),
            connect_timeout: one_of(random, &[ms(100), ms(5000)]),
            request_timeout: one_of(random, &[ms(100), ms(3000)]),
            close_timeout: one_of(random, &[ms(0), ms(100), ms(5000)]),
            ..Options::default()
        };
        options.check().expect("the plan makes sense");
        Plan {
            options,
            server_trouble: one_of(random, &[0, 1, 5]),
            breakage: one_of(random, &[0, 5, 20]),
            cancellation: one_of(random, &[0, 5, 20]),
            changes: one_of(random, &[0, 0, 2, 10]),
            sleep: one_of(random, &[0, 0, 1, 5]),
            rough_release: one_of(random, &[0, 10, 50]),
            longest_pause: one_of(random, &[ms(2), ms(20), ms(500)]),
            longest_use: one_of(random, &[ms(2), ms(50), ms(2000)]),
            longest_dial: one_of(random, &[ms(1), ms(30), ms(300)]),
            largest_burst: one_of(random, &[1, 3, 30]),
            is_exact: false,
        }
    }

    /// Whether nobody gets a new connection before it is open, also when there is no outage.
    pub fn dials_first(&self) -> bool {
        self.options.validation != Validation::None || self.options.preconnect
    }
}
