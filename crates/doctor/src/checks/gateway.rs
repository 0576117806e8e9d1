//! Gateways that are not accepted, not programmed, or have a listener in trouble.
//!
//! Pure. A listener's trouble explains why its Gateway is not programmed, so that only the listener is told.

use proreus_observe::Observed;
use proreus_observe::document::Node;
use proreus_observe::field::{self, Condition};

use super::joins::{self, Gathered, Sight, unknown};
use super::kinds;
use super::reading::said;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};
use crate::finding::Finding;

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "gateway",
    title: "A gateway does not serve",
    severity: Severity::Critical,
    grace_seconds: 120,
    remediation: "read the condition that is not met: the class, the listeners' certificates and ports, the addresses",
    kinds: &[kinds::GATEWAY],
    reads: &[kinds::GATEWAY_CLASS],
    reasons: &["GatewayClassMissing", "GatewayNotAccepted", "GatewayNotProgrammed", "GatewayListenerNotReady"],
    examine,
    ..Check::BASE
};

/// Grace of a gateway that waits for its address: a load balancer of a cloud takes minutes, as that of a service does.
const ADDRESS_GRACE_SECONDS: i64 = 300;

/// Looks at one Gateway.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let gateway = subject.known()?;
    if joins::is_going(gateway)? {
        return Ok(Vec::new());
    }
    let is_accepted = gateway.condition("Accepted")?.is_some_and(|accepted| accepted.is_true());
    if let Some(name) = gateway.text("/spec/gatewayClassName")?.filter(|_| !is_accepted)
        && let Sight::Missing = joins::look(subject, kinds::GATEWAY_CLASS, "", name)
    {
        let text = format!("there is no GatewayClass `{name}`, so no controller takes the gateway");
        return Ok(vec![subject.finding("GatewayClassMissing", text, gateway.recorded_at).part(name)]);
    }
    let accepted = joins::condition(gateway, "Accepted")?;
    if !accepted.is_true() {
        let text = format!("the gateway is not accepted{}", words(&accepted));
        return Ok(vec![tell(subject, "GatewayNotAccepted", text, &accepted)]);
    }
    let mut gathered = Gathered::default();
    for listener in gateway.list("/status/listeners")? {
        if let Some(finding) = of_listener(subject, gateway, listener)? {
            gathered.tell(finding);
        }
    }
    if gathered.is_clean() {
        match gateway.condition("Programmed")? {
            None => gathered.doubt("it has no Programmed condition"),
            Some(programmed) if programmed.is_true() || joins::is_outdated(gateway, &programmed)? => {}
            Some(programmed) => {
                let text = format!("the gateway is not programmed{}", words(&programmed));
                gathered.tell(patient(tell(subject, "GatewayNotProgrammed", text, &programmed), &programmed));
            }
        }
    }
    gathered.verdict()
}

fn of_listener(subject: &Subject<'_>, gateway: &Observed, listener: Node<'_>) -> Result<Option<Finding>, Undecided> {
    let Some(name) = field::text(listener, "/name")? else { return unknown("a listener in the status has no name") };
    // What is wrong in itself before what follows from it.
    for (of, good) in [("Accepted", "True"), ("Conflicted", "False"), ("ResolvedRefs", "True"), ("Programmed", "True")] {
        let Some(condition) = joins::condition_in(listener, "/conditions", of)? else { continue };
        if condition.status == good || condition.status == "Unknown" || joins::is_outdated(gateway, &condition)? {
            continue;
        }
        let text = format!("listener `{name}` is not served: {of} is {}{}", condition.status, words(&condition));
        let finding = tell(subject, "GatewayListenerNotReady", text, &condition).part(name);
        return Ok(Some(if of == "Programmed" { patient(finding, &condition) } else { finding }));
    }
    Ok(None)
}

/// With the patience that an address needs, where it is waited for.
fn patient(finding: Finding, programmed: &Condition<'_>) -> Finding {
    match programmed.reason {
        "AddressNotAssigned" | "Pending" => finding.grace(ADDRESS_GRACE_SECONDS),
        _ => finding,
    }
}

fn words(condition: &Condition<'_>) -> String {
    let reason = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
    format!("{reason}{}", said(condition.message))
}

fn tell(subject: &Subject<'_>, reason: &'static str, text: String, condition: &Condition<'_>) -> Finding {
    const CLASSES: &[&str] = &[
        "AddressNotAssigned",
        "AddressNotUsable",
        "HostnameConflict",
        "Invalid",
        "InvalidCertificateRef",
        "InvalidParameters",
        "InvalidRouteKinds",
        "ListenersNotValid",
        "NoResources",
        "Pending",
        "PortUnavailable",
        "ProtocolConflict",
        "RefNotPermitted",
        "UnsupportedAddress",
        "UnsupportedProtocol",
    ];
    let since = condition.since.filter(|since| since.as_second() > 0).or_else(|| subject.object.created_at());
    let mut finding = subject.finding(reason, text, subject.since(since));
    finding.class = joins::word_of(condition.reason, CLASSES);
    finding
}
