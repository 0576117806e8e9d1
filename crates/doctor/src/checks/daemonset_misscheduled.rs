//! Daemon sets with pods on nodes where they do not belong.
//!
//! Pure.

use proreus_observe::KindRef;

use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "daemonset-misscheduled",
    title: "A daemon set has pods on nodes where they do not belong",
    severity: Severity::Info,
    grace_seconds: 900,
    remediation: "a node's labels or taints changed after its pod was made: correct them, or delete the pods that are too many",
    kinds: &[KindRef::DAEMON_SET],
    reasons: &["DaemonSetMisscheduled"],
    examine,
    ..Check::BASE
};

/// Looks at one daemon set.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let set = reading::observed(subject)?;
    if set.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    match set.int("/status/numberMisscheduled")?.unwrap_or(0) {
        count if count > 0 => {
            let text = format!("{count} pods run where the daemon set does not want them");
            Ok(vec![subject.finding("DaemonSetMisscheduled", text, reading::fact_since(subject, "numberMisscheduled"))])
        }
        _ => Ok(Vec::new()),
    }
}
