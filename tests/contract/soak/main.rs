//! All bindings at once, for as long as asked, against a server that is killed, restarted, slowed and cut
//! at random: every write that was acknowledged is found exactly once, and no process grows.
//!
//! `contract-soak [--minutes N] [--seed N] [--into FOLDER]`

mod chaos;
mod gauge;
mod ledger;
mod report;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use chaos::Chaos;
use gauge::Gauge;
use phantomdb_contract::agent::WAIT_LIMIT;
use phantomdb_contract::column;
use worker::Worker;

struct Wanted {
    time: Duration,
    seed: u64,
    into: PathBuf,
}

fn main() -> ExitCode {
    match run() {
        Ok(complaints) if complaints.is_empty() => {
            println!("soak: 1 passed, 0 failed");
            ExitCode::SUCCESS
        }
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| println!("FAILED  {complaint}"));
            println!("soak: 0 passed, {} failed", complaints.len());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Wanted, String> {
    let mut wanted = Wanted {
        time: Duration::from_secs(20),
        seed: fastrand::u64(..),
        into: PathBuf::from("target/soak"),
    };
    let mut given = env::args().skip(1);
    while let Some(argument) = given.next() {
        let value = given.next().ok_or_else(|| format!("{argument}: has no value"))?;
        let refused = |why: &dyn std::fmt::Display| format!("{argument} {value}: {why}");
        match argument.as_str() {
            "--minutes" => {
                let minutes: f64 = value.parse().map_err(|error| refused(&error))?;
                wanted.time =
                    Duration::try_from_secs_f64(minutes * 60.0).map_err(|it| refused(&it))?;
            }
            "--seed" => wanted.seed = value.parse().map_err(|error| refused(&error))?,
            "--into" => wanted.into = PathBuf::from(&value),
            _ => return Err(format!("{argument}: is not known")),
        }
    }
    Ok(wanted)
}

fn run() -> Result<Vec<String>, String> {
    let wanted = arguments()?;
    println!("soak: {:.1} minutes, seed {}", wanted.time.as_secs_f64() / 60.0, wanted.seed);
    let columns = column::read_all(Path::new("tests/contract"))?;
    let mut chaos = Chaos::new(wanted.seed)?;
    for number in 0..columns.len() {
        ledger::make(&chaos.server_url(), number)?;
    }
    let mut workers = columns
        .iter()
        .enumerate()
        .map(|(number, column)| Worker::start(column, number, &chaos.url(), wanted.seed))
        .collect::<Result<Vec<_>, _>>()?;

    let mut gauge = Gauge::of(workers.iter().map(|worker| (worker.name(), worker.process())));
    let end = Instant::now() + wanted.time;
    let is_over = AtomicBool::new(false);
    let outcomes: Vec<Result<(), String>> = thread::scope(|scope| {
        let running: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(|| worker.run(&is_over))).collect();
        scope.spawn(|| gauge.watch(end, wanted.time));
        let result = chaos.rage(end);
        // Whatever is under way then reaches a server that is well.
        is_over.store(true, Ordering::SeqCst);
        let mut outcomes: Vec<_> =
            running.into_iter().map(|it| it.join().expect("a worker does not panic")).collect();
        outcomes.push(result);
        outcomes
    });

    let mut complaints: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if complaints.is_empty() {
        for worker in &mut workers {
            complaints.extend(worker.close().err());
        }
        complaints.extend(chaos.still_open(WAIT_LIMIT));
    }
    for worker in &workers {
        complaints.extend(ledger::check(&chaos.server_url(), worker)?);
        complaints.extend(worker.complaints());
    }
    complaints.extend(gauge.growth());
    fs::create_dir_all(&wanted.into).map_err(|error| error.to_string())?;
    report::write(&wanted.into, &workers, &gauge, &chaos, &complaints)?;
    Ok(complaints)
}
