//! The agent for the Rust crate's calls that do not wait.

mod rust_lines;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use phantomdb::internal::{CallbackPool, ConnectionQueue, Ticket};
use phantomdb::{Lease, Response, Result, Secret};
use rust_lines::{Command, Log, unknown};
use serde_json::{Value, json};

/// What the driver has given names to.
#[derive(Default)]
struct Things {
    pools: HashMap<String, (Arc<CallbackPool>, Log)>,
    /// Each with its pool.
    queues: HashMap<String, (Arc<CallbackPool>, Arc<ConnectionQueue>)>,
    tickets: BTreeMap<u64, Arc<Ticket>>,
}

/// So many of the latest are kept: what is older is over.
const TICKETS: usize = 1 << 10;

static THINGS: Mutex<Option<Things>> = Mutex::new(None);

struct Guard(MutexGuard<'static, Option<Things>>);

fn things() -> Guard {
    Guard(THINGS.lock().expect("nobody panics with it"))
}

impl Guard {
    fn all(&mut self) -> &mut Things {
        self.0.get_or_insert_default()
    }

    fn pool(&mut self, name: &str) -> Result<Arc<CallbackPool>> {
        self.all().pools.get(name).map(|(pool, _)| pool.clone()).ok_or_else(|| unknown(name))
    }

    fn ticket(&mut self, command: &Command) -> Arc<Ticket> {
        let ticket = Ticket::new();
        let tickets = &mut self.all().tickets;
        tickets.insert(command.id(), ticket.clone());
        if tickets.len() > TICKETS {
            tickets.pop_first();
        }
        ticket
    }
}

fn main() {
    for command in Command::all() {
        let command = Arc::new(command);
        if let Err(error) = carry_out(&command) {
            command.fail(&error);
        }
    }
}

fn carry_out(command: &Arc<Command>) -> Result<()> {
    let on = command.on();
    match command.word("do") {
        "create" => {
            let (options, log) = command.options();
            let pool = Arc::new(CallbackPool::new(options)?);
            things().all().pools.insert(command.word("as").to_owned(), (pool, log));
            command.succeed(Value::Null);
        }
        "acquire" => {
            let pool = things().pool(on)?;
            let ticket = things().ticket(command);
            let (of_callback, its_pool) = (command.clone(), pool.clone());
            pool.acquire(command.time("timeout"), &ticket, move |outcome| match outcome {
                Ok(lease) => keep(&of_callback, its_pool, lease),
                Err(error) => of_callback.fail(&error),
            })?;
        }
        "try_acquire" => {
            let pool = things().pool(on)?;
            let lease = pool.pool().try_acquire()?;
            keep(command, pool, lease);
        }
        "release" | "discard" => {
            let (_, queue) = things().all().queues.remove(on).ok_or_else(|| unknown(on))?;
            if command.word("do") == "discard" {
                queue.lease().mark_discarded();
            }
            drop(queue);
            command.succeed(Value::Null);
        }
        "run" | "request" => send(command)?,
        "cancel" => {
            let call = command.number("call").expect("a call");
            let ticket = things().all().tickets.get(&call).cloned();
            command.tell(ticket.map_or(Ok(()), |ticket| ticket.cancel()));
        }
        "interrupt" => {
            let (_, queue) = things().all().queues.get(on).cloned().ok_or_else(|| unknown(on))?;
            queue.lease().cancel();
            command.succeed(Value::Null);
        }
        "status" => {
            let status = things().pool(on)?.pool().status();
            command.succeed(rust_lines::status(status));
        }
        "stats" => {
            let stats = things().pool(on)?.pool().stats_json();
            command.say(&stats);
        }
        "metrics" => {
            let metrics = things().pool(on)?.pool().metrics();
            command.succeed(metrics.into());
        }
        "log" => {
            let log = things().all().pools.get(on).ok_or_else(|| unknown(on))?.1.clone();
            let messages = log.lock().unwrap().clone();
            command.succeed(json!(messages));
        }
        "reset" => {
            things().pool(on)?.pool().reset();
            command.succeed(Value::Null);
        }
        "resize" => {
            let pool = things().pool(on)?;
            let bound = |name| command.number(name).expect("a bound") as u32;
            command.tell(pool.pool().resize(bound("min"), bound("max")));
        }
        "set_token" => {
            let pool = things().pool(on)?;
            command.tell(pool.pool().set_token(command.text("token").map(Secret::new)));
        }
        "close" => {
            let (pool, command) = (things().pool(on)?, command.clone());
            // It waits, and the next command must not.
            thread::spawn(move || {
                command.tell(match command.time("timeout") {
                    Some(timeout) => pool.close_within(timeout),
                    None => pool.close(),
                });
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

fn keep(command: &Command, pool: Arc<CallbackPool>, lease: Lease) {
    if let Some(owner) = command.text("owner") {
        lease.set_owner(owner);
    }
    things()
        .all()
        .queues
        .insert(command.word("as").to_owned(), (pool, ConnectionQueue::new(lease)));
    command.succeed(Value::Null);
}

fn send(command: &Arc<Command>) -> Result<()> {
    let request = command.request()?;
    let ticket = things().ticket(command);
    let of_callback = command.clone();
    let done = move |outcome: Result<Response>| match outcome {
        Ok(response) => match response.text() {
            Ok(text) => of_callback.say(text),
            Err(error) => of_callback.fail(&error),
        },
        Err(error) => of_callback.fail(&error),
    };
    let queue = things().all().queues.get(command.on()).cloned();
    match queue {
        Some((pool, queue)) => pool.run_on(&queue, request, &ticket, done),
        None => {
            let pool = things().pool(command.on())?;
            pool.run(request, &ticket, done)
        }
    }
}
