//! Stateful sets that lack replicas and make no progress.
//!
//! Pure. They start one pod after the other, so the first that is not ready holds all behind it.

use proreus_observe::{KindRef, Observed};

use super::joins;
use super::reading;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "statefulset-stuck",
    title: "A stateful set lacks replicas and makes no progress",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "look at the first pod that is not ready: the ones behind it wait for it",
    kinds: &[KindRef::STATEFUL_SET],
    reasons: &["StatefulSetStuck", "StatefulSetUpdateStuck"],
    examine,
    ..Check::BASE
};

/// What counts as progress.
const PROGRESS: [&str; 5] = ["readyReplicas", "updatedReplicas", "updateRevision", "generation", "shortfall"];

/// Looks at one stateful set.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let set = reading::observed(subject)?;
    let wanted = joins::wanted_replicas(set)?;
    if wanted == 0 || set.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let ready = set.int("/status/readyReplicas")?.unwrap_or(0);
    let since = PROGRESS.iter().filter_map(|name| Some(subject.view.trail(&set.id.uid)?.fact(name)?.since)).max();
    let since = subject.since(since);
    if ready < wanted {
        let severity = if ready == 0 { Severity::Critical } else { Severity::Warning };
        let first = first_unready(subject);
        let pod = first.map(|pod| format!("; `{}` comes first", pod.name())).unwrap_or_default();
        let text = format!("{ready} of {wanted} replicas ready{pod}");
        // A pod that goes has its grace period to do so: brokers and databases hand over what they hold.
        let drained = first.and_then(|pod| pod.deletion_at());
        let grace = CHECK.grace_seconds.saturating_add(joins::seconds_between(since, drained));
        let finding = subject.finding("StatefulSetStuck", text, since).severity(severity).grace(grace).consequence();
        return Ok(vec![finding.shown_by(first.map(|pod| pod.seq))]);
    }
    if is_update_behind(set, wanted)? {
        let updated = set.int("/status/updatedReplicas")?.unwrap_or(0);
        let text = format!("the update stands still with {updated} of {wanted} replicas on the new revision");
        let remedy = "see why the next pod in order is not replaced: a pod that does not go, or a claim that does not fit";
        return Ok(vec![subject.finding("StatefulSetUpdateStuck", text, since).remedy(remedy).consequence()]);
    }
    Ok(Vec::new())
}

/// Whether an update that should go on by itself has not reached every pod.
fn is_update_behind(set: &Observed, wanted: i64) -> Result<bool, Undecided> {
    if set.text("/spec/updateStrategy/type")? == Some("OnDelete") {
        return Ok(false);
    }
    let partition = set.int("/spec/updateStrategy/rollingUpdate/partition")?.unwrap_or(0);
    let (update, current) = (set.text("/status/updateRevision")?, set.text("/status/currentRevision")?);
    let updated = set.int("/status/updatedReplicas")?.unwrap_or(wanted);
    Ok(update.is_some() && update != current && updated < wanted - partition.min(wanted))
}

/// The pod of the lowest ordinal that is not ready.
fn first_unready<'a>(subject: &Subject<'a>) -> Option<&'a Observed> {
    let ordinal = |pod: &Observed| pod.name().rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
    let pods = subject.view.children(&subject.object.id.uid).filter(|child| child.is_a(KindRef::POD));
    let unready = pods.filter(|pod| pod.condition("Ready").ok().flatten().is_none_or(|ready| !ready.is_true()));
    unready.map(AsRef::as_ref).min_by_key(|pod| ordinal(pod).unwrap_or(u64::MAX))
}
