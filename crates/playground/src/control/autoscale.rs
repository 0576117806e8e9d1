//! Horizontal pod autoscalers: as many replicas as the scripted load asks for.

use serde_json::{Value, json};

use super::deployments::set_condition;
use super::{Duty, Message, Place, Step, events::status_of};
use crate::store::key_of;
use crate::{time, tree};

/// How often load is looked at, as on a real control plane.
const PERIOD_SECONDS: i64 = 15;
const COMPONENT: &str = "horizontal-pod-autoscaler";
const MANAGER: &str = "kube-controller-manager";
/// Deviations from the target below this share change nothing.
const TOLERANCE_PERCENT: i64 = 10;

/// Looks at one autoscaler.
pub(super) fn step(step: &mut Step<'_>, key: &str) {
    let Some(scaler) = step.get("autoscaling", "horizontalpodautoscalers", key) else { return };
    let value = scaler.value();
    let (group, plural) = match tree::text(value, "/spec/scaleTargetRef/kind") {
        "Deployment" => ("apps", "deployments"),
        "StatefulSet" => ("apps", "statefulsets"),
        "ReplicaSet" => ("apps", "replicasets"),
        _ => return,
    };
    let target_key = key_of(scaler.namespace(), tree::text(value, "/spec/scaleTargetRef/name"));
    let Some(target) = step.get(group, plural, &target_key) else { return };
    let current = tree::number(target.value(), "/spec/replicas").unwrap_or(1);
    let goal = tree::items(value, "/spec/metrics")
        .iter()
        .find_map(|metric| tree::number(metric, "/resource/target/averageUtilization"))
        .unwrap_or(80)
        .max(1);
    // Without a script a replica idles at a third of its goal.
    let load = step.script.load.get(key).copied().unwrap_or(current * goal / 3);
    let ready = tree::number(target.value(), "/status/readyReplicas").unwrap_or(0).max(1);
    let utilization = load / ready;
    let most = tree::number(value, "/spec/maxReplicas").unwrap_or(current);
    let least = tree::number(value, "/spec/minReplicas").unwrap_or(1);
    let asked = if (utilization - goal).abs() * 100 <= goal * TOLERANCE_PERCENT { current } else { (load + goal - 1) / goal };
    let scripted = step.script.load.contains_key(key);
    let desired = if scripted { asked.clamp(least, most) } else { current.clamp(least, most) };
    if desired != current {
        let place = Place { group, plural, key: &target_key, subresource: "scale" };
        step.change(place, MANAGER, |value| tree::put(value, &["spec", "replicas"], desired));
        let direction = if desired > current { "above target" } else { "below target" };
        let why = if desired > current {
            format!("cpu resource utilization (percentage of request) {direction}")
        } else {
            "All metrics below target".to_owned()
        };
        let text = format!("New size: {desired}; reason: {why}");
        step.tell(value, &Message::normal(COMPONENT, "SuccessfulRescale", text));
    }
    write_status(step, key, current, desired, utilization, asked > most, desired != current);
    step.again_in(PERIOD_SECONDS, Duty::Autoscaler, key);
}

fn write_status(step: &mut Step<'_>, key: &str, current: i64, desired: i64, utilization: i64, capped: bool, scaled: bool) {
    let now = time::seconds(step.now);
    step.change(status_of("autoscaling", "horizontalpodautoscalers", key), MANAGER, |value| {
        let mut status = value.get("status").cloned().unwrap_or_else(|| json!({}));
        tree::put(&mut status, &["currentReplicas"], current);
        tree::put(&mut status, &["desiredReplicas"], desired);
        let metric = json!([{"type": "Resource", "resource": {
            "name": "cpu", "current": {"averageUtilization": utilization, "averageValue": format!("{}m", utilization * 2)},
        }}]);
        tree::put(&mut status, &["currentMetrics"], metric);
        if scaled {
            tree::put(&mut status, &["lastScaleTime"], now.clone());
        }
        for (kind, good, reason, text) in [
            ("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size"),
            (
                "ScalingActive",
                true,
                "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)",
            ),
            (
                "ScalingLimited",
                capped,
                if capped { "TooManyReplicas" } else { "DesiredWithinRange" },
                if capped {
                    "the desired replica count is more than the maximum replica count"
                } else {
                    "the desired count is within the acceptable range"
                },
            ),
        ] {
            set_condition(&mut status, kind, good, reason, text, &now, false);
        }
        for condition in tree::list_mut(&mut status, &["conditions"]) {
            tree::take(condition, &["lastUpdateTime"]);
        }
        let status: Value = status;
        tree::put(value, &["status"], status);
    });
}
