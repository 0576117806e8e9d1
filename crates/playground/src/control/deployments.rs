//! Deployments: which replica set is the current one, how far the others may shrink, and what the status says. The arithmetic of a rolling
//! update is in `rollout`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::rollout::{self, Budget, SetCounts};
use super::{Duty, Message, Place, Step, after, events::status_of};
use crate::store::{Object, key_of};
use crate::{ids, time, tree};

const MANAGER: &str = "kube-controller-manager";
const COMPONENT: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Looks at one deployment.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(deployment) = step.get("apps", "deployments", key) else { return };
    if deployment.is_terminating() {
        return;
    }
    let spec = deployment.value();
    let mut sets = step.owned(deployment.uid(), "apps", "replicasets");
    sets.sort_by_key(|set| revision_of(set.value()));
    if !tree::flag(spec, "/spec/paused") {
        ensure_current(step, &deployment, &sets);
        sets = step.owned(deployment.uid(), "apps", "replicasets");
        sets.sort_by_key(|set| revision_of(set.value()));
        scale(step, &deployment, &sets);
        drop_history(step, &deployment, &sets);
    }
    let sets = step.owned(deployment.uid(), "apps", "replicasets");
    write_status(step, key, &sets);
}

fn revision_of(value: &Value) -> i64 {
    tree::text(value, "/metadata/annotations/deployment.kubernetes.io~1revision").parse().unwrap_or(0)
}

/// The template as a replica set carries it, without the hash label.
fn template_of(set: &Value) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or(Value::Null);
    tree::take(&mut template, &["metadata", "labels", "pod-template-hash"]);
    template
}

fn current<'a>(deployment: &Value, sets: &'a [Arc<Object>]) -> Option<&'a Arc<Object>> {
    let template = deployment.pointer("/spec/template")?;
    sets.iter().find(|set| template_of(set.value()) == *template)
}

fn desired(value: &Value) -> i64 {
    tree::number(value, "/spec/replicas").unwrap_or(1)
}

/// Makes the replica set of the present template, or makes an older one with that template the newest again.
fn ensure_current(step: &mut Step<'_>, deployment: &Arc<Object>, sets: &[Arc<Object>]) {
    let spec = deployment.value();
    let newest = sets.iter().map(|set| revision_of(set.value())).max().unwrap_or(0);
    let revision = match current(spec, sets) {
        Some(set) if revision_of(set.value()) == newest => newest,
        Some(set) => {
            let next = newest + 1;
            let was = revision_of(set.value());
            let key = key_of(set.namespace(), set.name());
            step.change(Place { group: "apps", plural: "replicasets", key: &key, subresource: "" }, MANAGER, |value| {
                tree::put(value, &["metadata", "annotations", REVISION], next.to_string());
                tree::put(value, &["metadata", "annotations", "deployment.kubernetes.io/revision-history"], was.to_string());
            });
            next
        }
        None => {
            create_set(step, deployment, newest + 1);
            newest + 1
        }
    };
    let key = key_of(deployment.namespace(), deployment.name());
    step.change(Place { group: "apps", plural: "deployments", key: &key, subresource: "" }, MANAGER, |value| {
        tree::put(value, &["metadata", "annotations", REVISION], revision.to_string());
    });
}

fn create_set(step: &mut Step<'_>, deployment: &Arc<Object>, revision: i64) {
    let spec = deployment.value();
    let template = spec.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let hash = ids::safe_hash(template.to_string().as_bytes());
    let name = format!("{}-{hash}", deployment.name());
    let mut labelled = template;
    tree::put(&mut labelled, &["metadata", "labels", "pod-template-hash"], hash.clone());
    let mut selector = spec.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
    tree::put(&mut selector, &["matchLabels", "pod-template-hash"], hash);
    let budget = Budget::of(spec);
    let body = json!({
        "metadata": {
            "name": name,
            "namespace": deployment.namespace(),
            "labels": labelled.pointer("/metadata/labels"),
            "annotations": {
                REVISION: revision.to_string(),
                "deployment.kubernetes.io/desired-replicas": budget.desired.to_string(),
                "deployment.kubernetes.io/max-replicas": (budget.desired + budget.surge).to_string(),
            },
            "ownerReferences": [owner_reference(spec, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": 0, "selector": selector, "template": labelled},
    });
    let refused = step.create("apps", "replicasets", deployment.namespace(), body, MANAGER).err();
    if let Some(refusal) = refused {
        let text = format!("Failed to create new replica set {name:?}: {}", refusal.message);
        step.tell(spec, &Message::warning(COMPONENT, "ReplicaSetCreateError", text));
    }
}

/// The reference of a controlled object to its controller.
pub(super) fn owner_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": tree::text(owner, "/metadata/name"),
        "uid": tree::text(owner, "/metadata/uid"),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn counts(set: &Object) -> SetCounts {
    let value = set.value();
    SetCounts {
        desired: tree::number(value, "/spec/replicas").unwrap_or(0),
        actual: tree::number(value, "/status/replicas").unwrap_or(0),
        available: tree::number(value, "/status/availableReplicas").unwrap_or(0),
    }
}

fn scale(step: &mut Step<'_>, deployment: &Arc<Object>, sets: &[Arc<Object>]) {
    let Some(new) = current(deployment.value(), sets).cloned() else { return };
    let old: Vec<Arc<Object>> = sets.iter().filter(|set| set.uid() != new.uid()).cloned().collect();
    let budget = Budget::of(deployment.value());
    let old_counts: Vec<SetCounts> = old.iter().map(|set| counts(set)).collect();
    let plan = rollout::plan(&budget, counts(&new), &old_counts);
    for (set, wanted) in old.iter().zip(plan.old) {
        set_replicas(step, deployment, set, wanted, &budget);
    }
    set_replicas(step, deployment, &new, plan.new, &budget);
}

fn set_replicas(step: &mut Step<'_>, deployment: &Arc<Object>, set: &Arc<Object>, wanted: i64, budget: &Budget) {
    let had = tree::number(set.value(), "/spec/replicas").unwrap_or(0);
    if had == wanted {
        return;
    }
    let key = key_of(set.namespace(), set.name());
    step.change(Place { group: "apps", plural: "replicasets", key: &key, subresource: "" }, MANAGER, |value| {
        tree::put(value, &["spec", "replicas"], wanted);
        tree::put(value, &["metadata", "annotations", "deployment.kubernetes.io/desired-replicas"], budget.desired.to_string());
        let most = budget.desired + budget.surge;
        tree::put(value, &["metadata", "annotations", "deployment.kubernetes.io/max-replicas"], most.to_string());
    });
    let direction = if wanted > had { "up" } else { "down" };
    let text = format!("Scaled {direction} replica set {} from {had} to {wanted}", set.name());
    step.tell(deployment.value(), &Message::normal(COMPONENT, "ScalingReplicaSet", text));
}

fn drop_history(step: &mut Step<'_>, deployment: &Arc<Object>, sets: &[Arc<Object>]) {
    let limit = tree::number(deployment.value(), "/spec/revisionHistoryLimit").unwrap_or(10);
    let new = current(deployment.value(), sets).map(|set| set.uid().to_owned()).unwrap_or_default();
    let idle = |set: &&Arc<Object>| {
        set.uid() != new && desired(set.value()) == 0 && tree::number(set.value(), "/status/replicas").unwrap_or(0) == 0
    };
    let old: Vec<String> = sets.iter().filter(idle).map(|set| key_of(set.namespace(), set.name())).collect();
    let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    for key in old.into_iter().take(surplus) {
        step.delete("apps", "replicasets", &key, &crate::remove::DeleteOptions::default());
    }
}

/// Totals over the replica sets of a deployment.
struct Totals {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

fn write_status(step: &mut Step<'_>, key: &str, sets: &[Arc<Object>]) {
    let Some(deployment) = step.get("apps", "deployments", key) else { return };
    let spec = deployment.value();
    let new = current(spec, sets);
    let sum = |field: &str| sets.iter().filter_map(|set| tree::number(set.value(), field)).sum::<i64>();
    let totals = Totals {
        replicas: sum("/status/replicas"),
        updated: new.and_then(|set| tree::number(set.value(), "/status/replicas")).unwrap_or(0),
        ready: sum("/status/readyReplicas"),
        available: sum("/status/availableReplicas"),
    };
    let budget = Budget::of(spec);
    let mut status = spec.get("status").cloned().unwrap_or_else(|| json!({}));
    tree::put(&mut status, &["observedGeneration"], tree::number(spec, "/metadata/generation").unwrap_or(1));
    let unavailable = (budget.desired.max(totals.replicas) - totals.available).max(0);
    for (field, count) in [
        ("replicas", totals.replicas),
        ("updatedReplicas", totals.updated),
        ("readyReplicas", totals.ready),
        ("availableReplicas", totals.available),
        ("unavailableReplicas", unavailable),
    ] {
        if count == 0 {
            tree::take(&mut status, &[field]);
        } else {
            tree::put(&mut status, &[field], count);
        }
    }
    let now = time::seconds(step.now);
    let available = totals.available >= budget.desired - budget.unavailable;
    let (reason, text) = match available {
        true => ("MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let progress = progress(step, spec, &status, new, &totals, &budget);
    set_condition(&mut status, "Available", available, reason, text, &now, false);
    if let Some((good, reason, text, moved)) = progress {
        set_condition(&mut status, "Progressing", good, reason, &text, &now, moved);
    }
    if let Some(deadline) = deadline(spec, &status) {
        step.again(deadline, Duty::Deployment, key);
    }
    step.change(status_of("apps", "deployments", key), MANAGER, |value| tree::put(value, &["status"], status));
}

/// State of the `Progressing` condition: good, reason, message, and whether something moved.
fn progress(
    step: &Step<'_>,
    spec: &Value,
    status: &Value,
    new: Option<&Arc<Object>>,
    totals: &Totals,
    budget: &Budget,
) -> Option<(bool, &'static str, String, bool)> {
    let set = new?;
    let name = set.name();
    let before = |field: &str| tree::number(spec, &format!("/status/{field}")).unwrap_or(0);
    let complete = totals.updated == budget.desired && totals.replicas == budget.desired && totals.available == budget.desired;
    if complete {
        return Some((true, "NewReplicaSetAvailable", format!("ReplicaSet {name:?} has successfully progressed."), false));
    }
    let known = tree::items(status, "/conditions").iter().find(|condition| tree::text(condition, "/type") == "Progressing");
    let reason = known.map_or("", |condition| tree::text(condition, "/reason"));
    let new_template = known.is_none_or(|condition| !tree::text(condition, "/message").contains(&format!("{name:?}")));
    if new_template {
        return Some((true, "NewReplicaSetCreated", format!("Created new replica set {name:?}"), true));
    }
    let moved = totals.updated > before("updatedReplicas")
        || totals.ready > before("readyReplicas")
        || totals.available > before("availableReplicas")
        || totals.replicas - totals.updated < before("replicas") - before("updatedReplicas");
    if moved {
        return Some((true, "ReplicaSetUpdated", format!("ReplicaSet {name:?} is progressing."), true));
    }
    if reason == "NewReplicaSetAvailable" {
        return None;
    }
    if deadline(spec, status).is_some_and(|deadline| deadline <= step.now) {
        return Some((false, "ProgressDeadlineExceeded", format!("ReplicaSet {name:?} has timed out progressing."), false));
    }
    None
}

/// When a rollout that does not move counts as failed.
fn deadline(spec: &Value, status: &Value) -> Option<jiff::Timestamp> {
    let seconds = tree::number(spec, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let condition = tree::items(status, "/conditions").iter().find(|condition| tree::text(condition, "/type") == "Progressing")?;
    let settled = matches!(tree::text(condition, "/reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded");
    let updated = time::parse(tree::text(condition, "/lastUpdateTime"))?;
    (!settled).then(|| after(updated, seconds))
}

/// Writes a condition; its times move only when it changes.
pub(super) fn set_condition(status: &mut Value, kind: &str, good: bool, reason: &str, text: &str, now: &str, touched: bool) {
    let state = if good { "True" } else { "False" };
    let list = tree::list_mut(status, &["conditions"]);
    let at = list.iter().position(|condition| tree::text(condition, "/type") == kind);
    let old = at.and_then(|at| list.get(at)).cloned().unwrap_or(Value::Null);
    let same = tree::text(&old, "/status") == state && tree::text(&old, "/reason") == reason;
    if same && tree::text(&old, "/message") == text && !touched {
        return;
    }
    let transition = if tree::text(&old, "/status") == state { tree::text(&old, "/lastTransitionTime") } else { now };
    let condition = json!({
        "type": kind, "status": state, "lastUpdateTime": now, "lastTransitionTime": transition, "reason": reason, "message": text,
    });
    match at.and_then(|at| list.get_mut(at)) {
        Some(place) => *place = condition,
        None => list.push(condition),
    }
}
