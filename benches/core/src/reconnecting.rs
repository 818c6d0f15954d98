//! What a pool is for: requests on kept connections, and each on one of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::contender::{self, Open, Place};
use crate::devserver::Devserver;
use crate::plots::Bars;
use crate::proxy;
use crate::report::Section;
use crate::rounds::{self, Effort, Row};

const DELAYS: [u64; 3] = [0, 1, 10];
const CONTENDERS: [(&str, Open); 2] = [
    ("pool", contender::request_phantomdb),
    ("a connection for each request", contender::request_reconnecting),
];

pub fn turns(effort: Effort) -> u64 {
    rounds::turns(CONTENDERS.len(), effort) * DELAYS.len() as u64 * 2
}

pub fn measure(
    plain: SocketAddr,
    secure: &Devserver,
    folder: &Path,
    effort: Effort,
    progress: &ProgressBar,
) -> io::Result<Section> {
    let mut measured: Vec<(String, Vec<Row>)> = Vec::new();
    for ca_file in [None, Some(secure.ca_file.clone())] {
        let server = if ca_file.is_some() { secure.address } else { plain };
        for delay in DELAYS {
            let address = match delay {
                0 => server,
                _ => proxy::start(server, Duration::from_millis(delay))?,
            };
            let place = Place { address, path: String::new(), ca_file: ca_file.clone() };
            let kind = if ca_file.is_some() { "TLS" } else { "plain" };
            let rows = rounds::compare(&CONTENDERS, 4, &place, 1, effort, progress)?;
            measured.push((format!("{kind}, {delay} ms"), rows));
        }
    }
    let plot = "reconnecting.svg";
    let bars = Bars {
        title: "A request, by the network's round trip",
        unit: "microseconds (less is better)",
        names: CONTENDERS.iter().map(|(name, _)| *name).collect(),
        groups: measured
            .iter()
            .map(|(case, rows)| {
                (case.clone(), rows.iter().map(|row| row.nanoseconds / 1e3).collect())
            })
            .collect(),
    };
    bars.draw(&folder.join(plot)).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Section {
        title: "Pool or a connection for each request",
        about: "GET /databases, one after the other: from the pool, and each on a connection that is \
                opened for it and closed. The delay is that of a round trip, by a proxy (none at 0 ms); \
                opening a connection costs one, TLS another. The pool's gain is the ratio.",
        head: vec!["", "pool µs", "new connection µs", "gain"],
        rows: measured
            .iter()
            .map(|(case, rows)| {
                let micros = |row: &Row| format!("{:.0}", row.nanoseconds / 1e3);
                let gain = format!("{:.1}", 1.0 / rows[1].time_ratio);
                vec![case.clone(), micros(&rows[0]), micros(&rows[1]), gain]
            })
            .collect(),
        aims: Vec::new(),
        plots: vec![plot.to_owned()],
        data: serde_json::to_value(&measured)?,
    })
}
