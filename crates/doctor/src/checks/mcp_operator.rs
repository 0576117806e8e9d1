//! The operator of MCP servers: while it does not run, no server follows its specification, and every status is old.
//!
//! Pure.

use proreus_observe::{KindRef, Observed};

use super::joins;
use super::kinds;
use super::reading;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-operator",
    title: "The operator of MCP servers does not run",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "bring the operator's pods up: their own findings say what they lack; until then no MCP server changes, and their statuses are old",
    kinds: &[KindRef::DEPLOYMENT],
    reasons: &["MCPOperatorDown"],
    examine,
    ..Check::BASE
};

/// Name of the operator's Deployment.
const NAME: &str = "mcp-runtime-operator-controller-manager";

/// Looks at one Deployment.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if subject.object.name() != NAME {
        return Ok(Vec::new());
    }
    let operator = subject.known()?;
    if joins::is_going(operator)? || !is_down(operator)? {
        return Ok(Vec::new());
    }
    let servers = subject.view.of_kind(&operator.id.cluster, kinds::MCP_SERVER).count();
    let why = match reading::wanted_replicas(operator)? {
        0 => "it is scaled to zero",
        _ => "none of its replicas is ready",
    };
    let text = format!("the operator does not run: {why}; {servers} MCP servers depend on it");
    let available = operator.condition("Available")?.filter(|available| !available.is_true()).and_then(|available| available.since);
    Ok(vec![subject.finding("MCPOperatorDown", text, subject.since(available))])
}

fn is_down(operator: &Observed) -> Result<bool, Undecided> {
    if operator.map("/status")?.is_none() {
        return joins::unknown("/status is not set");
    }
    Ok(operator.int("/status/readyReplicas")?.unwrap_or(0) == 0)
}

/// The operator of the cluster, if it is known not to run.
pub(super) fn down<'a>(subject: &Subject<'a>) -> Result<Option<&'a Observed>, Undecided> {
    for deployment in subject.view.of_kind(&subject.object.id.cluster, KindRef::DEPLOYMENT).filter(|found| found.name() == NAME) {
        if is_down(deployment).unwrap_or(false) {
            return Ok(Some(deployment));
        }
    }
    Ok(None)
}
