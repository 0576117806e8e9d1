//! Machines of the Cluster API that failed, do not come up, do not go, or whose node is not healthy.
//!
//! Pure.

use super::capi_cluster::{failure, is_paused};
use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "machine",
    title: "A machine failed or is stuck",
    severity: Severity::Warning,
    grace_seconds: 1_800,
    remediation: "read the conditions of the machine and of its infrastructure object: quota, image, credentials, bootstrap",
    kinds: &[kinds::MACHINE],
    reasons: &["MachineFailed", "MachineStuck", "MachineDeletionStuck", "MachineNodeUnhealthy", "MachineNotReady"],
    examine,
    ..Check::BASE
};

/// Grace of a node that does not answer for its machine.
const NODE_GRACE_SECONDS: i64 = 300;

/// Looks at one Machine.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let machine = subject.known()?;
    if let Some(since) = machine.time("/metadata/deletionTimestamp")? {
        let deleting = machine.condition("Deleting")?;
        let why = deleting.map(|deleting| format!(" ({}){}", deleting.reason, said(deleting.message))).unwrap_or_default();
        let text = format!("the machine was deleted and does not go{why}");
        return Ok(vec![subject.finding("MachineDeletionStuck", text, subject.since(Some(since)))]);
    }
    if is_paused(machine)? {
        return skipped("it is paused");
    }
    let Some(phase) = machine.text("/status/phase")? else { return unknown("/status/phase is not set") };
    let failure = failure(machine)?;
    if phase == "Failed" || failure.is_some() {
        let text = format!("the machine failed{}", said(failure.unwrap_or_default()));
        return Ok(vec![subject.finding("MachineFailed", text, machine.recorded_at).grace(0)]);
    }
    match phase {
        "Running" | "Deleting" | "Deleted" => {
            for of in ["NodeHealthy", "NodeReady"] {
                let Some(node) = machine.condition(of)?.filter(|node| node.is_false()) else { continue };
                if joins::is_outdated(machine, &node)? {
                    return unknown(format!("its {of} condition speaks of an older specification"));
                }
                let text = format!("the machine's node is not healthy ({}){}", node.reason, said(node.message));
                let finding = subject.finding("MachineNodeUnhealthy", text, subject.since(node.since)).grace(NODE_GRACE_SECONDS);
                return Ok(vec![finding.on_node(machine.text("/status/nodeRef/name")?)]);
            }
            not_ready(subject)
        }
        "Pending" | "Provisioning" | "Provisioned" => {
            let mut why = String::new();
            for of in ["BootstrapConfigReady", "BootstrapReady", "InfrastructureReady", "Ready"] {
                if let Some(condition) = machine.condition(of)?.filter(|condition| !condition.is_true()) {
                    why = format!(": {of} is {} ({}){}", condition.status, condition.reason, said(condition.message));
                    break;
                }
            }
            let text = format!("the machine is still {}{why}", phase.to_lowercase());
            Ok(vec![subject.finding("MachineStuck", text, subject.since(machine.created_at()))])
        }
        other => unknown(format!("its phase is `{other}`")),
    }
}

/// A machine that came up once, and says of itself that it is not ready now.
fn not_ready(subject: &Subject<'_>) -> Verdict {
    let machine = subject.object;
    // A machine that goes is not ready on purpose.
    let is_running = machine.text("/status/phase")? == Some("Running");
    for of in ["Ready", "Available"].into_iter().filter(|_| is_running) {
        let Some(condition) = machine.condition(of)?.filter(|condition| condition.is_false()) else { continue };
        if joins::is_outdated(machine, &condition)? {
            return unknown(format!("its {of} condition speaks of an older specification"));
        }
        let text = format!("the machine runs, and is not {of} ({}){}", condition.reason, said(condition.message));
        let finding = subject.finding("MachineNotReady", text, subject.since(condition.since)).grace(NODE_GRACE_SECONDS);
        return Ok(vec![finding.on_node(machine.text("/status/nodeRef/name")?)]);
    }
    Ok(Vec::new())
}
