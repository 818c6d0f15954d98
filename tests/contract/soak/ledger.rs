//! What is in the tables, beside what their writers were told.

use std::collections::HashMap;

use phantomdb::internal::Request;
use phantomdb::{Options, Pool};
use phantomdb_contract::json::Json;

use crate::worker::Worker;

pub const DATABASE: &str = "soak";

/// How many rows are asked for at once.
const PAGE: u64 = 20_000;

/// The table of the worker with this number.
pub fn table(number: usize) -> String {
    format!("of_{number}")
}

fn ask(url: &str, request: phantomdb::Result<Request>) -> Result<Json, String> {
    let ask = || {
        let pool = Pool::new(Options { base_url: url.to_owned(), ..Options::default() })?;
        pool.request(&request?)?.text().map(str::to_owned)
    };
    Json::parse(&ask().map_err(|error| error.to_string())?)
}

/// Makes the table for a worker.
pub fn make(url: &str, number: usize) -> Result<(), String> {
    if number == 0 {
        ask(url, Request::create_database(DATABASE))?;
    }
    // Nothing keeps a number from being there twice.
    let columns = r#"[{"name":"n","type":"integer"}]"#;
    ask(url, Request::create_table(DATABASE, &table(number), columns)).map(drop)
}

/// How often each number is there.
fn found(url: &str, worker: &Worker) -> Result<HashMap<u64, u32>, String> {
    let mut found = HashMap::new();
    let sql = format!("SELECT n FROM {} WHERE n >= ? AND n < ?", table(worker.number()));
    for start in (0..=worker.attempted()).step_by(PAGE as usize) {
        let bounds = format!("[{start},{}]", start + PAGE);
        let response = ask(url, Request::execute_query(DATABASE, &sql, Some(&bounds)))?;
        let rows = response.get("rows").and_then(Json::list).ok_or("a response has no rows")?;
        for row in rows {
            let number = row.list().and_then(|cells| cells.first()).and_then(Json::number);
            *found.entry(number.ok_or("a row has no number")? as u64).or_default() += 1;
        }
    }
    Ok(found)
}

/// Complaints about rows that are missing, or there more than once.
pub fn check(url: &str, worker: &Worker) -> Result<Vec<String>, String> {
    let found = found(url, worker)?;
    let name = worker.name();
    let lost = worker.acknowledged().iter().filter(|number| !found.contains_key(number)).count();
    let twice = found.values().filter(|count| **count > 1).count();
    let foreign = found.keys().filter(|number| **number >= worker.attempted()).count();
    let mut complaints = Vec::new();
    for (count, what) in [
        (lost, "acknowledged and not found"),
        (twice, "found more than once"),
        (foreign, "found and never sent"),
    ] {
        if count > 0 {
            complaints.push(format!("{name}: {count} rows were {what}"));
        }
    }
    Ok(complaints)
}
