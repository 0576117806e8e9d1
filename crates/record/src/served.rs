//! Asks an API server what it serves: aggregated discovery, or classic where the server is older.
//!
//! Sends and reads; what the documents mean is `discovery`'s. Invariant: a group that does not answer is named as uncertain.

use std::collections::BTreeSet;

use proreus_model::{Group, Resource};

use crate::cluster_api::{ApiError, ClusterApi};
use crate::discovery::{self, Discovered};

/// Discovery documents of the largest clusters have some megabytes.
const DISCOVERY_BYTES: usize = 32 * 1024 * 1024;

/// What the server serves at the moment.
pub(crate) async fn discover(api: &ClusterApi) -> Result<Discovered, ApiError> {
    let core = api.document("/api", discovery::ACCEPT_AGGREGATED, DISCOVERY_BYTES).await?;
    let rest = api.document("/apis", discovery::ACCEPT_AGGREGATED, DISCOVERY_BYTES).await?;
    match (discovery::aggregated(&core), discovery::aggregated(&rest)) {
        (Some(mut core), Some(rest)) => {
            core.types.extend(rest.types);
            core.uncertain.extend(rest.uncertain);
            Ok(core)
        }
        _ => discover_classically(api, &rest).await,
    }
}

async fn discover_classically(api: &ClusterApi, groups: &[u8]) -> Result<Discovered, ApiError> {
    let nonsense = || ApiError::Transport("the discovery document of /apis makes no sense".to_owned());
    let mut paths = vec![(Group::default(), "/api/v1".to_owned())];
    paths.extend(discovery::classic_paths(groups).ok_or_else(nonsense)?);
    let mut found = Discovered::default();
    for (group, path) in paths {
        let types = match api.document(&path, "application/json", DISCOVERY_BYTES).await {
            Ok(document) => discovery::classic(&group, &path, &document),
            // The core group answers whenever the server does.
            Err(error) if group.is_empty() => return Err(error),
            Err(_) => None,
        };
        match types {
            Some(types) => found.types.extend(types),
            None => {
                found.uncertain.insert(group);
            }
        }
    }
    Ok(found)
}

/// The custom resources that definitions define.
pub(crate) async fn custom_types(api: &ClusterApi) -> Result<BTreeSet<(Group, Resource)>, ApiError> {
    const ACCEPT: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let document = api.document(path, ACCEPT, DISCOVERY_BYTES).await?;
    discovery::custom_types(&document).ok_or_else(|| ApiError::Transport("the list of definitions makes no sense".to_owned()))
}

/// The version that the server tells of itself.
pub(crate) async fn server_version(api: &ClusterApi) -> String {
    let document = api.document("/version", "application/json", 64 * 1024).await.unwrap_or_default();
    let version = crate::json::parse(&document, 8).ok().and_then(|version| version.text_at(&["gitVersion"]).map(str::to_owned));
    version.unwrap_or_else(|| "unknown".to_owned())
}
