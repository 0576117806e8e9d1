//! Ingresses that lead to a Service, or a port of one, that does not exist.
//!
//! Pure. Whether anybody answers behind a Service that does exist is the Service's own check.

use std::collections::BTreeSet;

use proreus_observe::document::Node;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::joins::{self, Gathered, Sight, unknown};
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "ingress-backend",
    title: "An ingress leads to a service that does not exist",
    severity: Severity::Critical,
    grace_seconds: 60,
    remediation: "correct the service's name or port in the ingress, or create the service",
    kinds: &[KindRef::INGRESS],
    reads: &[KindRef::SERVICE],
    reasons: &["IngressBackendServiceMissing", "IngressBackendPortMissing"],
    examine,
    ..Check::BASE
};

/// A port name by which the AWS controller marks actions that stand in annotations.
const NO_REAL_PORT: &str = "use-annotation";

/// Looks at one Ingress.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let ingress = subject.known()?;
    if joins::is_going(ingress)? {
        return Ok(Vec::new());
    }
    if ingress.map("/spec")?.is_none() {
        return unknown("/spec is not set");
    }
    let mut gathered = Gathered::default();
    let mut seen = BTreeSet::new();
    for backend in backends(ingress)? {
        // Anything else than a Service is a resource of the controller's own.
        let Some(name) = field::text(backend, "/service/name")? else { continue };
        let port = port_of(backend)?;
        if port.as_deref() == Some(NO_REAL_PORT) || !seen.insert((name, port.clone())) {
            continue;
        }
        match joins::look(subject, KindRef::SERVICE, ingress.id.namespace.as_str(), name) {
            Sight::Unsure(why) => gathered.doubt(why),
            Sight::Missing => {
                let text = format!("it leads to the Service `{name}`, which does not exist");
                gathered.tell(subject.finding("IngressBackendServiceMissing", text, ingress.recorded_at).part(name));
            }
            Sight::There(service) => {
                if let Some(port) = port
                    && !has_port(service, &port)?
                {
                    let text = format!("it leads to port {port} of the Service `{name}`, which has no such port");
                    let finding = subject.finding("IngressBackendPortMissing", text, ingress.recorded_at.max(service.recorded_at));
                    gathered.tell(finding.part(name).shown_by([service.seq]));
                }
            }
        }
    }
    gathered.verdict()
}

fn backends(ingress: &Observed) -> Result<Vec<Node<'_>>, Undecided> {
    let mut found: Vec<Node<'_>> = field::at(ingress.body(), "/spec/defaultBackend")?.into_iter().collect();
    for rule in ingress.list("/spec/rules")? {
        for path in field::list(rule, "/http/paths")? {
            match field::at(path, "/backend")? {
                Some(backend) => found.push(backend),
                None => return unknown("a path has no backend"),
            }
        }
    }
    Ok(found)
}

fn port_of(backend: Node<'_>) -> Result<Option<String>, Undecided> {
    if let Some(name) = field::text(backend, "/service/port/name")? {
        return Ok(Some(name.to_owned()));
    }
    Ok(field::int(backend, "/service/port/number")?.map(|number| number.to_string()))
}

fn has_port(service: &Observed, wanted: &str) -> Result<bool, Undecided> {
    let ports = service.list("/spec/ports")?;
    if ports.is_empty() && service.text("/spec/type")? == Some("ExternalName") {
        return Ok(true);
    }
    for port in ports {
        let number = field::int(port, "/port")?.map(|number| number.to_string());
        if field::text(port, "/name")? == Some(wanted) || number.as_deref() == Some(wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}
