//! The agent for the Rust crate: calls that wait, each on a thread of its own.

mod rust_lines;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use phantomdb::{Lease, Pool, Request, Response, Result, Secret};
use rust_lines::{Command, Log, unknown};
use serde_json::{Value, json};

/// What the driver has given names to.
#[derive(Default)]
struct Things {
    pools: HashMap<String, (Arc<Pool>, Log)>,
    leases: HashMap<String, Arc<Lease>>,
}

static THINGS: Mutex<Option<Things>> = Mutex::new(None);

struct Guard(MutexGuard<'static, Option<Things>>);

fn things() -> Guard {
    Guard(THINGS.lock().expect("nobody panics with it"))
}

impl Guard {
    fn all(&mut self) -> &mut Things {
        self.0.get_or_insert_default()
    }

    fn pool(&mut self, name: &str) -> Result<Arc<Pool>> {
        self.all().pools.get(name).map(|(pool, _)| pool.clone()).ok_or_else(|| unknown(name))
    }

    fn lease(&mut self, name: &str) -> Result<Arc<Lease>> {
        self.all().leases.get(name).cloned().ok_or_else(|| unknown(name))
    }
}

fn main() {
    for command in Command::all() {
        thread::spawn(move || {
            if let Err(error) = carry_out(&command) {
                command.fail(&error);
            }
        });
    }
}

fn carry_out(command: &Command) -> Result<()> {
    let on = command.on();
    match command.word("do") {
        "create" => {
            let (options, log) = command.options();
            let pool = Arc::new(Pool::new(options)?);
            things().all().pools.insert(command.word("as").to_owned(), (pool, log));
            command.succeed(Value::Null);
        }
        "acquire" => {
            let pool = things().pool(on)?;
            keep(
                command,
                match command.time("timeout") {
                    Some(timeout) => pool.acquire_timeout(timeout)?,
                    None => pool.acquire()?,
                },
            );
        }
        "try_acquire" => {
            let pool = things().pool(on)?;
            keep(command, pool.try_acquire()?);
        }
        "release" => {
            let lease = things().all().leases.remove(on).ok_or_else(|| unknown(on))?;
            drop(lease);
            command.succeed(Value::Null);
        }
        "discard" => {
            let lease = things().all().leases.remove(on).ok_or_else(|| unknown(on))?;
            lease.mark_discarded();
            drop(lease);
            command.succeed(Value::Null);
        }
        "run" | "request" => {
            let response = send(on, &command.request()?)?;
            command.say(response.text()?);
        }
        "interrupt" => {
            things().lease(on)?.cancel();
            command.succeed(Value::Null);
        }
        "status" => {
            let status = things().pool(on)?.status();
            command.succeed(rust_lines::status(status));
        }
        "stats" => {
            let stats = things().pool(on)?.stats_json();
            command.say(&stats);
        }
        "metrics" => {
            let metrics = things().pool(on)?.metrics();
            command.succeed(metrics.into());
        }
        "log" => {
            let log = things().all().pools.get(on).ok_or_else(|| unknown(on))?.1.clone();
            let messages = log.lock().unwrap().clone();
            command.succeed(json!(messages));
        }
        "reset" => {
            things().pool(on)?.reset();
            command.succeed(Value::Null);
        }
        "resize" => {
            let pool = things().pool(on)?;
            let bound = |name| command.number(name).expect("a bound") as u32;
            command.tell(pool.resize(bound("min"), bound("max")));
        }
        "set_token" => {
            let pool = things().pool(on)?;
            command.tell(pool.set_token(command.text("token").map(Secret::new)));
        }
        "close" => {
            let pool = things().pool(on)?;
            command.tell(match command.time("timeout") {
                Some(timeout) => pool.close_within(timeout),
                None => pool.close(),
            });
        }
        "end" => {
            let all = things().0.take().unwrap_or_default();
            for (pool, _) in all.pools.values() {
                pool.close_within(Duration::ZERO)?;
            }
            command.succeed(Value::Null);
        }
        other => panic!("there is no command {other}"),
    }
    Ok(())
}

fn keep(command: &Command, lease: Lease) {
    if let Some(owner) = command.text("owner") {
        lease.set_owner(owner);
    }
    things().all().leases.insert(command.word("as").to_owned(), Arc::new(lease));
    command.succeed(Value::Null);
}

fn send(on: &str, request: &Request) -> Result<Response> {
    let lease = things().all().leases.get(on).cloned();
    match lease {
        Some(lease) => lease.request(request),
        None => {
            let pool = things().pool(on)?;
            pool.request(request)
        }
    }
}
