//! What an API server serves, read from its discovery documents, aggregated or classic. Pure: documents in, types out.
//!
//! Only what can be listed and watched comes out. Invariant: a group whose document is missing or stale is named as such, so that its
//! silence is never taken for its end.

use std::collections::BTreeSet;

use proreus_model::{Group, Resource, ResourceType};
use serde::Deserialize;

/// What is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// Types in the server's order of preference: of two versions of one type the first is preferred.
    pub(crate) types: Vec<ResourceType>,
    /// Groups of which nothing certain is known at the moment.
    pub(crate) uncertain: BTreeSet<Group>,
}

/// `Accept` for aggregated discovery, with the classic form as the last resort.
pub(crate) const ACCEPT_AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

#[derive(Deserialize)]
struct Aggregated {
    kind: String,
    #[serde(default)]
    items: Vec<AggregatedGroup>,
}

#[derive(Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

/// Reads an aggregated document of `/api` or `/apis`; `None` if this is another document (an older server answers classically).
pub(crate) fn aggregated(document: &[u8]) -> Option<Discovered> {
    let list: Aggregated = serde_json::from_slice(document).ok()?;
    if list.kind != "APIGroupDiscoveryList" {
        return None;
    }
    let mut found = Discovered::default();
    for group in list.items {
        let name = Group::from(group.metadata.name);
        for version in group.versions {
            if version.freshness == "Stale" {
                found.uncertain.insert(name.clone());
            }
            for resource in version.resources {
                let kind = resource.response_kind.map(|of| of.kind).unwrap_or_default();
                if is_watchable(&resource.resource, &resource.verbs) && !kind.is_empty() {
                    found.types.push(ResourceType {
                        group: name.clone(),
                        version: version.version.as_str().into(),
                        kind: kind.into(),
                        resource: resource.resource.into(),
                        namespaced: resource.scope == "Namespaced",
                    });
                }
            }
        }
    }
    Some(found)
}

fn is_watchable(resource: &str, verbs: &[String]) -> bool {
    let can = |wanted: &str| verbs.iter().any(|verb| verb == wanted);
    !resource.contains('/') && can("list") && can("watch")
}

#[derive(Deserialize)]
struct ClassicGroups {
    #[serde(default)]
    groups: Vec<ClassicGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClassicGroup {
    name: String,
    #[serde(default)]
    versions: Vec<ClassicVersion>,
    preferred_version: Option<ClassicVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClassicVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct ClassicResources {
    #[serde(default)]
    resources: Vec<ClassicResource>,
}

#[derive(Deserialize)]
struct ClassicResource {
    name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    verbs: Vec<String>,
}

/// The documents that a classic `/apis` leads to: (group, path), preferred versions first.
pub(crate) fn classic_paths(document: &[u8]) -> Option<Vec<(Group, String)>> {
    let list: ClassicGroups = serde_json::from_slice(document).ok()?;
    let mut paths = Vec::new();
    for group in list.groups {
        let preferred = group.preferred_version.map(|version| version.group_version).unwrap_or_default();
        let mut versions: Vec<String> = group.versions.into_iter().map(|version| version.group_version).collect();
        versions.sort_by_key(|version| *version != preferred);
        paths.extend(versions.into_iter().map(|version| (Group::from(group.name.as_str()), format!("/apis/{version}"))));
    }
    Some(paths)
}

/// Reads a classic document of one group and version at `path` (`/api/v1`, `/apis/apps/v1`).
pub(crate) fn classic(group: &Group, path: &str, document: &[u8]) -> Option<Vec<ResourceType>> {
    let list: ClassicResources = serde_json::from_slice(document).ok()?;
    let version = path.rsplit('/').next().unwrap_or_default();
    Some(
        list.resources
            .into_iter()
            .filter(|resource| is_watchable(&resource.name, &resource.verbs) && !resource.kind.is_empty())
            .map(|resource| ResourceType {
                group: group.clone(),
                version: version.into(),
                kind: resource.kind.into(),
                resource: resource.name.into(),
                namespaced: resource.namespaced,
            })
            .collect(),
    )
}

#[derive(Deserialize)]
struct DefinitionList {
    #[serde(default)]
    items: Vec<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    metadata: Named,
}

/// The (group, plural) of each definition in a list of CustomResourceDefinitions: its name is `plural.group`.
pub(crate) fn custom_types(document: &[u8]) -> Option<BTreeSet<(Group, Resource)>> {
    let list: DefinitionList = serde_json::from_slice(document).ok()?;
    let split = |definition: &Definition| {
        definition.metadata.name.split_once('.').map(|(plural, group)| (Group::from(group), Resource::from(plural)))
    };
    Some(list.items.iter().filter_map(split).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(types: &[ResourceType]) -> String {
        let names: Vec<String> =
            types.iter().map(|of| format!("{}/{} {} {} {}", of.group, of.version, of.resource, of.kind, of.namespaced)).collect();
        names.join("; ")
    }

    #[test]
    fn reads_aggregated_discovery_and_names_stale_groups() {
        let found = aggregated(
            br#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
            {"metadata":{"name":"apps"},"versions":[{"version":"v1","freshness":"Current","resources":[
              {"resource":"deployments","responseKind":{"group":"","version":"","kind":"Deployment"},"scope":"Namespaced","verbs":["get","list","watch"],
               "subresources":[{"subresource":"scale","verbs":["get"]}]},
              {"resource":"reviews","responseKind":{"kind":"Review"},"scope":"Cluster","verbs":["create"]},
              {"resource":"odd","responseKind":null,"scope":"Cluster","verbs":["list","watch"]}]}]},
            {"metadata":{"name":"metrics.k8s.io","creationTimestamp":null},"versions":[{"version":"v1beta1","freshness":"Stale"}]}]}"#,
        )
        .unwrap();
        assert_eq!(names(&found.types), "apps/v1 deployments Deployment true");
        assert_eq!(found.uncertain, BTreeSet::from(["metrics.k8s.io".into()]));
    }

    #[test]
    fn a_classic_document_is_not_taken_for_an_aggregated_one() {
        assert_eq!(aggregated(br#"{"kind":"APIGroupList","groups":[]}"#), None);
        assert_eq!(aggregated(b"<html>"), None);
    }

    #[test]
    fn reads_classic_discovery_with_the_preferred_version_first() {
        let paths = classic_paths(
            br#"{"kind":"APIGroupList","groups":[{"name":"autoscaling","versions":[{"groupVersion":"autoscaling/v1","version":"v1"},
            {"groupVersion":"autoscaling/v2","version":"v2"}],"preferredVersion":{"groupVersion":"autoscaling/v2","version":"v2"}}]}"#,
        )
        .unwrap();
        assert_eq!(paths.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["/apis/autoscaling/v2", "/apis/autoscaling/v1"]);
        let types = classic(
            &"".into(),
            "/api/v1",
            br#"{"kind":"APIResourceList","resources":[{"name":"pods","namespaced":true,"kind":"Pod","verbs":["list","watch"]},
            {"name":"pods/log","namespaced":true,"kind":"Pod","verbs":["get"]},{"name":"bindings","namespaced":true,"kind":"Binding","verbs":["create"]}]}"#,
        )
        .unwrap();
        assert_eq!(names(&types), "/v1 pods Pod true");
    }

    #[test]
    fn reads_the_types_of_custom_resource_definitions_from_their_names() {
        let found = custom_types(br#"{"items":[{"metadata":{"name":"carts.shop.example"}}]}"#).unwrap();
        assert_eq!(found, BTreeSet::from([("shop.example".into(), "carts".into())]));
    }
}
