//! What was measured, as JSON, as text, as Markdown and as a page with plots.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

/// One subject of the report.
#[derive(Debug, Serialize)]
pub struct Section {
    pub title: &'static str,
    /// What is measured, and how to read it.
    pub about: &'static str,
    #[serde(skip)]
    pub head: Vec<&'static str>,
    #[serde(skip)]
    pub rows: Vec<Vec<String>>,
    pub aims: Vec<Aim>,
    /// The names of SVG files beside the report.
    pub plots: Vec<String>,
    pub data: Value,
}

/// What was hoped for, and what came of it.
#[derive(Debug, Serialize)]
pub struct Aim {
    pub what: String,
    pub measured: f64,
    pub bound: f64,
    pub is_met: bool,
}

impl Aim {
    pub fn at_most(what: impl Into<String>, measured: f64, bound: f64) -> Aim {
        Aim { what: what.into(), measured, bound, is_met: measured <= bound }
    }

    pub fn at_least(what: impl Into<String>, measured: f64, bound: f64) -> Aim {
        Aim { what: what.into(), measured, bound, is_met: measured >= bound }
    }

    fn verdict(&self) -> &'static str {
        if self.is_met { "met" } else { "missed" }
    }
}

/// Everything of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub library: String,
    pub machine: String,
    pub sections: Vec<Section>,
}

impl Report {
    /// Writes core.json, report.md and report.html.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("core.json"), format!("{}\n", serde_json::to_string_pretty(self)?))?;
        fs::write(folder.join("report.md"), self.markdown())?;
        fs::write(folder.join("report.html"), self.html())
    }

    pub fn markdown(&self) -> String {
        let mut out = format!("# Speed of libphantomdb {}\n\n{}\n", self.library, self.machine);
        for section in &self.sections {
            let _ = writeln!(out, "\n## {}\n\n{}\n", section.title, section.about);
            out.push_str(&table(&section.head, &section.rows));
            if !section.aims.is_empty() {
                let rows: Vec<Vec<String>> = section.aims.iter().map(aim_cells).collect();
                let _ = write!(out, "\n{}", table(&AIM_HEAD, &rows));
            }
            for plot in &section.plots {
                let _ = writeln!(out, "\n![{}]({plot})", section.title);
            }
        }
        out
    }

    fn html(&self) -> String {
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
             <title>Speed of libphantomdb</title>\n<style>{STYLE}</style>\n\
             <h1>Speed of libphantomdb {}</h1>\n<p>{}</p>\n",
            escaped(&self.library),
            escaped(&self.machine)
        );
        for section in &self.sections {
            let _ = writeln!(out, "<h2>{}</h2>", escaped(section.title));
            let _ = writeln!(out, "<p>{}</p>", escaped(section.about));
            out.push_str(&html_table(&section.head, &section.rows));
            if !section.aims.is_empty() {
                let rows: Vec<Vec<String>> = section.aims.iter().map(aim_cells).collect();
                out.push_str(&html_table(&AIM_HEAD, &rows));
            }
            for plot in &section.plots {
                let alt = escaped(section.title);
                let _ = writeln!(out, "<p><img src=\"{plot}\" alt=\"{alt}\"></p>");
            }
        }
        out + "</html>\n"
    }
}

const AIM_HEAD: [&str; 4] = ["aim", "measured", "bound", ""];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;\
    border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left}\
    img{max-width:100%}";

fn aim_cells(aim: &Aim) -> Vec<String> {
    let figure = |figure: f64| format!("{figure:.2}");
    vec![aim.what.clone(), figure(aim.measured), figure(aim.bound), aim.verdict().to_owned()]
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::from("|");
        for (column, cell) in cells.enumerate() {
            let width = widths[column];
            let _ = match column {
                0 => write!(out, " {cell:<width$} |"),
                _ => write!(out, " {cell:>width$} |"),
            };
        }
        out + "\n"
    };
    let mut out = line(&mut head.iter().copied());
    let rules: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match column {
            0 => "-".repeat(*width),
            _ => "-".repeat(width.saturating_sub(1)) + ":",
        })
        .collect();
    out += &line(&mut rules.iter().map(String::as_str));
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}

fn html_table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<table><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}</th>", escaped(cell));
    }
    out += "</tr>\n";
    for row in rows {
        out += "<tr>";
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escaped(cell));
        }
        out += "</tr>\n";
    }
    out + "</table>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
