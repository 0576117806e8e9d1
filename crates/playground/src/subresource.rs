//! Subresources other than `status`: scale, log, eviction, binding, finalize, token; and the reviews, which store nothing.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, StatusCode};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Target};
use crate::http::{Call, decoded, json_answer, response, writer};
use crate::logs::Of;
use crate::patch::{PatchType, patch_value};
use crate::server::Shared;
use crate::status::{ApiError, success};
use crate::store::Object;
use crate::{time, tree};

/// Longest a followed log is kept open.
const FOLLOW_LIMIT: Duration = Duration::from_secs(1800);
/// How often a followed log is looked at; log lines make no commit that would wake it.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Answers a request to a subresource.
pub(crate) fn answer(shared: &Arc<Shared>, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let custom = target.def.is_custom();
    match (target.subresource.as_str(), target.def.kind.as_str(), &call.method) {
        ("scale", _, &Method::GET) if target.def.traits.scale => {
            let world = shared.lock();
            let object = world.cluster.find(target)?;
            Ok(json_answer(StatusCode::OK, &scale_of(target, &object), call.accepted))
        }
        ("scale", _, &Method::PUT | &Method::PATCH) if target.def.traits.scale => scale(shared, target, call),
        ("log", "Pod", &Method::GET) if !custom => log(shared, target, call),
        ("eviction", "Pod", &Method::POST) if !custom => evict(shared, target, call),
        ("binding", "Pod", &Method::POST) if !custom => bind(shared, target, call),
        ("finalize", "Namespace", &Method::PUT) if !custom => {
            let (writer, body) = (writer(shared, call)?, decoded(call)?);
            let written = shared.write(|world, _| world.cluster.update(target, body, &writer))?;
            Ok(json_answer(StatusCode::OK, written.object.value(), call.accepted))
        }
        ("token", "ServiceAccount", &Method::POST) if !custom => token(shared, target, call),
        _ => Err(ApiError::no_such_path()),
    }
}

/// Where a custom resource keeps what its scale shows.
fn scale_place<'a>(target: &'a Target, field: &str, otherwise: &'a str) -> &'a str {
    let declared = target.def.custom.get(&target.version).and_then(|custom| custom.scale.as_ref());
    declared.map_or(otherwise, |scale| tree::text(scale, &format!("/{field}")))
}

fn scale_of(target: &Target, object: &Object) -> Value {
    let value = object.value();
    let at = |path: &str| tree::number(value, &path.replace('.', "/")).unwrap_or(0);
    let mut meta = json!({
        "name": object.name(), "namespace": object.namespace(), "uid": object.uid(),
        "resourceVersion": object.revision().to_string(), "creationTimestamp": tree::text(value, "/metadata/creationTimestamp"),
    });
    if let Some(deletion) = value.pointer("/metadata/deletionTimestamp") {
        meta["deletionTimestamp"] = deletion.clone();
    }
    let mut status = json!({"replicas": at(scale_place(target, "statusReplicasPath", ".status.replicas"))});
    let labels = value.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if !selector.is_empty() {
        status["selector"] = selector.join(",").into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta,
        "spec": {"replicas": at(scale_place(target, "specReplicasPath", ".spec.replicas"))}, "status": status,
    })
}

fn scale(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let writer = writer(shared, call)?;
    let body: Value =
        serde_json::from_slice(&call.body).map_err(|error| ApiError::bad_request(format!("error decoding scale: {error}")))?;
    let shown = shared.write(|world, _| {
        let existing = world.cluster.find(target)?;
        let mut wanted = scale_of(target, &existing);
        if call.method == Method::PUT {
            wanted = body;
        } else {
            let kind = match PatchType::of(&call.content_type, target)? {
                PatchType::Strategic | PatchType::Apply => PatchType::Merge,
                other => other,
            };
            patch_value(target, &mut wanted, kind, body)?;
        }
        let replicas = tree::number(&wanted, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            let cause = crate::status::Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            return Err(ApiError::invalid(crate::status::About { group: "autoscaling", resource: "Scale", name: &target.name }, &[cause]));
        }
        let mut value = existing.value().clone();
        let place = scale_place(target, "specReplicasPath", ".spec.replicas").trim_start_matches('.');
        tree::put(&mut value, &place.split('.').collect::<Vec<_>>(), replicas);
        tree::put(&mut value, &["metadata", "resourceVersion"], tree::text(&wanted, "/metadata/resourceVersion").to_owned());
        let written = world.cluster.replace(target, &existing, value, &writer)?;
        Ok(scale_of(target, &written.object))
    })?;
    Ok(json_answer(StatusCode::OK, &shown, call.accepted))
}

/// Which part of which log a request is about.
struct Wanted {
    namespace: String,
    pod: String,
    container: String,
    restart: i64,
    tail: Option<usize>,
    since: Option<jiff::Timestamp>,
    stamps: bool,
}

fn wanted(cluster: &Cluster, target: &Target, call: &Call, now: jiff::Timestamp) -> Result<Wanted, ApiError> {
    let pod = cluster.find(target)?;
    let names: Vec<&str> = tree::items(pod.value(), "/spec/containers").iter().map(|container| tree::text(container, "/name")).collect();
    let container = match call.query.text("container") {
        "" if names.len() > 1 => {
            let message = format!("a container name must be specified for pod {}, choose one of: [{}]", target.name, names.join(" "));
            return Err(ApiError::bad_request(message));
        }
        "" => names.first().copied().unwrap_or_default(),
        name if !names.contains(&name) => {
            return Err(ApiError::bad_request(format!("container {name} is not valid for pod {}", target.name)));
        }
        name => name,
    };
    let statuses = tree::items(pod.value(), "/status/containerStatuses");
    let status = statuses.iter().find(|status| tree::text(status, "/name") == container);
    let restarts = status.and_then(|status| tree::number(status, "/restartCount")).unwrap_or(0);
    let previous = call.query.flag("previous");
    let waiting = status.map_or("ContainerCreating", |status| tree::text(status, "/state/waiting/reason"));
    if previous && restarts == 0 {
        let message = format!("previous terminated container {container:?} in pod {:?} not found", target.name);
        return Err(ApiError::bad_request(message));
    }
    if !previous && !waiting.is_empty() && waiting != "CrashLoopBackOff" {
        let why =
            if waiting == "ContainerCreating" { "is waiting to start" } else { "is waiting to start: trying and failing to pull image" };
        let message = match waiting {
            "ContainerCreating" => format!("container {container:?} in pod {:?} {why}: ContainerCreating", target.name),
            _ => format!("container {container:?} in pod {:?} {why}", target.name),
        };
        return Err(ApiError::bad_request(message));
    }
    let since = match call.query.number("sinceSeconds")? {
        Some(seconds) => Some(crate::control::after(now, -seconds)),
        None => time::parse(call.query.text("sinceTime")),
    };
    Ok(Wanted {
        namespace: target.namespace.clone(),
        pod: target.name.clone(),
        container: container.to_owned(),
        restart: restarts - i64::from(previous),
        tail: call.query.number("tailLines")?.and_then(|tail| usize::try_from(tail).ok()),
        since,
        stamps: call.query.flag("timestamps"),
    })
}

/// The lines from a position on, and the position behind them.
fn lines(cluster: &Cluster, wanted: &Wanted, from: usize) -> (String, usize) {
    let of = Of { namespace: &wanted.namespace, pod: &wanted.pod, container: &wanted.container, restart: wanted.restart };
    let all = cluster.logs.read(of);
    let mut out = String::new();
    for line in all.iter().skip(from).filter(|line| wanted.since.is_none_or(|since| line.at >= since)) {
        if wanted.stamps {
            out.push_str(&time::nanos(line.at));
            out.push(' ');
        }
        out.push_str(&line.text);
        out.push('\n');
    }
    (out, all.len())
}

fn log(shared: &Arc<Shared>, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let now = shared.now();
    let world = shared.lock();
    if tree::text(world.cluster.find(target)?.value(), "/spec/nodeName").is_empty() {
        return Ok(response(StatusCode::NO_CONTENT, "text/plain", Body::empty()));
    }
    let wanted = wanted(&world.cluster, target, call, now)?;
    let of = Of { namespace: &wanted.namespace, pod: &wanted.pod, container: &wanted.container, restart: wanted.restart };
    let total = world.cluster.logs.read(of).len();
    let from = wanted.tail.map_or(0, |tail| total.saturating_sub(tail));
    let (text, position) = lines(&world.cluster, &wanted, from);
    drop(world);
    if !call.query.flag("follow") {
        return Ok(response(StatusCode::OK, "text/plain", Body::from(text)));
    }
    let deadline = tokio::time::Instant::now() + FOLLOW_LIMIT;
    let state = (shared.clone(), target.clone(), wanted, position, Some(text));
    let stream = futures::stream::unfold(state, move |(shared, target, wanted, mut position, mut first)| async move {
        loop {
            if let Some(text) = first.take().filter(|text| !text.is_empty()) {
                return Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), (shared, target, wanted, position, None)));
            }
            tokio::time::sleep(FOLLOW_INTERVAL).await;
            let (text, gone) = {
                let world = shared.lock();
                let (text, behind) = lines(&world.cluster, &wanted, position);
                position = behind;
                (text, world.cluster.find(&target).is_err())
            };
            if gone && text.is_empty() || tokio::time::Instant::now() > deadline || *shared.cut.borrow() == u64::MAX {
                return None;
            }
            first = Some(text);
        }
    });
    Ok(response(StatusCode::OK, "text/plain", Body::from_stream(stream)))
}

fn evict(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let (writer, body) = (writer(shared, call)?, decoded(call)?);
    let options =
        crate::remove::DeleteOptions { grace_seconds: tree::number(&body, "/deleteOptions/gracePeriodSeconds"), ..Default::default() };
    let plain = Target { subresource: String::new(), ..target.clone() };
    shared.write(|world, _| world.cluster.delete(&plain, &options, &writer))?;
    let mut told = success(Value::Null);
    tree::take(&mut told, &["details"]);
    told["code"] = 201.into();
    Ok(json_answer(StatusCode::CREATED, &told, call.accepted))
}

fn bind(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let body = decoded(call)?;
    let node = tree::text(&body, "/target/name").to_owned();
    shared.write(|world, now| {
        let pod = world.cluster.find(target)?;
        let bound = tree::text(pod.value(), "/spec/nodeName");
        if !bound.is_empty() {
            let why = format!("pod {} is already assigned to node {bound:?}", target.name);
            return Err(ApiError::conflict(crate::status::About { group: "", resource: "pods/binding", name: &target.name }, &why));
        }
        let mut value = pod.value().clone();
        tree::put(&mut value, &["spec", "nodeName"], node);
        let condition = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::seconds(now),
        });
        tree::list_mut(&mut value, &["status", "conditions"]).push(condition);
        world.cluster.store.commit(&target.def.table, &target.key(), Some(value));
        Ok(())
    })?;
    let mut told = success(Value::Null);
    tree::take(&mut told, &["details"]);
    told["code"] = 201.into();
    Ok(json_answer(StatusCode::CREATED, &told, call.accepted))
}

fn token(shared: &Shared, target: &Target, call: &Call) -> Result<Response, ApiError> {
    let mut body = decoded(call)?;
    shared.lock().cluster.find(target)?;
    let expires = time::seconds(crate::control::after(shared.now(), 3600));
    tree::put(&mut body, &["kind"], "TokenRequest");
    tree::put(&mut body, &["apiVersion"], "authentication.k8s.io/v1");
    // Not a credential: nothing here asks for one.
    tree::put(&mut body, &["status"], json!({"token": "playground", "expirationTimestamp": expires}));
    Ok(json_answer(StatusCode::CREATED, &body, call.accepted))
}

/// Answers a review: everything is allowed here.
pub(crate) fn review(target: &Target, call: &Call) -> Result<Response, ApiError> {
    let mut body = decoded(call)?;
    tree::put(&mut body, &["kind"], target.def.kind.clone());
    tree::put(&mut body, &["apiVersion"], target.def.api_version(&target.version));
    tree::put_default(&mut body, &["metadata"], json!({}));
    let status = match target.def.kind.as_str() {
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "SelfSubjectReview" => json!({"userInfo": {"username": "system:anonymous", "groups": ["system:unauthenticated"]}}),
        _ => json!({"allowed": true, "reason": "the playground allows everything"}),
    };
    tree::put(&mut body, &["status"], status);
    Ok(json_answer(StatusCode::CREATED, &body, call.accepted))
}
