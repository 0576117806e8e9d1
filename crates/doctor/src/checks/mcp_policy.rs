//! Gateways of MCP servers whose policy is gone or cannot be read, although the server counts it as ready.
//!
//! Pure. A policy that the server's own status calls not ready is told with the server.

use proreus_observe::KindRef;

use super::joins::{self, Sight, unknown};
use super::kinds;
use super::mcp_parts;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-gateway-policy",
    title: "The policy of an MCP server's gateway cannot be read",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "have the operator write it anew: touch the server or its grants, and read the operator's log",
    kinds: &[kinds::MCP_SERVER],
    needs: &[KindRef::CONFIG_MAP],
    reasons: &["GatewayPolicyMissing", "GatewayPolicyInvalid"],
    examine,
    ..Check::BASE
};

/// Looks at one MCPServer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let server = subject.known()?;
    if joins::is_going(server)? || !server.flag("/spec/gateway/enabled")?.unwrap_or(false) {
        return Ok(Vec::new());
    }
    let counts_as_ready = server.flag("/status/policyReady")?.unwrap_or(false);
    let name = mcp_parts::policy_name(server);
    let map = match joins::look(subject, KindRef::CONFIG_MAP, server.id.namespace.as_str(), &name) {
        Sight::Unsure(why) => return unknown(why),
        Sight::There(map) => map,
        Sight::Missing if !counts_as_ready => return Ok(Vec::new()),
        Sight::Missing => {
            let text = format!("the ConfigMap `{name}` does not exist");
            return Ok(vec![subject.finding("GatewayPolicyMissing", text, server.recorded_at)]);
        }
    };
    let Some(policy) = map.text("/data/policy.json")? else {
        if !counts_as_ready {
            return Ok(Vec::new());
        }
        let text = format!("the ConfigMap `{name}` has no `policy.json`");
        return Ok(vec![subject.finding("GatewayPolicyMissing", text, map.recorded_at).shown_by([map.seq])]);
    };
    match serde_json::from_str::<serde_json::Value>(policy) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => {
            let text = format!("`policy.json` in the ConfigMap `{name}` is no JSON (line {}, column {})", error.line(), error.column());
            Ok(vec![subject.finding("GatewayPolicyInvalid", text, map.recorded_at).shown_by([map.seq])])
        }
    }
}
