//! The operator of MCP servers: while it does not run, or cannot be asked, no server follows its specification, and every status is old.
//!
//! Pure.

use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::joins::{self, Sight};
use super::kinds;
use super::reading;
use super::tls_secret;
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
/// Where the operator runs, unless it is seen elsewhere.
const NAMESPACE: &str = "mcp-runtime";
/// The secret with the certificate of the operator's webhook: once that has ended, nothing can be written to any server.
const WEBHOOK_SECRET: &str = "mcp-runtime-operator-webhook-server-cert";

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

/// Why the operator of the cluster cannot follow any server, if that is known: one finding about it is enough.
pub(super) fn hindered(subject: &Subject<'_>) -> Result<Option<String>, Undecided> {
    let deployments = subject.view.of_kind(&subject.object.id.cluster, KindRef::DEPLOYMENT);
    let operators: Vec<&Observed> = deployments.filter(|found| found.name() == NAME).map(AsRef::as_ref).collect();
    for operator in &operators {
        if is_down(operator).unwrap_or(false) {
            return Ok(Some(format!("the operator does not run ({})", joins::called(operator))));
        }
    }
    let homes = operators.iter().map(|operator| operator.id.namespace.as_str());
    for namespace in homes.chain(operators.is_empty().then_some(NAMESPACE)) {
        let Sight::There(secret) = joins::look(subject, KindRef::SECRET, namespace, WEBHOOK_SECRET) else { continue };
        let end = tls_secret::leaf(secret)?.and_then(|leaf| field::time(leaf, "/notAfter").ok().flatten());
        if let Some(end) = end.filter(|end| *end <= subject.now) {
            return Ok(Some(format!("the certificate of the operator's webhook ended at {end}")));
        }
    }
    Ok(None)
}
