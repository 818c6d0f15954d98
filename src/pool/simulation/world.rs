//! The clock, the events, and the course of one simulation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::caller::Caller;
use super::dials::Dials;
use super::network::{Network, Server};
use super::plan::Plan;
use crate::error::Result;
use crate::pool::machine::{ConnectionReport, Job, LeaseId, Machine};
use crate::pool::machine_tests;
use crate::pool::waiters::QueuePosition;

/// How many events a failing seed shows.
const STORY: usize = 40;
/// Longer than any time-out, back-off and use together.
const CALM: Duration = Duration::from_secs(90);
/// Longer than any dial, rollback or linger.
const DRAIN: Duration = Duration::from_secs(30);

/// Something that happens at its time.
#[derive(Debug)]
pub enum Event {
    Chaos,
    /// A caller's acquire is at its deadline.
    Deadline(u32),
    /// A caller goes on with what it has; void if its epoch is another by then.
    GoOn(u32, u32),
    UseEnds(u32),
    LeaseDialEnds(u32),
    AskAgain(u32, u32),
    DialDeadline(u32, u32),
    PickJob,
    JobEnds(Job<u32>, Result<ConnectionReport>),
    Peek(LeaseId, u32),
}

/// Everything there is in one simulation.
pub struct World {
    pub machine: Machine<u32, u32>,
    pub now: Instant,
    started: Instant,
    pub random: Rng,
    pub plan: Plan,
    pub network: Network,
    pub callers: Vec<Caller>,
    /// Who waits, in the order of arrival.
    pub waiting: BTreeMap<QueuePosition, u32>,
    pub dials: Dials,
    pub free_workers: usize,
    pub returns: u64,
    pub fast_acquires: u64,
    pub fast_releases: u64,
    /// The most connections that may exist: those that a resize found too many may stay until
    /// they come back.
    pub ceiling: u32,
    pub last_reset: Option<Instant>,
    /// What was last heard from before this must be checked before anybody gets it.
    pub suspects_heard_before: Option<Instant>,
    slept: Duration,
    /// The connections whose sockets go to others.
    pub reserved: Vec<u32>,
    pub is_closing: bool,
    pub is_calm: bool,
    chaos_left: u32,
    agenda: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    seen: u64,
    ticks_in_a_row: u32,
    story: VecDeque<(Duration, String)>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Rng::with_seed(seed);
        let plan = Plan::random(&mut random);
        let seed_of_machine = random.u64(..);
        World::with_plan(plan, random, seed_of_machine)
    }

    pub fn with_plan(plan: Plan, random: Rng, seed_of_machine: u64) -> World {
        machine_tests::forget_all();
        let now = Instant::now();
        let made = Arc::new(AtomicU32::new(0));
        let make = move |_| made.fetch_add(1, Ordering::Relaxed);
        World {
            machine: Machine::new(plan.options.clone(), now, seed_of_machine, make),
            now,
            started: now,
            random,
            free_workers: plan.options.max_connecting as usize + 8,
            ceiling: plan.options.max_connections,
            last_reset: None,
            suspects_heard_before: None,
            slept: Duration::ZERO,
            reserved: Vec::new(),
            plan,
            network: Network::new(),
            callers: Vec::new(),
            waiting: BTreeMap::new(),
            dials: Dials::default(),
            returns: 0,
            fast_acquires: 0,
            fast_releases: 0,
            is_closing: false,
            is_calm: false,
            chaos_left: 0,
            agenda: BTreeMap::new(),
            scheduled: 0,
            seen: 0,
            ticks_in_a_row: 0,
            story: VecDeque::new(),
        }
    }

    pub fn events_seen(&self) -> u64 {
        self.seen
    }

    /// The last events, to find out what went wrong.
    pub fn story(&self) -> String {
        let mut text = format!("{:#?}\n", self.plan);
        for (at, event) in &self.story {
            text.push_str(&format!("{:>12.6} s  {event}\n", at.as_secs_f64()));
        }
        text
    }

    pub fn tell(&mut self, event: impl FnOnce() -> String) {
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back((self.now - self.started, event()));
    }

    pub fn after(&mut self, delay: Duration, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((self.now + delay, self.scheduled), event);
    }

    /// A random time, short ones as likely as long ones; sometimes none at all.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        if self.plan.is_exact {
            return longest;
        }
        let chance = self.random.f64();
        longest.mul_f64(chance * chance * f64::from(u8::from(self.random.u32(..8) > 0)))
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    /// A life of the pool: rough times, calm, use, rest, close.
    pub fn run(&mut self, steps: u32) {
        self.machine.note_sleep(self.slept, self.now);
        self.settle();
        self.chaos_left = steps;
        self.after(Duration::ZERO, Event::Chaos);
        while self.chaos_left > 0 {
            self.advance(None);
        }
        if self.random.u32(..3) > 0 {
            self.calm_down();
        }
        self.close();
    }

    /// Many callers at once, each with one request, and the time after it.
    pub fn spike(&mut self, callers: usize, time: Duration) {
        for _ in 0..callers {
            let number = self.arrives(1);
            self.acquires(number);
        }
        self.pass(time);
        let is_served = |caller: &Caller| caller.outcomes == 1 && caller.refusal.is_none();
        assert!(self.callers.iter().all(is_served), "everybody is served");
    }

    fn calm_down(&mut self) {
        self.tell(|| "calm".to_owned());
        self.is_calm = true;
        self.network.restart(Server::Up);
        self.pass(CALM);
        assert!(self.waiting.is_empty(), "rule 6: somebody waits for ever");
        self.check_everybody_is_served();
        self.pass(CALM);
        self.check_rest();
    }

    fn close(&mut self) {
        self.tell(|| "close".to_owned());
        self.is_closing = true;
        self.machine.close(self.now);
        self.settle();
        assert!(self.waiting.is_empty(), "rule 19: waiters fail at once");
        if self.random.bool() {
            self.machine.close(self.now);
            self.settle();
        }
        let deadline = self.now + self.plan.options.close_timeout;
        while self.machine.status().used > 0 && self.advance(Some(deadline)) {}
        self.cut();
        self.pass(DRAIN);
        assert!(self.machine.is_drained(), "rule 19: drained once leases and jobs are done");
        assert_eq!(self.network.sockets(), 0, "rule 19: no socket remains");
        let is_done = |caller: &Caller| caller.outcomes == 1;
        assert!(self.callers.iter().all(is_done), "each caller has exactly one outcome");
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.advance(Some(end)) {}
        self.now = end;
    }

    /// The next event, unless it comes after `end`.
    fn advance(&mut self, end: Option<Instant>) -> bool {
        let event_at = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let alarm = self.machine.alarm().map(|at| at.max(self.now));
        let next = match (event_at, alarm) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => match one.or(other) {
                Some(at) => at,
                None => return false,
            },
        };
        if end.is_some_and(|end| next > end) {
            return false;
        }
        self.now = next;
        self.seen += 1;
        let ticks_first = event_at != Some(next) || self.random.bool();
        if alarm == Some(next) && ticks_first {
            self.tell(|| "tick".to_owned());
            self.machine.tick(next);
            self.ticks_in_a_row += 1;
            assert!(self.ticks_in_a_row < 20_000, "the housekeeper spins");
            let alarm = self.machine.alarm();
            assert!(alarm.is_none_or(|alarm| alarm > next), "the housekeeper spins");
        } else if let Some((_, event)) = self.agenda.pop_first() {
            self.ticks_in_a_row = 0;
            self.happens(event);
        }
        self.settle();
        true
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Chaos => self.chaos(),
            Event::Deadline(caller) => self.gives_up(caller),
            Event::GoOn(caller, epoch) => self.goes_on(caller, epoch),
            Event::UseEnds(caller) => self.use_ends(caller),
            Event::LeaseDialEnds(caller) => self.lease_dial_ends(caller),
            Event::AskAgain(caller, epoch) => self.asks_again(caller, epoch),
            Event::DialDeadline(caller, epoch) => self.gives_up_dial(caller, epoch),
            Event::PickJob => self.pick_job(),
            Event::JobEnds(job, outcome) => self.job_ends(job, outcome),
            Event::Peek(lease, link) => self.peeks(lease, link),
        }
    }

    fn chaos(&mut self) {
        if self.chaos_left == 0 {
            return;
        }
        self.chaos_left -= 1;
        if self.chance(self.plan.server_trouble) {
            let states = [Server::Up, Server::Up, Server::Down, Server::Hanging];
            let server = states[self.random.usize(..states.len())];
            self.tell(|| format!("server restarts: {server:?}"));
            self.network.restart(server);
        }
        if self.chance(self.plan.breakage) {
            self.break_one();
        }
        if self.chance(self.plan.cancellation) {
            self.cancel_one();
        }
        if self.chance(self.plan.changes) {
            self.change();
        }
        if self.chance(self.plan.sleep) {
            self.sleep();
        }
        for _ in 0..self.random.usize(..=self.plan.largest_burst) {
            self.new_caller();
        }
        let pause = match self.random.u32(..100) {
            0 => Duration::from_secs(70),
            1..=5 => Duration::from_secs(2),
            _ => self.plan.longest_pause,
        };
        let pause = self.up_to(pause);
        self.after(pause, Event::Chaos);
    }

    /// The pool is reset or resized.
    fn change(&mut self) {
        if self.random.bool() {
            self.tell(|| "reset".to_owned());
            self.last_reset = Some(self.now);
            self.machine.reset(self.now);
        } else {
            let min = self.random.u32(0..=4);
            let max = self.random.u32(min.max(1)..=8);
            self.tell(|| format!("resize to {min}..{max}"));
            self.plan.options.min_connections = min;
            self.plan.options.max_connections = max;
            self.ceiling = max.max(self.machine.status().total);
            self.machine.resize(min, max, self.now);
        }
        self.settle();
    }

    /// The computer sleeps, which its clock does not notice.
    fn sleep(&mut self) {
        let time = Duration::from_millis(self.random.u64(500..20_000));
        self.tell(|| format!("sleep for {time:?}"));
        self.slept += time;
        if time >= Duration::from_secs(1) {
            self.suspects_heard_before = Some(self.now);
        } else {
            // The machine adds the short ones up.
            self.slept -= time;
        }
        self.machine.note_sleep(self.slept, self.now);
        self.settle();
    }

    fn break_one(&mut self) {
        let open = self.network.links().iter().enumerate().filter(|(_, link)| link.is_open());
        let open: Vec<_> = open.map(|(number, _)| number as u32).collect();
        if !open.is_empty() {
            let number = open[self.random.usize(..open.len())];
            self.tell(|| format!("connection {number} breaks"));
            self.network.link(number).is_broken = true;
        }
    }

    /// Carries out what the machine asks for, looks whether all is well, and then leaves the slots to
    /// the fast path, now and then.
    pub fn settle(&mut self) {
        self.carry_out_effects();
        self.check();
        if self.random.u32(..4) > 0 {
            self.machine.publish();
        }
    }
}
