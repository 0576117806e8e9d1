//! What each provider does to make infrastructure, in the order in which it does it, and how far it is by its own evidence.
//!
//! Azure: conditions of the AzureCluster, service names in messages, kinds of the Azure service operator. AWS: conditions of the AWSCluster or
//! of the EKS control plane, `N of M completed`, reasons of Events. GCP: messages of Events, and conditions for GKE.

use super::facts::{Facts, Status};
use super::happening::Happening;

/// One part of the infrastructure: the condition that tells of it, the word by which messages name it, the word for people.
struct Part {
    condition: &'static str,
    word: &'static str,
    text: &'static str,
}

const fn part(condition: &'static str, word: &'static str, text: &'static str) -> Part {
    Part { condition, word, text }
}

/// In the order of CAPZ's services. The words are its service names, the first without its plural because messages have it so.
const AZURE: [Part; 9] = [
    part("ResourceGroupReady", "group", "resource group"),
    part("VNetReady", "virtualnetworks", "virtual network"),
    part("SecurityGroupsReady", "securitygroups", "security groups"),
    part("RouteTablesReady", "routetables", "route tables"),
    part("PublicIPsReady", "publicips", "public IP addresses"),
    part("NATGatewaysReady", "natgateways", "NAT gateways"),
    part("SubnetsReady", "subnets", "subnets"),
    part("VnetPeeringReady", "vnetpeerings", "virtual network peerings"),
    part("LoadBalancersReady", "loadbalancers", "load balancers"),
];

/// In the order of CAPA's reconciliation. The words are what the reasons of its Events end in.
const AWS: [Part; 8] = [
    part("VpcReady", "VPC", "VPC"),
    part("SubnetsReady", "Subnet", "subnets"),
    part("InternetGatewayReady", "InternetGateway", "internet gateway"),
    part("NatGatewaysReady", "NATGateway", "NAT gateways"),
    part("RouteTablesReady", "RouteTable", "route tables"),
    part("VpcEndpointsReadyCondition", "VPCEndpoint", "VPC endpoints"),
    part("ClusterSecurityGroupsReady", "SecurityGroup", "security groups"),
    part("LoadBalancerReady", "LoadBalancer", "load balancer"),
];

/// Kinds of the Azure service operator, to the place in `AZURE`.
const AZURE_KINDS: [(&str, usize); 8] = [
    ("ResourceGroup", 0),
    ("VirtualNetwork", 1),
    ("NetworkSecurityGroup", 2),
    ("RouteTable", 3),
    ("PublicIPAddress", 4),
    ("NatGateway", 5),
    ("VirtualNetworksSubnet", 6),
    ("LoadBalancer", 8),
];

/// What GCP's controllers say, to what has been reached by then, in thousandths, and the word for people.
const GCP_MESSAGES: [(&str, u32, &str); 4] = [
    ("Waiting for control-plane endpoint", 350, "control plane endpoint"),
    ("Got control-plane endpoint", 700, "control plane endpoint is known"),
    ("Reconciled", 700, "network and load balancer are made"),
    ("Ready", 700, "network and load balancer are made"),
];

/// How far the infrastructure is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Thousandths of the whole.
    pub(super) permille: u32,
    /// What is being made, a few words; `""` when nothing is known.
    pub(super) text: String,
}

impl Step {
    /// Of two pieces of evidence the one that is further.
    pub(super) fn further(self, other: Self) -> Self {
        let known = !other.text.is_empty() && (self.text.is_empty() || other.permille > self.permille);
        if known { other } else { self }
    }

    fn at(parts: &[Part], index: usize) -> Self {
        let Some(part) = parts.get(index).or(parts.last()) else { return Self::default() };
        let permille = u32::try_from(index.min(parts.len()) * 1000 / parts.len().max(1)).unwrap_or(1000);
        Self { permille, text: part.text.to_owned() }
    }
}

/// By the conditions of the object that makes the infrastructure.
pub(super) fn by_conditions(facts: &Facts) -> Step {
    let parts: &[Part] = match facts.id.kind.as_str() {
        "AzureCluster" => &AZURE,
        "AWSCluster" | "AWSManagedControlPlane" => &AWS,
        _ => return Step::default(),
    };
    let standing = |part: &Part| facts.condition(part.condition).map(|condition| condition.status);
    let first_open = parts.iter().position(|part| standing(part).is_some_and(|status| status != Status::True));
    let after_last_done = parts.iter().rposition(|part| standing(part) == Some(Status::True)).map(|index| index + 1);
    match first_open.or(after_last_done) {
        Some(index) => Step::at(parts, index),
        None => Step::default(),
    }
}

/// By a message that Cluster API copied up from the provider's object.
pub(super) fn by_message(message: &str) -> Step {
    if let Some((done, of)) = completed(message) {
        let permille = done.min(of) * 1000 / of.max(1);
        // Only the count of eight is the list that we know by name; other counts stand for other ways of networking.
        let named = if of == 8 { AWS.get(usize::try_from(done).unwrap_or(AWS.len())).map(|part| part.text) } else { None };
        let text = named.map_or_else(|| format!("{done} of {of} parts are made"), str::to_owned);
        return Step { permille, text };
    }
    let named = |part: &Part| {
        let words = [part.word.to_owned(), part.word.trim_end_matches('s').to_owned()];
        words.iter().any(|word| {
            message.starts_with(&format!("{word} creating or updating"))
                || message.starts_with(&format!("{word} failed to create or update"))
                || message.contains(&format!("AzureCluster service {word}:"))
                || message.contains(&format!("AzureCluster service {word}s:"))
        })
    };
    AZURE.iter().position(named).map_or_else(Step::default, |index| Step::at(&AZURE, index))
}

/// `3 of 8 completed`
fn completed(message: &str) -> Option<(u32, u32)> {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.windows(4).find_map(|window| match window {
        [done, "of", of, last] if last.starts_with("completed") => Some((done.parse().ok()?, of.parse().ok()?)),
        _ => None,
    })
}

/// By an Event about one of the cluster's objects.
pub(super) fn by_happening(happening: &Happening) -> Step {
    let kind = happening.about.kind.as_str();
    if happening.reason == "BeginCreateOrUpdate" {
        let place = AZURE_KINDS.iter().find(|(known, _)| *known == kind);
        return place.map_or_else(Step::default, |(_, index)| Step::at(&AZURE, *index));
    }
    if matches!(kind, "AWSCluster" | "AWSManagedControlPlane") && happening.reason.starts_with("SuccessfulCreate") {
        let made = happening.reason.trim_start_matches("SuccessfulCreate");
        // The attachment of a gateway and the rules of a group are parts of the same part.
        return AWS.iter().position(|part| part.word == made).map_or_else(Step::default, |index| Step::at(&AWS, index + 1));
    }
    if kind == "GCPCluster" && happening.reason == "GCPClusterReconcile" {
        let said = GCP_MESSAGES.iter().find(|(message, _, _)| happening.message.starts_with(message));
        return said.map_or_else(Step::default, |(_, permille, text)| Step { permille: *permille, text: (*text).to_owned() });
    }
    Step::default()
}

/// Whether a managed control plane has its network: EKS makes it in the control plane's object, while the cluster's object says at once
/// that it is ready. `None` when it does not speak of networks.
pub(super) fn network_of_control_plane(facts: &Facts) -> Option<bool> {
    if facts.id.kind.as_str() != "AWSManagedControlPlane" {
        return None;
    }
    let known: Vec<bool> =
        AWS.iter().filter_map(|part| facts.condition(part.condition)).map(|condition| condition.status == Status::True).collect();
    // Before its first condition nothing is made yet, unless it is there already.
    Some(if known.is_empty() { facts.ready == Some(true) } else { known.iter().all(|made| *made) })
}

/// The provider by the beginning of a kind: `AWSCluster`, `AzureASOManagedControlPlane`, `GCPManagedCluster`.
pub(super) fn of_kind(kind: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 14] = [
        ("AWS", "aws"),
        ("ROSA", "aws"),
        ("Azure", "azure"),
        ("GCP", "gcp"),
        ("Docker", "docker"),
        ("Dev", "docker"),
        ("OpenStack", "openstack"),
        ("VSphere", "vsphere"),
        ("Kubevirt", "kubevirt"),
        ("KubeVirt", "kubevirt"),
        ("Metal3", "metal3"),
        ("Proxmox", "proxmox"),
        ("Hetzner", "hetzner"),
        ("Remote", "remote"),
    ];
    KINDS.iter().find(|(start, _)| kind.starts_with(start)).map(|(_, provider)| *provider)
}

/// The provider by the first word of a k0rdent template's name, if that word is a provider.
pub(super) fn of_template(template: &str) -> Option<&'static str> {
    const WORDS: [&str; 10] = ["aws", "azure", "gcp", "docker", "openstack", "vsphere", "kubevirt", "adopted", "remote", "hetzner"];
    let first = template.split('-').next().unwrap_or_default();
    WORDS.iter().find(|word| **word == first).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, permille: u32, text: &str) {
        assert_eq!(by_message(message), Step { permille, text: text.to_owned() }, "{message}");
    }

    #[test]
    fn reads_what_azure_is_making() {
        check("group creating or updating", 0, "resource group");
        check("virtualnetworks creating or updating", 111, "virtual network");
        check(
            "failed to reconcile cluster services: failed to reconcile AzureCluster service securitygroups: context deadline exceeded",
            222,
            "security groups",
        );
        check("AzureCluster status.ready is false", 0, "");
    }

    #[test]
    fn reads_how_many_steps_aws_has_done() {
        check("1 of 8 completed", 125, "subnets");
        check("8 of 8 completed", 1000, "8 of 8 parts are made");
        check("3 of 4 completed", 750, "3 of 4 parts are made");
    }
}
