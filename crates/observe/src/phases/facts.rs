//! What is kept of an object: the fields that say where a cluster is, out of every dialect in which they are written.
//!
//! Parsing only. An object of another shape gives facts that say nothing, never an error: it comes from outside.

use jiff::Timestamp;
use proreus_model::{ClusterId, Group, Kind, Name, Namespace, ObjectId, Uid};
use serde_json::Value;

use super::progress::{RelatedObject, ServiceLine};
use super::reading::{first_text, flag, list, number, text, time};

/// The group of Cluster API's own kinds.
pub(super) const CAPI: &str = "cluster.x-k8s.io";
/// The group of k0rdent.
pub(super) const K0RDENT: &str = "k0rdent.mirantis.com";
/// The group of Flux's HelmRelease.
pub(super) const FLUX: &str = "helm.toolkit.fluxcd.io";
/// The group of Sveltos's clusters.
pub(super) const SVELTOS: &str = "lib.projectsveltos.io";

/// Conditions kept of one object: the most any controller here writes is some thirty.
const CONDITIONS_LIMIT: usize = 64;
/// Services kept of one ClusterDeployment, and told in one update.
const SERVICES_LIMIT: usize = 64;

/// A name that outlives incarnations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) cluster: ClusterId,
    pub(super) group: Group,
    pub(super) kind: Kind,
    pub(super) namespace: Namespace,
    pub(super) name: Name,
}

impl Key {
    pub(super) fn of(id: &ObjectId) -> Self {
        Self {
            cluster: id.cluster.clone(),
            group: id.group.clone(),
            kind: id.kind.clone(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        }
    }
}

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    True,
    False,
    Unknown,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: String,
    pub(super) status: Status,
    pub(super) reason: String,
    pub(super) message: String,
}

/// Replicas as wanted and as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replicas {
    pub(super) desired: i64,
    /// `None` while the object has not said.
    pub(super) available: Option<i64>,
}

/// What only k0rdent's own objects say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeploymentFacts {
    pub(super) template: String,
    pub(super) credential: String,
    pub(super) dry_run: bool,
    pub(super) place: String,
    pub(super) management_region: String,
    pub(super) services_wanted: usize,
    pub(super) services: Vec<ServiceLine>,
}

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) id: ObjectId,
    pub(super) created: Option<Timestamp>,
    pub(super) is_deleting: bool,
    pub(super) generation: Option<i64>,
    pub(super) observed_generation: Option<i64>,
    pub(super) owners: Vec<Uid>,
    /// `cluster.x-k8s.io/cluster-name`, or `spec.clusterName`.
    pub(super) cluster_name: String,
    /// Namespace and name of the Helm release that made it.
    pub(super) helm: Option<(String, String)>,
    /// For a ServiceSet: the ClusterDeployment it is for.
    pub(super) serves: String,
    pub(super) is_control_plane: bool,
    pub(super) is_paused: bool,
    pub(super) conditions: Vec<Condition>,
    /// `status.ready`, or `status.initialization.provisioned`.
    pub(super) ready: Option<bool>,
    /// `status.phase` of a Cluster or a Machine.
    pub(super) phase: String,
    pub(super) infrastructure_ready: Option<bool>,
    pub(super) control_plane_initialized: Option<bool>,
    pub(super) control_plane_ready: Option<bool>,
    pub(super) has_node: bool,
    pub(super) has_provider_id: bool,
    pub(super) replicas: Option<Replicas>,
    pub(super) control_plane_replicas: Option<Replicas>,
    pub(super) worker_replicas: Option<Replicas>,
    pub(super) failure: Option<(String, String)>,
    /// Infrastructure and control plane of a Cluster.
    pub(super) refs: Vec<Key>,
    pub(super) deployment: DeploymentFacts,
}

impl Facts {
    /// Reads an object.
    pub(super) fn read(id: &ObjectId, object: &Value) -> Self {
        let label = |name: &str| object.pointer("/metadata/labels").and_then(|labels| labels.get(name)).and_then(Value::as_str);
        let annotations = object.pointer("/metadata/annotations");
        let annotated = |name: &str| annotations.is_some_and(|annotations| annotations.get(name).is_some());
        let helm = helm_release(object);
        let cluster_name = label("cluster.x-k8s.io/cluster-name").unwrap_or_else(|| text(object, "/spec/clusterName")).to_owned();
        let replicas = replicas(object, "/spec/replicas", &["/status/availableReplicas", "/status/readyReplicas"]);
        Self {
            id: id.clone(),
            created: time(object, "/metadata/creationTimestamp"),
            is_deleting: !text(object, "/metadata/deletionTimestamp").is_empty(),
            generation: number(object, "/metadata/generation"),
            observed_generation: number(object, "/status/observedGeneration"),
            owners: list(object, "/metadata/ownerReferences").iter().map(|owner| Uid::from(text(owner, "/uid"))).collect(),
            cluster_name,
            helm,
            serves: text(object, "/spec/cluster").to_owned(),
            is_control_plane: label("cluster.x-k8s.io/control-plane").is_some(),
            is_paused: flag(object, "/spec/paused").unwrap_or(false) || annotated("cluster.x-k8s.io/paused"),
            conditions: conditions(object),
            ready: first_flag(object, &["/status/initialization/provisioned", "/status/ready"]),
            phase: text(object, "/status/phase").to_owned(),
            infrastructure_ready: first_flag(object, &["/status/initialization/infrastructureProvisioned", "/status/infrastructureReady"]),
            control_plane_initialized: first_flag(object, &["/status/initialization/controlPlaneInitialized", "/status/initialized"]),
            control_plane_ready: flag(object, "/status/controlPlaneReady"),
            has_node: !text(object, "/status/nodeRef/name").is_empty(),
            has_provider_id: !text(object, "/spec/providerID").is_empty(),
            replicas,
            control_plane_replicas: counters(object, "/status/controlPlane"),
            worker_replicas: counters(object, "/status/workers"),
            failure: failure(object),
            refs: ["/spec/infrastructureRef", "/spec/controlPlaneRef"].iter().filter_map(|at| reference(id, object.pointer(at)?)).collect(),
            deployment: match id.kind.as_str() {
                "ClusterDeployment" => deployment(object),
                "ServiceSet" => DeploymentFacts { services: services(object), ..DeploymentFacts::default() },
                "Credential" => {
                    DeploymentFacts { management_region: text(object, "/spec/region").to_owned(), ..DeploymentFacts::default() }
                }
                _ => DeploymentFacts::default(),
            },
        }
    }

    /// A condition by its type; the newer dialect wins over the older one.
    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether a condition says yes or no; `None` when it is missing or does not know.
    pub(super) fn says(&self, kind: &str) -> Option<bool> {
        match self.condition(kind)?.status {
            Status::True => Some(true),
            Status::False => Some(false),
            Status::Unknown => None,
        }
    }

    /// The object as an update names it.
    pub(super) fn related(&self) -> RelatedObject {
        RelatedObject {
            group: self.id.group.clone(),
            kind: self.id.kind.clone(),
            namespace: self.id.namespace.clone(),
            name: self.id.name.clone(),
            uid: self.id.uid.clone(),
        }
    }

    /// Whether it is of a group and kind.
    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.id.group.as_str() == group && self.id.kind.as_str() == kind
    }
}

/// The group in an `apiVersion`.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn first_flag(object: &Value, pointers: &[&str]) -> Option<bool> {
    pointers.iter().find_map(|pointer| flag(object, pointer))
}

/// Flux labels what a release contains; Helm itself annotates it.
fn helm_release(object: &Value) -> Option<(String, String)> {
    let labels = object.pointer("/metadata/labels");
    let labelled = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
    let annotations = object.pointer("/metadata/annotations");
    let annotated = |name: &str| annotations.and_then(|annotations| annotations.get(name)).and_then(Value::as_str);
    let own = text(object, "/metadata/namespace");
    if let Some(name) = labelled("helm.toolkit.fluxcd.io/name") {
        return Some((labelled("helm.toolkit.fluxcd.io/namespace").unwrap_or(own).to_owned(), name.to_owned()));
    }
    let name = annotated("meta.helm.sh/release-name")?;
    Some((annotated("meta.helm.sh/release-namespace").unwrap_or(own).to_owned(), name.to_owned()))
}

/// Conditions of both Cluster API dialects. In v1beta1 objects the newer ones stand under `v1beta2`; in v1beta2 objects the older ones under
/// `deprecated`. The first of a type wins.
fn conditions(object: &Value) -> Vec<Condition> {
    let mut found: Vec<Condition> = Vec::new();
    for place in ["/status/v1beta2/conditions", "/status/conditions", "/status/deprecated/v1beta1/conditions"] {
        for condition in list(object, place) {
            let kind = text(condition, "/type");
            if kind.is_empty() || found.len() >= CONDITIONS_LIMIT || found.iter().any(|known| known.kind == kind) {
                continue;
            }
            found.push(Condition {
                kind: kind.to_owned(),
                status: match text(condition, "/status") {
                    "True" => Status::True,
                    "False" => Status::False,
                    _ => Status::Unknown,
                },
                reason: text(condition, "/reason").to_owned(),
                message: text(condition, "/message").to_owned(),
            });
        }
    }
    found
}

fn replicas(object: &Value, desired: &str, available: &[&str]) -> Option<Replicas> {
    let desired = number(object, desired)?;
    Some(Replicas { desired, available: available.iter().find_map(|pointer| number(object, pointer)) })
}

fn counters(object: &Value, place: &str) -> Option<Replicas> {
    let counters = object.pointer(place)?;
    let available = number(counters, "/availableReplicas").or_else(|| number(counters, "/readyReplicas"));
    Some(Replicas { desired: number(counters, "/desiredReplicas")?, available })
}

/// A failure that its controller calls terminal, in both dialects.
fn failure(object: &Value) -> Option<(String, String)> {
    let reason = first_text(object, &["/status/failureReason", "/status/deprecated/v1beta1/failureReason"]);
    let message = first_text(object, &["/status/failureMessage", "/status/deprecated/v1beta1/failureMessage"]);
    (!reason.is_empty() || !message.is_empty()).then(|| (reason.to_owned(), message.to_owned()))
}

/// A reference by `apiGroup` or by `apiVersion`.
fn reference(from: &ObjectId, reference: &Value) -> Option<Key> {
    let group = match text(reference, "/apiGroup") {
        "" => group_of(text(reference, "/apiVersion")),
        group => group,
    };
    let namespace = match text(reference, "/namespace") {
        "" => from.namespace.as_str(),
        namespace => namespace,
    };
    let (kind, name) = (text(reference, "/kind"), text(reference, "/name"));
    (!kind.is_empty() && !name.is_empty()).then(|| Key {
        cluster: from.cluster.clone(),
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
    })
}

fn deployment(object: &Value) -> DeploymentFacts {
    let wanted = list(object, "/spec/serviceSpec/services").len().max(list(object, "/spec/services").len());
    let wanted = wanted.max(list(object, "/spec/serviceTemplates").len());
    DeploymentFacts {
        template: text(object, "/spec/template").to_owned(),
        credential: text(object, "/spec/credential").to_owned(),
        dry_run: flag(object, "/spec/dryRun").unwrap_or(false),
        // Azure says location where the others say region.
        place: first_text(object, &["/spec/config/region", "/spec/config/location"]).to_owned(),
        management_region: text(object, "/status/region").to_owned(),
        services_wanted: wanted,
        services: services(object),
    }
}

fn services(object: &Value) -> Vec<ServiceLine> {
    list(object, "/status/services").iter().take(SERVICES_LIMIT).map(service).collect()
}

/// A service as `status.services` of a ClusterDeployment or a ServiceSet tells it.
fn service(entry: &Value) -> ServiceLine {
    ServiceLine {
        namespace: text(entry, "/namespace").to_owned(),
        name: text(entry, "/name").to_owned(),
        template: text(entry, "/template").to_owned(),
        state: text(entry, "/state").to_owned(),
        failure_message: super::reading::first_line(text(entry, "/failureMessage"), super::MESSAGE_LENGTH),
    }
}
