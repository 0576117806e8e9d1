//! Volumes that could not be reclaimed.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "volume-failed",
    title: "A volume could not be reclaimed",
    severity: Severity::Warning,
    remediation: "delete the storage behind it by hand, then the PersistentVolume; see why the driver could not",
    kinds: &[KindRef::PERSISTENT_VOLUME],
    reasons: &["PVFailed"],
    examine,
    ..Check::BASE
};

/// Looks at one volume.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let volume = subject.known()?;
    match volume.text("/status/phase")? {
        None => unknown("/status/phase is not set"),
        Some("Failed") if !joins::is_going(volume)? => {
            let event = reading::last_warning(subject, &["VolumeFailedDelete", "VolumeFailedRecycle"]);
            let own = volume.text("/status/message")?.unwrap_or_default();
            let why = if own.is_empty() { event.map(|event| said(event.message)).unwrap_or_default() } else { said(own) };
            let text = format!("the volume could not be reclaimed{why}");
            let finding = subject.finding("PVFailed", text, reading::fact_since(subject, "phase"));
            Ok(vec![finding.shown_by(event.map(|event| event.seq))])
        }
        Some(_) => Ok(Vec::new()),
    }
}
