use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use phantomdb::{AsyncPool, Options, Request, Result};

pub async fn databases(base_url: String) -> Result<Vec<String>> {
    let pool = AsyncPool::new(Options { base_url, ..Options::default() })?;
    let lease = pool.acquire().await?;
    let response = lease.request(Request::list_databases()).await?;
    drop(lease);
    pool.close().await?;
    Ok(response.names()?.iter().map(str::to_owned).collect())
}

fn main() -> Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or("http://localhost:8080".into());
    for name in block_on(databases(base_url))? {
        println!("{name}");
    }
    Ok(())
}

/// The smallest executor there is; any other does as well.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
