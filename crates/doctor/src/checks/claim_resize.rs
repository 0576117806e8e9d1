//! Volume claims that were enlarged and did not grow.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "claim-resize",
    title: "A volume does not grow",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "read what the driver says: a class that allows no expansion, a quota, or a driver that grows volumes only while nobody uses them",
    kinds: &[KindRef::PERSISTENT_VOLUME_CLAIM],
    reasons: &["PVCResizeFailed", "PVCResizePending"],
    examine,
    ..Check::BASE
};

/// Grace of what a controller has given up on.
const FAILED_GRACE_SECONDS: i64 = 60;

/// Looks at one claim.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let claim = subject.known()?;
    if joins::is_going(claim)? {
        return Ok(Vec::new());
    }
    if claim.map("/status")?.is_none() {
        return unknown("/status is not set");
    }
    for of in ["ControllerResizeError", "NodeResizeError"] {
        if let Some(met) = claim.condition(of)?.filter(|met| met.is_true()) {
            let text = format!("the volume could not be enlarged{}", said(met.message));
            return Ok(vec![subject.finding("PVCResizeFailed", text, subject.since(met.since)).grace(FAILED_GRACE_SECONDS)]);
        }
    }
    let states = claim.map("/status/allocatedResourceStatuses")?;
    if let Some(state) = states.and_then(|states| states.get("storage")?.as_str()).filter(|state| state.ends_with("Infeasible")) {
        let text = format!("the volume cannot be enlarged as asked ({state})");
        return Ok(vec![subject.finding("PVCResizeFailed", text, claim.recorded_at).grace(FAILED_GRACE_SECONDS)]);
    }
    for (of, what) in [
        ("FileSystemResizePending", "the volume has grown, and its file system has not: it does when a pod mounts it anew"),
        ("Resizing", "the volume is still being enlarged"),
    ] {
        let Some(met) = claim.condition(of)?.filter(|met| met.is_true()) else { continue };
        let failure = reading::last_warning(subject, &["VolumeResizeFailed", "FileSystemResizeFailed"]);
        let reason = if failure.is_some() { "PVCResizeFailed" } else { "PVCResizePending" };
        let why = failure.map_or_else(|| said(met.message), |event| said(event.message));
        let finding = subject.finding(reason, format!("{what}{why}"), subject.since(met.since));
        let severity = if failure.is_some() { Severity::Warning } else { Severity::Info };
        return Ok(vec![finding.severity(severity).shown_by(failure.map(|event| event.seq))]);
    }
    Ok(Vec::new())
}
