//! An agent: a program that carries out commands with one binding; README.md has its protocol.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::json::Json;

/// Longer than anything in the scenarios takes, so that a hang fails instead of passing late.
pub const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its value, or the error's members.
    pub outcome: Result<Json, Json>,
    /// Reports that came earlier have smaller numbers.
    pub order: usize,
    /// When it came.
    pub at: Instant,
}

/// A running agent; ends when it is dropped.
pub struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    received: Arc<Received>,
    threads: Vec<JoinHandle<()>>,
    last: u64,
}

#[derive(Default)]
struct Received {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reports: HashMap<u64, Report>,
    count: usize,
    /// Why no report will come any more.
    broken: Option<String>,
    complaints: String,
}

impl Agent {
    /// Starts it with a shell's command.
    pub fn start(command: &str) -> Result<Agent, String> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the agent does not start: {error}"))?;
        let received = Arc::new(Received::default());
        let output = child.stdout.take().expect("it is piped");
        let complaints = child.stderr.take().expect("it is piped");
        let (of_output, of_complaints) = (received.clone(), received.clone());
        let threads = vec![
            thread::spawn(move || of_output.read_reports(BufReader::new(output))),
            thread::spawn(move || of_complaints.read_complaints(BufReader::new(complaints))),
        ];
        Ok(Agent { input: child.stdin.take(), child, received, threads, last: 0 })
    }

    /// Sends a command; gives its number.
    pub fn send(&mut self, mut command: Json) -> Result<u64, String> {
        self.last += 1;
        if let Json::Object(members) = &mut command {
            members.insert("id".to_owned(), Json::Number(self.last.to_string()));
        }
        let input = self.input.as_mut().expect("it is open until the end");
        match writeln!(input, "{command}").and_then(|()| input.flush()) {
            Ok(()) => Ok(self.last),
            Err(error) => Err(self.received.why_broken(&error.to_string())),
        }
    }

    /// The report to a command, if there is one.
    pub fn report(&self, id: u64) -> Option<Report> {
        self.received.state.lock().unwrap().reports.get(&id).cloned()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for reports, for `timeout` at most; they are forgotten here.
    pub fn take_reports(&self, timeout: Duration) -> Result<HashMap<u64, Report>, String> {
        let (mut state, _) = self
            .received
            .changed
            .wait_timeout_while(self.received.state.lock().unwrap(), timeout, |state| {
                state.reports.is_empty() && state.broken.is_none()
            })
            .unwrap();
        if state.reports.is_empty() && state.broken.is_some() {
            drop(state);
            return Err(self.received.why_broken("the agent ended"));
        }
        Ok(std::mem::take(&mut state.reports))
    }

    /// Waits for the report to a command.
    pub fn wait(&self, id: u64) -> Result<Report, String> {
        let (state, timeout) = self
            .received
            .changed
            .wait_timeout_while(self.received.state.lock().unwrap(), WAIT_LIMIT, |state| {
                !state.reports.contains_key(&id) && state.broken.is_none()
            })
            .unwrap();
        if let Some(report) = state.reports.get(&id) {
            return Ok(report.clone());
        }
        drop(state);
        let why = if timeout.timed_out() { "no report came" } else { "the agent ended" };
        Err(self.received.why_broken(why))
    }
}

impl Received {
    fn read_reports(&self, output: impl BufRead) {
        let mut why = "the agent ended".to_owned();
        for line in output.lines() {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    why = format!("the agent's output can't be read: {error}");
                    break;
                }
            };
            let at = Instant::now();
            match read_report(&line) {
                Ok((id, outcome)) => {
                    let mut state = self.state.lock().unwrap();
                    state.count += 1;
                    let order = state.count;
                    if state.reports.insert(id, Report { outcome, order, at }).is_some() {
                        state.broken = Some(format!("two reports to command {id}"));
                    }
                }
                Err(error) => {
                    why = format!("the agent said {line}: {error}");
                    break;
                }
            }
            self.changed.notify_all();
        }
        self.state.lock().unwrap().broken.get_or_insert(why);
        self.changed.notify_all();
    }

    fn read_complaints(&self, mut output: impl Read) {
        let mut bytes = [0; 4096];
        while let Ok(count) = output.read(&mut bytes) {
            if count == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            self.state.lock().unwrap().complaints.push_str(&text);
        }
    }

    fn why_broken(&self, otherwise: &str) -> String {
        let state = self.state.lock().unwrap();
        let why = state.broken.as_deref().unwrap_or(otherwise);
        match state.complaints.trim() {
            "" => why.to_owned(),
            complaints => format!("{why}; it complained:\n{complaints}"),
        }
    }
}

fn read_report(line: &str) -> Result<(u64, Result<Json, Json>), String> {
    let report = Json::parse(line)?;
    let id = report.get("id").and_then(Json::number).ok_or("no id")? as u64;
    if let Some(text) = report.get("text").and_then(Json::text) {
        return Ok((id, Ok(Json::parse(text).unwrap_or_else(|_| text.into()))));
    }
    if let Some(error) = report.get("error") {
        return Ok((id, Err(error.clone())));
    }
    report.get("ok").cloned().map(|value| (id, Ok(value))).ok_or("neither ok nor error".to_owned())
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
        for thread in self.threads.drain(..) {
            thread.join().expect("a reader does not panic");
        }
    }
}
