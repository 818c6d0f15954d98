//! How large the processes are, over the time of the soak.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How many samples are taken, if the soak is long enough.
const SAMPLES: u32 = 400;
const AT_LEAST: Duration = Duration::from_secs(1);

/// Shorter ones are over before the processes have everything that they need once.
const TELLS_GROWTH: Duration = Duration::from_secs(240);

/// Memory that allocators and collectors keep or give back as they like.
const SLACK_MIB: f64 = 8.0;
const SLACK_SHARE: f64 = 0.1;
/// Threads and descriptors that come and go with dials and requests under way.
const SLACK_COUNT: f64 = 8.0;

/// What is measured of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    MemoryMib,
    Threads,
    Descriptors,
}

pub const QUANTITIES: [Quantity; 3] =
    [Quantity::MemoryMib, Quantity::Threads, Quantity::Descriptors];

/// A process, and what it was at each moment.
pub struct Process {
    pub name: String,
    number: u32,
    /// Seconds since the start, and the quantities.
    pub samples: Vec<(f64, [f64; 3])>,
}

/// The processes that are watched.
pub struct Gauge {
    pub processes: Vec<Process>,
}

impl Quantity {
    pub fn title(self) -> &'static str {
        match self {
            Quantity::MemoryMib => "memory (MiB)",
            Quantity::Threads => "threads",
            Quantity::Descriptors => "descriptors",
        }
    }
}

impl Gauge {
    pub fn of<'a>(processes: impl Iterator<Item = (&'a str, u32)>) -> Gauge {
        let process = |(name, number): (&str, u32)| Process {
            name: name.to_owned(),
            number,
            samples: Vec::new(),
        };
        Gauge { processes: processes.map(process).collect() }
    }

    /// Takes samples until `end`.
    pub fn watch(&mut self, end: Instant, time: Duration) {
        let start = Instant::now();
        let every = (time / SAMPLES).max(AT_LEAST);
        while Instant::now() < end {
            let at = start.elapsed().as_secs_f64();
            for process in &mut self.processes {
                process.samples.extend(read(process.number).map(|sample| (at, sample)));
            }
            thread::sleep(every.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Complaints about processes that grew.
    pub fn growth(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for process in &self.processes {
            let last = process.samples.last().map_or(0.0, |(at, _)| *at);
            if last < TELLS_GROWTH.as_secs_f64() {
                continue;
            }
            for (index, quantity) in QUANTITIES.into_iter().enumerate() {
                let (early, late) =
                    (process.median(index, 0.25..0.5), process.median(index, 0.75..1.0));
                let slack = match quantity {
                    Quantity::MemoryMib => SLACK_MIB.max(early * SLACK_SHARE),
                    _ => SLACK_COUNT,
                };
                if late > early + slack {
                    let (name, title) = (&process.name, quantity.title());
                    complaints.push(format!("{name}: {title} grew from {early:.0} to {late:.0}"));
                }
            }
        }
        complaints
    }
}

impl Process {
    /// The median in a part of the time.
    pub fn median(&self, quantity: usize, part: std::ops::Range<f64>) -> f64 {
        let count = self.samples.len() as f64;
        let range = (count * part.start) as usize..(count * part.end) as usize;
        let mut values: Vec<f64> =
            self.samples[range].iter().map(|(_, sample)| sample[quantity]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
}

/// Nothing if the process has ended.
fn read(process: u32) -> Option<[f64; 3]> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some([field("VmRSS:")? / 1024.0, field("Threads:")?, descriptors as f64])
}
