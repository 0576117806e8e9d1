//! OpenAPI, v2 and v3: what `kubectl apply` asks for. Built-in types are declared without their fields, because the playground does not
//! check them; custom resources come with the schema of their definition.

use std::collections::BTreeMap;

use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::http::{Call, json_answer, response};
use crate::ids::fnv32;
use crate::resource::{Registry, ResourceDef};
use crate::status::ApiError;

/// Answers a request below `/openapi`.
pub(crate) fn answer(registry: &Registry, rest: &[&str], call: &Call) -> Result<Response, ApiError> {
    match rest {
        ["v2"] => Ok(response(StatusCode::OK, "application/json", Body::from(v2(registry).to_string()))),
        ["v3"] => Ok(json_answer(StatusCode::OK, &index(registry), call.accepted)),
        ["v3", "api", version] => v3(registry, "", version, call),
        ["v3", "apis", group, version] => v3(registry, group, version, call),
        _ => Err(ApiError::no_such_path()),
    }
}

fn group_versions(registry: &Registry) -> BTreeMap<(String, String), Vec<&ResourceDef>> {
    let mut out: BTreeMap<(String, String), Vec<&ResourceDef>> = BTreeMap::new();
    for def in registry.all() {
        for version in &def.versions {
            out.entry((def.group.clone(), version.clone())).or_default().push(def);
        }
    }
    out
}

fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for ((group, version), defs) in group_versions(registry) {
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let hash = fnv32(document(&group, &version, &defs).to_string().as_bytes());
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash:08X}")}));
    }
    json!({"paths": paths})
}

fn v3(registry: &Registry, group: &str, version: &str, call: &Call) -> Result<Response, ApiError> {
    let all = group_versions(registry);
    let defs = all.get(&(group.to_owned(), version.to_owned())).ok_or_else(ApiError::no_such_path)?;
    Ok(json_answer(StatusCode::OK, &document(group, version, defs), call.accepted))
}

/// Name of a schema: the group backwards, as real servers have it.
fn schema_name(def: &ResourceDef, version: &str) -> String {
    let group = if def.group.is_empty() { "core".to_owned() } else { def.group.split('.').rev().collect::<Vec<_>>().join(".") };
    format!("{group}.{version}.{}", def.kind)
}

fn schema(def: &ResourceDef, version: &str) -> Value {
    let declared = def.custom.get(version).and_then(|custom| custom.schema.clone());
    let mut out = declared.unwrap_or_else(|| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    for field in ["apiVersion", "kind"] {
        crate::tree::put_default(&mut out, &["properties", field], json!({"type": "string"}));
    }
    crate::tree::put(&mut out, &["properties", "metadata"], json!({"type": "object"}));
    out["x-kubernetes-group-version-kind"] = json!([{"group": def.group, "version": version, "kind": def.kind}]);
    out
}

fn base_path(def: &ResourceDef, version: &str) -> String {
    let root = if def.group.is_empty() { format!("/api/{version}") } else { format!("/apis/{}/{version}", def.group) };
    if def.namespaced { format!("{root}/namespaces/{{namespace}}/{}", def.plural) } else { format!("{root}/{}", def.plural) }
}

/// Parameters of a write, which is where clients look whether the server checks fields itself.
fn write_parameters(v2: bool) -> Value {
    let one = |name: &str| match v2 {
        true => json!({"name": name, "in": "query", "type": "string", "uniqueItems": true}),
        false => json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}),
    };
    json!([one("dryRun"), one("fieldManager"), one("fieldValidation"), one("force")])
}

fn paths(def: &ResourceDef, version: &str, v2: bool) -> Vec<(String, Value)> {
    let kind = json!({"group": def.group, "version": version, "kind": def.kind});
    let operation = |action: &str, writes: bool| {
        let mut out = json!({
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        });
        if writes {
            out["parameters"] = write_parameters(v2);
        }
        out
    };
    let base = base_path(def, version);
    if def.traits.create_only {
        return vec![(base, json!({"post": operation("post", true)}))];
    }
    let one = json!({
        "get": operation("get", false), "put": operation("put", true), "patch": operation("patch", true), "delete": operation("delete", false),
    });
    vec![(format!("{base}/{{name}}"), one), (base, json!({"get": operation("list", false), "post": operation("post", true)}))]
}

fn document(group: &str, version: &str, defs: &[&ResourceDef]) -> Value {
    let mut schemas = Map::new();
    let mut all_paths = Map::new();
    for def in defs.iter().filter(|def| def.group == group) {
        schemas.insert(schema_name(def, version), schema(def, version));
        all_paths.extend(paths(def, version, false));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.3"}, "paths": all_paths, "components": {"schemas": schemas}})
}

fn v2(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    let mut all_paths = Map::new();
    for ((_, version), defs) in group_versions(registry) {
        for def in defs {
            let mut schema = schema(def, &version);
            // What v2 cannot say is left open.
            if def.is_custom() {
                schema = json!({"type": "object", "x-kubernetes-group-version-kind": schema["x-kubernetes-group-version-kind"]});
            }
            definitions.insert(schema_name(def, &version), schema);
            all_paths.extend(paths(def, &version, true));
        }
    }
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.3"}, "paths": all_paths, "definitions": definitions})
}
