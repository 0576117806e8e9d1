//! Services of type LoadBalancer that have no address.
//!
//! Pure. The API server always writes a status; a Service without one is half there and not judged, unless an Event says more.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "service-load-balancer",
    title: "A load balancer has no address",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "see whether the cluster has a controller for load balancers (a cloud provider, MetalLB, ServiceLB), and what it says about this service",
    kinds: &[KindRef::SERVICE],
    reasons: &["LoadBalancerPending"],
    examine,
    ..Check::BASE
};

/// Looks at one Service.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let service = subject.known()?;
    if service.text("/spec/type")? != Some("LoadBalancer") || joins::is_going(service)? {
        return Ok(Vec::new());
    }
    if !service.list("/status/loadBalancer/ingress")?.is_empty() {
        return Ok(Vec::new());
    }
    let warning = reading::last_warning(
        subject,
        &["SyncLoadBalancerFailed", "AllocationFailed", "CreatingLoadBalancerFailed", "UnAvailableLoadBalancer"],
    );
    if warning.is_none() && service.map("/status")?.is_none() {
        return unknown("/status is not set");
    }
    let why = match (warning, service.text("/spec/loadBalancerClass")?) {
        (Some(event), _) => said(event.message),
        (None, Some(class)) => format!(": no controller for the load balancer class `{class}` has answered"),
        (None, None) => ": no controller has answered".to_owned(),
    };
    let class = if warning.is_some() { "SyncFailed" } else { "NoController" };
    let since = reading::fact_since(subject, "loadBalancer");
    let finding = subject.finding("LoadBalancerPending", format!("the load balancer has no address{why}"), since);
    Ok(vec![finding.class(class).shown_by(warning.map(|event| event.seq))])
}
