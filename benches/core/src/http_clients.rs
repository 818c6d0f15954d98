//! The HTTP clients that are written in Rust, each with its own pool. They keep a connection for each
//! thread that uses them: none of them can limit how many it opens.

use std::io;

use tokio::runtime::{self, Runtime};

use crate::contender::{Contender, Place};
use crate::parse;

/// More than there are threads.
const MOST_IDLE: usize = 64;

fn url(place: &Place) -> String {
    format!("http://{}{}/databases", place.address, place.path)
}

/// As the C contenders do: the names, which are thrown away.
fn read(body: &[u8]) {
    assert!(parse::names(body).is_some_and(|names| names > 0), "the response has names");
}

pub fn ureq(_: usize, place: &Place) -> io::Result<Box<dyn Contender>> {
    struct Agent(ureq::Agent, String);
    impl Contender for Agent {
        fn run(&self, count: u64) {
            for _ in 0..count {
                let mut response = self.0.get(&self.1).call().expect("the server responds");
                read(&response.body_mut().read_to_vec().expect("the response is complete"));
            }
        }
    }
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_idle_connections(MOST_IDLE)
        .max_idle_connections_per_host(MOST_IDLE);
    Ok(Box::new(Agent(config.build().new_agent(), url(place))))
}

/// The client that threads share: a thread of its own sends their requests.
pub fn reqwest_blocking(_: usize, place: &Place) -> io::Result<Box<dyn Contender>> {
    struct Client(reqwest::blocking::Client, String);
    impl Contender for Client {
        fn run(&self, count: u64) {
            for _ in 0..count {
                let response = self.0.get(&self.1).send().expect("the server responds");
                read(&response.bytes().expect("the response is complete"));
            }
        }
    }
    let client = reqwest::blocking::Client::builder().no_proxy().pool_max_idle_per_host(MOST_IDLE);
    Ok(Box::new(Client(client.build().map_err(io::Error::other)?, url(place))))
}

/// A client and a runtime for each thread, so that no request changes threads: the fastest way.
pub fn reqwest(_: usize, place: &Place) -> io::Result<Box<dyn Contender>> {
    thread_local! {
        static OWN: (Runtime, reqwest::Client) = (
            runtime::Builder::new_current_thread().enable_all().build().expect("epoll can be had"),
            reqwest::Client::builder().no_proxy().build().expect("the options are valid"),
        );
    }
    struct Clients(String);
    impl Contender for Clients {
        fn run(&self, count: u64) {
            OWN.with(|(runtime, client)| {
                runtime.block_on(async {
                    for _ in 0..count {
                        let response = client.get(&self.0).send().await;
                        let body = response.expect("the server responds").bytes().await;
                        read(&body.expect("the response is complete"));
                    }
                });
            });
        }
    }
    Ok(Box::new(Clients(url(place))))
}
