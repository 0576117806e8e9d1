//! Network policies of MCP teams that keep Sentinel out.
//!
//! Pure.

use proreus_observe::Document;
use proreus_observe::Selector;
use proreus_observe::field;

use super::joins;
use super::kinds;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-network-policy",
    title: "A team's network policy keeps Sentinel out",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "let the policy admit the namespace mcp-sentinel: an ingress rule whose namespaceSelector is kubernetes.io/metadata.name: mcp-sentinel",
    kinds: &[kinds::NETWORK_POLICY],
    reasons: &["SentinelNotAdmitted"],
    examine,
    ..Check::BASE
};

/// The policy that the platform writes into each team's namespace.
const NAME: &str = "platform-default-deny";
/// The namespace that must be admitted.
const SENTINEL: &str = "mcp-sentinel";
/// The label by which Kubernetes names each namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Looks at one NetworkPolicy.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if subject.object.name() != NAME {
        return Ok(Vec::new());
    }
    let policy = subject.known()?;
    if joins::is_going(policy)? {
        return Ok(Vec::new());
    }
    let labels = Document::of(&serde_json::json!({ NAMESPACE_LABEL: SENTINEL }));
    for rule in policy.list("/spec/ingress")? {
        let peers = field::list(rule, "/from")?;
        if peers.is_empty() {
            return Ok(Vec::new());
        }
        for peer in peers {
            if field::map(peer, "/namespaceSelector")?.is_some()
                && Selector::of_terms(peer, "/namespaceSelector")?.matches(labels.root().as_object())
            {
                return Ok(Vec::new());
            }
        }
    }
    let text = format!("the policy admits nobody from the namespace {SENTINEL}, so that its gateway cannot reach the team's servers");
    Ok(vec![subject.finding("SentinelNotAdmitted", text, policy.recorded_at)])
}
