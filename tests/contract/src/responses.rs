//! The steps that play a table of responses, of which one server sends one after the other.
//!
//! Each response is to a `list_databases`; a second one follows it, whose connection tells whether
//! that of the first was used again.

use std::fs;
use std::path::Path;

use crate::json::Json;
use crate::step::{Action, Check, Step};

/// The steps for every response of a file; README.md says what it holds.
pub fn steps(file: &Path) -> Result<Vec<Step>, String> {
    let failed = |why: String| format!("{}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let table = Json::parse(&text).map_err(failed)?;
    let mut steps = Vec::new();
    // The first request opens a connection.
    let mut accepted = 1;
    steps.push(list(Json::Null, Check { repeat: 1, ..Check::default() }));
    for row in table.list().ok_or_else(|| failed("is not a list".to_owned()))? {
        let name = row.get("name").ok_or_else(|| failed("a response has no name".to_owned()))?;
        let source = Json::object([("response", name.clone())]);
        let bytes = row.get("bytes").map(bytes).unwrap_or_default();
        let mut response = vec![
            ("do", "server respond".into()),
            ("path", "/databases".into()),
            ("times", 1_usize.into()),
            ("bytes", bytes.as_str().into()),
        ];
        if let Some(then) = row.get("then") {
            response.push(("then", then.clone()));
        }
        let check = verdict(row).ok_or_else(|| failed(format!("{name} has no verdict")))?;
        steps.push(does(Json::object(response), source.clone(), Check::default()));
        steps.push(list(source.clone(), check));
        steps.push(list(source.clone(), Check::default()));
        accepted += usize::from(row.get("reuse") != Some(&Json::Bool(true)));
        let expect = Some(Json::object([("accepted", accepted.into())]));
        let figures = Json::object([("do", "server figures".into())]);
        steps.push(does(figures, source, Check { expect, ..Check::default() }));
    }
    Ok(steps)
}

fn list(source: Json, check: Check) -> Step {
    let list =
        [("do", "run".into()), ("on", "pool".into()), ("operation", "list_databases".into())];
    let none = Json::List(Vec::new());
    does(Json::object(list.into_iter().chain([("arguments", none)])), source, check)
}

fn does(command: Json, source: Json, check: Check) -> Step {
    Step { action: Action::Do(command), check: Check { repeat: 1, ..check }, source }
}

fn verdict(row: &Json) -> Option<Check> {
    let verdict = row.get("verdict")?;
    if let Some(value) = verdict.get("value") {
        return Some(Check { expect: Some(value.clone()), ..Check::default() });
    }
    let mut error = vec![("code", verdict.get("code")?.clone())];
    if let Some(status) = verdict.get("status") {
        error.push(("status", status.clone()));
    }
    let part = |name: &str| verdict.get(name).cloned().unwrap_or(Json::List(Vec::new()));
    let message = Json::object([("$contains", part("contains")), ("$lacks", part("lacks"))]);
    error.push(("message", message));
    Some(Check { error: Some(Json::object(error)), ..Check::default() })
}

/// A text whose characters are bytes; or a list of such texts, and of texts so many times.
fn bytes(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        Json::List(parts) => parts.iter().map(bytes).collect(),
        part => {
            let times = part.get("times").and_then(Json::number).unwrap_or_default();
            part.get("text").map(bytes).unwrap_or_default().repeat(times as usize)
        }
    }
}
