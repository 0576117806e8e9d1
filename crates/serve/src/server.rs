//! Listening: connections, their timeouts and their number, TLS, and the end.

mod connection;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use proreus_app::Application;
use tokio_util::sync::CancellationToken;

pub use tls::TlsFiles;

use crate::limits::{HEADER_TIMEOUT, MAX_CONNECTION_STREAMS, MAX_HEAD_BYTES, SHUTDOWN_GRACE};
use crate::rest::well_known::OverTls;
use crate::router::router;
use crate::shared::{Exposure, ServeOptions};
use connection::Bounded;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the TLS files `{certificate}` and `{key}`: {reason}")]
    Tls {
        /// The certificate chain's file.
        certificate: String,
        /// The key's file.
        key: String,
        /// What does not hold.
        reason: String,
    },
    /// The server stopped on its own.
    #[error("the server stopped: {0}")]
    Stopped(#[source] io::Error),
}

impl ServeError {
    /// What the person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { reason, .. } if reason.kind() == io::ErrorKind::AddrInUse => {
                "another program listens there; end it, or give another --listen"
            }
            Self::Listen { .. } => "give an address of this machine and a port that this user may listen on",
            Self::Tls { .. } => "give a PEM file with the certificate chain and one with its private key",
            Self::Stopped(_) => "see the log, then start again",
        }
    }
}

/// A server that has its address and does not answer yet.
pub struct BoundServer {
    listener: std::net::TcpListener,
    address: SocketAddr,
    app: Arc<Application>,
    tls: Option<TlsFiles>,
    shutdown: CancellationToken,
}

/// Listens and serves until `shutdown`.
///
/// # Errors
/// When the address or the TLS files cannot be used, or the listener fails.
pub async fn run(app: Arc<Application>, listen: SocketAddr, tls: Option<TlsFiles>, shutdown: CancellationToken) -> Result<(), ServeError> {
    BoundServer::bind(app, listen, tls, shutdown)?.serve().await
}

impl BoundServer {
    /// Takes the address, port 0 for any free one.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn bind(app: Arc<Application>, listen: SocketAddr, tls: Option<TlsFiles>, shutdown: CancellationToken) -> Result<Self, ServeError> {
        let taken = || {
            let listener = std::net::TcpListener::bind(listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = taken().map_err(|reason| ServeError::Listen { address: listen, reason })?;
        Ok(Self { listener, address, app, tls, shutdown })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown: then streams end, no connection is taken any more, and requests under way have a few seconds.
    ///
    /// # Errors
    /// When the TLS files cannot be used or the listener fails.
    pub async fn serve(self) -> Result<(), ServeError> {
        let exposure = if self.address.ip().is_loopback() { Exposure::Loopback } else { Exposure::Network };
        let mut routes = router(self.app, ServeOptions::new(exposure, self.shutdown.clone()));
        if self.tls.is_some() {
            routes = routes.layer(axum::Extension(OverTls));
        }
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        let handle = Handle::new();
        let (ending, shutdown) = (handle.clone(), self.shutdown.clone());
        let end = async move {
            shutdown.cancelled().await;
            ending.graceful_shutdown(Some(SHUTDOWN_GRACE));
        };
        let mut server = axum_server::from_tcp(self.listener).map_err(ServeError::Stopped)?.handle(handle);
        bound(server.http_builder());
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let serve = async {
            match self.tls {
                None => server.acceptor(Bounded::plain()).serve(service).await.map_err(ServeError::Stopped),
                Some(files) => {
                    let acceptor = files.acceptor(self.shutdown.clone())?;
                    server.acceptor(acceptor).serve(service).await.map_err(ServeError::Stopped)
                }
            }
        };
        tracing::info!(address = %self.address, scheme, "serving");
        let serve = std::pin::pin!(serve);
        let end = std::pin::pin!(end);
        match futures::future::select(serve, end).await {
            futures::future::Either::Left((served, _)) => served,
            futures::future::Either::Right(((), serve)) => serve.await,
        }
    }
}

fn bound(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONNECTION_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT);
}
