//! The row of a pod: what its many states come to in one word.

use jiff::Timestamp;
use serde_json::Value;

use super::cells::{age, since};
use crate::{time, tree};

/// The cells of a pod.
pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let statuses = tree::items(pod, "/status/containerStatuses");
    let total = tree::items(pod, "/spec/containers").len();
    let ready = statuses.iter().filter(|status| tree::flag(status, "/ready") && status.pointer("/state/running").is_some()).count();
    let restarts: i64 = statuses.iter().filter_map(|status| tree::number(status, "/restartCount")).sum();
    let last = statuses.iter().map(|status| tree::text(status, "/lastState/terminated/finishedAt")).max().unwrap_or("");
    let restarts = match time::parse(last) {
        Some(_) if restarts > 0 => format!("{restarts} ({} ago)", since(last, now)),
        _ => restarts.to_string(),
    };
    let or_none = |pointer: &str| match tree::text(pod, pointer) {
        "" => Value::from("<none>"),
        text => text.into(),
    };
    vec![
        tree::text(pod, "/metadata/name").into(),
        format!("{ready}/{total}").into(),
        reason(pod).into(),
        restarts.into(),
        age(pod, now),
        or_none("/status/podIP"),
        or_none("/spec/nodeName"),
        or_none("/status/nominatedNodeName"),
        "<none>".into(),
    ]
}

fn reason(pod: &Value) -> String {
    let phase = tree::text(pod, "/status/phase");
    let mut out = match tree::text(pod, "/status/reason") {
        "" => phase.to_owned(),
        reason => reason.to_owned(),
    };
    let (mut running, mut failed) = (false, None);
    for status in tree::items(pod, "/status/containerStatuses").iter().rev() {
        let waiting = tree::text(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            out = waiting.to_owned();
        } else if let Some(ended) = status.pointer("/state/terminated") {
            let code = tree::number(ended, "/exitCode").unwrap_or(0);
            out = match tree::text(ended, "/reason") {
                "" => format!("ExitCode:{code}"),
                reason => reason.to_owned(),
            };
            if code != 0 {
                failed = Some(out.clone());
            }
        } else if tree::flag(status, "/ready") {
            running = true;
        }
    }
    if out == "Completed" {
        out = match (running, failed) {
            (true, _) => "Running".to_owned(),
            (false, Some(reason)) => reason,
            (false, None) => out,
        };
    }
    let ending = !tree::text(pod, "/metadata/deletionTimestamp").is_empty();
    if ending && !matches!(phase, "Succeeded" | "Failed") { "Terminating".to_owned() } else { out }
}
