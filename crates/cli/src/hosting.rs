//! HTTP beside something else: serve while it runs, end after it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use proreus_app::Application;
use proreus_serve::{BoundServer, ServeError, TlsFiles};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// A server that has its address.
pub(crate) struct Host {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: Pin<Box<dyn Future<Output = Result<(), ServeError>>>>,
}

impl Host {
    /// Takes the address. Nothing is answered before `during`.
    pub(crate) fn bind(app: Arc<Application>, listen: SocketAddr, tls: Option<TlsFiles>) -> Result<Self, Failure> {
        let shutdown = CancellationToken::new();
        let bound = BoundServer::bind(app, listen, tls, shutdown.clone())?;
        Ok(Self { address: bound.address(), shutdown, serving: Box::pin(bound.serve()) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves while `other` runs.
    pub(crate) async fn during<T>(&mut self, other: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            served = &mut self.serving => {
                let ended = served.err().unwrap_or_else(|| ServeError::Stopped(std::io::Error::other("it ended by itself")));
                Err(ended.into())
            }
            out = other => Ok(out),
        }
    }

    /// Ends streams, lets requests under way finish.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        Ok(self.serving.await?)
    }
}
