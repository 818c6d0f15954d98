//! A burst of callers does not become a burst of connections.

use std::time::Duration;

use fastrand::Rng;

use super::plan::Plan;
use super::world::World;
use crate::config::Options;

#[test]
fn rule_08_fifty_callers_at_once_need_at_most_six_connections() {
    let plan = Plan {
        options: Options { max_connections: 50, ..Options::default() },
        server_trouble: 0,
        breakage: 0,
        cancellation: 0,
        changes: 0,
        sleep: 0,
        rough_release: 0,
        longest_pause: Duration::ZERO,
        longest_use: Duration::from_millis(2),
        longest_dial: Duration::from_millis(150),
        largest_burst: 0,
        is_exact: true,
    };
    let mut world = World::with_plan(plan, Rng::with_seed(1), 1);
    world.spike(50, Duration::from_millis(600));
    let status = world.machine.status();
    assert_eq!((status.used, status.pending), (0, 0));
    assert!(status.total <= 6, "{} connections", status.total);
}
