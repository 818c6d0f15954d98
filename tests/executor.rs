//! Asynchronous calls over real sockets: what the model checker can't see.

mod support;

use std::sync::mpsc;
use std::time::Duration;

use phantomdb::{Answer, Code, Executor, Options, Request, Result, Ticket, Validation};
use support::fake_server::{FakeServer, PATIENCE, Peer};

fn executor(server: &FakeServer, request_timeout: Duration) -> Executor {
    Executor::new(Options {
        base_url: server.url(),
        min_connections: 1,
        max_connections: 1,
        validation: Validation::None,
        request_timeout,
        ..Options::default()
    })
    .unwrap()
}

fn run(executor: &Executor, request: Request) -> mpsc::Receiver<Result<Answer>> {
    let (sender, receiver) = mpsc::channel();
    executor.run(request, &Ticket::new(), move |answer| sender.send(answer).unwrap()).unwrap();
    receiver
}

/// Bytes that are there already announce themselves no second time, so whoever lets others have their
/// turn in the middle of an answer has to come back by itself.
#[test]
fn an_answer_of_any_size_is_read_to_its_end() {
    let sizes: Vec<usize> = (1..40).map(|step| step * 24_000).collect();
    let of_server = sizes.clone();
    let server = FakeServer::start(move |listener| {
        let mut peer = Peer::accept(listener);
        for size in of_server {
            peer.serve(&format!("\"{}\"", "x".repeat(size)));
        }
        peer.expect_end();
    });
    let executor = executor(&server, PATIENCE);
    for size in sizes {
        let request = Request::raw("GET", "/large", None).unwrap();
        let answer = run(&executor, request).recv().unwrap().unwrap();
        assert_eq!(answer.text().len(), size + 2);
    }
    executor.close().unwrap();
    server.join();
}

#[test]
fn rule_03_a_request_without_an_answer_ends_at_its_time_out() {
    let server = FakeServer::start(|listener| {
        let mut peer = Peer::accept(listener);
        // Over a socket that is open already, so that no thread waits for it.
        peer.serve("{}");
        peer.request();
        let mut next = Peer::accept(listener);
        next.serve("{}");
        peer.expect_end();
        next.expect_end();
    });
    let executor = executor(&server, Duration::from_millis(200));
    run(&executor, Request::health_check()).recv().unwrap().unwrap();
    let error =
        run(&executor, Request::health_check()).recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    assert!(error.message().contains("after 200 ms (request_timeout)"), "{error}");
    run(&executor, Request::health_check()).recv().unwrap().unwrap();
    executor.close().unwrap();
    server.join();
}
