//! The pools that are written in Rust, of connections that are nothing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::LazyLock;

use crossbeam_queue::ArrayQueue;
use tokio::runtime::{Builder, Runtime};

use crate::contender::{Contender, Place};

/// For those that are asynchronous. Each of the measured threads waits for its own acquires, so
/// that all contenders have the same threads.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build();
    runtime.expect("a thread can be had")
});

struct Null;

/// The limit: a queue without locks, and nothing else. A caller that finds it empty tries again.
pub fn array_queue(connections: usize, _: &Place) -> io::Result<Box<dyn Contender>> {
    struct Queue(ArrayQueue<usize>);
    impl Contender for Queue {
        fn run(&self, count: u64) {
            for _ in 0..count {
                let taken = loop {
                    match self.0.pop() {
                        Some(taken) => break taken,
                        None => std::thread::yield_now(),
                    }
                };
                assert!(self.0.push(taken).is_ok(), "there is room for what was taken");
            }
        }
    }
    let queue = ArrayQueue::new(connections);
    for index in 0..connections {
        let _ = queue.push(index);
    }
    Ok(Box::new(Queue(queue)))
}

pub fn r2d2(connections: usize, _: &Place) -> io::Result<Box<dyn Contender>> {
    struct Manager;
    impl r2d2::ManageConnection for Manager {
        type Connection = Null;
        type Error = Infallible;
        fn connect(&self) -> Result<Null, Infallible> {
            Ok(Null)
        }
        fn is_valid(&self, _: &mut Null) -> Result<(), Infallible> {
            Ok(())
        }
        fn has_broken(&self, _: &mut Null) -> bool {
            false
        }
    }
    struct Pool(r2d2::Pool<Manager>);
    impl Contender for Pool {
        fn run(&self, count: u64) {
            for _ in 0..count {
                drop(self.0.get().expect("a connection comes back soon"));
            }
        }
    }
    let pool = r2d2::Pool::builder().max_size(connections as u32).build(Manager);
    Ok(Box::new(Pool(pool.map_err(io::Error::other)?)))
}

pub fn deadpool(connections: usize, _: &Place) -> io::Result<Box<dyn Contender>> {
    use deadpool::managed::{self, Metrics, RecycleResult};
    struct Manager;
    impl managed::Manager for Manager {
        type Type = Null;
        type Error = Infallible;
        async fn create(&self) -> Result<Null, Infallible> {
            Ok(Null)
        }
        async fn recycle(&self, _: &mut Null, _: &Metrics) -> RecycleResult<Infallible> {
            Ok(())
        }
    }
    struct Pool(managed::Pool<Manager>);
    impl Contender for Pool {
        fn run(&self, count: u64) {
            wait_for(async {
                for _ in 0..count {
                    drop(self.0.get().await.expect("a connection comes back"));
                }
            });
        }
    }
    let pool = managed::Pool::builder(Manager).max_size(connections).build();
    Ok(Box::new(Pool(pool.map_err(io::Error::other)?)))
}

pub fn bb8(connections: usize, _: &Place) -> io::Result<Box<dyn Contender>> {
    struct Manager;
    impl bb8::ManageConnection for Manager {
        type Connection = Null;
        type Error = Infallible;
        async fn connect(&self) -> Result<Null, Infallible> {
            Ok(Null)
        }
        async fn is_valid(&self, _: &mut Null) -> Result<(), Infallible> {
            Ok(())
        }
        fn has_broken(&self, _: &mut Null) -> bool {
            false
        }
    }
    struct Pool(bb8::Pool<Manager>);
    impl Contender for Pool {
        fn run(&self, count: u64) {
            wait_for(async {
                for _ in 0..count {
                    drop(self.0.get().await.expect("a connection comes back soon"));
                }
            });
        }
    }
    let build = bb8::Pool::builder().max_size(connections as u32).build(Manager);
    let pool = RUNTIME.block_on(build).map_err(io::Error::other)?;
    Ok(Box::new(Pool(pool)))
}

fn wait_for(work: impl Future<Output = ()>) {
    RUNTIME.block_on(work);
}
