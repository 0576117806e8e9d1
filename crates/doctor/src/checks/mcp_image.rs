//! MCP servers whose image is named by the cluster address of a registry.
//!
//! Pure. Such an address changes with the Service, and no certificate can be for it.

use proreus_observe::KindRef;

use super::joins;
use super::kinds;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-server-image",
    title: "An MCP server's image is named by a cluster address",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "name the image by the registry's host name, which nodes resolve and its certificate covers",
    kinds: &[kinds::MCP_SERVER],
    needs: &[KindRef::SERVICE],
    reasons: &["ImageByClusterAddress"],
    examine,
    ..Check::BASE
};

/// Looks at one MCPServer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let server = subject.known()?;
    let Some(image) = server.text("/spec/image")? else { return joins::unknown("/spec/image is not set") };
    let host = image.split('/').next().unwrap_or_default();
    let address = host.rsplit_once(':').map_or(host, |(address, _)| address);
    if joins::is_going(server)? || address.parse::<core::net::IpAddr>().is_err() {
        return Ok(Vec::new());
    }
    for service in subject.view.of_kind(&server.id.cluster, KindRef::SERVICE) {
        if service.text("/spec/clusterIP")? == Some(address) {
            let text = format!("the image `{image}` is named by the cluster address of {}", joins::called(service));
            let mut finding = subject.finding("ImageByClusterAddress", text, server.recorded_at).shown_by([service.seq]);
            finding.registry = Some(host.to_owned());
            return Ok(vec![finding]);
        }
    }
    Ok(Vec::new())
}
