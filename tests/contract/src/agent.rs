//! An agent: a program that carries out commands with one binding; README.md has its protocol.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::json::Json;

/// Longer than anything in the scenarios takes, so that a hang fails instead of passing late.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a command came to.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// Its value, or the error's members.
    pub outcome: Result<Json, Json>,
    /// Replies that came earlier have smaller numbers.
    pub order: usize,
    /// When it came.
    pub at: Instant,
}

/// A running agent; ends when it is dropped.
pub struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    inbox: Arc<Inbox>,
    threads: Vec<JoinHandle<()>>,
    last: u64,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    responses: HashMap<u64, RawResponse>,
    count: usize,
    /// Why no response will come any more.
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
        let inbox = Arc::new(Inbox::default());
        let output = child.stdout.take().expect("it is piped");
        let complaints = child.stderr.take().expect("it is piped");
        let (of_output, of_complaints) = (inbox.clone(), inbox.clone());
        let threads = vec![
            thread::spawn(move || of_output.read_replies(BufReader::new(output))),
            thread::spawn(move || of_complaints.read_complaints(BufReader::new(complaints))),
        ];
        Ok(Agent { input: child.stdin.take(), child, inbox, threads, last: 0 })
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
            Err(error) => Err(self.inbox.why_broken(&error.to_string())),
        }
    }

    /// The reply to a command, if there is one.
    pub fn response(&self, id: u64) -> Option<RawResponse> {
        self.inbox.state.lock().unwrap().responses.get(&id).cloned()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for replies, for `timeout` at most; they are forgotten here.
    pub fn take_replies(&self, timeout: Duration) -> Result<HashMap<u64, RawResponse>, String> {
        let (mut state, _) = self
            .inbox
            .changed
            .wait_timeout_while(self.inbox.state.lock().unwrap(), timeout, |state| {
                state.responses.is_empty() && state.broken.is_none()
            })
            .unwrap();
        if state.responses.is_empty() && state.broken.is_some() {
            drop(state);
            return Err(self.inbox.why_broken("the agent ended"));
        }
        Ok(std::mem::take(&mut state.responses))
    }

    /// Waits for the response to a command.
    pub fn wait(&self, id: u64) -> Result<RawResponse, String> {
        let (state, timeout) = self
            .inbox
            .changed
            .wait_timeout_while(self.inbox.state.lock().unwrap(), PATIENCE, |state| {
                !state.responses.contains_key(&id) && state.broken.is_none()
            })
            .unwrap();
        if let Some(response) = state.responses.get(&id) {
            return Ok(response.clone());
        }
        drop(state);
        let why = if timeout.timed_out() { "no reply came" } else { "the agent ended" };
        Err(self.inbox.why_broken(why))
    }
}

impl Inbox {
    fn read_replies(&self, output: impl BufRead) {
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
            match read_reply(&line) {
                Ok((id, outcome)) => {
                    let mut state = self.state.lock().unwrap();
                    state.count += 1;
                    let order = state.count;
                    if state.responses.insert(id, RawResponse { outcome, order, at }).is_some() {
                        state.broken = Some(format!("two replies to command {id}"));
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

fn read_reply(line: &str) -> Result<(u64, Result<Json, Json>), String> {
    let response = Json::parse(line)?;
    let id = response.get("id").and_then(Json::number).ok_or("no id")? as u64;
    if let Some(text) = response.get("text").and_then(Json::text) {
        return Ok((id, Ok(Json::parse(text).unwrap_or_else(|_| text.into()))));
    }
    if let Some(error) = response.get("error") {
        return Ok((id, Err(error.clone())));
    }
    response
        .get("ok")
        .cloned()
        .map(|value| (id, Ok(value)))
        .ok_or("neither ok nor error".to_owned())
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
