//! Runs the scenarios through the agents; README.md says how both are made.
//!
//! `contract [--only LANGUAGE] [--page FILE [--write]] [PART OF A NAME]`

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::{env, fs, thread};

use phantomdb_contract::agent::Agent;
use phantomdb_contract::column::{self, Column};
use phantomdb_contract::scenario::{self, Scenario};
use phantomdb_contract::{play, table};

/// How many scenarios run at once for one language; each has a process of the agent to itself.
const AT_ONCE: usize = 3;

struct Wanted {
    only: Option<String>,
    page: Option<String>,
    write: bool,
    part: String,
}

struct Failure {
    language: String,
    scenario: String,
    why: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("contract: {why}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Wanted, String> {
    let mut wanted = Wanted { only: None, page: None, write: false, part: String::new() };
    let mut given = env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--only" => wanted.only = Some(given.next().ok_or("--only which language?")?),
            "--page" => wanted.page = Some(given.next().ok_or("--page which file?")?),
            "--write" => wanted.write = true,
            part => wanted.part = part.to_owned(),
        }
    }
    Ok(wanted)
}

fn run() -> Result<bool, String> {
    let wanted = arguments()?;
    let folder = Path::new("tests/contract");
    let scenarios = scenario::read_all(&folder.join("scenarios"))?;
    let mut columns = column::read_all(folder)?;
    for column in &columns {
        let known = |(feature, _): &&(String, String)| {
            !scenarios.iter().any(|scenario| scenario.needs.contains(feature))
        };
        if let Some((feature, _)) = column.language.lacks.iter().find(known) {
            return Err(format!(
                "no scenario needs {feature}, which {} lacks",
                column.language.name
            ));
        }
    }
    if let Some(only) = &wanted.only {
        columns.retain(|column| column.language.name == *only);
    }
    if columns.is_empty() {
        return Err("there is no such language".to_owned());
    }
    let chosen: Vec<_> = scenarios.iter().filter(|it| it.name.contains(&wanted.part)).collect();

    let failures = Mutex::new(Vec::new());
    let passed: usize = thread::scope(|scope| {
        let runs: Vec<_> = columns
            .iter()
            .map(|column| scope.spawn(|| run_column(column, &chosen, &failures)))
            .collect();
        runs.into_iter().map(|run| run.join().expect("a run does not panic")).sum()
    });

    let mut failures = failures.into_inner().expect("nobody panics with it");
    failures.sort_by(|one, other| {
        (&one.scenario, &one.language).cmp(&(&other.scenario, &other.language))
    });
    for failure in &failures {
        println!("FAILED  {}: {}\n        {}", failure.language, failure.scenario, failure.why);
    }
    let mut failed = failures.len();
    let mut passed = passed;
    let languages: Vec<_> = columns.iter().map(|column| &column.language).collect();
    if let (Some(path), true) = (&wanted.page, failed == 0) {
        let shown: Vec<_> = chosen.into_iter().filter(|it| it.must_fail.is_none()).collect();
        let page = table::page(&shown, &languages);
        if wanted.write {
            fs::write(path, page).map_err(|error| format!("{path}: {error}"))?;
        } else if fs::read_to_string(path).unwrap_or_default() == page {
            passed += 1;
        } else {
            println!("FAILED  {path} is out of date: run `make contract-table` and commit it");
            failed += 1;
        }
    }
    println!("contract: {passed} passed, {failed} failed");
    Ok(failed == 0 && passed > 0)
}

/// Runs all scenarios that a language can; gives how many passed.
fn run_column(column: &Column, scenarios: &[&Scenario], failures: &Mutex<Vec<Failure>>) -> usize {
    let able = scenarios.iter().filter(|scenario| column.language.misses(scenario).is_none());
    let queue: Mutex<VecDeque<_>> = Mutex::new(able.copied().collect());
    let take = || queue.lock().expect("nobody panics with it").pop_front();
    let worker = || {
        let mut agent = None;
        let mut passed = 0;
        while let Some(scenario) = take() {
            match run_one(scenario, &mut agent, &column.command) {
                Ok(()) => passed += 1,
                Err(why) => {
                    // Whatever state it is in.
                    agent = None;
                    failures.lock().expect("nobody panics with it").push(Failure {
                        language: column.language.name.clone(),
                        scenario: scenario.name.clone(),
                        why,
                    });
                }
            }
        }
        passed
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|it| it.join().expect("a worker does not panic")).sum()
    })
}

fn run_one(scenario: &Scenario, agent: &mut Option<Agent>, command: &str) -> Result<(), String> {
    let agent = match agent {
        Some(agent) => agent,
        None => agent.insert(Agent::start(command)?),
    };
    play::play(scenario, agent)
}
