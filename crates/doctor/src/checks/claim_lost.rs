//! Volume claims whose volume is gone.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "claim-lost",
    title: "The volume of a claim is gone",
    severity: Severity::Critical,
    remediation: "restore the data from a backup into a new claim; a lost claim does not bind again",
    kinds: &[KindRef::PERSISTENT_VOLUME_CLAIM],
    reasons: &["PVCLost"],
    examine,
    ..Check::BASE
};

/// Looks at one claim.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let claim = subject.known()?;
    match claim.text("/status/phase")? {
        None => unknown("/status/phase is not set"),
        Some("Lost") if !joins::is_going(claim)? => {
            let volume = claim.text("/spec/volumeName")?.unwrap_or_default();
            let text = format!("the PersistentVolume `{volume}` to which the claim was bound does not exist any more");
            Ok(vec![subject.finding("PVCLost", text, reading::fact_since(subject, "phase"))])
        }
        Some(_) => Ok(Vec::new()),
    }
}
