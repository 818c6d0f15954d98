//! What the two agents for Rust share: commands, reports and options.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phantomdb::{Code, Error, LogLevel, Logger, Operation, Options, Request, Result, Secret};
use phantomdb::{Status, Validation};
use serde_json::{Value, json};

/// What a pool has logged: level and message.
pub type Log = Arc<Mutex<Vec<(String, String)>>>;

/// One line of the driver's.
pub struct Command(Value);

impl Command {
    /// Every command that comes, until the driver has no more.
    pub fn all() -> impl Iterator<Item = Command> {
        std::io::stdin().lines().map(|line| {
            Command(serde_json::from_str(&line.expect("a line")).expect("the driver writes JSON"))
        })
    }

    pub fn id(&self) -> u64 {
        self.0["id"].as_u64().expect("each has a number")
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    /// A text that has to be there.
    pub fn word(&self, name: &str) -> &str {
        self.text(name).unwrap_or_else(|| panic!("{} has no {name}", self.0))
    }

    /// The name of the pool or client that it is for.
    pub fn on(&self) -> &str {
        self.text("on").unwrap_or("pool")
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.0[name].as_u64()
    }

    pub fn time(&self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    /// The request that `run` or `request` asks for.
    pub fn request(&self) -> Result<Request> {
        if self.word("do") == "request" {
            let body = self.text("body").map(str::as_bytes);
            return Request::raw(self.word("method"), self.word("path"), body);
        }
        let name = self.word("operation");
        let operation = Operation::ALL.iter().find(|it| it.name() == name).expect("it exists");
        let arguments = self.0["arguments"].as_array().expect("they are a list");
        let arguments: Vec<_> = arguments.iter().map(Value::as_str).collect();
        operation.request(&arguments)
    }

    /// The options of the pool to make, and where it logs.
    pub fn options(&self) -> (Options, Log) {
        let log = Log::default();
        let mut options = Options::default();
        for (name, value) in self.0["options"].as_object().expect("an object") {
            set(&mut options, name, value, &log);
        }
        (options, log)
    }

    pub fn succeed(&self, value: Value) {
        print(&json!({ "id": self.id(), "ok": value }));
    }

    pub fn say(&self, text: &str) {
        print(&json!({ "id": self.id(), "text": text }));
    }

    pub fn fail(&self, error: &Error) {
        let after = error.retry_after().map_or(0, |after| after.as_millis() as u64);
        let error = json!({
            "code": error.code().name(),
            "status": error.http_status().unwrap_or(0),
            "retriable": error.is_retriable(),
            "retry_after": after,
            "message": error.message(),
        });
        print(&json!({ "id": self.id(), "error": error }));
    }

    /// Tells what a call without a value came to.
    pub fn tell(&self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.succeed(Value::Null),
            Err(error) => self.fail(&error),
        }
    }
}

fn print(line: &Value) {
    let mut output = std::io::stdout().lock();
    // Nobody reads any more, if this fails.
    let _ = writeln!(output, "{line}");
}

/// The error of a name that stands for nothing.
pub fn unknown(name: &str) -> Error {
    Error::new(Code::InvalidHandle, format!("{name}: there is no such thing"))
}

pub fn status(status: Status) -> Value {
    json!({
        "available": status.available,
        "used": status.used,
        "pending": status.pending,
        "total": status.total,
        "min": status.min,
        "max": status.max,
    })
}

fn set(options: &mut Options, name: &str, value: &Value, log: &Log) {
    let text = || value.as_str().expect("a text").to_owned();
    let count = || value.as_u64().and_then(|it| u32::try_from(it).ok()).expect("a count");
    let time = || Duration::from_millis(value.as_u64().expect("a time"));
    match name {
        "base_url" => options.base_url = text(),
        "token" => options.token = Some(Secret::new(text())),
        "min_connections" => options.min_connections = count(),
        "max_connections" => options.max_connections = count(),
        "max_connecting" => options.max_connecting = count(),
        "max_waiters" => options.max_waiters = count(),
        "acquire_timeout" => options.acquire_timeout = time(),
        "idle_timeout" => options.idle_timeout = time(),
        "max_lifetime" => options.max_lifetime = time(),
        "validate_after" => options.validate_after = time(),
        "validation_timeout" => options.validation_timeout = time(),
        "request_timeout" => options.request_timeout = time(),
        "connect_timeout" => options.connect_timeout = time(),
        "close_timeout" => options.close_timeout = time(),
        "leak_threshold" => options.leak_threshold = time(),
        "max_response_bytes" => options.max_response_bytes = value.as_u64().expect("a size"),
        "preconnect" => options.preconnect = value.as_bool().expect("a flag"),
        "tls_ca_file" => options.tls_ca_file = Some(text().into()),
        "tls_cert_file" => options.tls_cert_file = Some(text().into()),
        "tls_key_file" => options.tls_key_file = Some(text().into()),
        "validation" => {
            options.validation = match text().as_str() {
                "socket" => Validation::Socket,
                "ping" => Validation::Ping,
                "none" => Validation::None,
                other => panic!("there is no validation {other}"),
            };
        }
        "log" => {
            let log = log.clone();
            options.log = Some(Logger::new(move |level, message| {
                let level = match level {
                    LogLevel::Info => "info",
                    LogLevel::Warning => "warning",
                };
                log.lock().unwrap().push((level.to_owned(), message.to_owned()));
            }));
        }
        other => panic!("there is no option {other}"),
    }
}
