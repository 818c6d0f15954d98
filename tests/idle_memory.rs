//! What an idle connection costs in memory: buffers belong to requests, not to connections.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use phantomdb::{Lease, Options, Pool, Request};
use support::certificate::Certificate;
use support::devserver::DevServer;

/// Counts what is allocated.
struct Counting;

static NOW: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NOW.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What so many connections take that have served their requests.
fn taken_by(count: usize, options: &Options, requests: &[Request]) -> isize {
    let number = u32::try_from(count).unwrap();
    let options = Options { min_connections: number, max_connections: number, ..options.clone() };
    let before = NOW.load(Ordering::Relaxed);
    let pool = Pool::new(options).unwrap();
    let leases: Vec<Lease> = (0..count).map(|_| pool.acquire().unwrap()).collect();
    for lease in &leases {
        for request in requests {
            // Whether the server does it or refuses it: it keeps the connection.
            let _ = lease.request(request);
        }
    }
    drop(leases);
    assert_eq!(pool.status().available, number);
    let taken = NOW.load(Ordering::Relaxed) - before;
    pool.close().unwrap();
    taken
}

/// What one more of them takes.
fn taken_by_one(options: &Options) -> isize {
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(200_000));
    let requests = [
        Request::list_databases(),
        Request::raw("GET", &format!("/databases/{}", "x".repeat(20_000)), None).unwrap(),
        Request::raw("POST", "/databases", Some(long.as_bytes())).unwrap(),
        Request::list_databases(),
    ];
    // What is made once is there from then on.
    taken_by(1, options, &requests);
    (taken_by(150, options, &requests) - taken_by(50, options, &requests)) / 100
}

#[test]
fn an_idle_connection_takes_two_kilobytes_and_twelve_with_tls() {
    let server = DevServer::start();
    let plain = Options { base_url: server.url().to_owned(), ..Options::default() };
    let taken = taken_by_one(&plain);
    assert!((1..=2048).contains(&taken), "{taken} bytes");

    let certificate = Certificate::new();
    let arguments = certificate.arguments();
    let server = DevServer::start_with(&arguments.each_ref().map(String::as_str));
    let tls_ca_file = Some(certificate.file());
    let tls = Options { base_url: server.url().to_owned(), tls_ca_file, ..Options::default() };
    let taken = taken_by_one(&tls);
    assert!((1..=12 * 1024).contains(&taken), "{taken} bytes with TLS");
}
