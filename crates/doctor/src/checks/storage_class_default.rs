//! More than one default storage class.
//!
//! Pure. The API then takes the newest, which is rarely what anybody meant.

use proreus_observe::KindRef;

use super::claim_pending::is_default;
use super::joins;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "storage-class-default",
    title: "More than one storage class is the default",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "leave the annotation storageclass.kubernetes.io/is-default-class: \"true\" on one storage class only",
    kinds: &[KindRef::STORAGE_CLASS],
    reads: &[KindRef::STORAGE_CLASS],
    reasons: &["MultipleDefaultStorageClasses"],
    examine,
    ..Check::BASE
};

/// Looks at one storage class; the one that claims get tells of the others.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let class = subject.known()?;
    if joins::is_going(class)? || !is_default(class) {
        return Ok(Vec::new());
    }
    let all = subject.view.of_kind(&class.id.cluster, KindRef::STORAGE_CLASS);
    let rank = |class: &proreus_observe::Observed| (class.created_at(), std::cmp::Reverse(class.id.name.clone()));
    let others: Vec<_> = all.filter(|other| other.id != class.id && is_default(other)).collect();
    if others.is_empty() || others.iter().any(|other| rank(other) > rank(class)) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = others.iter().map(|other| other.name()).collect();
    let text = format!("claims without a class get `{}`, and {} would be the default as well", class.name(), names.join(", "));
    let since = others.iter().map(|other| other.recorded_at).fold(class.recorded_at, std::cmp::Ord::max);
    Ok(vec![subject.finding("MultipleDefaultStorageClasses", text, since).shown_by(others.iter().map(|other| other.seq))])
}
