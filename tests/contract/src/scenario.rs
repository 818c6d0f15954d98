//! The scenarios, as they are in the files; README.md explains their members.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::json::Json;
use crate::responses;
use crate::step::Step;

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
    source.check_members(&[&SCENARIO])?;
    let text = |name: &str| source.get(name).and_then(Json::text);
    let texts = |name: &str| source.get(name).map(Json::texts).unwrap_or_default();
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
        needs: texts("needs"),
        server,
        tls: source.get("tls") == Some(&Json::Bool(true)),
        arguments: texts("arguments"),
        options: source.get("options").cloned().unwrap_or(Json::object([])),
        steps: steps
            .iter()
            .map(|step| Step::read(step).map_err(|why| format!("{step}: {why}")))
            .chain(played.into_iter().map(Ok))
            .collect::<Result<_, _>>()?,
        must_fail: text("must_fail").map(str::to_owned),
    })
}
