//! The few questions the bench asks etcd, through its JSON gateway.
//!
//! The gateway speaks the gRPC API as JSON: bytes are base64, 64-bit numbers are strings.
//! Watching is the witness' affair.

use std::sync::Arc;

use reqwest::Client;
use serde::Deserialize;
use serde_json::json;

use crate::{Error, Result};

// Long enough to show what was said, short enough for one line.
const SHOWN_ANSWER_CHARS: usize = 300;
/// What etcd says of a revision that is forgotten already, in status 400 (`rpctypes.ErrGRPCCompacted`).
const ALREADY_COMPACTED: &str = "required revision has been compacted";

/// etcd's client endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Etcd {
    url: String,
    client: Client,
}

/// A client for plain HTTP on loopback, without time limits: watches are endless.
///
/// It needs no TLS, but the builder asks for some; one of its own keeps the process-wide choice of
/// a TLS provider open, which a program under test may have forgotten to make.
pub(crate) fn plain_client() -> Result<Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    // A proxy from the environment has no business between the bench and its own etcd.
    let client = Client::builder().no_proxy().tls_backend_preconfigured(tls).build();
    client.map_err(|source| Error::Etcd { path: "/", source })
}

#[derive(Deserialize)]
struct Answer {
    header: Header,
}

/// What every answer of etcd opens with.
#[derive(Deserialize)]
pub(crate) struct Header {
    /// The store's revision when the answer was given.
    pub(crate) revision: String,
}

impl Etcd {
    pub(crate) fn new(url: String) -> Result<Self> {
        Ok(Self { url, client: plain_client()? })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The store's current revision.
    pub(crate) async fn revision(&self) -> Result<u64> {
        let path = "/v3/kv/range";
        // The key is a single zero byte: no such key exists, the header is what is asked for.
        let text = self.post(path, json!({"key": "AA==", "count_only": true})).await?;
        serde_json::from_str::<Answer>(&text)
            .ok()
            .and_then(|answer| answer.header.revision.parse().ok())
            .ok_or_else(|| Error::EtcdAnswer { path, answer: text.chars().take(SHOWN_ANSWER_CHARS).collect() })
    }

    /// Forgets every revision before `revision`, and returns when the space has been freed.
    pub(crate) async fn compact(&self, revision: u64) -> Result<()> {
        const PATH: &str = "/v3/kv/compaction";
        let failed = |source| Error::Etcd { path: PATH, source };
        let body = json!({"revision": revision.to_string(), "physical": true});
        let answer = self.client.post(format!("{}{PATH}", self.url)).body(body.to_string()).send().await.map_err(failed)?;
        let refused = answer.error_for_status_ref().map(drop);
        let text = answer.text().await.map_err(failed)?;
        match refused {
            // Nothing was written since the last compaction: etcd refuses what is forgotten already.
            Err(_) if text.contains(ALREADY_COMPACTED) => Ok(()),
            refused => refused.map_err(failed),
        }
    }

    /// Whether it serves.
    pub(crate) async fn is_healthy(&self) -> Result<()> {
        self.revision().await.map(drop)
    }

    async fn post(&self, path: &'static str, body: serde_json::Value) -> Result<String> {
        let failed = |source| Error::Etcd { path, source };
        let request = self.client.post(format!("{}{path}", self.url)).body(body.to_string());
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        answer.text().await.map_err(failed)
    }
}
