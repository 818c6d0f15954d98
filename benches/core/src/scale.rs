//! Many connections, and many that wait.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::ptr;

use indicatif::ProgressBar;
use serde::Serialize;

use crate::devserver::Devserver;
use crate::plots::Lines;
use crate::report::{Aim, Section};

const CONNECTIONS: [u32; 4] = [1000, 2500, 5000, 10_000];
const TLS_CONNECTIONS: u32 = 200;
const WAITERS: [u32; 4] = [10_000, 25_000, 50_000, 100_000];

/// As c/scale.c has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    create: f64,
    serve: f64,
    close: f64,
    heap: f64,
}

unsafe extern "C" {
    fn bench_scale_connections(
        url: *const libc::c_char,
        ca_file: *const libc::c_char,
        count: u32,
        out: *mut Figures,
    ) -> i32;
    fn bench_scale_waiters(url: *const libc::c_char, count: u32, out: *mut Figures) -> i32;
}

#[derive(Serialize)]
struct Row {
    what: &'static str,
    count: u32,
    #[serde(flatten)]
    figures: Figures,
}

impl Row {
    fn bytes(&self) -> f64 {
        self.figures.heap / f64::from(self.count)
    }

    fn seconds(&self) -> f64 {
        self.figures.create + self.figures.serve + self.figures.close
    }

    fn cells(&self) -> Vec<String> {
        let micros = |seconds: f64| format!("{:.1}", seconds * 1e6 / f64::from(self.count));
        let Figures { create, serve, close, .. } = self.figures;
        vec![
            self.what.to_owned(),
            self.count.to_string(),
            micros(create),
            micros(serve),
            micros(close),
            format!("{:.0}", self.bytes()),
        ]
    }
}

pub fn turns() -> u64 {
    (CONNECTIONS.len() + WAITERS.len() + 1) as u64
}

pub fn measure(
    server: SocketAddr,
    secure: &Devserver,
    folder: &Path,
    progress: &ProgressBar,
) -> io::Result<Section> {
    let url = format!("http://{server}");
    let mut rows = Vec::new();
    for count in CONNECTIONS {
        progress.set_message(format!("{count} connections"));
        rows.push(Row { what: "connections", count, figures: connections(&url, None, count)? });
        progress.inc(1);
    }
    progress.set_message(format!("{TLS_CONNECTIONS} connections, TLS"));
    let figures = connections(&secure.url(), Some(&secure.ca_file), TLS_CONNECTIONS)?;
    rows.push(Row { what: "connections, TLS", count: TLS_CONNECTIONS, figures });
    progress.inc(1);
    for count in WAITERS {
        progress.set_message(format!("{count} waiters"));
        rows.push(Row { what: "waiters", count, figures: waiters(&url, count)? });
        progress.inc(1);
    }
    let of = |what: &'static str| rows.iter().filter(move |row| row.what == what);
    let plots = ["connections", "waiters"].map(|what| (what, format!("scale-{what}.svg")));
    for (what, plot) in &plots {
        let points = |figure: fn(&Figures) -> f64| {
            of(what).map(|row| (f64::from(row.count), figure(&row.figures))).collect()
        };
        let lines = Lines {
            title: &format!("Many {what} in one pool"),
            x_title: what,
            y_title: "seconds of the processor",
            series: vec![
                ("create", points(|figures| figures.create)),
                ("serve", points(|figures| figures.serve)),
                ("close", points(|figures| figures.close)),
            ],
        };
        lines.draw(&folder.join(plot)).map_err(|error| io::Error::other(error.to_string()))?;
    }
    let aims = aims(&rows);
    Ok(Section {
        title: "Scale",
        about: "Pools of many connections: opened, each used for a request, closed. Then callers \
                without threads who wait for one connection, which goes from one to the next. Times are \
                those of the processor in this program for one of them; memory is what the heap grew by \
                for it.",
        head: vec!["", "count", "create µs", "serve µs", "close µs", "bytes"],
        rows: rows.iter().map(Row::cells).collect(),
        aims,
        plots: plots.into_iter().map(|(_, plot)| plot).collect(),
        data: serde_json::to_value(&rows)?,
    })
}

fn aims(rows: &[Row]) -> Vec<Aim> {
    let mut aims = Vec::new();
    let memory =
        [("connections", 2.0 * 1024.0), ("connections, TLS", 12.0 * 1024.0), ("waiters", 512.0)];
    for (what, most) in memory {
        let mut of_it = rows.iter().filter(|row| row.what == what);
        let (first, last) = (of_it.next(), of_it.next_back());
        let Some(largest) = last.or(first) else { continue };
        aims.push(Aim::at_most(format!("{what}: bytes of each"), largest.bytes(), most));
        let (Some(first), Some(last)) = (first, last) else { continue };
        let each = |row: &Row| row.seconds() / f64::from(row.count);
        let what = format!("{what}: time of each among the most, times that among the fewest");
        aims.push(Aim::at_most(what, each(last) / each(first), 1.5));
    }
    aims
}

fn connections(url: &str, ca_file: Option<&str>, count: u32) -> io::Result<Figures> {
    let (url, mut figures) = (CString::new(url)?, Figures::default());
    let ca_file = ca_file.map(CString::new).transpose()?;
    let ca_file = ca_file.as_ref().map_or(ptr::null(), |file| file.as_ptr());
    // SAFETY: the texts end with NULs, and all pointers outlive the call.
    let failed = unsafe { bench_scale_connections(url.as_ptr(), ca_file, count, &raw mut figures) };
    if failed == 0 { Ok(figures) } else { Err(io::Error::other("a pool could not be made")) }
}

fn waiters(url: &str, count: u32) -> io::Result<Figures> {
    let (url, mut figures) = (CString::new(url)?, Figures::default());
    // SAFETY: as above.
    let failed = unsafe { bench_scale_waiters(url.as_ptr(), count, &raw mut figures) };
    if failed == 0 { Ok(figures) } else { Err(io::Error::other("callers could not wait")) }
}
