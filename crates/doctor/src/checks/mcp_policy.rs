//! Gateways of MCP servers whose policy is gone, cannot be read, or is older than the rights that were given or taken since, although the
//! server counts it as ready.
//!
//! Pure. A policy that the server's own status calls not ready is told with the server. Whether it is old is read from what it holds: it is
//! not written anew when nothing in it changes.

use proreus_observe::{KindRef, Observed};
use serde_json::Value;

use super::joins::{self, Sight, unknown};
use super::kinds;
use super::mcp_operator;
use super::mcp_parts;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-gateway-policy",
    title: "The policy of an MCP server's gateway cannot be read, or is old",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "have the operator write it anew: touch the server or its grants, and read the operator's log",
    kinds: &[kinds::MCP_SERVER],
    needs: &[KindRef::CONFIG_MAP],
    reads: &[kinds::MCP_ACCESS_GRANT, kinds::MCP_AGENT_SESSION],
    reasons: &["GatewayPolicyMissing", "GatewayPolicyInvalid", "GatewayPolicyStale"],
    examine,
    ..Check::BASE
};

/// Grace of a policy that is old: the operator writes it anew within seconds of a change.
const STALE_GRACE_SECONDS: i64 = 300;
/// Objects named in one message.
const NAMED_LIMIT: usize = 3;

/// A kind of object by which somebody may use a server, and where the policy has what it says.
struct Right {
    kind: KindRef,
    /// The list in the policy.
    list: &'static str,
    /// What takes it away, in the object and in the policy.
    off: (&'static str, &'static str),
    /// Texts that are the same in both, where the object has them.
    same: &'static [(&'static str, &'static str)],
}

const RIGHTS: [Right; 2] = [
    Right {
        kind: kinds::MCP_ACCESS_GRANT,
        list: "grants",
        off: ("/spec/disabled", "disabled"),
        same: &[
            ("/spec/subject/humanID", "human_id"),
            ("/spec/subject/agentID", "agent_id"),
            ("/spec/maxTrust", "max_trust"),
            ("/spec/policyVersion", "policy_version"),
        ],
    },
    Right {
        kind: kinds::MCP_AGENT_SESSION,
        list: "sessions",
        off: ("/spec/revoked", "revoked"),
        same: &[
            ("/spec/subject/humanID", "human_id"),
            ("/spec/subject/agentID", "agent_id"),
            ("/spec/consentedTrust", "consented_trust"),
            ("/spec/policyVersion", "policy_version"),
        ],
    },
];

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
    match serde_json::from_str::<Value>(policy) {
        Ok(policy) => stale(subject, map, &policy),
        Err(error) => {
            let text = format!("`policy.json` in the ConfigMap `{name}` is no JSON (line {}, column {})", error.line(), error.column());
            Ok(vec![subject.finding("GatewayPolicyInvalid", text, map.recorded_at).shown_by([map.seq])])
        }
    }
}

/// Rights that the policy does not have as they were given: the gateway goes by those of before.
fn stale(subject: &Subject<'_>, map: &Observed, policy: &Value) -> Verdict {
    let (server, view) = (subject.object, subject.view);
    let mut behind: Vec<&Observed> = Vec::new();
    for right in &RIGHTS {
        for object in view.of_kind(&server.id.cluster, right.kind).map(AsRef::as_ref).filter(|object: &&Observed| object.is_known()) {
            if is_about(object, server)? && !joins::is_going(object)? && !right.is_in(object, policy, subject.now)? {
                behind.push(object);
            }
        }
    }
    let Some(first) = behind.iter().map(|object| object.recorded_at.max(map.recorded_at)).min() else { return Ok(Vec::new()) };
    if let Some(why) = mcp_operator::hindered(subject)? {
        return unknown(format!("{why}, so that the policy is old"));
    }
    let names: Vec<String> = behind.iter().take(NAMED_LIMIT).map(|object| joins::called(object)).collect();
    let more = if behind.len() > names.len() { ", …" } else { "" };
    let text = format!("the policy in the ConfigMap `{}` is older than {}{more}", map.name(), names.join(", "));
    let finding = subject.finding("GatewayPolicyStale", text, first).severity(Severity::Warning).grace(STALE_GRACE_SECONDS);
    Ok(vec![finding.shown_by(behind.iter().map(|object| object.seq).chain([map.seq]))])
}

/// Whether a grant or a session is for this server.
fn is_about(object: &Observed, server: &Observed) -> Result<bool, Undecided> {
    let namespace = object.text("/spec/serverRef/namespace")?.filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or(object.id.namespace.as_str());
    Ok(object.text("/spec/serverRef/name")? == Some(server.name()) && namespace == server.id.namespace.as_str())
}

impl Right {
    /// Whether a policy has an object as it is now.
    fn is_in(&self, object: &Observed, policy: &Value, now: jiff::Timestamp) -> Result<bool, Undecided> {
        let (place, word) = self.off;
        let is_off = object.flag(place)?.unwrap_or(false);
        let entries = policy.get(self.list).and_then(Value::as_array);
        let has_name = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(object.name());
        let Some(entry) = entries.and_then(|entries| entries.iter().find(has_name)) else {
            // What gives no right need not be there.
            let is_over = object.time("/spec/expiresAt")?.is_some_and(|end| end <= now);
            return Ok(is_off || is_over);
        };
        if entry.get(word).and_then(Value::as_bool).unwrap_or(false) != is_off {
            return Ok(false);
        }
        for (place, word) in self.same {
            let wanted = object.text(place)?.filter(|text| !text.is_empty());
            if wanted.is_some() && wanted != entry.get(word).and_then(Value::as_str) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
