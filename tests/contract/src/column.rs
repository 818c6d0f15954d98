//! The languages, from agents.json.

use std::fs;
use std::path::Path;

use crate::json::Json;

/// A language and the command that starts its agent.
pub struct Column {
    pub language: Language,
    pub command: String,
}

/// What there is to know of a language.
pub struct Language {
    pub name: String,
    /// Features that it lacks, with the reasons.
    pub lacks: Vec<(String, String)>,
}

/// Those that agents.json in this folder names.
pub fn read_all(folder: &Path) -> Result<Vec<Column>, String> {
    let path = folder.join("agents.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let agents = Json::parse(&text)?;
    let column = |agent: &Json| {
        let text = |name: &str| agent.get(name).and_then(Json::text).map(str::to_owned);
        let lacks = match agent.get("lacks") {
            Some(Json::Object(features)) => features
                .iter()
                .map(|(name, why)| (name.clone(), why.text().unwrap_or_default().to_owned()))
                .collect(),
            _ => Vec::new(),
        };
        let name = text("language").ok_or("an agent has no language")?;
        let command = text("run").ok_or_else(|| format!("{name} has no command"))?;
        Ok(Column { language: Language { name, lacks }, command })
    };
    agents.list().ok_or("agents.json is not a list")?.iter().map(column).collect()
}
