//! Writes Kubernetes Events about what Proreus found: the one thing that Proreus ever writes into a cluster it watches.
//!
//! Server-side apply, so that one request makes an Event or brings it up to date, and the same request again changes nothing. Not here: what
//! an Event says, when to try again. Invariant: nothing but Events is written, and every wait has a limit.

use std::time::Duration;

use crate::cluster_api::{ApiError, ClusterApi, event_path};
use crate::connect::ClusterSource;

/// The field manager of what we write.
const MANAGER: &str = "proreus";

/// What the API server says of an object in a namespace that is on its way out.
const NAMESPACE_ENDS: &str = "being terminated";

/// Why an Event was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EventRefusal {
    /// What the API server answered; `None` where there was no answer.
    pub code: Option<u16>,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Whether the namespace is gone or going, so that no permission would help.
    pub namespace_ends: bool,
    /// What happened.
    pub message: String,
}

/// Writes Events into one cluster.
#[derive(Clone)]
pub struct EventWriter {
    api: ClusterApi,
}

impl EventWriter {
    /// Into the cluster that a source leads to.
    pub fn new(source: &ClusterSource) -> Self {
        Self { api: ClusterApi::new(source.client.clone()) }
    }

    /// Applies an Event, given as the JSON of core v1.
    ///
    /// # Errors
    /// What the API server said against it.
    pub async fn apply(&self, namespace: &str, name: &str, body: Vec<u8>) -> Result<(), EventRefusal> {
        self.api.apply(&event_path(namespace, name, MANAGER), body).await.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &ApiError) -> EventRefusal {
    let message = error.to_string();
    match error {
        ApiError::Transport(_) => EventRefusal { code: None, retry_after: None, namespace_ends: false, message },
        ApiError::Answer { code, retry_after, status } => EventRefusal {
            code: Some(*code),
            retry_after: retry_after.or(status.retry_after_seconds.map(Duration::from_secs)),
            namespace_ends: *code == 404 || status.message.contains(NAMESPACE_ENDS),
            message,
        },
    }
}
