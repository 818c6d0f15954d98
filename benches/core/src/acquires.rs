//! Acquire and release, with no request in between.

use std::io;
use std::path::Path;

use indicatif::ProgressBar;

use crate::contender::{self, Open, Place};
use crate::peers;
use crate::plots::Bars;
use crate::report::{Aim, Section};
use crate::rounds::{self, Effort, Row};

const CONNECTIONS: usize = 10;
const THREADS: [usize; 4] = [1, 2, 8, 32];
pub const CONTENDERS: [(&str, Open); 7] = [
    ("phantomdb", contender::acquire_phantomdb),
    ("ArrayQueue", peers::array_queue),
    ("libmongoc", contender::acquire_mongoc),
    ("libzdb", contender::acquire_zdb),
    ("r2d2", peers::r2d2),
    ("deadpool", peers::deadpool),
    ("bb8", peers::bb8),
];

pub fn turns(effort: Effort) -> u64 {
    rounds::turns(CONTENDERS.len(), effort) * THREADS.len() as u64
}

pub fn measure(
    place: &Place,
    folder: &Path,
    effort: Effort,
    progress: &ProgressBar,
) -> io::Result<Section> {
    let mut rows = Vec::new();
    for threads in THREADS {
        rows.extend(rounds::compare(&CONTENDERS, CONNECTIONS, place, threads, effort, progress)?);
    }
    let plot = "acquires.svg";
    let names: Vec<&str> = CONTENDERS.iter().map(|(name, _)| *name).collect();
    let of_threads = |threads: usize| rows.iter().filter(move |row| row.threads == threads);
    let groups = THREADS.map(|threads| {
        (rounds::with_threads(threads), of_threads(threads).map(|row| row.nanoseconds).collect())
    });
    let bars = Bars {
        title: "Acquire and release, 10 connections",
        unit: "nanoseconds for a pair (less is better)",
        names,
        groups: groups.into(),
    };
    bars.draw(&folder.join(plot)).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Section {
        title: "Acquire and release",
        about: "A pair of an acquire and a release on a pool of 10 connections that nothing is sent \
                on: this library through its C ABI with its statistics, its peers as they come. With \
                several threads the time is that of all together. \"ours\" is this library's time \
                divided by the peer's, on the clock and of the processor in the program, so below 1 it \
                is ahead; on a busy machine the latter tells more.",
        head: vec!["", "threads", "ns for a pair", "user ns", "system ns", "ours", "ours, user"],
        rows: rows.iter().map(cells).collect(),
        aims: aims(&rows),
        plots: vec![plot.to_owned()],
        data: serde_json::to_value(&rows)?,
    })
}

fn cells(row: &Row) -> Vec<String> {
    let ratio = |ratio: f64| {
        if row.name == CONTENDERS[0].0 { String::new() } else { format!("{ratio:.2}") }
    };
    vec![
        row.name.to_owned(),
        row.threads.to_string(),
        format!("{:.0}", row.nanoseconds),
        format!("{:.0}", row.user_nanoseconds),
        format!("{:.0}", row.system_nanoseconds),
        ratio(row.time_ratio),
        ratio(row.user_ratio),
    ]
}

fn aims(rows: &[Row]) -> Vec<Aim> {
    let ratio = |name: &str, threads: usize| {
        let row = rows.iter().find(|row| row.name == name && row.threads == threads);
        row.map_or(f64::NAN, |row| row.time_ratio)
    };
    let mut aims =
        vec![Aim::at_most("uncontended: times an ArrayQueue's", ratio("ArrayQueue", 1), 4.0)];
    for name in ["libmongoc", "r2d2", "deadpool", "bb8"] {
        let what = format!("uncontended: times as fast as {name}");
        aims.push(Aim::at_least(what, 1.0 / ratio(name, 1), 4.0));
    }
    for (threads, bound) in [(2, 1.0), (8, 1.0), (32, 2.0)] {
        for name in ["libmongoc", "libzdb", "r2d2", "deadpool", "bb8"] {
            let what = format!("{threads} threads: times as fast as {name}");
            aims.push(Aim::at_least(what, 1.0 / ratio(name, threads), bound));
        }
    }
    aims
}
