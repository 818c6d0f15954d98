//! How long a connection may go on, by what it is doing.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between requests.
    Idle(Instant),
    /// The head of a request has begun to arrive.
    Receiving(Instant),
    /// A request is being served.
    Serving,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Since when the client has not taken what is to be written.
    stalled: Option<Instant>,
}

/// Knows when a connection has been idle, or its client slow, for too long.
#[derive(Debug)]
pub struct ConnectionTimeouts {
    keep_alive: Duration,
    client: Duration,
    state: Mutex<State>,
    moved: Notify,
}

impl ConnectionTimeouts {
    /// The time-outs of a connection that was just accepted.
    pub fn new(keep_alive: Duration, client: Duration) -> Self {
        Self {
            keep_alive,
            client,
            state: Mutex::new(State { phase: Phase::Idle(Instant::now()), stalled: None }),
            moved: Notify::new(),
        }
    }

    /// A request has arrived; call [`ConnectionTimeouts::idle`] after its response.
    pub fn serving(&self) {
        self.lock().phase = Phase::Serving;
        self.moved.notify_one();
    }

    /// The response was handed over.
    pub fn idle(&self) {
        self.lock().phase = Phase::Idle(Instant::now());
        self.moved.notify_one();
    }

    /// The rest of a request that got its response early has come.
    pub fn drained(&self) {
        let mut state = self.lock();
        if let Phase::Receiving(_) = state.phase {
            state.phase = Phase::Idle(Instant::now());
            self.moved.notify_one();
        }
    }

    /// Returns when the connection has to be cut.
    pub async fn expired(&self) {
        loop {
            let moved = self.moved.notified();
            match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => {}
                    () = moved => {}
                },
                None => moved.await,
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let state = self.lock();
        let phase = match state.phase {
            Phase::Idle(since) => Some(since + self.keep_alive),
            Phase::Receiving(since) => Some(since + self.client),
            Phase::Serving => None,
        };
        let stalled = state.stalled.map(|since| since + self.client);
        phase.into_iter().chain(stalled).min()
    }

    fn received(&self) {
        let mut state = self.lock();
        if let Phase::Idle(_) = state.phase {
            state.phase = Phase::Receiving(Instant::now());
            self.moved.notify_one();
        }
    }

    fn wrote(&self) {
        let mut state = self.lock();
        state.stalled = None;
        if let Phase::Idle(since) = &mut state.phase {
            *since = Instant::now();
        }
    }

    fn stalled(&self) {
        let mut state = self.lock();
        if state.stalled.is_none() {
            state.stalled = Some(Instant::now());
            self.moved.notify_one();
        }
    }

    /// Nothing is left to write. That says nothing about the client: hyper asks for it at every turn.
    fn flushed(&self) {
        self.lock().stalled = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that tells the time-outs what happens on it. `K` is kept until the stream is about to be closed: a client
/// that has seen the end of one connection must not find it counted beside its next.
#[derive(Debug)]
pub struct TimedStream<S, K> {
    kept: Option<K>,
    stream: S,
    timeouts: Arc<ConnectionTimeouts>,
}

impl<S, K> TimedStream<S, K> {
    pub fn new(stream: S, timeouts: Arc<ConnectionTimeouts>, kept: K) -> Self {
        Self { kept: Some(kept), stream, timeouts }
    }
}

impl<S: AsyncRead + Unpin, K: Unpin> AsyncRead for TimedStream<S, K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.timeouts.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S, K> TimedStream<S, K> {
    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(_) => self.timeouts.wrote(),
            Poll::Pending => self.timeouts.stalled(),
        }
        result
    }

    fn note_flush(&self, result: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        match result {
            Poll::Ready(_) => self.timeouts.flushed(),
            Poll::Pending => self.timeouts.stalled(),
        }
        result
    }
}

impl<S: AsyncWrite + Unpin, K: Unpin> AsyncWrite for TimedStream<S, K> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.note_flush(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.kept = None;
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.note_flush(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(20);

    /// Takes what is written, but is in no hurry to pass it on, like TLS on a full socket.
    struct Slow {
        turns: usize,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.turns.checked_sub(1) {
                None => Poll::Ready(Ok(())),
                Some(left) => {
                    self.turns = left;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn expires(timeouts: &ConnectionTimeouts) -> bool {
        timeout(5 * SHORT, timeouts.expired()).await.is_ok()
    }

    #[tokio::test]
    async fn a_stall_that_is_over_is_forgotten() {
        let timeouts = Arc::new(ConnectionTimeouts::new(LONG, SHORT));
        let mut stream = TimedStream::new(Slow { turns: 3 }, Arc::clone(&timeouts), ());
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        assert!(!expires(&timeouts).await);
    }

    #[tokio::test]
    async fn a_stall_that_lasts_expires() {
        let timeouts = Arc::new(ConnectionTimeouts::new(LONG, SHORT));
        timeouts.serving();
        let (near, _far) = tokio::io::duplex(1);
        let mut stream = TimedStream::new(near, Arc::clone(&timeouts), ());
        assert!(timeout(SHORT, stream.write_all(b"too much")).await.is_err());
        assert!(expires(&timeouts).await);
    }

    #[tokio::test]
    async fn a_response_may_take_its_time_and_idleness_may_not() {
        let timeouts = ConnectionTimeouts::new(SHORT, SHORT);
        timeouts.serving();
        assert!(!expires(&timeouts).await);
        timeouts.idle();
        assert!(expires(&timeouts).await);
    }
}
