//! Machines of the Cluster API, and pools of them, that failed, do not come up, do not go, or whose node is not healthy.
//!
//! Pure.

use proreus_observe::Observed;
use proreus_observe::field::Condition;

use super::capi_cluster::{failure, is_paused};
use super::joins::{self, skipped, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "machine",
    title: "A machine failed or is stuck",
    severity: Severity::Warning,
    grace_seconds: 1_800,
    remediation: "read the conditions of the machine and of its infrastructure object: quota, image, credentials, bootstrap",
    kinds: &[kinds::MACHINE, kinds::MACHINE_POOL],
    reasons: &["MachineFailed", "MachineStuck", "MachineDeletionStuck", "MachineNodeUnhealthy", "MachineNotReady"],
    examine,
    ..Check::BASE
};

/// Grace of a node that does not answer for its machine.
const NODE_GRACE_SECONDS: i64 = 300;

/// Reasons for which nothing is known of a node: the connection to its cluster is lost, or nobody has looked yet. That is not the machine's.
const OUT_OF_SIGHT: [&str; 6] =
    ["ConnectionDown", "InspectionFailed", "InternalError", "NodeInspectionFailed", "NotYetReported", "RemoteConnectionFailed"];

/// Looks at one Machine or MachinePool.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let machine = subject.known()?;
    let what = if machine.is_a(kinds::MACHINE) { "machine" } else { "machine pool" };
    if let Some(since) = machine.time("/metadata/deletionTimestamp")? {
        let deleting = machine.condition("Deleting")?;
        let why = deleting.map(|deleting| format!(" ({}){}", deleting.reason, said(deleting.message))).unwrap_or_default();
        let text = format!("the {what} was deleted and does not go{why}");
        return Ok(vec![subject.finding("MachineDeletionStuck", text, subject.since(Some(since)))]);
    }
    if is_paused(machine)? {
        return skipped("it is paused");
    }
    let Some(phase) = machine.text("/status/phase")? else { return unknown("/status/phase is not set") };
    let failure = failure(machine)?;
    if phase == "Failed" || failure.is_some() {
        let text = format!("the {what} failed{}", said(failure.unwrap_or_default()));
        return Ok(vec![subject.finding("MachineFailed", text, machine.recorded_at).grace(0)]);
    }
    match phase {
        "Running" | "Deleting" | "Deleted" => match node_unhealthy(subject, phase)? {
            Some(finding) => Ok(vec![finding]),
            None => not_ready(subject),
        },
        "Pending" | "Provisioning" | "Provisioned" => {
            let text = format!("the {what} is still {}{}", phase.to_lowercase(), unmet(machine)?);
            Ok(vec![subject.finding("MachineStuck", text, subject.since(machine.created_at()))])
        }
        // A pool brings up what it lacks by itself.
        "Scaling" | "ScalingUp" | "ScalingDown" if machine.is_a(kinds::MACHINE_POOL) => Ok(Vec::new()),
        other => unknown(format!("its phase is `{other}`")),
    }
}

/// The first condition that a machine waits for.
fn unmet(machine: &Observed) -> Result<String, Undecided> {
    for of in ["BootstrapConfigReady", "BootstrapReady", "InfrastructureReady", "Ready"] {
        if let Some(condition) = machine.condition(of)?.filter(|condition| !condition.is_true()) {
            return Ok(format!(": {of} is {} ({}){}", condition.status, condition.reason, said(condition.message)));
        }
    }
    Ok(String::new())
}

/// A node that is not healthy, or says nothing, under a machine that came up once.
fn node_unhealthy(subject: &Subject<'_>, phase: &str) -> Result<Option<Finding>, Undecided> {
    let machine = subject.object;
    for of in ["NodeHealthy", "NodeReady"] {
        // What goes falls silent on its way; what runs does not.
        let is_silent = |node: &Condition<'_>| phase == "Running" && node.status == "Unknown";
        let Some(node) = machine.condition(of)?.filter(|node| node.is_false() || is_silent(node)) else { continue };
        if is_silent(&node) && OUT_OF_SIGHT.contains(&node.reason) {
            return unknown(format!("its node cannot be seen ({}){}", node.reason, said(node.message)));
        }
        if joins::is_outdated(machine, &node)? {
            return unknown(format!("its {of} condition speaks of an older specification"));
        }
        let state = if node.is_false() { "is not healthy" } else { "is silent" };
        let text = format!("the machine's node {state} ({}){}", node.reason, said(node.message));
        let finding = subject.finding("MachineNodeUnhealthy", text, subject.since(node.since)).grace(NODE_GRACE_SECONDS);
        return Ok(Some(finding.on_node(machine.text("/status/nodeRef/name")?)));
    }
    Ok(None)
}

/// A machine that came up once, and says of itself that it is not ready now.
fn not_ready(subject: &Subject<'_>) -> Verdict {
    let machine = subject.object;
    // A machine that goes is not ready on purpose, and a pool is not ready while it grows.
    let is_running = machine.text("/status/phase")? == Some("Running") && machine.is_a(kinds::MACHINE);
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
