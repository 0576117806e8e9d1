//! Ingresses without an address, read strictly or permissively.
//!
//! Pure. Strictly, an ingress is ready when its status has an address. Permissively, when it has rules: many controllers of bare metal never
//! write one. The MCP operator's own setting makes the whole cluster permissive.

use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::ingress_class::{self, Class};
use super::joins::{self, unknown};
use super::reading::{self, said};
use crate::check::{Check, Severity, Subject, Threshold, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "ingress-load-balancer",
    title: "An ingress has no address",
    severity: Severity::Warning,
    grace_seconds: 300,
    remediation: "see that the ingress controller runs and has an address itself; where controllers never write one, set the threshold `permissive` to 1",
    kinds: &[KindRef::INGRESS],
    reads: &[KindRef::INGRESS_CLASS],
    reasons: &["IngressLoadBalancerPending", "IngressPortError"],
    thresholds: &[Threshold { name: "permissive", default: 0 }],
    examine,
    ..Check::BASE
};

/// Variable of the MCP operator that chooses the reading.
const READINESS_MODE: &str = "MCP_INGRESS_READINESS_MODE";

/// Looks at one Ingress.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let ingress = subject.known()?;
    if joins::is_going(ingress)? {
        return Ok(Vec::new());
    }
    let addresses = ingress.list("/status/loadBalancer/ingress")?;
    for address in addresses {
        for port in field::list(address, "/ports")? {
            if let Some(error) = field::text(port, "/error")?.filter(|error| !error.is_empty()) {
                let number = field::int(port, "/port")?.unwrap_or_default();
                let text = format!("the load balancer cannot serve port {number}{}", said(error));
                return Ok(vec![subject.finding("IngressPortError", text, ingress.recorded_at).grace(60)]);
            }
        }
    }
    let has_rules = !ingress.list("/spec/rules")?.is_empty() || ingress.map("/spec/defaultBackend")?.is_some();
    if !addresses.is_empty() || (has_rules && is_permissive(subject)) {
        return Ok(Vec::new());
    }
    if ingress.map("/status")?.is_none() {
        return unknown("/status is not set");
    }
    let class = match ingress_class::class_of(subject, ingress)? {
        // That no controller takes it is told already.
        Class::Missing(_) | Class::NotSet => return Ok(Vec::new()),
        Class::Of(class) => Some(class),
        Class::Word(_) | Class::Unsure(_) | Class::Taken => None,
    };
    let (cause, why, shown_by) = match class {
        None => ("NoAddress", "no controller has given it one".to_owned(), None),
        Some(class) => match controller(subject, class)? {
            Some(controller) if is_down(controller)? => {
                ("ControllerDown", format!("its controller, {}, has no replica ready", joins::called(controller)), Some(controller.seq))
            }
            _ => ("NoAddress", format!("the controller of the class `{}` has given it none", class.name()), None),
        },
    };
    let since = subject.since(ingress.created_at());
    let finding = subject.finding("IngressLoadBalancerPending", format!("the ingress has no address: {why}"), since);
    Ok(vec![finding.class(cause).shown_by(shown_by)])
}

/// Whether addresses are not waited for: by our configuration, or by that of the MCP operator.
pub(super) fn is_permissive(subject: &Subject<'_>) -> bool {
    if subject.threshold("permissive") != 0 {
        return true;
    }
    let deployments = subject.view.of_kind(&subject.object.id.cluster, KindRef::DEPLOYMENT);
    let mut operators = deployments.filter(|deployment| deployment.name().contains("mcp-runtime-operator"));
    operators.any(|operator| {
        let containers = operator.list("/spec/template/spec/containers").unwrap_or_default();
        let mut variables = containers.iter().filter_map(|container| container.get("env")?.as_array()).flatten();
        let text = |variable: proreus_observe::Node<'_>, key: &str| variable.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        variables.any(|variable| {
            text(variable, "name").as_deref() == Some(READINESS_MODE) && text(variable, "value").as_deref() == Some("permissive")
        })
    })
}

/// The workload of a controller that is known by its class.
fn controller<'a>(subject: &Subject<'a>, class: &Observed) -> Result<Option<&'a Observed>, Undecided> {
    let app = match class.text("/spec/controller")? {
        Some("traefik.io/ingress-controller") => "traefik",
        Some("k8s.io/ingress-nginx") => "ingress-nginx",
        Some("haproxy.org/ingress-controller") => "kubernetes-ingress",
        _ => return Ok(None),
    };
    let (view, cluster) = (subject.view, &subject.object.id.cluster);
    let mut all = [KindRef::DEPLOYMENT, KindRef::DAEMON_SET].into_iter().flat_map(|kind| view.of_kind(cluster, kind));
    Ok(all.find(|workload| workload.label("app.kubernetes.io/name") == Some(app)).map(AsRef::as_ref))
}

fn is_down(workload: &Observed) -> Result<bool, Undecided> {
    let (wanted, ready) = match workload.is_a(KindRef::DAEMON_SET) {
        true => (workload.int("/status/desiredNumberScheduled")?.unwrap_or(0), workload.int("/status/numberReady")?),
        false => (reading::wanted_replicas(workload)?, workload.int("/status/readyReplicas")?),
    };
    Ok(wanted > 0 && ready.unwrap_or(0) == 0)
}
