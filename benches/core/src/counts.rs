//! What one costs in instructions: no other program on the machine can disturb that.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::process::Command;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::acquires;
use crate::contender::{Open, Place};
use crate::report::{Aim, Section};
use crate::requests;

const CONNECTIONS: usize = 10;
/// Each runs twice, so often; the difference is what one costs.
const TIMES: [u64; 2] = [100, 600];

#[derive(Serialize)]
struct Row {
    what: &'static str,
    name: &'static str,
    instructions: f64,
}

const KINDS: [(&str, &[(&str, Open)]); 2] =
    [("acquire", &acquires::CONTENDERS), ("request", &requests::CONTENDERS)];

pub fn turns() -> u64 {
    KINDS.iter().map(|(_, contenders)| contenders.len() as u64).sum()
}

pub fn measure(server: SocketAddr, progress: &ProgressBar) -> io::Result<Section> {
    let mut rows = Vec::new();
    for (what, contenders) in KINDS {
        for (name, _) in contenders {
            progress.set_message(format!("instructions: {what}, {name}"));
            let [few, many] = TIMES.map(|times| count(what, name, times, server));
            let instructions = (many? - few?) / (TIMES[1] - TIMES[0]) as f64;
            rows.push(Row { what, name, instructions });
            progress.inc(1);
        }
    }
    let of = |what: &str, name: &str| {
        let row = rows.iter().find(|row| row.what == what && row.name == name);
        row.map_or(f64::NAN, |row| row.instructions)
    };
    let ratio = of("request", "phantomdb") / of("request", "raw sockets");
    let beside_curl = of("request", "phantomdb") / of("request", "libcurl");
    let cells = |row: &Row| {
        let ours = of(row.what, "phantomdb") / row.instructions;
        let ours = if row.name == "phantomdb" { String::new() } else { format!("{ours:.2}") };
        vec![format!("{}: {}", row.what, row.name), format!("{:.0}", row.instructions), ours]
    };
    Ok(Section {
        title: "Instructions",
        about: "Of the program, in user mode, for an acquire with its release, and for a request with an \
                response of 30 bytes; counted by valgrind's callgrind. \"ours\" is this library's count divided \
                by the other's. Locked instructions and the clock cost more than others, so this is not a \
                measure of time.",
        head: vec!["", "instructions", "ours"],
        rows: rows.iter().map(cells).collect(),
        aims: vec![
            Aim::at_most("a request, times the raw loop's", ratio, 1.3),
            Aim::at_most("a request, times libcurl's", beside_curl, 1.0),
        ],
        plots: Vec::new(),
        data: serde_json::to_value(&rows)?,
    })
}

/// Does what [`measure`] counts: the arguments are what, the contender's name, how often, and where
/// the server is.
pub fn do_it(what: &str, name: &str, times: &str, server: &str) -> io::Result<()> {
    let open = KINDS
        .iter()
        .filter(|(kind, _)| *kind == what)
        .flat_map(|(_, contenders)| contenders.iter())
        .find(|(known, _)| *known == name)
        .map(|(_, open)| open)
        .ok_or(io::ErrorKind::NotFound)?;
    let place = Place::new(server.parse().map_err(io::Error::other)?, "");
    open(CONNECTIONS, &place)?.run(times.parse().map_err(io::Error::other)?);
    Ok(())
}

fn count(what: &str, name: &str, times: u64, server: SocketAddr) -> io::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["once", what, name, &times.to_string(), &server.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split("Collected : ").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("valgrind counted nothing of {name}:\n{told}")))
}
