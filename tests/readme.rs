//! The Rust program of the README is the example that is built, and it runs.

mod support;

use std::process::Command;

use phantomdb::{Options, Pool, Request};
use support::devserver::DevServer;

#[test]
fn the_quick_start_in_rust_runs_its_query() {
    let readme = include_str!("../README.md");
    let shown = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("../examples/rust/start.rs")));

    let server = DevServer::start();
    let options = Options { base_url: server.url().to_owned(), ..Options::default() };
    let pool = Pool::new(options).unwrap();
    pool.request(&Request::create_database("shop").unwrap()).unwrap();
    let output = Command::new(support::devserver::built("examples/start"))
        .arg(server.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
}
