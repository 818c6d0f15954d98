//! docs/rules.md lists each rule of the pool with the tests that prove it, and stays true; the tests
//! and files that SECURITY.md names are there.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const RULES: [&str; 22] = [
    "Capacity: open, opening and closing sockets never exceed the maximum, as the server counts them",
    "Conservation: each slot is in exactly one state, and the states sum to the total",
    "Deadline: one absolute deadline spans waiting, dialling, validation and retry",
    "Try never blocks and makes no network round trip",
    "Order: waiters are served first come, first served; the connection used last is next",
    "Wake-up: every freed slot serves exactly one live waiter, and no wake-up is lost",
    "Cancel returns at once from any state and loses no connection",
    "A waiter takes whichever comes first, a returned connection or a new one",
    "At most max_connecting dials at once: growth, refill and recovery alike",
    "Outage: back-off, one probe at a time, callers told the cause at once, recovery by itself",
    "Back-pressure: past max_waiters callers are refused at once",
    "Release never blocks, does no network I/O in the caller and never fails for a live lease",
    "Clean reuse: what is unread, half-sent, broken or in a transaction is never handed on",
    "Validation before hand-out; a dead connection is replaced within the same acquire",
    "Retry: only what did not reach the server or only reads, once, within its deadline",
    "Lifetime: retired with jitter, replaced before retirement drops capacity",
    "Idle: the surplus closes within idle_timeout + 1 s, the minimum is refilled",
    "Reset and resize act live, under rules 1 and 2",
    "Close: idempotent, waiters fail at once, leases are cut after close_timeout, nothing remains",
    "Fork: a child finds the pool empty and usable, and the parent notices nothing",
    "Diagnosis: overdue leases are counted and reported with age and owner",
    "Statistics: each acquire is exactly one outcome; status, JSON and OpenMetrics",
];

#[test]
fn docs_rules_md_lists_the_tests_of_each_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = page(&tests_by_rule(root));
    let path = root.join("docs/rules.md");
    if std::env::var_os("PHANTOMDB_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/rules.md is out of date: run `make rules` and commit it");
}

#[test]
fn what_security_md_names_as_shown_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<String> = sources(root, &["src", "tests", "devserver"])
        .iter()
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect();
    let page = include_str!("../SECURITY.md");
    let mut tests = 0;
    for name in page.split('`').skip(1).step_by(2) {
        if name.contains('/') && !name.contains(':') {
            assert!(root.join(name).exists(), "{name} is not there");
        } else if name.matches('_').count() > 2 && !name.contains('(') {
            let function = format!("fn {name}()");
            assert!(sources.iter().any(|text| text.contains(&function)), "no test {name}");
            tests += 1;
        }
    }
    assert!(tests > 10, "{tests} tests are named");
}

/// All source files in these folders, in order.
fn sources(root: &Path, folders: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    files
}

/// The tests whose names begin with `rule_NN_`, with the files that hold them.
fn tests_by_rule(root: &Path) -> BTreeMap<usize, BTreeMap<String, Vec<String>>> {
    let files = sources(root, &["src", "tests"]);
    let mut rules: BTreeMap<usize, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for path in files {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        for test in fs::read_to_string(&path).unwrap_or_default().lines().filter_map(test_name) {
            let rule: usize = test[5..7].parse().expect("rule_NN_ has two digits");
            assert!((1..=RULES.len()).contains(&rule), "{name}: there is no rule {rule}");
            rules.entry(rule).or_default().entry(name.clone()).or_default().push(test.to_owned());
        }
    }
    rules
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs" || it == "c" || it == "cpp") {
            files.push(path);
        }
    }
}

/// `rule_05_what` of a line that begins a Rust or C function of that name.
fn test_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("static ").unwrap_or(line);
    let rest = line.strip_prefix("fn ").or_else(|| line.strip_prefix("void "))?;
    let name = rest.split('(').next()?;
    name.starts_with("rule_").then_some(name)
}

fn page(rules: &BTreeMap<usize, BTreeMap<String, Vec<String>>>) -> String {
    let mut page = String::from(
        "# The rules of the pool, and the tests that prove them\n\n\
         Made by `tests/rules.rs` from the names of the tests; `make test` fails if it is out of date,\n\
         or if a rule has no test. Beside these, the simulation (`src/pool/simulation/`) checks rules 1,\n\
         2, 5, 6, 8, 9, 10, 13 and 17 after each of its steps, whatever happens.\n",
    );
    for (index, rule) in RULES.iter().enumerate() {
        let number = index + 1;
        let files = rules.get(&number).unwrap_or_else(|| panic!("rule {number} has no test"));
        write!(page, "\n## {number}. {rule}\n\n").unwrap();
        for (file, tests) in files {
            for test in tests {
                let words = test[8..].replace('_', " ");
                writeln!(page, "- {words} (`{file}`)").unwrap();
            }
        }
    }
    page
}
