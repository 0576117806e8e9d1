//! How a cluster is reached: from kubeconfig entries or the pod's own service account to a client.
//!
//! Nothing is sent here: whether the cluster answers is found out by the recorder, which retries for as long as it takes.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Name of a cluster that is reached by the service account of our pod and was given no other.
const IN_CLUSTER_NAME: &str = "in-cluster";

/// A way to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// By a kubeconfig: the file (else `KUBECONFIG`, else `~/.kube/config`) and the context (else the current one).
    Kubeconfig {
        /// File.
        path: Option<PathBuf>,
        /// Context.
        context: Option<String>,
    },
    /// By a kubeconfig given as text.
    Inline {
        /// YAML.
        kubeconfig: String,
    },
    /// By the service account of the pod we run in.
    InCluster,
    /// The pod's service account when we run in one, else the kubeconfig's current context.
    Default,
}

/// Why there is no client: nothing that waiting would cure.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("cannot use kubeconfig{}: {reason}", .path.as_ref().map_or(String::new(), |path| format!(" `{}`", path.display())))]
    Kubeconfig {
        /// The file, where it was named.
        path: Option<PathBuf>,
        /// What does not hold.
        reason: String,
    },
    /// We do not run in a pod with a service account.
    #[error("cannot use the pod's service account: {0}")]
    InCluster(String),
    /// The configuration has no client in it, such as a certificate that is none.
    #[error("cannot make a client for `{name}`: {reason}")]
    Client {
        /// The cluster's configured name.
        name: String,
        /// What does not hold.
        reason: String,
    },
}

/// A cluster to watch.
#[derive(Clone)]
pub struct ClusterSource {
    /// Configured name: an alias, never an identity.
    pub alias: String,
    /// How to talk to it.
    pub client: Client,
}

/// Makes the client of a connection; `alias` names the cluster, else its context does.
///
/// # Errors
/// When the configuration itself will not do. An unreachable cluster is no error here.
pub async fn connect(connection: &Connection, alias: Option<&str>) -> Result<ClusterSource, ConnectError> {
    let (mut config, name) = match connection {
        Connection::Kubeconfig { path, context } => from_kubeconfig(path.clone(), context.clone()).await?,
        Connection::Inline { kubeconfig } => from_text(kubeconfig).await?,
        Connection::InCluster => (incluster()?, IN_CLUSTER_NAME.to_owned()),
        Connection::Default => match incluster() {
            Ok(config) => (config, IN_CLUSTER_NAME.to_owned()),
            Err(_) => from_kubeconfig(None, None).await?,
        },
    };
    // The recorder has retries of its own, which know what a failure means.
    config.default_retry = false;
    let alias = alias.map_or(name, ToOwned::to_owned);
    let client = Client::try_from(config).map_err(|error| ConnectError::Client { name: alias.clone(), reason: error.to_string() })?;
    Ok(ClusterSource { alias, client })
}

fn incluster() -> Result<Config, ConnectError> {
    Config::incluster().map_err(|error| ConnectError::InCluster(error.to_string()))
}

async fn from_kubeconfig(path: Option<PathBuf>, context: Option<String>) -> Result<(Config, String), ConnectError> {
    let fail = |reason: String| ConnectError::Kubeconfig { path: path.clone(), reason };
    let kubeconfig = match &path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    }
    .map_err(|error| fail(error.to_string()))?;
    context_of(kubeconfig, context, &fail).await
}

async fn from_text(text: &str) -> Result<(Config, String), ConnectError> {
    let fail = |reason: String| ConnectError::Kubeconfig { path: None, reason };
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| fail(error.to_string()))?;
    context_of(kubeconfig, None, &fail).await
}

async fn context_of(
    kubeconfig: Kubeconfig,
    context: Option<String>,
    fail: &impl Fn(String) -> ConnectError,
) -> Result<(Config, String), ConnectError> {
    let chosen = context.or_else(|| kubeconfig.current_context.clone());
    let Some(name) = chosen else { return Err(fail("it names no current context; name one with --context".to_owned())) };
    if !kubeconfig.contexts.iter().any(|entry| entry.name == name) {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|entry| entry.name.as_str()).collect();
        return Err(fail(format!("it has no context `{name}`, only {}", known.join(", "))));
    }
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| fail(error.to_string()))?;
    Ok((config, name))
}
