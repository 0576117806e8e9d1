//! The parts of an MCP server, and the owned object because of which one is not ready.
//!
//! Pure. Owned objects carry the server's name; the deepest one that explains itself is the cause.

use proreus_model::Seq;
use proreus_observe::{KindRef, Observed, Selector};

use super::ingress_class::{self, Class};
use super::joins::{self, Sight};
use super::kinds;
use super::reading::{self, said};
use crate::check::{Subject, Undecided};

/// A part of an MCP server that its status tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Deployment,
    Service,
    Ingress,
    Policy,
    Gateway,
    Canary,
}

impl Part {
    /// Its word in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Service => "service",
            Self::Ingress => "ingress",
            Self::Policy => "gateway policy",
            Self::Gateway => "gateway",
            Self::Canary => "canary",
        }
    }

    /// Where the status says whether it is ready; `false` is left out there.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Deployment => "/status/deploymentReady",
            Self::Service => "/status/serviceReady",
            Self::Ingress => "/status/ingressReady",
            Self::Policy => "/status/policyReady",
            Self::Gateway => "/status/gatewayReady",
            Self::Canary => "/status/canaryReady",
        }
    }

    /// The condition about it.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Deployment => "DeploymentReady",
            Self::Service => "ServiceReady",
            Self::Ingress => "IngressReady",
            Self::Policy => "PolicyReady",
            Self::Gateway => "GatewayReady",
            Self::Canary => "CanaryReady",
        }
    }
}

/// The owned object because of which a part is not ready.
pub(super) struct Cause {
    /// What class of cause.
    pub(super) class: &'static str,
    /// What is wrong, as a part of a sentence.
    pub(super) text: String,
    /// The changes that show it.
    pub(super) seqs: Vec<Seq>,
}

/// The parts that a server has by its specification, in the order in which they explain one another.
pub(super) fn enabled(server: &Observed) -> Result<Vec<Part>, Undecided> {
    let mut parts = vec![Part::Deployment, Part::Service, Part::Ingress];
    if server.flag("/spec/gateway/enabled")?.unwrap_or(false) {
        parts.extend([Part::Policy, Part::Gateway]);
    }
    if server.text("/spec/rollout/strategy")?.is_some_and(|strategy| strategy.eq_ignore_ascii_case("canary")) {
        parts.push(Part::Canary);
    }
    Ok(parts)
}

/// The first cause among the parts that are not ready.
pub(super) fn cause(subject: &Subject<'_>, server: &Observed, missing: &[Part]) -> Result<Option<Cause>, Undecided> {
    for part in missing {
        let found = match part {
            Part::Deployment | Part::Gateway => of_deployment(subject, server.name())?,
            Part::Canary => of_deployment(subject, &format!("{}-canary", server.name()))?,
            Part::Service => of_service(subject, server)?,
            Part::Ingress => of_ingress(subject, server)?,
            Part::Policy => of_policy(subject, server)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn missing(kind: KindRef, name: &str) -> Cause {
    Cause { class: "Missing", text: format!("{} `{name}` does not exist", kind.kind), seqs: Vec::new() }
}

fn of_deployment(subject: &Subject<'_>, name: &str) -> Result<Option<Cause>, Undecided> {
    let deployment = match joins::look(subject, KindRef::DEPLOYMENT, subject.object.id.namespace.as_str(), name) {
        Sight::There(deployment) => deployment,
        Sight::Missing => return Ok(Some(missing(KindRef::DEPLOYMENT, name))),
        Sight::Unsure(_) => return Ok(None),
    };
    for pod in pods_below(subject, deployment)? {
        if let Some(mut cause) = of_pod(pod)? {
            cause.seqs.push(deployment.seq);
            return Ok(Some(cause));
        }
    }
    for (of, bad) in [("ReplicaFailure", "True"), ("Progressing", "False"), ("Available", "False")] {
        if let Some(condition) = deployment.condition(of)?.filter(|condition| condition.status == bad) {
            let text = format!("Deployment `{name}`: {}{}", condition.reason, said(condition.message));
            return Ok(Some(Cause { class: "Deployment", text, seqs: vec![deployment.seq] }));
        }
    }
    let (wanted, ready) = (reading::wanted_replicas(deployment)?, deployment.int("/status/readyReplicas")?.unwrap_or(0));
    if wanted == ready {
        return Ok(None);
    }
    let text = format!("Deployment `{name}` has {ready} of {wanted} replicas ready");
    Ok(Some(Cause { class: "Deployment", text, seqs: vec![deployment.seq] }))
}

/// Pods of a Deployment, over its ReplicaSets; where nobody says whose they are, by its selector.
fn pods_below<'a>(subject: &Subject<'a>, deployment: &'a Observed) -> Result<Vec<&'a Observed>, Undecided> {
    let view = subject.view;
    let sets = view.children(&deployment.id.uid).filter(|child| child.is_a(KindRef::REPLICA_SET));
    let children = sets.flat_map(move |set| view.children(&set.id.uid)).chain(view.children(&deployment.id.uid));
    let owned: Vec<&Observed> = children.filter(|child| child.is_a(KindRef::POD)).map(AsRef::as_ref).collect();
    let selector = Selector::of_terms(deployment.body(), "/spec/selector")?;
    if !owned.is_empty() || selector.is_empty() {
        return Ok(owned);
    }
    let id = &deployment.id;
    Ok(view.pods_matching(&id.cluster, &id.namespace, &selector).into_iter().map(AsRef::as_ref).collect())
}

fn of_pod(pod: &Observed) -> Result<Option<Cause>, Undecided> {
    if reading::is_leaving(pod)? {
        return Ok(None);
    }
    let name = pod.name();
    let cause = |class, text| Some(Cause { class, text, seqs: vec![pod.seq] });
    if let Some(unscheduled) = pod.condition("PodScheduled")?.filter(|condition| condition.is_false()) {
        return Ok(cause("Unschedulable", format!("Pod `{name}` has no node{}", said(unscheduled.message))));
    }
    for container in reading::containers(pod)? {
        let Some((reason, message)) = container.waiting()? else { continue };
        let class = match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable" => "ImagePull",
            "CrashLoopBackOff" => "CrashLoop",
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => "ContainerConfig",
            _ => continue,
        };
        return Ok(cause(class, format!("Pod `{name}`: container `{}` {reason}{}", container.name, said(message))));
    }
    let is_running = pod.text("/status/phase")? == Some("Running");
    match pod.condition("Ready")?.filter(|ready| ready.is_false() && is_running) {
        Some(ready) => Ok(cause("PodNotReady", format!("Pod `{name}` runs and is not ready{}", said(ready.message)))),
        None => Ok(None),
    }
}

fn of_service(subject: &Subject<'_>, server: &Observed) -> Result<Option<Cause>, Undecided> {
    let name = server.name();
    Ok(match joins::look(subject, KindRef::SERVICE, server.id.namespace.as_str(), name) {
        Sight::Missing => Some(missing(KindRef::SERVICE, name)),
        Sight::There(service) if service.text("/spec/clusterIP")?.is_none_or(str::is_empty) => {
            let text = format!("Service `{name}` has no cluster address");
            Some(Cause { class: "Service", text, seqs: vec![service.seq] })
        }
        Sight::There(_) | Sight::Unsure(_) => None,
    })
}

fn of_ingress(subject: &Subject<'_>, server: &Observed) -> Result<Option<Cause>, Undecided> {
    let (name, namespace) = (server.name(), server.id.namespace.as_str());
    let ingress = match joins::look(subject, KindRef::INGRESS, namespace, name) {
        Sight::There(ingress) => ingress,
        Sight::Unsure(_) => return Ok(None),
        Sight::Missing => {
            // Servers with mutual TLS have a route of Traefik in its place.
            let is_routed = matches!(joins::look(subject, kinds::INGRESS_ROUTE_TCP, namespace, name), Sight::There(_));
            return Ok((!is_routed).then(|| missing(KindRef::INGRESS, name)));
        }
    };
    let seqs = vec![ingress.seq];
    let class = ingress_class::class_of(subject, ingress)?;
    if let Class::Missing(class) = class {
        return Ok(Some(Cause {
            class: "IngressClass",
            text: format!("Ingress `{name}` names the IngressClass `{class}`, which does not exist"),
            seqs,
        }));
    }
    if let Class::NotSet = class {
        return Ok(Some(Cause { class: "IngressClass", text: format!("Ingress `{name}` names no class, and none is the default"), seqs }));
    }
    if ingress.list("/status/loadBalancer/ingress")?.is_empty() {
        let text = format!("Ingress `{name}` has no address from its load balancer");
        return Ok(Some(Cause { class: "IngressLoadBalancer", text, seqs }));
    }
    Ok(None)
}

/// The name of the ConfigMap in which the operator writes the policy of a server's gateway.
pub(super) fn policy_name(server: &Observed) -> String {
    format!("{}-gateway-policy", server.name())
}

fn of_policy(subject: &Subject<'_>, server: &Observed) -> Result<Option<Cause>, Undecided> {
    let name = policy_name(server);
    Ok(match joins::look(subject, KindRef::CONFIG_MAP, server.id.namespace.as_str(), &name) {
        Sight::Missing => Some(Cause { class: "Policy", ..missing(KindRef::CONFIG_MAP, &name) }),
        Sight::There(map) if !map.map("/data")?.is_some_and(|data| data.contains_key("policy.json")) => {
            Some(Cause { class: "Policy", text: format!("ConfigMap `{name}` has no `policy.json`"), seqs: vec![map.seq] })
        }
        Sight::There(_) | Sight::Unsure(_) => None,
    })
}
