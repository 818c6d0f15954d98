//! The results as a table, scenario by language.

use std::fmt::Write;

use crate::column::Language;
use crate::scenario::Scenario;

impl Language {
    /// The first feature that the scenario needs and the language lacks.
    pub fn misses(&self, scenario: &Scenario) -> Option<usize> {
        self.lacks.iter().position(|(feature, _)| scenario.needs.contains(feature))
    }
}

/// The page of a run in which all went well.
pub fn page(scenarios: &[&Scenario], languages: &[&Language]) -> String {
    let mut notes: Vec<(String, String, Vec<&str>)> = Vec::new();
    let mut number_of = |feature: &str, reason: &str, language| {
        let at = notes.iter().position(|(f, r, _)| f == feature && r == reason);
        let at = at.unwrap_or_else(|| {
            notes.push((feature.to_owned(), reason.to_owned(), Vec::new()));
            notes.len() - 1
        });
        if !notes[at].2.contains(&language) {
            notes[at].2.push(language);
        }
        at + 1
    };
    let mut rows = String::new();
    let mut subject = "";
    for scenario in scenarios {
        if scenario.subject != subject {
            subject = &scenario.subject;
            let title = format!("{}{}", subject[..1].to_uppercase(), &subject[1..]);
            let heads: Vec<_> = languages.iter().map(|it| it.name.as_str()).collect();
            let title = title.replace('-', " ");
            write!(rows, "\n## {title}\n\n| scenario | {} |\n", heads.join(" | ")).unwrap();
            writeln!(rows, "|---|{}", ":-:|".repeat(heads.len())).unwrap();
        }
        write!(rows, "| {} |", scenario.name.replace('|', "\\|")).unwrap();
        for language in languages {
            match language.misses(scenario) {
                None => rows.push_str(" ✓ |"),
                Some(at) => {
                    let (feature, reason) = &language.lacks[at];
                    let number = number_of(feature, reason, language.name.as_str());
                    write!(rows, " – [{number}](#what-a-language-lacks) |").unwrap();
                }
            }
        }
        rows.push('\n');
    }
    let mut page = format!(
        "# The contract, scenario by language\n\n\
         Made by `make contract-table` from a run in which every ✓ was seen; `make test` runs all of them again, and\n\
         fails if this page is out of date. The scenarios are in `tests/contract/scenarios`: {} of them, for {}\n\
         languages and their forms.\n{rows}",
        scenarios.len(),
        languages.len()
    );
    if !notes.is_empty() {
        page.push_str("\n## What a language lacks\n\n");
        for (index, (feature, reason, of)) in notes.iter().enumerate() {
            let number = index + 1;
            writeln!(page, "{number}. {feature} ({}): {reason}", of.join(", ")).unwrap();
        }
    }
    page
}
