//! What an Alertmanager gets: alerts of its API v2, told again before it would take them for resolved.
//!
//! Pure. An alert is known by its labels, so these are what does not change while the incident goes on. The severity is among them, because
//! people route by it: where it changed, the alert with the former one is ended in the same request.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::notice::{Notice, REPORTER};
use super::{Setting, shortened};
use crate::check::Severity;

/// An alert that is not told again within so many repeats is over, as with Prometheus: three requests may fail.
const REPEATS_WITHIN: i32 = 4;
/// Longest value of an annotation: Alertmanager puts all of them into one notification.
const MAX_ANNOTATION_BYTES: usize = 8 * 1024;

/// The body for an Alertmanager, as of `now`; `repeat` is how often open incidents are told again.
pub fn alertmanager(notices: &[Notice], setting: &Setting, repeat: SignedDuration, now: Timestamp) -> Value {
    Value::Array(notices.iter().flat_map(|notice| alerts(notice, setting, repeat, now)).collect())
}

fn alerts(notice: &Notice, setting: &Setting, repeat: SignedDuration, now: Timestamp) -> Vec<Value> {
    let incident = &notice.incident;
    let ends_at = match incident.resolved_at {
        Some(resolved) if !incident.is_open => resolved,
        _ => now.checked_add(repeat.saturating_mul(REPEATS_WITHIN)).unwrap_or(Timestamp::MAX),
    };
    let former = notice.formerly.map(|severity| alert(notice, setting, severity, now.min(ends_at)));
    former.into_iter().chain([alert(notice, setting, incident.severity, ends_at)]).collect()
}

fn alert(notice: &Notice, setting: &Setting, severity: Severity, ends_at: Timestamp) -> Value {
    let incident = &notice.incident;
    let cluster = notice.cluster_name.as_deref().unwrap_or(incident.cluster.as_str());
    let cause = incident.wire.get("cause").and_then(|cause| cause.get("summary")).and_then(Value::as_str);
    let mut annotations = json!({
        "summary": shortened(&incident.message, MAX_ANNOTATION_BYTES),
        "remediation": shortened(&incident.remediation, MAX_ANNOTATION_BYTES),
        "incident": incident.id,
    });
    if let (Some(cause), Some(annotations)) = (cause, annotations.as_object_mut()) {
        annotations.insert("cause".to_owned(), Value::String(shortened(cause, MAX_ANNOTATION_BYTES)));
    }
    let mut labels = json!({
        "alertname": incident.reason,
        "severity": severity.as_str(),
        "cluster": cluster,
        "namespace": incident.namespace,
        "kind": incident.kind,
        "name": incident.name,
        "check": incident.check,
        "reason": incident.reason,
        "reporter": REPORTER,
    });
    // Alertmanager takes an empty label for one that is not there, and newer ones refuse it.
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|_, value| value.as_str() != Some(""));
    }
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": incident.opened_at.to_string(),
        "endsAt": ends_at.to_string(),
    });
    if let (Some(link), Some(alert)) = (setting.link(notice), alert.as_object_mut()) {
        alert.insert("generatorURL".to_owned(), Value::String(link));
    }
    alert
}
