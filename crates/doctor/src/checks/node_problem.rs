//! What a problem detector on a node reports: kernel, disk, runtime, clock.
//!
//! Pure. Whether `True` is bad depends on the condition, and names do not say it reliably, so that known ones stand in a table and unknown
//! ones are told only when they are `True` and their name speaks of trouble.

use proreus_observe::KindRef;
use proreus_observe::field;

use super::joins::{self, unknown};
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "node-problem",
    title: "A problem detector reports trouble on a node",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "drain the node and mend or replace it: what the detector found does not mend itself",
    kinds: &[KindRef::NODE],
    reasons: &["NodeProblem"],
    examine,
    ..Check::BASE
};

/// Conditions of which other checks speak.
const ELSEWHERE: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", "OutOfDisk"];

/// Conditions that are bad when they are `True`, and how bad.
const BAD_WHEN_TRUE: &[(&str, Severity)] = &[
    ("KernelDeadlock", Severity::Critical),
    ("ReadonlyFilesystem", Severity::Critical),
    ("XfsShutdown", Severity::Critical),
    ("CperHardwareErrorFatal", Severity::Critical),
    ("CorruptDockerOverlay2", Severity::Warning),
    ("KubeletUnhealthy", Severity::Warning),
    ("ContainerRuntimeUnhealthy", Severity::Warning),
    ("FrequentKubeletRestart", Severity::Warning),
    ("FrequentDockerRestart", Severity::Warning),
    ("FrequentContainerdRestart", Severity::Warning),
    ("FrequentUnregisterNetDevice", Severity::Warning),
    ("NTPProblem", Severity::Warning),
];

/// Conditions that are good when they are `True`, whatever their names sound like.
const GOOD_WHEN_TRUE: &[&str] = &["EtcdIsVoter", "Healthy", "KubeletReady", "RuntimeReady", "SysctlChanged"];

/// Whether a name says that there is no trouble: `NoFailedUnits`, and not `NodeFailed`.
fn denies(of: &str) -> bool {
    of.strip_prefix("No").is_some_and(|what| what.starts_with(|letter: char| letter.is_ascii_uppercase()))
}

/// What the name of an unknown condition must contain for `True` to be bad.
const TROUBLE: &[&str] =
    &["Problem", "Unhealthy", "Deadlock", "Pressure", "Fail", "Error", "Corrupt", "Hung", "Readonly", "ReadOnly", "Unavailable"];

/// Looks at one node.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let node = subject.known()?;
    if joins::is_going(node)? {
        return Ok(Vec::new());
    }
    let conditions = field::conditions(node.body())?;
    if conditions.is_empty() {
        return unknown("it has no conditions");
    }
    let mut found = Vec::new();
    for (of, condition) in conditions {
        let Some(severity) = badness(of).filter(|_| condition.is_true()) else { continue };
        let reason = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
        let text = format!("{of}{reason}{}", said(condition.message));
        found.push(
            subject.finding("NodeProblem", text, subject.since(condition.since)).severity(severity).part(of).on_node(Some(node.name())),
        );
    }
    Ok(found)
}

/// How bad it is that this condition is `True`; none if it is not.
fn badness(of: &str) -> Option<Severity> {
    if ELSEWHERE.contains(&of) || GOOD_WHEN_TRUE.contains(&of) {
        return None;
    }
    if let Some((_, severity)) = BAD_WHEN_TRUE.iter().find(|(known, _)| *known == of) {
        return Some(*severity);
    }
    (!denies(of) && TROUBLE.iter().any(|word| of.contains(word))).then_some(Severity::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_trouble_is_bad_when_it_is_true() {
        for (of, expected) in [
            ("KernelDeadlock", Some(Severity::Critical)),
            ("EtcdIsVoter", None),
            ("Ready", None),
            ("GpuMemoryError", Some(Severity::Warning)),
            ("CalicoIsUp", None),
            ("NoFailedUnits", None),
            ("NodeProblem", Some(Severity::Warning)),
        ] {
            assert_eq!(badness(of), expected, "{of}");
        }
    }
}
