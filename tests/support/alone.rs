//! Tests that need a process of their own.

use std::env;
use std::process::Command;

const SELECTED: &str = "PHANTOMDB_TEST_ALONE";

/// Runs the test of this name, which calls this, once more in a process of its own, and `body`
/// only there.
pub fn alone(name: &str, body: impl FnOnce()) {
    if env::var(SELECTED).is_ok_and(|selected| selected == name) {
        return body();
    }
    let program = env::current_exe().expect("a test knows its own path");
    let output = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads", "1"])
        .env(SELECTED, name)
        .output()
        .expect("the test program starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("1 passed"), "{name} was not found, or failed:\n{text}");
}
