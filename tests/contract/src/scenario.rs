//! The scenarios, as they are in the files; README.md explains their members.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use phantomdb::Operation;

use crate::json::Json;
use crate::responses;

/// Which server a scenario runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that does what the scenario says.
    Scripted,
    /// A development server.
    Dev,
}

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file that it is in, without its ending: its subject.
    pub subject: String,
    pub name: String,
    /// What an agent must be able to do for it.
    pub needs: Vec<String>,
    pub server: Kind,
    pub tls: bool,
    pub arguments: Vec<String>,
    /// The options of the pool "pool"; none is made if this is `null`.
    pub options: Json,
    pub steps: Vec<Step>,
    /// A part of the complaint with which it has to fail: a test of the driver itself.
    pub must_fail: Option<String>,
}

/// One step of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    pub action: Action,
    pub check: Check,
    /// As it stands in the file.
    pub source: Json,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Carries the command out and looks at what it comes to.
    Do(Json),
    /// Begins the command, under this name.
    Start(Json, String),
    /// Waits for what the command of this name comes to.
    Await(String),
    /// Carries the command out again and again until it comes to what is expected.
    Until(Json),
    /// The commands of these names are not over.
    Pending(Vec<String>),
    /// The commands of these names, which are over, ended in this order.
    Order(Vec<String>),
    /// Cancels the command of this name.
    Cancel(String),
}

/// What a step expects.
#[derive(Clone, Debug, Default)]
pub struct Check {
    pub expect: Option<Json>,
    pub error: Option<Json>,
    /// In milliseconds.
    pub at_least: Option<f64>,
    pub at_most: Option<f64>,
    /// Members of the value that later steps use as `{name}`.
    pub save: Vec<(String, String)>,
    /// Once for each of 1 to so many, which stand for `{n}`.
    pub repeat: usize,
}

const SCENARIO: [&str; 10] = [
    "name",
    "needs",
    "server",
    "tls",
    "arguments",
    "options",
    "steps",
    "responses",
    "must_fail",
    "about",
];
const ACTIONS: [&str; 7] = ["do", "start", "await", "until", "pending", "order", "cancel"];
const CHECKS: [&str; 6] = ["expect", "error", "at_least", "at_most", "save", "repeat"];
/// What arguments hold JSON, in the operations and in `request`.
const JSON_ARGUMENTS: [&str; 5] = ["columns", "row", "data", "parameters", "body"];

/// Reads every file of a folder.
pub fn read_all(folder: &Path) -> Result<Vec<Scenario>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map_err(failed)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    paths.sort();
    let mut names = BTreeSet::new();
    let mut scenarios = Vec::new();
    for path in paths {
        let subject = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let in_file = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(&path).map_err(failed)?;
        let file = Json::parse(&text).map_err(in_file)?;
        for source in file.list().ok_or_else(|| in_file("is not a list".to_owned()))? {
            let scenario = read(folder, &subject, source).map_err(|why| {
                in_file(format!("{}: {why}", source.get("name").unwrap_or(source)))
            })?;
            if !names.insert(scenario.name.clone()) {
                return Err(in_file(format!("{}: there are two of this name", scenario.name)));
            }
            scenarios.push(scenario);
        }
    }
    Ok(scenarios)
}

fn read(folder: &Path, subject: &str, source: &Json) -> Result<Scenario, String> {
    only(source, &[&SCENARIO])?;
    let text = |name: &str| source.get(name).and_then(Json::text);
    let server = match text("server") {
        None => Kind::Scripted,
        Some("dev") => Kind::Dev,
        Some(other) => return Err(format!("there is no server {other}")),
    };
    let played = match text("responses") {
        Some(file) => responses::steps(&folder.join(file))?,
        None => Vec::new(),
    };
    let steps = source.get("steps").and_then(Json::list);
    let steps = steps.or((!played.is_empty()).then_some(&[])).ok_or("it has no steps")?;
    Ok(Scenario {
        subject: subject.to_owned(),
        name: text("name").ok_or("it has no name")?.to_owned(),
        needs: texts(source.get("needs")),
        server,
        tls: source.get("tls") == Some(&Json::Bool(true)),
        arguments: texts(source.get("arguments")),
        options: source.get("options").cloned().unwrap_or(Json::object([])),
        steps: steps
            .iter()
            .map(|step| read_step(step).map_err(|why| format!("{step}: {why}")))
            .chain(played.into_iter().map(Ok))
            .collect::<Result<_, _>>()?,
        must_fail: text("must_fail").map(str::to_owned),
    })
}

/// A text or a list of texts.
fn texts(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::Text(text)) => vec![text.clone()],
        Some(Json::List(items)) => items.iter().filter_map(Json::text).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn only(source: &Json, known: &[&[&str]]) -> Result<(), String> {
    let Json::Object(members) = source else { return Err("is not an object".to_owned()) };
    match members.keys().find(|name| !known.iter().any(|it| it.contains(&name.as_str()))) {
        Some(name) => Err(format!("{name} means nothing here")),
        None => Ok(()),
    }
}

fn read_step(source: &Json) -> Result<Step, String> {
    let Json::Object(members) = source else { return Err("is not an object".to_owned()) };
    let mut chosen = ACTIONS.iter().filter(|name| members.contains_key(**name));
    let (Some(&kind), None) = (chosen.next(), chosen.next()) else {
        return Err(format!("does not have exactly one of {ACTIONS:?}"));
    };
    let subject = &members[kind];
    let name = || subject.text().map(str::to_owned).ok_or("names no command".to_owned());
    let bare = |allowed: &[&str]| only(source, &[&[kind], allowed]);
    let action = match kind {
        "do" => Action::Do(command(&name()?, source, &[kind])?),
        "until" => Action::Until(command(&name()?, source, &[kind])?),
        "start" => {
            let call = members.get("call").and_then(Json::text).ok_or("has no `call`")?;
            Action::Start(command(&name()?, source, &[kind, "call"])?, call.to_owned())
        }
        "await" => {
            bare(&CHECKS)?;
            Action::Await(name()?)
        }
        "cancel" => {
            bare(&["repeat"])?;
            Action::Cancel(name()?)
        }
        "pending" => {
            bare(&[])?;
            Action::Pending(texts(Some(subject)))
        }
        _ => {
            bare(&[])?;
            Action::Order(texts(Some(subject)))
        }
    };
    let number = |name: &str| members.get(name).and_then(Json::number);
    let save = match members.get("save") {
        Some(Json::Object(names)) => names
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), member.text()?.to_owned())))
            .collect(),
        _ => Vec::new(),
    };
    let check = Check {
        expect: members.get("expect").cloned(),
        error: members.get("error").cloned(),
        at_least: number("at_least"),
        at_most: number("at_most"),
        save,
        repeat: number("repeat").map_or(1, |count| count as usize),
    };
    if check.expect.is_some() && check.error.is_some() {
        return Err("expects a value and an error".to_owned());
    }
    if matches!(action, Action::Until(_)) && check.expect.is_none() && check.error.is_none() {
        return Err("until what?".to_owned());
    }
    Ok(Step { action, check, source: source.clone() })
}

/// The command that the agent gets: the step without what is the driver's.
fn command(name: &str, source: &Json, drivers: &[&str]) -> Result<Json, String> {
    let Json::Object(members) = source else { unreachable!("read_step has looked") };
    let mut rest = members.clone();
    rest.retain(|name, _| !drivers.contains(&name.as_str()) && !CHECKS.contains(&name.as_str()));
    for name in JSON_ARGUMENTS {
        if let Some(value) = rest.get_mut(name) {
            if value.text().is_none() && *value != Json::Null {
                *value = value.to_string().into();
            }
        }
    }
    let Some(operation) = Operation::ALL.iter().find(|it| it.name() == name) else {
        rest.insert("do".to_owned(), name.into());
        return Ok(Json::Object(rest));
    };
    let arguments = operation.parameters().iter().map(|it| rest.remove(it.name));
    let mut arguments: Vec<_> = arguments.map(|it| it.unwrap_or(Json::Null)).collect();
    while arguments.last() == Some(&Json::Null) {
        arguments.pop();
    }
    let on = rest.remove("on").unwrap_or("pool".into());
    if let Some(name) = rest.keys().next() {
        return Err(format!("{} takes no {name}", operation.name()));
    }
    Ok(Json::object([
        ("do", "run".into()),
        ("operation", operation.name().into()),
        ("on", on),
        ("arguments", arguments.into()),
    ]))
}
