//! The plots of the report.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

type Result = std::result::Result<(), Box<dyn Error>>;

const SIZE: (u32, u32) = (880, 420);
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 90, 181),
    RGBColor(150, 150, 150),
    RGBColor(220, 50, 32),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 94, 40),
];

/// Values of the same names in several groups, as bars; the axis is logarithmic.
pub struct Bars<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub names: Vec<&'a str>,
    pub groups: Vec<(String, Vec<f64>)>,
}

impl Bars<'_> {
    pub fn draw(&self, path: &Path) -> Result {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let values = || self.groups.iter().flat_map(|(_, values)| values.iter().copied());
        let least = values().fold(f64::INFINITY, f64::min) / 2.0;
        // With room for the names above.
        let room = if self.names.len() > 4 { 30.0 } else { 4.0 };
        let most = values().fold(0.0, f64::max) * room;
        let step = self.names.len() as f64 + 1.0;
        let end = step * self.groups.len() as f64;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 20))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..end, (least..most).log_scale())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_desc(self.unit)
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        for (index, name) in self.names.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let bars = self.groups.iter().enumerate().map(|(group, (_, values))| {
                let left = group as f64 * step + 0.5 + index as f64;
                Rectangle::new([(left, least), (left + 0.9, values[index])], colour.filled())
            });
            chart.draw_series(bars)?.label(*name).legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled())
            });
        }
        for (group, (name, _)) in self.groups.iter().enumerate() {
            let middle = (group as f64 + 0.5) * step;
            let (x, _) = chart.backend_coord(&(middle, least));
            let style = ("sans-serif", 15).into_font().color(&BLACK);
            let width = root.estimate_text_size(name, &style)?.0 as i32;
            root.draw_text(name, &style, (x - width / 2, SIZE.1 as i32 - 32))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }
}

/// Lines over the same axis.
pub struct Lines<'a> {
    pub title: &'a str,
    pub x_title: &'a str,
    pub y_title: &'a str,
    pub series: Vec<(&'a str, Vec<(f64, f64)>)>,
}

impl Lines<'_> {
    pub fn draw(&self, path: &Path) -> Result {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let points = || self.series.iter().flat_map(|(_, points)| points.iter().copied());
        let most = |figure: fn((f64, f64)) -> f64| points().map(figure).fold(0.0, f64::max) * 1.05;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 20))
            .margin(10)
            .x_label_area_size(45)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..most(|it| it.0), 0.0..most(|it| it.1))?;
        chart
            .configure_mesh()
            .x_desc(self.x_title)
            .y_desc(self.y_title)
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        for (index, (name, points)) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
            chart.draw_series(dots)?;
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }
}

/// A number as short as can be.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value if value < 1.0 => format!("{value:.2}"),
        value => format!("{value}"),
    }
}
