//! Volumes that a node cannot attach, or does not let go.
//!
//! Pure.

use proreus_observe::KindRef;

use super::joins;
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "volume-attachment",
    title: "A volume cannot be attached to its node, or detached from it",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "read the driver's error; a volume that is still attached to a dead node can be freed with the taint node.kubernetes.io/out-of-service",
    kinds: &[kinds::VOLUME_ATTACHMENT],
    reasons: &["VolumeAttachFailed", "VolumeDetachFailed"],
    examine,
    ..Check::BASE
};

/// Looks at one attachment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let attachment = subject.known()?;
    let is_going = joins::is_going(attachment)?;
    let (place, reason, what) = match is_going {
        true => ("/status/detachError", "VolumeDetachFailed", "be detached from"),
        false => ("/status/attachError", "VolumeAttachFailed", "be attached to"),
    };
    if attachment.map(place)?.is_none() || (!is_going && attachment.flag("/status/attached")?.unwrap_or(false)) {
        return Ok(Vec::new());
    }
    let node = attachment.text("/spec/nodeName")?.unwrap_or_default();
    let volume = attachment.text("/spec/source/persistentVolumeName")?.unwrap_or_default();
    let message = attachment.text(&format!("{place}/message"))?.unwrap_or_default();
    let text = format!("the volume `{volume}` cannot {what} the node `{node}`{}", said(message));
    // The error's own time moves on with every attempt.
    let since = if is_going { attachment.time("/metadata/deletionTimestamp")? } else { attachment.created_at() };
    let is_there = subject.view.named(&attachment.id.cluster, KindRef::NODE, &"".into(), &node.into()).is_some();
    let class = if is_there { "Driver" } else { "NodeGone" };
    Ok(vec![subject.finding(reason, text, subject.since(since)).class(class).on_node(Some(node))])
}
