//! A connection within bounds: one of so many, and given up when its reader reads nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum_server::accept::{Accept, DefaultAcceptor};
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use crate::limits::{MAX_CONNECTIONS, Place, WRITE_STALL_TIMEOUT};

/// Accepts connections within bounds, then as the inner acceptor does.
#[derive(Clone)]
pub(super) struct Bounded<A = DefaultAcceptor> {
    inner: A,
    places: Arc<Semaphore>,
}

impl Bounded {
    /// Without TLS.
    pub(super) fn plain() -> Self {
        Self::new(DefaultAcceptor::new())
    }
}

impl<A> Bounded<A> {
    pub(super) fn new(inner: A) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<BoundedStream, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // Closed at once when there is no place: a client that is told nothing tries again, one that waits holds a descriptor.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!(limit = MAX_CONNECTIONS, "closed a connection, there are too many");
            return Box::pin(std::future::ready(Err(io::Error::other("too many connections"))));
        };
        let stream = stream.set_nodelay(true).map(|()| BoundedStream { inner: stream, stalled: None, _place: place });
        match stream {
            Ok(stream) => Box::pin(self.inner.accept(stream, service)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// A stream that fails when a write has made no progress for a while.
pub(super) struct BoundedStream {
    inner: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl BoundedStream {
    fn watched<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_STALL_TIMEOUT)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let client = TcpStream::connect(listener.local_addr().expect("address")).await.expect("connect");
        let (inner, _) = listener.accept().await.expect("accept");
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("place");
        let mut stream = BoundedStream { inner, stalled: None, _place: place };
        let portion = vec![0; 1024 * 1024];
        let mut outcome = Ok(());
        // Far more than any socket buffer holds.
        for _ in 0..256 {
            outcome = stream.write_all(&portion).await;
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        drop(client);
    }
}
