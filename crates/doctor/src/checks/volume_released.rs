//! Volumes that nobody claims any more and that are still there.
//!
//! Pure. A volume that is to be retained waits for a person, who may forget it; one that is to be deleted should be gone in minutes.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "volume-released",
    title: "A volume is left behind",
    severity: Severity::Info,
    grace_seconds: 86_400,
    remediation: "take what you need from it, then delete the PersistentVolume and the storage behind it",
    kinds: &[KindRef::PERSISTENT_VOLUME],
    reasons: &["PVReleased"],
    examine,
    ..Check::BASE
};

/// How long the deletion of a volume may take.
const DELETION_GRACE_SECONDS: i64 = 1_800;

/// Looks at one volume.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let volume = subject.known()?;
    match volume.text("/status/phase")? {
        None => return unknown("/status/phase is not set"),
        Some("Released") if !joins::is_going(volume)? => {}
        Some(_) => return Ok(Vec::new()),
    }
    let claim = volume.text("/spec/claimRef/name")?.unwrap_or_default();
    let since = reading::fact_since(subject, "phase");
    if volume.text("/spec/persistentVolumeReclaimPolicy")? == Some("Delete") {
        let text = format!("the claim `{claim}` is gone, and the volume should have been deleted with it");
        let finding = subject.finding("PVReleased", text, since).class("NotDeleted").severity(Severity::Warning);
        return Ok(vec![
            finding.remedy("see why the driver does not delete it: its controller's log names the volume").grace(DELETION_GRACE_SECONDS),
        ]);
    }
    let text = format!("the claim `{claim}` is gone, and the volume was kept");
    Ok(vec![subject.finding("PVReleased", text, since).class("Retained")])
}
