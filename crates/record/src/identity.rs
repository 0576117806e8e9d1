//! Which cluster a connection leads to: the uid of its `kube-system` namespace.
//!
//! Asked again after every failure, because the same address may lead to another cluster later. Invariant: nothing of one cluster is
//! recorded under the identity of another.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use proreus_model::ClusterId;
use tokio_util::sync::CancellationToken;

use crate::cluster_api::{ApiError, ClusterApi};
use crate::json::{self, MAX_DEPTH};

/// How long an answer is good for: many watches fail together, one question is enough.
const FRESH: Duration = Duration::from_secs(5);

/// The namespace has labels and little else.
const DOCUMENT_BYTES: usize = 256 * 1024;

/// Asks for the identity.
pub(crate) async fn ask(api: &ClusterApi) -> Result<ClusterId, ApiError> {
    let document = api.document("/api/v1/namespaces/kube-system", "application/json", DOCUMENT_BYTES).await?;
    let object = json::parse(&document, MAX_DEPTH).map_err(|error| ApiError::Transport(error.to_string()))?;
    object
        .text_at(&["metadata", "uid"])
        .filter(|uid| !uid.is_empty())
        .map(ClusterId::from)
        .ok_or_else(|| ApiError::Transport("the kube-system namespace has no uid".to_owned()))
}

/// The identity under which a cluster's watches record, and whether it still holds.
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    /// Cancelled when the connection leads elsewhere.
    pub(crate) changed: CancellationToken,
    api: ClusterApi,
    /// When it was last asked again; not yet is long ago.
    asked: Mutex<Option<Instant>>,
}

impl Identity {
    pub(crate) fn new(cluster: ClusterId, api: ClusterApi) -> Self {
        Self { cluster, changed: CancellationToken::new(), api, asked: Mutex::default() }
    }

    /// Asks again unless that was done a moment ago. `Ok(false)` when it is another cluster.
    pub(crate) async fn holds(&self) -> Result<bool, ApiError> {
        if self.changed.is_cancelled() {
            return Ok(false);
        }
        let asked = *self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return Ok(true);
        }
        let found = ask(&self.api).await?;
        if found != self.cluster {
            tracing::warn!(expected = %self.cluster, found = %found, "the context leads to another cluster now");
            self.changed.cancel();
            return Ok(false);
        }
        *self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
        Ok(true)
    }
}
