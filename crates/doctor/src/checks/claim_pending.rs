//! Volume claims that get no volume, and why.
//!
//! Pure. A claim of a class that waits for its first consumer is as it should be until a pod wants it and has a node.

use jiff::Timestamp;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::joins::{self, Sight, unknown};
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "claim-pending",
    title: "A volume claim gets no volume",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "look at the claim's events: what the provisioner says, or that there is none for its storage class",
    kinds: &[KindRef::PERSISTENT_VOLUME_CLAIM],
    reads: &[KindRef::STORAGE_CLASS, KindRef::PERSISTENT_VOLUME, KindRef::POD],
    reasons: &["PVCPending"],
    examine,
    ..Check::BASE
};

/// Grace where waiting cannot help.
const HOPELESS_GRACE_SECONDS: i64 = 60;
/// The annotation that makes a storage class the one of claims without a class, and its older name.
const IS_DEFAULT: [&str; 2] = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// Reasons of Events in which a provisioner, or the controller of claims, says that there is no volume for it.
const REFUSALS: [&str; 4] = ["ProvisioningFailed", "VolumeMismatch", "FailedBinding", "ClaimLost"];

/// Looks at one claim.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let claim = subject.known()?;
    if joins::is_going(claim)? {
        return Ok(Vec::new());
    }
    match claim.text("/status/phase")? {
        None => return unknown("/status/phase is not set"),
        Some("Pending") => {}
        Some("Bound" | "Lost") => return Ok(Vec::new()),
        Some(other) => return unknown(format!("its phase is `{other}`")),
    }
    if let Some(volume) = claim.text("/spec/volumeName")?.filter(|volume| !volume.is_empty()) {
        return named_volume(subject, volume);
    }
    match claim.text("/spec/storageClassName")? {
        Some("") => {
            let text = "it has no storage class, and no volume that exists fits it";
            Ok(vec![tell(subject, "NoMatchingVolume", text).remedy("create a PersistentVolume that fits it, or give it a storage class")])
        }
        Some(name) => match joins::look(subject, KindRef::STORAGE_CLASS, "", name) {
            Sight::Missing => {
                let remedy = "name a storage class that exists, or create it; a claim's class cannot be changed, so create the claim anew";
                let text = format!("there is no StorageClass `{name}`{}", others(subject));
                Ok(vec![tell(subject, "StorageClassMissing", &text).remedy(remedy).grace(HOPELESS_GRACE_SECONDS)])
            }
            Sight::There(class) => of_class(subject, Some(class)),
            Sight::Unsure(why) => provisioning_failed(subject).map_or_else(|| unknown(why), |finding| Ok(vec![finding])),
        },
        None => match default_class(subject) {
            Some(class) => of_class(subject, Some(class)),
            None if joins::is_watched(subject, KindRef::STORAGE_CLASS).is_ok() => {
                let remedy = "name a storage class in the claim, or mark one as the default";
                let text = format!("it names no storage class, and none is the default{}", others(subject));
                Ok(vec![tell(subject, "NoDefaultStorageClass", &text).remedy(remedy).grace(HOPELESS_GRACE_SECONDS)])
            }
            None => of_class(subject, None),
        },
    }
}

fn named_volume(subject: &Subject<'_>, volume: &str) -> Verdict {
    match joins::look(subject, KindRef::PERSISTENT_VOLUME, "", volume) {
        Sight::Missing => {
            let remedy = "create the volume that the claim names, or create the claim anew without a name";
            let text = format!("the PersistentVolume `{volume}` that it names does not exist");
            Ok(vec![tell(subject, "VolumeMissing", &text).remedy(remedy)])
        }
        Sight::There(found) => {
            let holder = found.text("/spec/claimRef/name")?.filter(|holder| *holder != subject.object.name());
            let text = match holder {
                Some(holder) => format!("the PersistentVolume `{volume}` that it names belongs to the claim `{holder}`"),
                None => format!("it is not bound to the PersistentVolume `{volume}` that it names"),
            };
            Ok(vec![tell(subject, "VolumeTaken", &text).shown_by([found.seq])])
        }
        Sight::Unsure(why) => unknown(why),
    }
}

/// A claim whose class is there, or may be.
fn of_class(subject: &Subject<'_>, class: Option<&Observed>) -> Verdict {
    let claim = subject.object;
    let waits = class.map(|class| class.text("/volumeBindingMode")).transpose()?.flatten() == Some("WaitForFirstConsumer");
    if let Some(finding) = provisioning_failed(subject) {
        return Ok(vec![if waits { not_before(finding, first_refusal(subject)) } else { finding }]);
    }
    let is_placed = claim.annotation("volume.kubernetes.io/selected-node").is_some();
    if waits && !is_placed {
        // Until a pod wants it and has a node, there is nothing to do; that the pod has none is its own trouble.
        return match wanting(subject)? {
            true => joins::skipped("the pod that wants it has no node yet"),
            false => Ok(Vec::new()),
        };
    }
    let provisioner = class.map(|class| class.text("/provisioner")).transpose()?.flatten();
    let (cause, text) = match provisioner {
        Some("kubernetes.io/no-provisioner") => ("NoMatchingVolume", "its class makes no volumes, and none that exists fits it".to_owned()),
        Some(name) => ("ProvisionerSilent", format!("the provisioner `{name}` has not answered")),
        None => ("ProvisionerSilent", "no provisioner has answered".to_owned()),
    };
    let remedy = match cause {
        "NoMatchingVolume" => "create a PersistentVolume of the class that is large enough and has the access modes of the claim",
        _ => "see that the driver of the storage class is installed and its controller runs",
    };
    let finding = tell(subject, cause, &text).remedy(remedy);
    // Before its consumer had a node nobody was to make a volume, however old the claim is.
    Ok(vec![if waits { not_before(finding, joins::began_at(subject, "placed")) } else { finding }])
}

fn not_before(mut finding: Finding, moment: Option<Timestamp>) -> Finding {
    finding.since = moment.map_or(finding.since, |moment| finding.since.max(moment));
    finding
}

/// When the first of the refusals was said that are remembered.
fn first_refusal(subject: &Subject<'_>) -> Option<Timestamp> {
    let events = subject.view.events_of(&subject.object.id.uid).into_iter();
    let refusals = events.filter(|event| event.is_warning() && REFUSALS.contains(&event.reason));
    refusals.map(|event| event.first_seen.unwrap_or(event.last_seen)).min()
}

fn provisioning_failed(subject: &Subject<'_>) -> Option<Finding> {
    let event = reading::last_warning(subject, &REFUSALS)?;
    let text = format!("no volume could be made{}", said(event.message));
    let remedy = "read what the provisioner says: quota, zone, parameters of the storage class, credentials of the driver";
    Some(tell(subject, "ProvisioningFailed", &text).remedy(remedy).shown_by([event.seq]))
}

/// Whether a pod that is to run wants the claim.
fn wanting(subject: &Subject<'_>) -> Result<bool, Undecided> {
    let id = &subject.object.id;
    for pod in subject.view.in_namespace(&id.cluster, KindRef::POD, &id.namespace) {
        if matches!(pod.text("/status/phase")?, Some("Succeeded" | "Failed")) {
            continue;
        }
        for volume in pod.list("/spec/volumes")? {
            if field::text(volume, "/persistentVolumeClaim/claimName")? == Some(id.name.as_str()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn default_class<'a>(subject: &Subject<'a>) -> Option<&'a Observed> {
    let classes = subject.view.of_kind(&subject.object.id.cluster, KindRef::STORAGE_CLASS);
    let mut defaults = classes.filter(|class| is_default(class));
    defaults.next().map(AsRef::as_ref)
}

/// Whether claims without a class get this one.
pub(super) fn is_default(class: &Observed) -> bool {
    IS_DEFAULT.iter().any(|key| class.annotation(key) == Some("true"))
}

fn others(subject: &Subject<'_>) -> String {
    let classes = subject.view.of_kind(&subject.object.id.cluster, KindRef::STORAGE_CLASS);
    let names: Vec<&str> = classes.map(|class| class.name()).collect();
    if names.is_empty() { "; the cluster has none".to_owned() } else { format!("; there is {}", names.join(", ")) }
}

fn tell(subject: &Subject<'_>, class: &'static str, why: &str) -> Finding {
    let since = subject.since(subject.object.created_at());
    subject.finding("PVCPending", format!("the claim has no volume: {why}"), since).class(class)
}
