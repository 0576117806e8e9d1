//! Containers that cannot be created because what they refer to is not there, or not allowed.
//!
//! Pure.

use proreus_observe::KindRef;

use super::reading::{self, class_of, quoted};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "container-config",
    title: "A container cannot be created: its configuration refers to what is not there or not allowed",
    severity: Severity::Critical,
    grace_seconds: 30,
    remediation: "create what the message names, or correct the reference to it",
    kinds: &[KindRef::POD],
    reasons: &["CreateContainerConfigError"],
    examine,
    ..Check::BASE
};

/// A class of causes: its name and what to do.
struct Class {
    name: &'static str,
    remedy: &'static str,
}

const CLASSES: &[(Class, &[&str])] = &[
    (
        Class {
            name: "RunAsNonRoot",
            remedy: "the image runs as root and the pod forbids it: set runAsUser, or use an image with a numeric non-root user",
        },
        &["runasnonroot", "run as root", "non-numeric user"],
    ),
    (
        Class {
            name: "MissingKey",
            remedy: "the ConfigMap or Secret is there without this key: add the key, or correct its name in the pod",
        },
        &["couldn't find key", "could not find key", "references non-existent"],
    ),
    (
        Class {
            name: "NotSynced",
            remedy: "the kubelet has not received the ConfigMap or Secret in time, and tries again: where it lasts, see whether the node reaches the API server",
        },
        &["failed to sync configmap cache", "failed to sync secret cache"],
    ),
    // The kind stands before the name, which may have the word of the other.
    (
        Class { name: "MissingSecret", remedy: "create the Secret in the pod's namespace, or correct its name in the pod" },
        &["secret \"", "secrets \""],
    ),
    (
        Class { name: "MissingConfigMap", remedy: "create the ConfigMap in the pod's namespace, or correct its name in the pod" },
        &["configmap \"", "configmaps \""],
    ),
];

/// Looks at one pod.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let pod = subject.known()?;
    if matches!(reading::phase(subject)?, "Succeeded" | "Failed") || reading::leaves(subject)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let all = reading::containers(pod)?;
    for container in &all {
        let Some(("CreateContainerConfigError", message)) = container.waiting()? else { continue };
        let since = subject.since(reading::waiting_since(subject, container, &all)?);
        let text = format!("container `{}` cannot be created: {}", container.name, quoted(message));
        let mut finding = subject.finding("CreateContainerConfigError", text, since).part(container.name);
        finding = finding.severity(container.at_most(CHECK.severity));
        if let Some(class) = class_of(message, CLASSES) {
            finding = finding.class(class.name).remedy(class.remedy);
        }
        found.push(finding.on_node(reading::node_of(pod)?));
    }
    Ok(found)
}
