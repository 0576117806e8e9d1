//! Reading the status of a pod.

use serde_json::Value;

use crate::store::Object;
use crate::tree;

/// The state of one condition of a pod, `""` when it has none.
pub(super) fn condition<'a>(pod: &'a Value, kind: &str) -> &'a str {
    let conditions = tree::items(pod, "/status/conditions").iter();
    conditions.into_iter().find(|condition| tree::text(condition, "/type") == kind).map_or("", |condition| tree::text(condition, "/status"))
}

/// True for a pod that serves.
pub(super) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

/// True for a pod that ended.
pub(super) fn is_finished(pod: &Value) -> bool {
    matches!(tree::text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// True for a pod that counts: neither ended nor on its way out.
pub(super) fn is_active(pod: &Object) -> bool {
    !pod.is_terminating() && !is_finished(pod.value())
}
