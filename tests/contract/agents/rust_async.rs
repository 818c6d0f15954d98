//! The agent for the Rust crate's futures: this thread polls each for the first time, so that calls
//! begin in the order of their commands, and another one polls those that are woken.

mod rust_lines;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Wake};
use std::thread;
use std::time::Duration;

use phantomdb::{AsyncLease, AsyncPool, Code, Error, Response, Result, Secret};
use rust_lines::{Command, Log, unknown};
use serde_json::{Value, json};

/// What the driver has given names to.
#[derive(Default)]
struct Things {
    pools: HashMap<String, (AsyncPool, Log)>,
    leases: HashMap<String, AsyncLease>,
    tasks: BTreeMap<u64, Arc<Task>>,
}

/// So many of the latest are kept: what is older is over.
const TASKS: usize = 1 << 10;

/// A command that is being carried out.
struct Task {
    command: Arc<Command>,
    /// `None` once it is over or cancelled.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: Sender<Arc<Task>>,
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

    fn pool(&mut self, name: &str) -> Result<AsyncPool> {
        self.all().pools.get(name).map(|(pool, _)| pool.clone()).ok_or_else(|| unknown(name))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // It fails only when the agent ends.
        let _ = self.woken.send(self.clone());
    }
}

impl Task {
    fn poll(self: &Arc<Self>) {
        let mut future = self.future.lock().expect("nobody panics with it");
        let waker = self.clone().into();
        if let Some(running) = &mut *future {
            if running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *future = None;
            }
        }
    }

    /// Drops the future, which cancels its call.
    fn cancel(&self) {
        let future = self.future.lock().expect("nobody panics with it").take();
        if future.is_some() {
            drop(future);
            self.command.fail(&Error::new(Code::Cancelled, "The future was dropped"));
        }
    }
}

fn main() {
    let (woken, tasks) = mpsc::channel::<Arc<Task>>();
    thread::spawn(move || tasks.iter().for_each(|task| task.poll()));
    for command in Command::all() {
        let command = Arc::new(command);
        if let Err(error) = carry_out(&command, &woken) {
            command.fail(&error);
        }
    }
}

/// Begins what has to wait, and tells what it comes to.
fn start(
    command: &Arc<Command>,
    woken: &Sender<Arc<Task>>,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let (command, woken) = (command.clone(), woken.clone());
    let future = Mutex::new(Some(Box::pin(work) as Pin<Box<dyn Future<Output = ()> + Send>>));
    let task = Arc::new(Task { command, future, woken });
    let mut things = things();
    let tasks = &mut things.all().tasks;
    tasks.insert(task.command.id(), task.clone());
    if tasks.len() > TASKS {
        tasks.pop_first();
    }
    drop(things);
    task.poll();
}

fn carry_out(command: &Arc<Command>, woken: &Sender<Arc<Task>>) -> Result<()> {
    let on = command.on();
    let told = command.clone();
    match command.word("do") {
        "create" => {
            let (options, log) = command.options();
            let pool = AsyncPool::new(options)?;
            things().all().pools.insert(command.word("as").to_owned(), (pool, log));
            command.succeed(Value::Null);
        }
        "acquire" => {
            let pool = things().pool(on)?;
            start(command, woken, async move {
                let acquired = match told.time("timeout") {
                    Some(timeout) => pool.acquire_timeout(timeout).await,
                    None => pool.acquire().await,
                };
                match acquired {
                    Ok(lease) => keep(&told, lease),
                    Err(error) => told.fail(&error),
                }
            });
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
            lease.discard();
            command.succeed(Value::Null);
        }
        "run" | "request" => {
            let request = command.request()?;
            let mut things = things();
            let response: Pin<Box<dyn Future<Output = Result<Response>> + Send>> =
                match things.all().leases.get(on) {
                    Some(lease) => Box::pin(lease.request(request)),
                    None => Box::pin(things.pool(on)?.request(request)),
                };
            drop(things);
            start(command, woken, async move { tell(&told, response.await) });
        }
        "cancel" => {
            let call = command.number("call").expect("a call");
            let task = things().all().tasks.get(&call).cloned();
            if let Some(task) = task {
                task.cancel();
            }
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
            let pool = things().pool(on)?;
            start(command, woken, async move {
                told.tell(match told.time("timeout") {
                    Some(timeout) => pool.close_within(timeout).await,
                    None => pool.close().await,
                });
            });
        }
        "end" => {
            let all = things().0.take().unwrap_or_default();
            start(command, woken, async move {
                for (pool, _) in all.pools.values() {
                    if let Err(error) = pool.close_within(Duration::ZERO).await {
                        return told.fail(&error);
                    }
                }
                told.succeed(Value::Null);
            });
        }
        other => panic!("there is no command {other}"),
    }
    Ok(())
}

fn keep(command: &Command, lease: AsyncLease) {
    if let Some(owner) = command.text("owner") {
        lease.set_owner(owner);
    }
    things().all().leases.insert(command.word("as").to_owned(), lease);
    command.succeed(Value::Null);
}

fn tell(command: &Command, outcome: Result<Response>) {
    match outcome.as_ref().map(Response::text) {
        Ok(Ok(text)) => command.say(text),
        Ok(Err(error)) => command.fail(&error),
        Err(error) => command.fail(error),
    }
}
