//! Comparing: in each round every contender has a turn, in an order that changes. Figures are
//! medians over the rounds, and ratios are medians of the ratios within a round, so that a machine
//! that is busy for a while slows both sides of one.

use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::contender::{Contender, Open, Place};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// How long a turn takes, about.
    pub turn: Duration,
}

/// One contender under one load.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    pub threads: usize,
    /// How long one takes, on the clock: of all threads together.
    pub nanoseconds: f64,
    pub user_nanoseconds: f64,
    pub system_nanoseconds: f64,
    /// The first contender's time divided by this one's.
    pub time_ratio: f64,
    /// The first contender's user time divided by this one's, over all rounds: the system counts
    /// it in ticks, of which a single turn has few.
    pub user_ratio: f64,
}

fn user_time(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.user).sum()
}

#[derive(Clone, Copy)]
struct Sample {
    wall: f64,
    user: f64,
    system: f64,
}

/// All contenders, each with its own connections, with so many threads.
pub fn compare(
    contenders: &[(&'static str, Open)],
    connections: usize,
    place: &Place,
    threads: usize,
    effort: Effort,
    progress: &ProgressBar,
) -> io::Result<Vec<Row>> {
    let mut opened = Vec::new();
    for (name, open) in contenders {
        let contender = open(connections, place)?;
        let count = calibrate(contender.as_ref(), threads, effort.turn);
        opened.push((*name, contender, count));
    }
    let mut samples = vec![Vec::new(); opened.len()];
    for round in 0..effort.rounds {
        for turn in 0..opened.len() {
            let index = (round + turn) % opened.len();
            let (name, contender, count) = &opened[index];
            progress.set_message(format!("{name}, {threads} threads"));
            samples[index].push(measure(contender.as_ref(), threads, *count));
            progress.inc(1);
        }
    }
    let over_rounds = |index: usize, figure: &dyn Fn(Sample, Sample) -> f64| {
        median(samples[index].iter().zip(&samples[0]).map(|(it, first)| figure(*it, *first)))
    };
    Ok(opened
        .iter()
        .enumerate()
        .map(|(index, (name, ..))| Row {
            name,
            threads,
            nanoseconds: over_rounds(index, &|it, _| it.wall),
            user_nanoseconds: over_rounds(index, &|it, _| it.user),
            system_nanoseconds: over_rounds(index, &|it, _| it.system),
            time_ratio: over_rounds(index, &|it, first| first.wall / it.wall),
            user_ratio: user_time(&samples[0]) / user_time(&samples[index]),
        })
        .collect())
}

/// How many turns [`compare`] takes.
pub fn turns(contenders: usize, effort: Effort) -> u64 {
    (contenders * effort.rounds) as u64
}

/// "8 threads".
pub fn with_threads(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    percentile(figures, 0.5)
}

/// The figure that so large a part of all is not above.
pub fn percentile(figures: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let index = (part * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// How many take about so long; on the way everything is warmed up.
fn calibrate(contender: &dyn Contender, threads: usize, turn: Duration) -> u64 {
    let mut count = threads as u64;
    loop {
        let taken = measure(contender, threads, count).wall * count as f64;
        let wanted = turn.as_nanos() as f64;
        if taken >= wanted / 2.0 {
            return (count as f64 * wanted / taken).ceil() as u64;
        }
        count *= 2;
    }
}

fn measure(contender: &dyn Contender, threads: usize, count: u64) -> Sample {
    let each = count.div_ceil(threads as u64);
    let (start, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                contender.run(each);
                end.wait();
            });
        }
        start.wait();
        let (began, cpu) = (Instant::now(), cpu_time());
        end.wait();
        let (wall, after) = (began.elapsed(), cpu_time());
        let share = |time: f64| time / (each * threads as u64) as f64;
        Sample {
            wall: share(wall.as_nanos() as f64),
            user: share(after.0 - cpu.0),
            system: share(after.1 - cpu.1),
        }
    })
}

/// The processor time of this process, of the program and of the kernel, in nanoseconds.
fn cpu_time() -> (f64, f64) {
    // SAFETY: all zeros is a valid rusage, a struct of plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to `usage`, which outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let nanoseconds = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    (nanoseconds(usage.ru_utime), nanoseconds(usage.ru_stime))
}
