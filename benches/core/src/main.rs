//! Measures libphantomdb beside its peers in one run, and writes a report.
//!
//!     phantomdb-bench FOLDER [--quick] [--bindings] [SECTION...]    the report into FOLDER
//!
//! The sections, all if none is named: acquires, handoff, requests, beside, counts, reconnecting, scale. With
//! `--bindings` it takes in what their own benches have left in FOLDER.

mod acquires;
mod beside;
mod bindings;
mod contender;
mod counts;
mod devserver;
mod handoff;
mod http_clients;
mod parse;
mod peers;
mod plots;
mod proxy;
mod reconnecting;
mod report;
mod requests;
mod rounds;
mod scale;
mod server;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use contender::Place;
use devserver::Devserver;
use report::Report;
use rounds::Effort;
use server::Server;

const THOROUGH: Effort = Effort { rounds: 15, turn: Duration::from_millis(200) };
const QUICK: Effort = Effort { rounds: 5, turn: Duration::from_millis(40) };

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["once", what, name, times, server] => Ok(counts::do_it(what, name, times, server)?),
        ["serve"] => Ok(server::serve()?),
        [folder, wanted @ ..] => {
            let is_asked = |option: &str| wanted.contains(&option);
            let effort = if is_asked("--quick") { QUICK } else { THOROUGH };
            let only: Vec<_> =
                wanted.iter().copied().filter(|word| !word.starts_with("--")).collect();
            run(Path::new(folder), effort, &only, is_asked("--bindings"))
        }
        [] => Err("usage: phantomdb-bench FOLDER [--quick] [--bindings] [SECTION...]".into()),
    }
}

fn run(
    folder: &Path,
    effort: Effort,
    only: &[&str],
    has_bindings: bool,
) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    more_descriptors();
    let server = Server::start()?;
    let program = env::var("DEVSERVER").map_err(|_| "DEVSERVER: run `make bench`")?;
    let secure = Devserver::start(&program, folder)?;
    let style = "{elapsed_precise} [{bar:40}] {pos}/{len} {msg}";
    let turns = [
        ("acquires", acquires::turns(effort)),
        ("handoff", 1),
        ("requests", requests::turns(effort)),
        ("beside", beside::turns()),
        ("counts", counts::turns()),
        ("reconnecting", reconnecting::turns(effort)),
        ("scale", scale::turns()),
    ];
    let is_wanted = |name: &str| only.is_empty() || only.contains(&name);
    let wanted = turns.iter().filter(|(name, _)| is_wanted(name));
    let progress = ProgressBar::new(wanted.clone().map(|(_, turns)| turns).sum())
        .with_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    let place = Place::new(server.address, "");
    let mut report = Report {
        library: env::var("VERSION").unwrap_or_default(),
        machine: machine(),
        sections: wanted
            .map(|(name, _)| match *name {
                "acquires" => acquires::measure(&place, folder, effort, &progress),
                "handoff" => {
                    handoff::measure(server.address, effort.rounds as u32 * 400, &progress)
                }
                "requests" => requests::measure(server.address, folder, effort, &progress),
                "beside" => beside::measure(effort.rounds as u32 * 4, &progress),
                "counts" => counts::measure(server.address, &progress),
                "reconnecting" => {
                    reconnecting::measure(server.address, &secure, folder, effort, &progress)
                }
                _ => scale::measure(server.address, &secure, folder, &progress),
            })
            .collect::<Result<_, _>>()?,
    };
    progress.finish_and_clear();
    if has_bindings {
        report.sections.extend(bindings::sections(folder)?);
    }
    report.write(folder)?;
    println!(
        "{}\nThe report with its plots: {}",
        report.markdown(),
        folder.join("report.html").display()
    );
    Ok(())
}

/// As many open files as the system lets this process, and its server, have.
fn more_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to `limit`, which outlives the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

/// Says what it was measured on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {}, Linux {}; medians over rounds in which all had their turn.",
        model.unwrap_or("an unknown processor"),
        kernel.split('-').next().unwrap_or_default().trim()
    )
}
