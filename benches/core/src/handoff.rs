//! From a release to the thread that waits longest.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;

use indicatif::ProgressBar;
use serde_json::json;

use crate::report::{Aim, Section};
use crate::rounds::{median, percentile};

unsafe extern "C" {
    /// See c/handoff.c.
    fn bench_handoff(host: *const libc::c_char, port: i32, count: u32, out: *mut i64) -> i64;
}

pub fn measure(server: SocketAddr, count: u32, progress: &ProgressBar) -> io::Result<Section> {
    progress.set_message("hand-off to waiting threads");
    let host = CString::new(server.ip().to_string())?;
    let mut taken = vec![0; count as usize];
    // SAFETY: the text ends with a NUL, and `taken` has room for `count` numbers.
    let out_of_turn = unsafe {
        bench_handoff(host.as_ptr(), i32::from(server.port()), count, taken.as_mut_ptr())
    };
    progress.inc(1);
    if out_of_turn < 0 {
        return Err(io::Error::other("the hand-off could not be measured"));
    }
    let micros = || taken.iter().map(|nanoseconds| *nanoseconds as f64 / 1e3);
    let (middle, p90, p99) =
        (median(micros()), percentile(micros(), 0.9), percentile(micros(), 0.99));
    let figure = |figure: f64| format!("{figure:.1}");
    Ok(Section {
        title: "Hand-off",
        about: "64 threads wait for 4 connections. One is released after the other, and the time is \
                taken until the thread that waited longest has it: nearly all of it is the system's, \
                to wake a thread.",
        head: vec!["hand-offs", "median µs", "90 % µs", "99 % µs", "out of turn"],
        rows: vec![vec![
            count.to_string(),
            figure(middle),
            figure(p90),
            figure(p99),
            out_of_turn.to_string(),
        ]],
        aims: vec![
            Aim::at_most("the 99th percentile, times the median", p99 / middle, 2.0),
            Aim::at_most("waiters served out of turn", out_of_turn as f64, 0.0),
        ],
        plots: Vec::new(),
        data: json!({ "median_us": middle, "p90_us": p90, "p99_us": p99, "out_of_turn": out_of_turn }),
    })
}
