//! Containers that the runtime cannot create or start.
//!
//! Pure.

use proreus_observe::KindRef;

use super::reading::{self, class_of, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "container-start",
    title: "A container cannot be started by the runtime",
    severity: Severity::Critical,
    grace_seconds: 30,
    remediation: "read what the runtime says, then check the command, the mounts and the hooks of the container",
    kinds: &[KindRef::POD],
    reasons: REASONS,
    examine,
    ..Check::BASE
};

const REASONS: &[&str] = &["CreateContainerError", "RunContainerError", "PostStartHookError", "PreCreateHookError", "PreStartHookError"];

/// A class of causes: its name and what to do.
struct Class {
    name: &'static str,
    remedy: &'static str,
}

const COMMAND: Class = Class { name: "Command", remedy: "the image has no such command: correct command and args, or the image" };

const CLASSES: &[(Class, &[&str])] = &[
    (
        COMMAND,
        &[
            "executable file not found",
            "no such file or directory\": unknown",
            "no command specified",
            "exec format error",
            "attempted to invoke a command that was not found",
        ],
    ),
    (
        Class {
            name: "Permission",
            remedy: "the command may not be run by this user: check its mode in the image and the security context",
        },
        &["permission denied"],
    ),
    (
        Class { name: "Mount", remedy: "a mount does not fit into the image: check mountPath and subPath" },
        &["mount", "subpath", "not a directory"],
    ),
    (
        Class { name: "NameTaken", remedy: "the runtime still holds the former container: restart the runtime of this node if it lasts" },
        &["is reserved for", "already in use"],
    ),
    (
        Class { name: "Timeout", remedy: "the runtime does not answer in time: look at the load and the disk of the node" },
        &["deadline exceeded", "timed out"],
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
        let Some((waiting, message)) = container.waiting()? else { continue };
        let Some(reason) = REASONS.iter().find(|reason| **reason == waiting) else { continue };
        let since = subject.since(reading::waiting_since(subject, container, &all)?);
        let text = format!("container `{}` cannot be started{}", container.name, said(message));
        let mut finding = subject.finding(reason, text, since).part(container.name);
        finding = finding.severity(container.at_most(CHECK.severity));
        if let Some(class) = class(message) {
            finding = finding.class(class.name).remedy(class.remedy);
        }
        found.push(finding.on_node(reading::node_of(pod)?));
    }
    Ok(found)
}

/// The class of what a runtime said. A file that is not there is the command only where the runtime was about to run it: mounts have files too.
fn class(message: &str) -> Option<&'static Class> {
    let lower = message.to_ascii_lowercase();
    let runs_nothing = lower.split_once("exec: \"").is_some_and(|(_, rest)| rest.contains("no such file or directory"));
    if runs_nothing { Some(&COMMAND) } else { class_of(message, CLASSES) }
}
