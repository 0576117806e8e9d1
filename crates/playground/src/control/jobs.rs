//! Jobs: pods until enough of them succeeded, or too many failed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::podstatus::is_ready;
use super::replicasets::create_pod;
use super::{Duty, Message, Place, Step, after, events::status_of};
use crate::remove::DeleteOptions;
use crate::store::{Object, key_of};
use crate::{time, tree};

/// Finalizer by which a job sees the end of each of its pods.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const COMPONENT: &str = "job-controller";
const MANAGER: &str = "kube-controller-manager";

/// Looks at one job.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(job) = step.get("batch", "jobs", key) else { return };
    let pods = step.owned(job.uid(), "", "pods");
    release(step, &job, &pods);
    if job.is_terminating() || finished(job.value()).is_some() {
        expire(step, key, &job);
        return;
    }
    if tree::flag(job.value(), "/spec/suspend") {
        return;
    }
    let mut status = job.value().get("status").cloned().unwrap_or_else(|| json!({}));
    let now = time::seconds(step.now);
    tree::put_default(&mut status, &["startTime"], now.clone());
    count(&mut status, &pods);
    let succeeded = tree::number(&status, "/succeeded").unwrap_or(0);
    let failed = tree::number(&status, "/failed").unwrap_or(0);
    let wanted = tree::number(job.value(), "/spec/completions").unwrap_or(1);
    let limit = tree::number(job.value(), "/spec/backoffLimit").unwrap_or(6);
    let active = pods.iter().filter(|pod| super::podstatus::is_active(pod)).count();
    if succeeded >= wanted {
        finish(step, &job, &mut status, true, &now);
    } else if failed > limit {
        finish(step, &job, &mut status, false, &now);
    } else {
        let room = tree::number(job.value(), "/spec/parallelism").unwrap_or(1).min(wanted - succeeded);
        let missing = room - i64::try_from(active).unwrap_or(i64::MAX);
        for _ in 0..missing.max(0) {
            create_pod(step, job.value(), "batch/v1", "Job", COMPONENT, None);
        }
        let pods = step.owned(job.uid(), "", "pods");
        count(&mut status, &pods);
    }
    step.change(status_of("batch", "jobs", key), MANAGER, |value| tree::put(value, &["status"], status));
}

fn finished(job: &Value) -> Option<&str> {
    tree::items(job, "/status/conditions")
        .iter()
        .filter(|condition| tree::text(condition, "/status") == "True")
        .map(|condition| tree::text(condition, "/type"))
        .find(|kind| matches!(*kind, "Complete" | "Failed"))
}

fn count(status: &mut Value, pods: &[Arc<Object>]) {
    let phase = |name: &str| pods.iter().filter(|pod| tree::text(pod.value(), "/status/phase") == name).count();
    let active = pods.iter().filter(|pod| super::podstatus::is_active(pod)).count();
    let ready = pods.iter().filter(|pod| super::podstatus::is_active(pod) && is_ready(pod.value())).count();
    for (field, number) in [("active", active), ("succeeded", phase("Succeeded")), ("failed", phase("Failed"))] {
        if number == 0 {
            tree::take(status, &[field]);
        } else {
            tree::put(status, &[field], number);
        }
    }
    tree::put(status, &["ready"], ready);
    tree::put(status, &["terminating"], pods.iter().filter(|pod| pod.is_terminating()).count());
    tree::put(status, &["uncountedTerminatedPods"], json!({}));
}

/// Lets go of pods whose end was seen.
fn release(step: &mut Step<'_>, job: &Object, pods: &[Arc<Object>]) {
    for pod in pods {
        let ended = super::podstatus::is_finished(pod.value()) || pod.is_terminating() || job.is_terminating();
        if !ended || !tree::items(pod.value(), "/metadata/finalizers").iter().any(|finalizer| finalizer == TRACKING) {
            continue;
        }
        let key = key_of(pod.namespace(), pod.name());
        step.change(Place { group: "", plural: "pods", key: &key, subresource: "" }, MANAGER, |value| {
            let list = tree::list_mut(value, &["metadata", "finalizers"]);
            list.retain(|finalizer| finalizer != TRACKING);
            if list.is_empty() {
                tree::take(value, &["metadata", "finalizers"]);
            }
        });
    }
}

fn finish(step: &mut Step<'_>, job: &Object, status: &mut Value, good: bool, now: &str) {
    let conditions = match good {
        true => [
            ("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"),
            ("Complete", "CompletionsReached", "Reached expected number of succeeded pods"),
        ],
        false => [
            ("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
            ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
        ],
    };
    let list = tree::list_mut(status, &["conditions"]);
    for (kind, reason, text) in conditions {
        list.push(json!({
            "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now, "reason": reason, "message": text,
        }));
    }
    if good {
        tree::put(status, &["completionTime"], now);
        step.tell(job.value(), &Message::normal(COMPONENT, "Completed", "Job completed".to_owned()));
    } else {
        let text = "Job has reached the specified backoff limit".to_owned();
        step.tell(job.value(), &Message::warning(COMPONENT, "BackoffLimitExceeded", text));
    }
}

/// A finished job goes some time after its end, if it says so.
fn expire(step: &mut Step<'_>, key: &str, job: &Object) {
    let Some(seconds) = tree::number(job.value(), "/spec/ttlSecondsAfterFinished") else { return };
    let conditions = tree::items(job.value(), "/status/conditions");
    let Some(ended) = conditions.last().and_then(|condition| time::parse(tree::text(condition, "/lastTransitionTime"))) else { return };
    let due = after(ended, seconds);
    if due <= step.now {
        step.delete("batch", "jobs", key, &DeleteOptions::default());
    } else {
        step.again(due, Duty::Job, key);
    }
}
