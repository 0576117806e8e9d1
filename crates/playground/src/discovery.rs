//! Discovery: which groups, versions and resources there are, in the classic and the aggregated form; version and health.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::{Method, StatusCode};
use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

use crate::http::{Call, json_answer, response};
use crate::request::Place;
use crate::resource::{Registry, ResourceDef};
use crate::server::Shared;
use crate::status::ApiError;

/// Media type of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a request that is about no object.
pub(crate) fn answer(shared: &Arc<Shared>, place: &Place, call: &Call) -> Result<Response, ApiError> {
    if call.method != Method::GET && call.method != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    let world = shared.lock();
    let registry = &world.cluster.registry;
    let value = match place {
        Place::CoreVersions | Place::Groups if call.accepted.aggregated => {
            let core = *place == Place::CoreVersions;
            return Ok(response(StatusCode::OK, AGGREGATED, Body::from(aggregated(registry, core).to_string())));
        }
        Place::CoreVersions => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        Place::Groups => {
            let groups: Vec<Value> = groups(registry).iter().map(|(group, versions)| group_value(group, versions)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Place::Group(name) => {
            let groups = groups(registry);
            let versions = groups.get(name.as_str()).ok_or_else(ApiError::no_such_path)?;
            let mut value = group_value(name, versions);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            value
        }
        Place::Resources(group, version) => resource_list(registry, group, version)?,
        Place::Resource(_) => return Err(ApiError::no_such_path()),
        Place::Other(segments) => return other(registry, segments, call),
    };
    Ok(json_answer(StatusCode::OK, &value, call.accepted))
}

fn other(registry: &Registry, segments: &[String], call: &Call) -> Result<Response, ApiError> {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Ok(json_answer(StatusCode::OK, &version(), call.accepted)),
        ["healthz" | "livez" | "readyz", ..] => Ok(response(StatusCode::OK, "text/plain; charset=utf-8", Body::from("ok"))),
        ["openapi", rest @ ..] => crate::openapi::answer(registry, rest, call),
        [] => {
            let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
            for (group, versions) in groups(registry) {
                paths.push(format!("/apis/{group}"));
                paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
            }
            paths.extend(["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned));
            Ok(json_answer(StatusCode::OK, &json!({"paths": paths}), call.accepted))
        }
        _ => Err(ApiError::no_such_path()),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.3+playground", "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// Groups (the core one left out) with their versions, preferred first.
fn groups(registry: &Registry) -> BTreeMap<&str, Vec<&str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for def in registry.all().filter(|def| !def.group.is_empty()) {
        let versions = out.entry(def.group.as_str()).or_default();
        for version in &def.versions {
            if !versions.contains(&version.as_str()) {
                versions.push(version);
            }
        }
    }
    out
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let of = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(of).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(of),
    })
}

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn verbs(def: &ResourceDef) -> Vec<&'static str> {
    if def.traits.create_only {
        return vec!["create"];
    }
    if def.is_custom() {
        return vec!["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
    }
    // Namespaces are never deleted as a collection.
    VERBS.iter().copied().filter(|verb| !(*verb == "deletecollection" && def.kind == "Namespace")).collect()
}

/// One subresource: name, group, version and kind of its body (`""` for those of the resource), verbs.
struct Sub {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: String,
    verbs: &'static [&'static str],
}

fn subresources(def: &ResourceDef) -> Vec<Sub> {
    let own = |name, verbs| Sub { name, group: "", version: "", kind: def.kind.clone(), verbs };
    let other = |name, group, version, kind: &str, verbs| Sub { name, group, version, kind: kind.to_owned(), verbs };
    let mut out = Vec::new();
    if def.traits.status {
        out.push(own("status", &["get", "patch", "update"]));
    }
    if def.traits.scale {
        out.push(other("scale", "autoscaling", "v1", "Scale", &["get", "patch", "update"]));
    }
    match (def.group.as_str(), def.kind.as_str()) {
        ("", "Pod") => {
            out.push(other("binding", "", "v1", "Binding", &["create"]));
            out.push(other("eviction", "policy", "v1", "Eviction", &["create"]));
            out.push(own("log", &["get"]));
        }
        ("", "Namespace") => out.push(own("finalize", &["update"])),
        ("", "ServiceAccount") => out.push(other("token", "authentication.k8s.io", "v1", "TokenRequest", &["create"])),
        _ => {}
    }
    if !def.is_custom() {
        out.sort_by_key(|sub| sub.name);
    }
    out
}

fn resource_list(registry: &Registry, group: &str, version: &str) -> Result<Value, ApiError> {
    let mut resources = Vec::new();
    for def in registry.all().filter(|def| def.group == group && def.versions.iter().any(|served| served == version)) {
        let mut entry = json!({
            "name": def.plural, "singularName": def.singular, "namespaced": def.namespaced, "kind": def.kind, "verbs": verbs(def),
        });
        if !def.short_names.is_empty() {
            entry["shortNames"] = json!(def.short_names);
        }
        if !def.categories.is_empty() {
            entry["categories"] = json!(def.categories);
        }
        resources.push(entry);
        for sub in subresources(def) {
            let mut entry = json!({
                "name": format!("{}/{}", def.plural, sub.name), "singularName": "", "namespaced": def.namespaced, "kind": sub.kind, "verbs": sub.verbs,
            });
            if !sub.version.is_empty() {
                entry["group"] = sub.group.into();
                entry["version"] = sub.version.into();
            }
            resources.push(entry);
        }
    }
    if resources.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}

fn aggregated(registry: &Registry, core: bool) -> Value {
    let mut items = Vec::new();
    let all = if core { BTreeMap::from([("", vec!["v1"])]) } else { groups(registry) };
    for (group, versions) in all {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> = registry
                    .all()
                    .filter(|def| def.group == group && def.versions.iter().any(|served| served == version))
                    .map(|def| aggregated_resource(def, version))
                    .collect();
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(def: &ResourceDef, version: &str) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut out = json!({
        "resource": def.plural,
        "responseKind": kind(&def.group, version, &def.kind),
        "scope": if def.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": def.singular,
        "verbs": verbs(def),
    });
    if !def.short_names.is_empty() {
        out["shortNames"] = json!(def.short_names);
    }
    if !def.categories.is_empty() {
        out["categories"] = json!(def.categories);
    }
    let subs: Vec<Value> = subresources(def)
        .iter()
        .map(|sub| {
            let response =
                if sub.version.is_empty() { kind(&def.group, version, &sub.kind) } else { kind(sub.group, sub.version, &sub.kind) };
            json!({"subresource": sub.name, "responseKind": response, "verbs": sub.verbs})
        })
        .collect();
    if !subs.is_empty() {
        out["subresources"] = subs.into();
    }
    out
}
