//! CONTRIBUTING.md and docs/architecture.md name only what is there; each trace in CONTRIBUTING.md
//! leads from function to function as the code does; README.md has every option.
//!
//! A step of a trace is a line `N. FILE: FUNCTION ...`, with both in backticks and the function as
//! `Type::function` or `function`. The body of each step's function must name the next step's
//! function, unless that step begins with *then* or *else*: another thread takes it, or it does not
//! follow always.

use std::fs;
use std::path::Path;

/// One step of a trace.
#[derive(Debug)]
struct Step<'a> {
    file: &'a str,
    of_type: Option<&'a str>,
    function: &'a str,
    /// Whether the step before leads here by a call.
    is_called: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The traces: each with its heading.
fn traces(page: &str) -> Vec<(&str, Vec<&str>)> {
    let section = page.split("\n## ").find(|section| section.starts_with("Traces\n"));
    let parts = section.unwrap_or_default().split("\n### ").skip(1);
    let numbered = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
    parts
        .map(|part| {
            let title = part.lines().next().unwrap_or_default();
            (title, part.lines().filter(numbered).collect())
        })
        .collect()
}

fn parse(line: &str, number: usize) -> Result<Step<'_>, String> {
    let malformed = || format!("not a step: {line}");
    let text = line.strip_prefix(&format!("{number}. ")).ok_or_else(malformed)?;
    let not_called = text.strip_prefix("*then* ").or(text.strip_prefix("*else* "));
    let is_called = not_called.is_none();
    let mut quoted = not_called.unwrap_or(text).split('`');
    if quoted.next() != Some("") {
        return Err(malformed());
    }
    let file = quoted.next().ok_or_else(malformed)?;
    if quoted.next() != Some(": ") {
        return Err(malformed());
    }
    let name = quoted.next().ok_or_else(malformed)?;
    let (of_type, function) = match name.rsplit_once("::") {
        Some((of_type, function)) => (Some(of_type), function),
        None => (None, name),
    };
    Ok(Step { file, of_type, function, is_called })
}

/// Whether `word` stands in the text by itself.
fn names(text: &str, word: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].bytes().next_back().is_some_and(inside);
        let after = text[at + word.len()..].bytes().next().is_some_and(inside);
        !before && !after
    })
}

/// The items of a source whose first line fits, each to its closing brace, as rustfmt indents it.
fn items(source: &str, fits: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let rest = &source[at..];
        at += line.len();
        let start = line.trim_start();
        if fits(start) {
            let indent = &line[..line.len() - start.len()];
            let end = rest.find(&format!("\n{indent}}}")).unwrap_or(rest.len());
            found.push(&rest[..end]);
        }
    }
    found
}

/// The function that a step names.
fn body<'a>(step: &Step, source: &'a str) -> Result<&'a str, String> {
    let Step { file, of_type, function, .. } = *step;
    let scopes = match of_type {
        None => vec![source],
        Some(name) => items(source, |line| line.starts_with("impl") && names(line, name)),
    };
    let starts = [format!("fn {function}("), format!("fn {function}<")];
    let is_it = |line: &str| starts.iter().any(|start| line.contains(start));
    let found = scopes.into_iter().find_map(|scope| items(scope, is_it).first().copied());
    found.ok_or_else(|| {
        format!("{file}: no function {function} of {}", of_type.unwrap_or("its own"))
    })
}

/// What is wrong with a trace.
fn check(lines: &[&str], read: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let mut before: Option<(String, String)> = None;
    for (index, line) in lines.iter().enumerate() {
        let step = parse(line, index + 1)?;
        let source = read(step.file).ok_or_else(|| format!("{} is not there", step.file))?;
        let text = body(&step, &source)?.to_owned();
        if let Some((name, caller)) = before.filter(|_| step.is_called) {
            if !names(&caller, step.function) {
                return Err(format!("{name} does not name {}", step.function));
            }
        }
        before = Some((step.function.to_owned(), text));
    }
    Ok(())
}

#[test]
fn the_traces_lead_where_the_code_does() {
    let page = include_str!("../CONTRIBUTING.md");
    let all = traces(page);
    let titles: Vec<_> = all.iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, ["Acquire", "Request", "Release", "Outage"]);
    let read = |file: &str| fs::read_to_string(root().join(file)).ok();
    for (title, steps) in all {
        assert!(steps.len() > 2, "{title} has {} steps", steps.len());
        if let Err(why) = check(&steps, read) {
            panic!("CONTRIBUTING.md, {title}: {why}");
        }
    }
}

#[test]
fn a_wrong_trace_is_found() {
    let source = "impl Pool {\n    pub fn acquire(&self) {\n        self.wait()\n    }\n\n    fn wait(&self) {\n    \
                  }\n}\n\nfn other() {\n}\n";
    let read = |file: &str| (file == "a.rs").then(|| source.to_owned());
    let said = |lines: &[&str]| check(lines, read).err().unwrap_or_default();
    assert_eq!(said(&["1. `a.rs`: `Pool::acquire` waits", "2. `a.rs`: `Pool::wait`"]), "");
    assert_eq!(said(&["1. `a.rs`: `Pool::acquire`", "2. *then* `a.rs`: `other`"]), "");
    for (lines, why) in [
        (&["1. `a.rs`: `Pool::acquire`", "2. `a.rs`: `other`"][..], "does not name other"),
        (&["1. `a.rs`: `Pool::acquire`", "1. `a.rs`: `other`"][..], "not a step"),
        (&["1. `b.rs`: `other`"][..], "b.rs is not there"),
        (&["1. `a.rs`: `Pool::other`"][..], "no function other of Pool"),
        (&["1. `a.rs`: `gone`"][..], "no function gone"),
        (&["1. a.rs, other"][..], "not a step"),
    ] {
        assert!(said(lines).contains(why), "{lines:?}: {}", said(lines));
    }
}

#[test]
fn every_file_that_the_pages_name_is_there() {
    let folders =
        ["src/", "tests/", "bindings/", "devserver/", "docs/", "scripts/", "fuzz/", "include/"];
    for (name, page) in [
        ("CONTRIBUTING.md", include_str!("../CONTRIBUTING.md")),
        ("docs/architecture.md", include_str!("../docs/architecture.md")),
    ] {
        let paths: Vec<_> = page
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|text| folders.iter().any(|folder| text.starts_with(folder)))
            .filter(|text| !text.contains([' ', '*']))
            .collect();
        assert!(paths.len() > 10, "{name} names {} files", paths.len());
        for path in paths {
            assert!(root().join(path).exists(), "{name} names {path}, which is not there");
        }
    }
}

#[test]
fn the_readme_has_every_option() {
    let source = include_str!("../src/config.rs");
    let structs = items(source, |line| line.starts_with("pub struct Options {"));
    let member = |line: &str| {
        line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name.to_owned())
    };
    let mut members: Vec<_> = structs[0].lines().filter_map(member).collect();
    let readme = include_str!("../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("Options\n")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let quoted = |row: &str| -> Vec<String> {
        let first = row.split(" | ").next().unwrap_or_default();
        first.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut told: Vec<_> = rows.flat_map(quoted).collect();
    members.sort();
    told.sort();
    assert_eq!(told, members);
}
