//! What the bindings' own benches measured, which ran before and left it in the folder as JSON.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::plots::Bars;
use crate::report::{Aim, Section};

/// A binding's bench: its file, its heading, and the file of its plot.
struct Bench {
    file: &'static str,
    title: &'static str,
    plot: &'static str,
    aims: &'static [Wanted],
}

/// At least so many times a peer's rate, with so many at once.
struct Wanted {
    what: &'static str,
    at_once: u32,
    peer: &'static str,
    least: f64,
}

const fn at_least(what: &'static str, at_once: u32, peer: &'static str, least: f64) -> Wanted {
    Wanted { what, at_once, peer, least }
}

const REQUESTS: &str = "requests";
const ACQUIRES: &str = "acquires";

const BENCHES: [Bench; 3] = [
    Bench {
        file: "node.json",
        title: "Node.js",
        plot: "node.svg",
        aims: &[
            at_least(REQUESTS, 10, "undici", 1.0),
            at_least(REQUESTS, 64, "undici", 1.0),
            at_least(REQUESTS, 10, "fetch", 2.0),
            at_least(REQUESTS, 64, "fetch", 2.0),
        ],
    },
    Bench {
        file: "go.json",
        title: "Go",
        plot: "go.svg",
        aims: &[
            at_least(REQUESTS, 10, "net/http", 1.0),
            at_least(REQUESTS, 64, "net/http", 1.0),
            at_least(ACQUIRES, 64, "puddle", 1.0),
        ],
    },
    Bench {
        file: "python.json",
        title: "Python",
        plot: "python.svg",
        aims: &[
            at_least(REQUESTS, 8, "requests", 5.0),
            at_least(REQUESTS, 8, "urllib3", 2.0),
            at_least(ACQUIRES, 1, "QueuePool", 1.0),
            at_least(ACQUIRES, 1, "psycopg_pool", 1.0),
            at_least(ACQUIRES, 8, "QueuePool", 1.0),
            at_least(ACQUIRES, 8, "psycopg_pool", 1.0),
        ],
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    runtime: String,
    results: Vec<Figure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    what: String,
    at_once: u32,
    name: String,
    /// A second; none if it failed.
    rate: Option<f64>,
    /// Of the processor, for one.
    cpu_microseconds: Option<f64>,
    /// This library's rate, divided by this one.
    ours: Option<f64>,
}

/// One section for each binding.
pub fn sections(folder: &Path) -> Result<Vec<Section>, Box<dyn Error>> {
    BENCHES.iter().map(|bench| section(bench, folder)).collect()
}

fn section(bench: &Bench, folder: &Path) -> Result<Section, Box<dyn Error>> {
    let path = folder.join(bench.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let data: Value = serde_json::from_str(&text)?;
    let measured = Measured::deserialize(&data)?;
    draw(bench, &measured, folder)?;
    Ok(Section {
        title: bench.title,
        about: "Requests (GET /databases) through 10 connections, and pairs of an acquire and a release \
                on a pool of 10: this library's binding beside what else the language has, so many \
                at once. \"ours\" is this library's rate divided by the other's, so above 1 it is ahead.",
        head: vec!["", "what", "at once", "a second", "µs of processor", "ours"],
        rows: measured.results.iter().map(cells).collect(),
        aims: bench.aims.iter().map(|wanted| aim(wanted, &measured)).collect(),
        plots: vec![bench.plot.to_owned()],
        data,
    })
}

fn cells(figure: &Figure) -> Vec<String> {
    let ours = figure.ours.filter(|_| figure.name != "phantomdb");
    vec![
        figure.name.clone(),
        figure.what.clone(),
        figure.at_once.to_string(),
        figure.rate.map_or_else(|| "failed".to_owned(), |rate| format!("{rate:.0}")),
        figure.cpu_microseconds.map_or_else(String::new, |it| format!("{it:.1}")),
        ours.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
    ]
}

fn aim(wanted: &Wanted, measured: &Measured) -> Aim {
    let Wanted { what, at_once, peer, least } = wanted;
    let figure = measured
        .results
        .iter()
        .find(|figure| figure.what == *what && figure.at_once == *at_once && figure.name == *peer);
    let what = format!("{what}, {at_once} at once: times as fast as {peer}");
    Aim::at_least(what, figure.and_then(|figure| figure.ours).unwrap_or(f64::NAN), *least)
}

fn draw(bench: &Bench, measured: &Measured, folder: &Path) -> Result<(), Box<dyn Error>> {
    let requests = || measured.results.iter().filter(|figure| figure.what == REQUESTS);
    let mut loads: Vec<u32> = requests().map(|figure| figure.at_once).collect();
    loads.dedup();
    let of = |load: u32| requests().filter(move |figure| figure.at_once == load);
    let names = of(loads[0]).map(|figure| figure.name.as_str()).collect();
    let groups = loads.iter().map(|load| {
        (
            format!("{load} at once"),
            of(*load).map(|figure| figure.rate.unwrap_or(f64::NAN)).collect(),
        )
    });
    let bars = Bars {
        title: &format!("Requests through 10 connections, {}", measured.runtime),
        unit: "requests a second (more is better)",
        names,
        groups: groups.collect(),
    };
    bars.draw(&folder.join(bench.plot))
}
