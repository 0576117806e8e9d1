//! Autoscalers that cannot do their work: no metrics, no target.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins;
use super::reading::{class_of, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "autoscaler-inactive",
    title: "An autoscaler cannot scale",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "give it what it misses: metrics, resource requests on the target's containers, or the target itself",
    kinds: &[KindRef::HORIZONTAL_POD_AUTOSCALER],
    reasons: &["HpaScalingInactive", "HpaUnableToScale"],
    examine,
    ..Check::BASE
};

/// A class of causes: its name and what to do.
struct Class {
    name: &'static str,
    remedy: &'static str,
}

const CLASSES: &[(Class, &[&str])] = &[
    (
        Class { name: "MissingRequest", remedy: "give every container of the target a request for the resource that is measured" },
        &["missing request for"],
    ),
    (
        Class {
            name: "NoMetrics",
            remedy: "the metrics are not served: look at metrics-server (or the adapter of custom metrics) and its APIService",
        },
        &[
            "unable to get metrics",
            "unable to fetch metrics",
            "no metrics returned",
            "failedgetresourcemetric",
            "failedgetpodsmetric",
            "failedgetexternalmetric",
            "failedgetobjectmetric",
            "metrics api",
        ],
    ),
    (
        Class { name: "NoTarget", remedy: "the object named in scaleTargetRef is not there or cannot be scaled: correct the reference" },
        &["not found", "failedgetscale", "could not find the requested resource"],
    ),
    (
        Class { name: "Selector", remedy: "the selector of the target is missing or shared with another autoscaler: make it unambiguous" },
        &["selector"],
    ),
];

/// Looks at one autoscaler.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let scaler = joins::scaler(subject)?;
    if joins::is_going(scaler)? {
        return Ok(Vec::new());
    }
    let (active, able) = (scaler.condition("ScalingActive")?, scaler.condition("AbleToScale")?);
    let found = match (able, active) {
        (Some(able), _) if able.is_false() => Some(("HpaUnableToScale", "it cannot scale its target", able)),
        // A target that was scaled to zero by hand is left alone on purpose.
        (_, Some(active)) if active.is_false() && active.reason != "ScalingDisabled" => {
            Some(("HpaScalingInactive", "it cannot tell how many replicas are needed", active))
        }
        (able, active) => {
            // A controller that cannot tell has not said that it works.
            for (of, condition) in [("AbleToScale", able), ("ScalingActive", active)] {
                condition.map(|condition| joins::holds(&condition, of)).transpose()?;
            }
            None
        }
    };
    let Some((reason, what, condition)) = found else { return Ok(Vec::new()) };
    // While its target slept the condition was the same but for its reason.
    let woke = joins::began_at(subject, "scalingInactive").filter(|_| reason == "HpaScalingInactive");
    let since = subject.since(condition.since.max(woke));
    let finding = subject.finding(reason, format!("{what}{}", said(condition.message)), since);
    let telling = format!("{} {}", condition.reason, condition.message);
    Ok(vec![match class_of(&telling, CLASSES) {
        Some(class) => finding.class(class.name).remedy(class.remedy),
        None => finding,
    }])
}
