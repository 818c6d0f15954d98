//! What the library is made of besides its own code: where it comes from, on which terms, and that
//! docs/architecture.md says why.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

/// Terms that a program of any kind can keep when it links the library.
const TERMS: [&str; 8] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The header's generator runs at build only, and nothing of it is in the library.
const OF_TOOLS: (&str, &str) = ("cbindgen", "MPL-2.0");

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo knows of the packages that are used on this kind of machine.
fn metadata() -> Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--all-features"])
        .args(["--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().unwrap().iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The packages that are linked into the library, by their ids.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"], "nodes").map(|node| (text(node, "id"), node)).collect();
    let is_own = |package: &&Value| text(package, "name") == "phantomdb";
    let own = list(metadata, "packages").find(is_own).unwrap();
    let mut found = BTreeSet::new();
    let mut ahead = vec![text(own, "id")];
    while let Some(id) = ahead.pop() {
        for dependency in list(nodes[id], "deps") {
            let is_linked = list(dependency, "dep_kinds").any(|it| it["kind"].is_null());
            if is_linked && found.insert(text(dependency, "pkg").to_owned()) {
                ahead.push(text(dependency, "pkg"));
            }
        }
    }
    found
}

#[test]
fn every_dependency_comes_from_the_registry_on_terms_that_all_can_keep() {
    let is_fine = |wanted: &LicenseReq| {
        wanted.license.id().is_some_and(|license| TERMS.contains(&license.name))
    };
    for package in list(&metadata(), "packages").filter(|it| !it["source"].is_null()) {
        let (name, license) = (text(package, "name"), text(package, "license"));
        assert_eq!(text(package, "source"), REGISTRY, "{name}");
        if (name, license) == OF_TOOLS {
            continue;
        }
        let terms = Expression::parse_mode(license, ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: {license:?}: {error}"));
        assert!(terms.evaluate(is_fine), "{name} is under {license:?}");
    }
}

#[test]
fn no_package_is_linked_twice_in_two_versions() {
    let metadata = metadata();
    let linked = linked(&metadata);
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in list(&metadata, "packages").filter(|it| linked.contains(text(it, "id"))) {
        versions.entry(text(package, "name")).or_default().insert(text(package, "version"));
    }
    assert!(versions.contains_key("rustls"));
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "{versions:?}");
}

#[test]
fn the_documentation_says_why_each_dependency_was_chosen() {
    let metadata = metadata();
    let architecture = include_str!("../docs/architecture.md");
    let (_, chosen) = architecture.split_once("## Chosen parts").unwrap();
    for package in list(&metadata, "packages").filter(|it| it["source"].is_null()) {
        // The development server's smaller parts are its own affair.
        if text(package, "name") != "phantomdb" {
            continue;
        }
        for dependency in list(package, "dependencies") {
            let name = text(dependency, "name");
            assert!(chosen.contains(name), "{name} is not in docs/architecture.md");
        }
    }
}
