//! One step of a scenario, as it is in a file; README.md explains its members.

use phantomdb::Operation;

use crate::json::Json;

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

const ACTIONS: [&str; 7] = ["do", "start", "await", "until", "pending", "order", "cancel"];
const CHECKS: [&str; 6] = ["expect", "error", "at_least", "at_most", "save", "repeat"];
/// What arguments hold JSON, in the operations and in `request`.
const JSON_ARGUMENTS: [&str; 5] = ["columns", "row", "data", "parameters", "body"];

impl Step {
    /// Reads a step as it stands in a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(source: &Json) -> Result<Step, String> {
        let Json::Object(members) = source else { return Err("is not an object".to_owned()) };
        let mut chosen = ACTIONS.iter().filter(|name| members.contains_key(**name));
        let (Some(&kind), None) = (chosen.next(), chosen.next()) else {
            return Err(format!("does not have exactly one of {ACTIONS:?}"));
        };
        let subject = &members[kind];
        let name = || subject.text().map(str::to_owned).ok_or("names no command".to_owned());
        let bare = |allowed: &[&str]| source.check_members(&[&[kind], allowed]);
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
                Action::Pending(subject.texts())
            }
            _ => {
                bare(&[])?;
                Action::Order(subject.texts())
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
}

/// The command that the agent gets: the step without what is the driver's.
fn command(name: &str, source: &Json, drivers: &[&str]) -> Result<Json, String> {
    let Json::Object(members) = source else { unreachable!("Step::read has looked") };
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
