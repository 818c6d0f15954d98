//! An agent at work: it writes numbers, and remembers which it was told are written.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use phantomdb_contract::agent::{Agent, Report, WAIT_LIMIT};
use phantomdb_contract::column::Column;
use phantomdb_contract::json::Json;

use crate::ledger::{DATABASE, table};

/// Calls under way at once; more than there are connections, so that some wait.
const AT_ONCE: usize = 8;
const CONNECTIONS: usize = 4;

/// The pause after a call that failed: a writer is in no hurry while the server is away.
const PAUSE: Duration = Duration::from_millis(20);

/// How errors may be called that befall a pool whose server is in trouble.
const EXPECTED: [&str; 6] =
    ["CANCELLED", "CONNECTION_LOST", "HTTP", "OVERLOADED", "TIMEOUT", "UNAVAILABLE"];

enum Call {
    Insert(u64),
    /// Its client has this name.
    Acquire(String),
    Other,
}

/// An agent at work.
pub struct Worker {
    name: String,
    number: usize,
    agent: Agent,
    can_cancel: bool,
    chance: fastrand::Rng,
    under_way: HashMap<u64, Call>,
    attempted: u64,
    acknowledged: Vec<u64>,
    errors: BTreeMap<String, u64>,
    /// The first of those that should not be.
    strange: Option<String>,
    clients: u64,
}

impl Worker {
    /// Starts an agent with a pool.
    pub fn start(column: &Column, number: usize, url: &str, seed: u64) -> Result<Worker, String> {
        let mut agent = Agent::start(&column.command)?;
        let options = Json::object([
            ("base_url", url.into()),
            ("max_connections", CONNECTIONS.into()),
            ("acquire_timeout", 3000.into()),
            ("request_timeout", 2000.into()),
            ("connect_timeout", 1000.into()),
        ]);
        let create =
            Json::object([("do", "create".into()), ("as", "pool".into()), ("options", options)]);
        let id = agent.send(create)?;
        let name = column.language.name.clone();
        if let Err(error) = agent.wait(id)?.outcome {
            return Err(format!("{name}: {error}"));
        }
        agent.take_reports(Duration::ZERO)?;
        Ok(Worker {
            name,
            number,
            agent,
            can_cancel: !column.language.lacks.iter().any(|(feature, _)| feature == "cancel"),
            chance: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
            under_way: HashMap::new(),
            attempted: 0,
            acknowledged: Vec::new(),
            errors: BTreeMap::new(),
            strange: None,
            clients: 0,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn number(&self) -> usize {
        self.number
    }

    pub fn process(&self) -> u32 {
        self.agent.process()
    }

    /// How many numbers it wanted to write: all below this.
    pub fn attempted(&self) -> u64 {
        self.attempted
    }

    /// The numbers that are written, as it was told.
    pub fn acknowledged(&self) -> &[u64] {
        &self.acknowledged
    }

    /// How often which error befell it.
    pub fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// What should not have happened.
    pub fn complaints(&self) -> Option<String> {
        let strange = self.strange.as_ref().map(|error| format!("{}: {error}", self.name));
        let idle = self.acknowledged.is_empty().then(|| format!("{}: wrote nothing", self.name));
        strange.or(idle)
    }

    /// Works until it is over, and until nothing is under way any more.
    pub fn run(&mut self, is_over: &AtomicBool) -> Result<(), String> {
        let mut pause = Instant::now();
        let mut heard = Instant::now();
        loop {
            let goes_on = !is_over.load(Ordering::SeqCst);
            if goes_on && pause <= Instant::now() {
                while self.under_way.len() < AT_ONCE {
                    self.begin()?;
                }
            }
            if !goes_on && self.under_way.is_empty() {
                return Ok(());
            }
            let reports = self.agent.take_reports(PAUSE).map_err(|why| self.says(&why))?;
            if !reports.is_empty() {
                heard = Instant::now();
            } else if !self.under_way.is_empty() && heard.elapsed() > WAIT_LIMIT {
                return Err(self.says(&format!("{} calls never came back", self.under_way.len())));
            }
            for (id, report) in reports {
                if self.end(id, report)? {
                    pause = Instant::now() + PAUSE;
                }
            }
        }
    }

    fn says(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }

    fn send(&mut self, command: Json, call: Call) -> Result<u64, String> {
        let id = self.agent.send(command).map_err(|why| self.says(&why))?;
        self.under_way.insert(id, call);
        Ok(id)
    }

    fn begin(&mut self) -> Result<(), String> {
        let command = |name: &'static str| ("do", Json::from(name));
        match self.chance.u32(0..20) {
            0 => self.send(Json::object([command("status")]), Call::Other).map(drop),
            1 | 2 => {
                // Few names: some agents remember each.
                self.clients = (self.clients + 1) % 64;
                let name = format!("client {}", self.clients);
                let acquire = Json::object([command("acquire"), ("as", name.as_str().into())]);
                self.send(acquire, Call::Acquire(name)).map(drop)
            }
            luck => {
                let number = self.attempted;
                self.attempted += 1;
                let row = format!("{{\"n\":{number}}}");
                let arguments = [DATABASE.into(), table(self.number).into(), row.into()];
                let insert = Json::object([
                    command("run"),
                    ("operation", "insert".into()),
                    ("arguments", Json::List(arguments.into())),
                ]);
                let id = self.send(insert, Call::Insert(number))?;
                if luck == 3 && self.can_cancel {
                    let cancel = [command("cancel"), ("call", Json::Number(id.to_string()))];
                    self.send(Json::object(cancel), Call::Other)?;
                }
                Ok(())
            }
        }
    }

    /// Notes what a call came to; true if it failed.
    fn end(&mut self, id: u64, report: Report) -> Result<bool, String> {
        let call =
            self.under_way.remove(&id).ok_or_else(|| self.says("two reports to one call"))?;
        match (report.outcome, call) {
            (Ok(_), Call::Insert(number)) => self.acknowledged.push(number),
            (Ok(_), Call::Acquire(name)) => {
                let release = [("do", "release".into()), ("on", name.into())];
                self.send(Json::object(release), Call::Other)?;
            }
            (Ok(_), Call::Other) => {}
            (Err(error), _) => {
                let code = error.get("code").and_then(Json::text).unwrap_or("no code").to_owned();
                if !EXPECTED.contains(&code.as_str()) {
                    self.strange.get_or_insert_with(|| error.to_string());
                }
                let is_failure = code != "CANCELLED";
                *self.errors.entry(code).or_default() += 1;
                return Ok(is_failure);
            }
        }
        Ok(false)
    }

    /// Closes its pool.
    pub fn close(&mut self) -> Result<(), String> {
        let id = self.agent.send(Json::object([("do", "close".into())]))?;
        self.agent.wait(id)?.outcome.map(drop).map_err(|error| self.says(&error.to_string()))
    }
}
