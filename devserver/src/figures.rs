//! What the server counts about itself.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

/// Counters since the start of the server.
#[derive(Debug)]
pub struct Figures {
    started: Instant,
    connections_open: AtomicU64,
    connections_peak: AtomicU64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    requests_total: AtomicU64,
    requests_in_flight: AtomicU64,
    inserts_acknowledged: AtomicU64,
}

/// What is counted elsewhere.
#[derive(Debug)]
pub struct Now {
    /// Databases that exist.
    pub databases: usize,
    /// Transactions that are open.
    pub transactions: usize,
    /// Bytes of the request bodies at hand.
    pub body_bytes: usize,
}

/// One figure, as `/stats` and `/metrics` show it.
struct Figure {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: u64,
}

/// Counts one TCP connection for as long as it exists.
#[derive(Debug)]
pub struct OpenConnection(Arc<Figures>);

/// Counts one request from its head to the end of its response.
#[derive(Debug)]
pub struct RequestInFlight(Arc<Figures>);

impl Default for Figures {
    fn default() -> Self {
        Self::new()
    }
}

impl Figures {
    /// All zero, the clock running.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            connections_open: AtomicU64::new(0),
            connections_peak: AtomicU64::new(0),
            connections_accepted: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            requests_total: AtomicU64::new(0),
            requests_in_flight: AtomicU64::new(0),
            inserts_acknowledged: AtomicU64::new(0),
        }
    }

    /// Counts a connection that was just accepted.
    pub fn connection(self: &Arc<Self>) -> OpenConnection {
        self.connections_accepted.fetch_add(1, SeqCst);
        let open = self.connections_open.fetch_add(1, SeqCst) + 1;
        self.connections_peak.fetch_max(open, SeqCst);
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection beyond those that may be open.
    pub fn refused(&self) {
        self.connections_refused.fetch_add(1, SeqCst);
    }

    /// Counts a request whose head has arrived.
    pub fn request(self: &Arc<Self>) -> RequestInFlight {
        self.requests_total.fetch_add(1, SeqCst);
        self.requests_in_flight.fetch_add(1, SeqCst);
        RequestInFlight(Arc::clone(self))
    }

    /// Counts rows whose insert is about to be acknowledged.
    pub fn inserted(&self, rows: u64) {
        self.inserts_acknowledged.fetch_add(rows, SeqCst);
    }

    /// The figures as an object.
    pub fn to_json(&self, now: &Now) -> Value {
        let mut stats = json!({});
        for figure in self.list(now) {
            stats[figure.name] = figure.value.into();
        }
        stats["uptime_seconds"] = self.started.elapsed().as_secs_f64().into();
        stats
    }

    /// The figures in Prometheus' text format.
    pub fn to_prometheus(&self, now: &Now) -> String {
        let mut text = String::new();
        for Figure { name, kind, help, value } in self.list(now) {
            // Prometheus wants every counter to say so in its name.
            let total = if kind == "counter" && !name.ends_with("_total") { "_total" } else { "" };
            let name = format!("phantomdb_devserver_{name}{total}");
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
        text
    }

    fn list(&self, now: &Now) -> [Figure; 10] {
        let figure = |name, kind, help, value| Figure { name, kind, help, value };
        let read = |counter: &AtomicU64| counter.load(SeqCst);
        [
            figure(
                "connections_open",
                "gauge",
                "TCP connections open now",
                read(&self.connections_open),
            ),
            figure(
                "connections_peak",
                "gauge",
                "Most TCP connections ever open at once",
                read(&self.connections_peak),
            ),
            figure(
                "connections_accepted",
                "counter",
                "TCP connections accepted",
                read(&self.connections_accepted),
            ),
            figure(
                "connections_refused",
                "counter",
                "TCP connections turned away because too many were open",
                read(&self.connections_refused),
            ),
            figure(
                "requests_total",
                "counter",
                "Requests begun, this one included",
                read(&self.requests_total),
            ),
            figure(
                "requests_in_flight",
                "gauge",
                "Requests without a complete response yet, this one included",
                read(&self.requests_in_flight),
            ),
            figure(
                "inserts_acknowledged",
                "counter",
                "Rows acknowledged by the insert routes",
                read(&self.inserts_acknowledged),
            ),
            figure(
                "body_bytes",
                "gauge",
                "Bytes of request bodies held in memory now",
                now.body_bytes as u64,
            ),
            figure("transactions_open", "gauge", "Transactions open now", now.transactions as u64),
            figure("databases", "gauge", "Databases that exist now", now.databases as u64),
        ]
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, SeqCst);
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.requests_in_flight.fetch_sub(1, SeqCst);
    }
}
