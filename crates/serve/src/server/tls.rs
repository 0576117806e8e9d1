//! TLS from a certificate and a key in PEM files, looked at again now and then, so that a renewed certificate needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::connection::Bounded;
use crate::limits::{CERTIFICATE_RECHECK, HANDSHAKE_TIMEOUT};

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// An acceptor that follows the files until `shutdown`.
    pub(super) fn acceptor(self, shutdown: CancellationToken) -> Result<Bounded<RustlsAcceptor>, ServeError> {
        let config = RustlsConfig::from_config(Arc::new(self.load()?));
        tokio::spawn(self.follow(config.clone(), shutdown));
        // The handshake happens on a bounded stream, so that one that stalls holds its place for no longer than its own timeout.
        let acceptor = RustlsAcceptor::new(config).handshake_timeout(HANDSHAKE_TIMEOUT);
        Ok(Bounded::new(acceptor))
    }

    fn load(&self) -> Result<ServerConfig, ServeError> {
        let fail = |reason: String| ServeError::Tls {
            certificate: self.certificate.display().to_string(),
            key: self.key.display().to_string(),
            reason,
        };
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(&self.certificate).and_then(|certificates| certificates.collect());
        let chain = chain.map_err(|error| fail(format!("certificate: {error}")))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| fail(format!("key: {error}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| fail(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    async fn follow(self, config: RustlsConfig, shutdown: CancellationToken) {
        let mut seen = self.stamp();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(CERTIFICATE_RECHECK) => {}
            }
            let stamp = self.stamp();
            if stamp == seen {
                continue;
            }
            match self.load() {
                Ok(renewed) => {
                    config.reload_from_config(Arc::new(renewed));
                    seen = stamp;
                    tracing::info!("serving a renewed certificate");
                }
                // The files may be half written: the old certificate stays, and the next look tries again.
                Err(error) => tracing::warn!(%error, "kept the old certificate"),
            }
        }
    }

    fn stamp(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        (modified(&self.certificate), modified(&self.key))
    }
}
