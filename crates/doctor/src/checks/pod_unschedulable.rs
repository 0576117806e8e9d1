//! Pods for which the scheduler finds no node, with what stands in the way on how many.
//!
//! Pure.

use proreus_observe::KindRef;

use super::reading::{self, quoted};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pod-unschedulable",
    title: "No node takes a pod",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "see what the scheduler misses on how many nodes: add nodes, lower what the pod asks for, or loosen what it demands of a node",
    kinds: &[KindRef::POD],
    reasons: &["Unschedulable"],
    examine,
    ..Check::BASE
};

/// A cause: its name, how the scheduler says it, what to do.
struct Cause {
    name: &'static str,
    words: &'static [&'static str],
    remedy: &'static str,
}

const CAUSES: &[Cause] = &[
    Cause {
        name: "InsufficientCpu",
        words: &["insufficient cpu"],
        remedy: "the nodes have too little unreserved CPU: add nodes, or lower the CPU requests of this pod or of others",
    },
    Cause {
        name: "InsufficientMemory",
        words: &["insufficient memory"],
        remedy: "the nodes have too little unreserved memory: add nodes, or lower the memory requests of this pod or of others",
    },
    Cause {
        name: "TooManyPods",
        words: &["too many pods"],
        remedy: "the nodes hold as many pods as they may: add nodes, or raise the kubelets' maxPods",
    },
    Cause {
        name: "VolumeBinding",
        words: &["unbound immediate persistentvolumeclaims", "persistentvolumeclaim", "didn't find available persistent volumes"],
        remedy: "a claim of the pod has no volume: look at the PersistentVolumeClaim and its StorageClass",
    },
    Cause {
        name: "VolumeZone",
        words: &["volume node affinity conflict", "had no available volume zone", "volume zone"],
        remedy: "the pod's volume is in another zone than the nodes that are free: add nodes in the volume's zone",
    },
    Cause {
        name: "MaxVolumes",
        words: &["exceed max volume count"],
        remedy: "the nodes have as many volumes of this driver attached as they may: add nodes, or spread the pods that have volumes",
    },
    Cause {
        name: "DeviceClaims",
        words: &["cannot allocate all claims", "resourceclaim"],
        remedy: "no node has the devices that the pod claims: look at its ResourceClaims, the DeviceClass and the driver's ResourceSlices",
    },
    Cause {
        name: "Taint",
        words: &["untolerated taint", "had taint", "had taints"],
        remedy: "the nodes are tainted: add the toleration if the pod belongs there, or find out why the taint is there",
    },
    Cause {
        name: "Affinity",
        words: &["didn't match pod's node affinity/selector", "didn't match node selector", "node affinity", "node selector"],
        remedy: "no node has the labels the pod demands: label a node, or correct nodeSelector or affinity",
    },
    Cause {
        name: "PodAffinity",
        words: &["pod affinity", "pod anti-affinity", "anti-affinity rules"],
        remedy: "the pod may not stand beside the others: loosen its (anti-)affinity, or add nodes",
    },
    Cause {
        name: "TopologySpread",
        words: &["topology spread constraints"],
        remedy: "the spread that the pod demands cannot be kept: add nodes in the domain that is short, or allow ScheduleAnyway",
    },
    Cause { name: "Ports", words: &["free ports"], remedy: "the host port is taken on every node: give it up, or add nodes" },
    Cause { name: "Cordoned", words: &["were unschedulable"], remedy: "the nodes are cordoned: uncordon one when its maintenance is over" },
    Cause {
        name: "InsufficientResource",
        words: &["insufficient"],
        remedy: "no node has enough of what the pod asks for: add nodes that have it, or lower the request",
    },
];

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if reading::phase(subject)? != "Pending" || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let is_bound = reading::node_of(pod)?.is_some_and(|node| !node.is_empty());
    let Some(scheduled) = pod.condition("PodScheduled")?.filter(|scheduled| !is_bound && !scheduled.is_true()) else {
        return Ok(Vec::new());
    };
    if !scheduled.is_false() {
        return Err(Undecided::Unknown("whether it was scheduled is not told".to_owned()));
    }
    if scheduled.reason != "Unschedulable" {
        return Ok(Vec::new());
    }
    let cause = cause_of(scheduled.message);
    let said = scheduled.message.split(" preemption:").next().unwrap_or_default();
    let text = format!("no node takes the pod: {}", quoted(said));
    let severity = if reading::is_owner_down(subject) { Severity::Critical } else { Severity::Warning };
    let mut finding = subject.finding("Unschedulable", text, reading::refused_since(subject, &scheduled));
    finding = finding.severity(severity);
    if let Some(cause) = cause {
        finding = finding.class(cause.name).remedy(cause.remedy);
    }
    Ok(vec![finding])
}

/// What stands in the way on most nodes: `0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint {x: }.`
fn cause_of(message: &str) -> Option<&'static Cause> {
    let before_preemption = message.split(" preemption:").next().unwrap_or_default();
    let reasons = before_preemption.split_once(": ").map_or(before_preemption, |(_, reasons)| reasons);
    let mut counted: Vec<(Option<&'static Cause>, u64)> = Vec::new();
    for part in reasons.split(", ") {
        let digits: String = part.trim().chars().take_while(char::is_ascii_digit).collect();
        let nodes = digits.parse::<u64>().unwrap_or(1);
        let cause = known(part);
        match counted.iter_mut().find(|(other, _)| cause.is_some() && other.map(|other| other.name) == cause.map(|cause| cause.name)) {
            Some((_, sum)) => *sum = sum.saturating_add(nodes),
            None => counted.push((cause, nodes)),
        }
    }
    // Of equal numbers the first said, as the scheduler sorts them. Where most nodes refuse for what is not known here, no other is the cause.
    counted.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?.0
}

/// The cause in one part of what the scheduler says. What taints are called, which stands in braces, says nothing.
fn known(part: &str) -> Option<&'static Cause> {
    let words = part.split('{').next().unwrap_or_default().to_ascii_lowercase();
    CAUSES.iter().find(|cause| cause.words.iter().any(|word| words.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: Option<&str>) {
        assert_eq!(cause_of(message).map(|cause| cause.name), expected, "{message}");
    }

    #[test]
    fn the_cause_is_what_stands_in_the_way_on_most_nodes() {
        check(
            "0/5 nodes are available: 2 node(s) had untolerated taint {gpu: true}, 3 Insufficient cpu. preemption: 0/5 nodes",
            Some("InsufficientCpu"),
        );
        check("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", Some("Affinity"));
        check("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", Some("VolumeBinding"));
        check("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", Some("InsufficientResource"));
        check("0/3 nodes are available: 3 something new.", None);
        check("0/5 nodes are available: 2 Insufficient cpu, 3 something new.", None);
        check(
            "0/6 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, 3 node(s) exceed max volume count.",
            Some("MaxVolumes"),
        );
        check(
            "0/7 nodes are available: 2 node(s) had untolerated taint {a: }, 3 Insufficient cpu, 2 node(s) had untolerated taint {b: }.",
            Some("Taint"),
        );
        check("0/3 nodes are available: 2 node(s) had untolerated taint {pool: insufficient cpu}, 1 Insufficient memory.", Some("Taint"));
    }
}
