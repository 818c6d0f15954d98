//! Plays one scenario with one agent.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::agent::{Agent, Report, WAIT_LIMIT};
use crate::devserver::DevServer;
use crate::json::Json;
use crate::pattern;
use crate::scenario::{Kind, Scenario};
use crate::server::{self, Server};
use crate::step::{Action, Check, Step};

/// Longer than a line of HTTP may be.
const LONG: usize = 100_000;

/// Between two looks at what tells nobody when it changes.
const PAUSE: Duration = Duration::from_millis(2);

enum Host {
    Scripted(Server),
    Dev(DevServer),
}

/// A command that was begun.
struct Call {
    id: u64,
    since: Instant,
}

struct Play<'a> {
    agent: &'a mut Agent,
    host: Host,
    calls: HashMap<String, Call>,
    /// What texts like `{url}` stand for.
    words: HashMap<String, String>,
}

/// Plays it; says why it failed.
pub fn play(scenario: &Scenario, agent: &mut Agent) -> Result<(), String> {
    let host = match scenario.server {
        Kind::Scripted => Host::Scripted(Server::start()),
        Kind::Dev => Host::Dev(DevServer::start(scenario.tls, &scenario.arguments)?),
    };
    let mut words = HashMap::from([("long".to_owned(), "x".repeat(LONG))]);
    match &host {
        Host::Scripted(server) => {
            words.insert("url".to_owned(), format!("http://{}", server.address()));
            words.insert("host".to_owned(), server.address().to_string());
        }
        Host::Dev(server) => {
            words.insert("url".to_owned(), server.url().to_owned());
            words.insert("certificate".to_owned(), server.certificate());
        }
    }
    let mut play = Play { agent, host, calls: HashMap::new(), words };
    let outcome = play.all(scenario);
    match (&scenario.must_fail, outcome) {
        (None, outcome) => outcome,
        (Some(part), Err(why)) if why.contains(part) => play.end(),
        (Some(part), Err(why)) => Err(format!("it fails, but not with {part:?}: {why}")),
        (Some(_), Ok(())) => Err("it must fail, and did not".to_owned()),
    }
}

impl Play<'_> {
    fn all(&mut self, scenario: &Scenario) -> Result<(), String> {
        if scenario.options != Json::Null {
            let make = [("do", "create".into()), ("as", "pool".into())];
            let mut make = Json::object(make);
            let mut options = scenario.options.clone();
            if let Json::Object(members) = &mut options {
                members.entry("base_url".to_owned()).or_insert("{url}".into());
            }
            if let Json::Object(members) = &mut make {
                members.insert("options".to_owned(), options);
            }
            self.carry_out(&make, &Check { repeat: 1, ..Check::default() })
                .map_err(|why| format!("the pool can't be made: {why}"))?;
        }
        for (index, step) in scenario.steps.iter().enumerate() {
            for n in 1..=step.check.repeat {
                self.words.insert("n".to_owned(), n.to_string());
                self.step(step)
                    .map_err(|why| format!("step {} {}: {why}", index + 1, step.source))?;
            }
        }
        self.end()
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Do(command) => self.carry_out(command, &step.check),
            Action::Start(command, name) => {
                let name = self.fill_in(name);
                let call = self.begin(command)?;
                self.calls.insert(name, call);
                Ok(())
            }
            Action::Await(name) => {
                let call = self.call(name)?;
                let report = self.agent.wait(call.id)?;
                self.judge(&report, call.since, &step.check)
            }
            Action::Until(command) => {
                let wait_limit = Instant::now() + WAIT_LIMIT;
                loop {
                    match self.carry_out(command, &step.check) {
                        Err(_) if Instant::now() < wait_limit => thread::sleep(PAUSE),
                        outcome => return outcome.map_err(|why| format!("never: {why}")),
                    }
                }
            }
            Action::Pending(names) => {
                for name in names {
                    if let Some(report) = self.agent.report(self.call(name)?.id) {
                        return Err(format!("{name} is over: {}", shown(&report)));
                    }
                }
                Ok(())
            }
            Action::Order(names) => {
                let mut orders = Vec::new();
                for name in names {
                    let report = self.agent.report(self.call(name)?.id);
                    orders.push(report.ok_or_else(|| format!("{name} is not over"))?.order);
                }
                if orders.is_sorted() {
                    return Ok(());
                }
                Err(format!("they ended in another order: as reports {orders:?}"))
            }
            Action::Cancel(name) => {
                let id = self.call(name)?.id;
                let cancel = [("do", "cancel".into()), ("call", Json::Number(id.to_string()))];
                self.carry_out(&Json::object(cancel), &Check::default())
            }
        }
    }

    fn call(&self, name: &str) -> Result<&Call, String> {
        let name = self.fill_in(name);
        self.calls.get(&name).ok_or_else(|| format!("there is no call {name}"))
    }

    fn begin(&mut self, command: &Json) -> Result<Call, String> {
        let command = command.clone().map_texts(&|text| self.fill_in(text));
        let since = Instant::now();
        Ok(Call { id: self.agent.send(command)?, since })
    }

    fn carry_out(&mut self, command: &Json, check: &Check) -> Result<(), String> {
        let name = command.get("do").and_then(Json::text).unwrap_or_default().to_owned();
        if let Some(order) = name.strip_prefix("server ") {
            let value = self.order(order, command)?;
            let Some(expected) = &check.expect else { return Ok(()) };
            return pattern::check(&expected.clone().map_texts(&|text| self.fill_in(text)), &value);
        }
        let call = self.begin(command)?;
        let report = self.agent.wait(call.id)?;
        self.judge(&report, call.since, check)
    }

    /// Tells the server something; gives what it has seen.
    fn order(&mut self, order: &str, command: &Json) -> Result<Json, String> {
        let command = command.clone().map_texts(&|text| self.fill_in(text));
        match (&mut self.host, order) {
            (Host::Scripted(server), "respond") => {
                let Json::Object(mut rule) = command else { unreachable!("commands are objects") };
                rule.remove("do");
                if let Some(name) = rule.keys().find(|it| !server::RULE.contains(&it.as_str())) {
                    return Err(format!("a rule has no {name}"));
                }
                server.respond(Json::Object(rule));
            }
            (Host::Scripted(server), "release") => {
                let name = command.get("hold").and_then(Json::text).ok_or("release which hold?")?;
                let count = command.get("count").and_then(Json::number);
                server.release(name, count.map(|count| count as usize));
            }
            (Host::Scripted(server), "figures") => return Ok(server.figures()),
            (Host::Scripted(server), "refuse") => server.refuse(),
            (Host::Scripted(server), "cut") => server.cut(),
            (Host::Scripted(server), "stop") => {
                server.refuse();
                server.cut();
            }
            (Host::Scripted(server), "start") => server.restart(),
            (Host::Dev(server), "stop") => server.kill(),
            (Host::Dev(server), "start") => server.run()?,
            _ => return Err("this server does not do that".to_owned()),
        }
        Ok(Json::Null)
    }

    fn judge(&mut self, report: &Report, since: Instant, check: &Check) -> Result<(), String> {
        let value = match (&report.outcome, &check.error) {
            (Ok(value), None) => value,
            (Err(error), Some(expected)) => {
                let expected = expected.clone().map_texts(&|text| self.fill_in(text));
                let expected = match expected {
                    Json::Text(_) => Json::object([("code", expected)]),
                    expected => expected,
                };
                pattern::check(&expected, error)?;
                &Json::Null
            }
            (Ok(value), Some(error)) => return Err(format!("expected error {error}, got {value}")),
            (Err(error), None) => return Err(format!("failed: {error}")),
        };
        if let Some(expected) = &check.expect {
            pattern::check(&expected.clone().map_texts(&|text| self.fill_in(text)), value)?;
        }
        let took = report.at.saturating_duration_since(since).as_secs_f64() * 1000.0;
        if check.at_least.is_some_and(|least| took < least) {
            return Err(format!("it took {took:.1} ms only"));
        }
        if check.at_most.is_some_and(|most| took > most) {
            return Err(format!("it took {took:.1} ms"));
        }
        for (name, member) in &check.save {
            let saved = value.get(member).ok_or_else(|| format!("{value} has no {member}"))?;
            let saved = saved.text().map_or_else(|| saved.to_string(), str::to_owned);
            self.words.insert(name.clone(), saved);
        }
        Ok(())
    }

    /// The agent closes what it has; every command is over then, and no socket is left.
    fn end(&mut self) -> Result<(), String> {
        let id = self.agent.send(Json::object([("do", "end".into())]))?;
        let report = self.agent.wait(id).map_err(|why| format!("at the end: {why}"))?;
        if let Err(error) = report.outcome {
            return Err(format!("at the end: {error}"));
        }
        for (name, call) in &self.calls {
            self.agent.wait(call.id).map_err(|why| format!("at the end, {name}: {why}"))?;
        }
        if let Host::Scripted(server) = &self.host {
            let wait_limit = Instant::now() + WAIT_LIMIT;
            while server.figures().get("open") != Some(&Json::from(0)) {
                if Instant::now() > wait_limit {
                    return Err("at the end: connections are left open".to_owned());
                }
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn fill_in(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (word, meaning) in &self.words {
            if filled.contains('{') {
                filled = filled.replace(&format!("{{{word}}}"), meaning);
            }
        }
        filled
    }
}

fn shown(report: &Report) -> String {
    match &report.outcome {
        Ok(value) => value.to_string(),
        Err(error) => format!("error {error}"),
    }
}
