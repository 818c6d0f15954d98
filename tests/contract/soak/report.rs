//! What a soak leaves behind: a page and a plot.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::chaos::Chaos;
use crate::gauge::{Gauge, QUANTITIES};
use crate::worker::Worker;

const SIZE: (u32, u32) = (900, 900);

/// Writes both into a folder.
pub fn write(
    folder: &Path,
    workers: &[Worker],
    gauge: &Gauge,
    chaos: &Chaos,
    complaints: &[String],
) -> Result<(), String> {
    draw(&folder.join("soak.svg"), gauge).map_err(|error| error.to_string())?;
    let page = page(workers, gauge, chaos, complaints);
    println!("{page}");
    fs::write(folder.join("soak.md"), page).map_err(|error| error.to_string())
}

fn page(workers: &[Worker], gauge: &Gauge, chaos: &Chaos, complaints: &[String]) -> String {
    let end = |process: &crate::gauge::Process| process.samples.last().map_or(0.0, |it| it.0);
    let minutes = gauge.processes.iter().map(end).fold(0.0, f64::max) / 60.0;
    let mut page = format!(
        "# The soak\n\nMade by `make soak`: {minutes:.0} minutes of all bindings at once, against a server that was in \
         trouble.\n\n![Memory, threads and descriptors over the time](soak.svg)\n\n\
         | language | rows sent | acknowledged | errors, each expected |\n|---|---|---|---|\n",
    );
    for worker in workers {
        let errors: Vec<_> =
            worker.errors().iter().map(|(code, count)| format!("{code} {count}")).collect();
        let (name, sent) = (worker.name(), worker.attempted());
        let acknowledged = worker.acknowledged().len();
        writeln!(page, "| {name} | {sent} | {acknowledged} | {} |", errors.join(", "))
            .expect("a text takes everything");
    }
    page.push_str("\n| language | memory (MiB) | threads | descriptors |\n|---|---|---|---|\n");
    for process in &gauge.processes {
        let cell = |quantity| {
            let (early, late) =
                (process.median(quantity, 0.25..0.5), process.median(quantity, 0.75..1.0));
            format!("{early:.0} → {late:.0}")
        };
        let cells = [cell(0), cell(1), cell(2)].join(" | ");
        writeln!(page, "| {} | {cells} |", process.name).expect("a text takes everything");
    }
    page.push_str("\nMedians of the second and of the last quarter of the time.\n\n");
    for (what, count) in chaos.happened() {
        writeln!(page, "- {count} times {what}").expect("a text takes everything");
    }
    page.push('\n');
    page.push_str(&verdict(workers, complaints));
    page
}

fn verdict(workers: &[Worker], complaints: &[String]) -> String {
    if !complaints.is_empty() {
        return format!("It failed:\n\n- {}\n", complaints.join("\n- "));
    }
    let rows: usize = workers.iter().map(|worker| worker.acknowledged().len()).sum();
    format!(
        "At the end each of the {rows} rows that were acknowledged was there exactly once, none that was sent was \
         there twice, and no connection was left open.\n"
    )
}

fn draw(path: &Path, gauge: &Gauge) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let end = |process: &crate::gauge::Process| process.samples.last().map_or(1.0, |it| it.0);
    let minutes = gauge.processes.iter().map(end).fold(1.0, f64::max) / 60.0;
    for (index, area) in root.split_evenly((QUANTITIES.len(), 1)).iter().enumerate() {
        let values =
            || gauge.processes.iter().flat_map(|it| it.samples.iter().map(|it| it.1[index]));
        let most = values().fold(1.0, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(area)
            .caption(QUANTITIES[index].title(), ("sans-serif", 18))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..minutes, 0.0..most)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|minute| format!("{minute:.1} min"))
            .draw()?;
        for (number, process) in gauge.processes.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            let line = process.samples.iter().map(|(at, sample)| (at / 60.0, sample[index]));
            chart
                .draw_series(LineSeries::new(line, colour))?
                .label(&process.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        if index == 0 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.8))
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}
