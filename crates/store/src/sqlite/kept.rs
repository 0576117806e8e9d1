//! Of which clusters and resource types anything is kept, read off the interned words of each day.

use std::collections::BTreeMap;

use proreus_model::{ClusterId, ResourceType};

use super::published::Published;
use crate::journal::StoreError;

/// Clusters, in the order in which they first appear.
pub(super) fn clusters(now: &Published) -> Result<Vec<ClusterId>, StoreError> {
    let mut found: Vec<ClusterId> = Vec::new();
    for day in now.days.iter() {
        let connection = day.borrow()?;
        for (_, class) in day.names(&connection, true)?.classes() {
            if !found.contains(&class.of.cluster) {
                found.push(class.of.cluster.clone());
            }
        }
    }
    Ok(found)
}

/// Resource types in order, each with the version seen last. One is namespaced when any object of it was seen in a namespace.
pub(super) fn types(now: &Published) -> Result<Vec<ResourceType>, StoreError> {
    let mut found = BTreeMap::new();
    for day in now.days.iter() {
        let connection = day.borrow()?;
        for (_, class) in day.names(&connection, true)?.classes() {
            let of = &class.of;
            let entry = found.entry((of.group.clone(), of.kind.clone(), of.resource.clone())).or_insert((of.version.clone(), false));
            *entry = (of.version.clone(), entry.1 || !class.namespace.is_empty());
        }
    }
    let types = found.into_iter();
    Ok(types.map(|((group, kind, resource), (version, namespaced))| ResourceType { group, version, kind, resource, namespaced }).collect())
}
