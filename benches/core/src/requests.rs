//! Requests on kept connections.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use indicatif::ProgressBar;

use crate::contender::{self, Open, Place};
use crate::http_clients;
use crate::plots::Bars;
use crate::report::{Aim, Section};
use crate::rounds::{self, Effort, Row};

const CONNECTIONS: usize = 10;
/// How many bytes of JSON, and with how many threads.
const LOADS: [(usize, usize); 5] = [(30, 1), (1024, 1), (102_400, 1), (30, 8), (30, 32)];
pub const CONTENDERS: [(&str, Open); 6] = [
    ("phantomdb", contender::request_phantomdb),
    ("raw sockets", contender::request_raw),
    ("libcurl", contender::request_curl),
    ("ureq", http_clients::ureq),
    ("reqwest", http_clients::reqwest),
    ("blocking reqwest", http_clients::reqwest_blocking),
];

pub fn turns(effort: Effort) -> u64 {
    rounds::turns(CONTENDERS.len(), effort) * LOADS.len() as u64
}

pub fn measure(
    server: SocketAddr,
    folder: &Path,
    effort: Effort,
    progress: &ProgressBar,
) -> io::Result<Section> {
    let mut measured = Vec::new();
    for (size, threads) in LOADS {
        let place = Place::new(server, &format!("/{size}"));
        let rows = rounds::compare(&CONTENDERS, CONNECTIONS, &place, threads, effort, progress)?;
        measured.push((size, rows));
    }
    let plot = "requests.svg";
    let bars = Bars {
        title: "GET /databases on a kept connection",
        unit: "microseconds for a request (less is better)",
        names: CONTENDERS.iter().map(|(name, _)| *name).collect(),
        groups: measured
            .iter()
            .map(|(size, rows)| {
                let times = rows.iter().map(|row| row.nanoseconds / 1e3).collect();
                (format!("{size} bytes, {}", rounds::with_threads(rows[0].threads)), times)
            })
            .collect(),
    };
    bars.draw(&folder.join(plot)).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Section {
        title: "Requests",
        about: "GET /databases over 10 kept connections, to a server in another process. The raw loop \
                sends one constant text and knows just enough HTTP to find the body; it and libcurl \
                take their connections from a shelf with a lock. ureq's agent and reqwest use their own \
                pools, which keep one connection for each thread; reqwest has a client and a runtime for \
                each thread, and blocking it has one client for all. All peers read the names with \
                serde_json. \
                \"ours\" is this library's time divided by the other's, on the clock and of the \
                processor in the program, so below 1 it is ahead.",
        head: vec!["", "bytes", "threads", "µs", "user µs", "system µs", "ours", "ours, user"],
        rows: measured
            .iter()
            .flat_map(|(size, rows)| rows.iter().map(|row| cells(*size, row)))
            .collect(),
        aims: aims(&measured),
        plots: vec![plot.to_owned()],
        data: serde_json::to_value(&measured)?,
    })
}

fn cells(size: usize, row: &Row) -> Vec<String> {
    let ratio = |ratio: f64| {
        if row.name == CONTENDERS[0].0 { String::new() } else { format!("{ratio:.2}") }
    };
    let micros = |nanoseconds: f64| format!("{:.1}", nanoseconds / 1e3);
    vec![
        row.name.to_owned(),
        size.to_string(),
        row.threads.to_string(),
        micros(row.nanoseconds),
        micros(row.user_nanoseconds),
        micros(row.system_nanoseconds),
        ratio(row.time_ratio),
        ratio(row.user_ratio),
    ]
}

fn aims(measured: &[(usize, Vec<Row>)]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for (size, rows) in measured {
        let [_, raw, curl, others @ ..] = rows.as_slice() else { continue };
        let load = format!("{size} bytes, {}", rounds::with_threads(raw.threads));
        if raw.threads == 1 {
            let what = format!("{load}: user time, times the raw loop's");
            aims.push(Aim::at_most(what, raw.user_ratio, 1.3));
            let what = format!("{load}: time, times libcurl's");
            aims.push(Aim::at_most(what, curl.time_ratio, 1.0));
        }
        if *size == 30 {
            let what = format!("{load}: rate, part of the raw loop's");
            aims.push(Aim::at_least(what, 1.0 / raw.time_ratio, 0.9));
        }
        for other in others {
            let what = format!("{load}: time, times {}'s", other.name);
            aims.push(Aim::at_most(what, other.time_ratio, 1.0));
        }
    }
    aims
}
