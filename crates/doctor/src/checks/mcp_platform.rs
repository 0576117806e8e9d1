//! What an MCP platform needs beside its servers: their namespace, its service account, the operator and its rights, the ingress class.
//!
//! Pure. Asked once, of the definition of the MCPServer type: where that is not installed, there is no platform to miss anything.

use proreus_observe::KindRef;
use proreus_observe::document::List;
use proreus_observe::field;

use super::joins::{self, Gathered, Sight};
use super::kinds;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-platform",
    title: "A part of the MCP platform is missing",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "run the platform's setup again: it creates what is missing and leaves the rest as it is",
    kinds: &[kinds::CUSTOM_RESOURCE_DEFINITION],
    reads: &[KindRef::NAMESPACE, KindRef::SERVICE_ACCOUNT, KindRef::DEPLOYMENT, KindRef::INGRESS_CLASS, kinds::CLUSTER_ROLE],
    reasons: &["PlatformPartMissing", "OperatorRightsMissing"],
    examine,
    ..Check::BASE
};

/// The definition that makes a cluster an MCP platform.
const MARK: &str = "mcpservers.mcpruntime.org";
/// The namespace of servers.
const SERVERS: &str = "mcp-servers";
/// The namespace of the operator.
const RUNTIME: &str = "mcp-runtime";
/// The operator's Deployment.
const OPERATOR: &str = "mcp-runtime-operator-controller-manager";
/// What the operator must list and watch: without one of them it waits for ever and says nothing.
const WATCHED: [(&str, &str); 5] =
    [("", "serviceaccounts"), ("", "configmaps"), ("", "services"), ("apps", "deployments"), ("networking.k8s.io", "ingresses")];

/// Looks at the definition of MCPServer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if subject.object.name() != MARK {
        return Ok(Vec::new());
    }
    let crd = subject.known()?;
    if joins::is_going(crd)? {
        return Ok(Vec::new());
    }
    let mut gathered = Gathered::default();
    let parts = [
        (KindRef::NAMESPACE, "", SERVERS),
        (KindRef::SERVICE_ACCOUNT, SERVERS, "default"),
        (KindRef::DEPLOYMENT, RUNTIME, OPERATOR),
        (KindRef::INGRESS_CLASS, "", "traefik"),
    ];
    for (kind, namespace, name) in parts {
        match joins::look(subject, kind, namespace, name) {
            Sight::There(_) => {}
            Sight::Unsure(why) => gathered.doubt(why),
            Sight::Missing => {
                let place = if namespace.is_empty() { String::new() } else { format!(" in `{namespace}`") };
                let text = format!("the platform has no {} `{name}`{place}", kind.kind);
                gathered.tell(subject.finding("PlatformPartMissing", text, crd.recorded_at).part(kind.kind));
            }
        }
    }
    rights(subject, &mut gathered)?;
    gathered.verdict()
}

fn rights(subject: &Subject<'_>, gathered: &mut Gathered) -> Result<(), Undecided> {
    let roles = subject.view.of_kind(&subject.object.id.cluster, kinds::CLUSTER_ROLE);
    let mut roles = roles.filter(|role| role.name().starts_with("mcp-runtime-operator") && role.name().contains("manager"));
    let Some(role) = roles.next() else { return Ok(()) };
    let mut lacking = Vec::new();
    for (group, resource) in WATCHED {
        let mut verbs: Vec<&str> = Vec::new();
        for rule in role.list("/rules")? {
            let has =
                |list: List<'_>, wanted: &str| list.iter().any(|entry| entry.as_str().is_some_and(|word| word == wanted || word == "*"));
            if has(field::list(rule, "/apiGroups")?, group) && has(field::list(rule, "/resources")?, resource) {
                verbs.extend(field::list(rule, "/verbs")?.iter().filter_map(|verb| verb.as_str()));
            }
        }
        if !verbs.contains(&"*") && ["get", "list", "watch"].iter().any(|verb| !verbs.contains(verb)) {
            lacking.push(resource);
        }
    }
    if !lacking.is_empty() {
        let text = format!("the ClusterRole `{}` does not let the operator get, list and watch {}", role.name(), lacking.join(", "));
        let finding = subject.finding("OperatorRightsMissing", text, role.recorded_at).severity(Severity::Critical).part(role.name());
        gathered.tell(
            finding.remedy("apply the platform's roles again: without these rights the operator waits for ever").shown_by([role.seq]),
        );
    }
    Ok(())
}
