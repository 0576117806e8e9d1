//! One object as it was last seen, and the kinds that checks speak of.
//!
//! Pure.

use jiff::Timestamp;
use proreus_model::{ApiVersion, Change, Group, Kind, Name, Namespace, ObjectId, Resource, ResourceVersion, Seq, Uid};
use serde_json::Value;

use crate::document::{Document, Fields, List, Node};
use crate::field::{self, Condition, Read};

/// A kind of objects, named once: checks say with it what they look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindRef {
    /// API group, `""` for the core.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Lower-case plural.
    pub resource: &'static str,
}

impl KindRef {
    /// Every kind: for rules that hold whatever the kind, such as a `Ready` condition.
    pub const ANY: Self = Self { group: "*", kind: "*", resource: "*" };
}

macro_rules! kinds {
    ($($name:ident = $group:literal $kind:literal $resource:literal;)*) => {
        impl KindRef {
            $(
                #[doc = concat!("`", $kind, "` of the group `", $group, "`.")]
                pub const $name: Self = Self { group: $group, kind: $kind, resource: $resource };
            )*
        }
    };
}

kinds! {
    POD = "" "Pod" "pods";
    NODE = "" "Node" "nodes";
    SERVICE = "" "Service" "services";
    NAMESPACE = "" "Namespace" "namespaces";
    SECRET = "" "Secret" "secrets";
    CONFIG_MAP = "" "ConfigMap" "configmaps";
    SERVICE_ACCOUNT = "" "ServiceAccount" "serviceaccounts";
    PERSISTENT_VOLUME = "" "PersistentVolume" "persistentvolumes";
    PERSISTENT_VOLUME_CLAIM = "" "PersistentVolumeClaim" "persistentvolumeclaims";
    RESOURCE_QUOTA = "" "ResourceQuota" "resourcequotas";
    EVENT = "" "Event" "events";
    DEPLOYMENT = "apps" "Deployment" "deployments";
    REPLICA_SET = "apps" "ReplicaSet" "replicasets";
    STATEFUL_SET = "apps" "StatefulSet" "statefulsets";
    DAEMON_SET = "apps" "DaemonSet" "daemonsets";
    JOB = "batch" "Job" "jobs";
    CRON_JOB = "batch" "CronJob" "cronjobs";
    HORIZONTAL_POD_AUTOSCALER = "autoscaling" "HorizontalPodAutoscaler" "horizontalpodautoscalers";
    POD_DISRUPTION_BUDGET = "policy" "PodDisruptionBudget" "poddisruptionbudgets";
    ENDPOINT_SLICE = "discovery.k8s.io" "EndpointSlice" "endpointslices";
    INGRESS = "networking.k8s.io" "Ingress" "ingresses";
    INGRESS_CLASS = "networking.k8s.io" "IngressClass" "ingressclasses";
    STORAGE_CLASS = "storage.k8s.io" "StorageClass" "storageclasses";
}

/// One object as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Which.
    pub id: ObjectId,
    /// Position of the change that brought this state.
    pub seq: Seq,
    /// When that change was recorded.
    pub recorded_at: Timestamp,
    /// When the object was first seen by this snapshot.
    pub first_seen: Timestamp,
    /// Version of the API it was seen in.
    pub version: ApiVersion,
    /// Lower-case plural of its type.
    pub resource: Resource,
    /// Its resourceVersion.
    pub resource_version: ResourceVersion,
    /// The object; `null` when it is not known.
    body: Document,
}

/// Who an object says it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRef {
    /// API group of the owner.
    pub group: Group,
    /// Kind of the owner.
    pub kind: Kind,
    /// Name of the owner.
    pub name: Name,
    /// Incarnation of the owner.
    pub uid: Uid,
    /// Whether it is the one that controls the object.
    pub is_controller: bool,
}

impl OwnerRef {
    /// The owner as an object: in the namespace of what it owns, for owners of another scope are rare and known by their uid.
    pub fn as_object(&self, owned: &ObjectId) -> ObjectId {
        ObjectId {
            cluster: owned.cluster.clone(),
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: owned.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }
}

impl Observed {
    /// What a change says of an object; `near` is one that is held already, the object itself or a neighbour, whose names are shared where
    /// they are the same.
    pub(super) fn new(change: &Change, body: &Value, former: Option<&Self>, near: Option<&Self>) -> Self {
        let (id, near) = (&change.object, former.or(near));
        Self {
            id: ObjectId {
                cluster: shared(&id.cluster, near.map(|near| &near.id.cluster)),
                group: shared(&id.group, near.map(|near| &near.id.group)),
                kind: shared(&id.kind, near.map(|near| &near.id.kind)),
                namespace: shared(&id.namespace, near.map(|near| &near.id.namespace)),
                name: shared(&id.name, near.map(|near| &near.id.name)),
                uid: shared(&id.uid, near.map(|near| &near.id.uid)),
            },
            seq: change.seq,
            recorded_at: change.recorded_at,
            first_seen: former.map_or(change.recorded_at, |former| former.first_seen),
            version: shared(&change.version, near.map(|near| &near.version)),
            resource: shared(&change.resource, near.map(|near| &near.resource)),
            resource_version: change.resource_version.clone(),
            body: Document::of(body),
        }
    }

    /// The object; `null` when it is not known.
    pub fn body(&self) -> Node<'_> {
        self.body.root()
    }

    /// Whether more than its existence is known.
    pub fn is_known(&self) -> bool {
        self.body().is_object()
    }

    /// Whether it is of this kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.id.kind.as_str() == kind && self.id.group.as_str() == group
    }

    /// Whether it is of this kind.
    pub fn is_a(&self, kind: KindRef) -> bool {
        self.is(kind.group, kind.kind)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.id.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.id.name.as_str()
    }

    /// Text at a JSON pointer.
    ///
    /// # Errors
    /// When something else is there.
    pub fn text(&self, path: &str) -> Read<Option<&str>> {
        field::text(self.body(), path)
    }

    /// A whole number at a JSON pointer.
    ///
    /// # Errors
    /// When something else is there.
    pub fn int(&self, path: &str) -> Read<Option<i64>> {
        field::int(self.body(), path)
    }

    /// A boolean at a JSON pointer.
    ///
    /// # Errors
    /// When something else is there.
    pub fn flag(&self, path: &str) -> Read<Option<bool>> {
        field::flag(self.body(), path)
    }

    /// A moment at a JSON pointer.
    ///
    /// # Errors
    /// When something else is there.
    pub fn time(&self, path: &str) -> Read<Option<Timestamp>> {
        field::time(self.body(), path)
    }

    /// A list at a JSON pointer; absent is empty.
    ///
    /// # Errors
    /// When something else is there.
    pub fn list(&self, path: &str) -> Read<List<'_>> {
        field::list(self.body(), path)
    }

    /// A map at a JSON pointer.
    ///
    /// # Errors
    /// When something else is there.
    pub fn map(&self, path: &str) -> Read<Option<Fields<'_>>> {
        field::map(self.body(), path)
    }

    /// A condition of its status.
    ///
    /// # Errors
    /// When the conditions do not have the form that the API gives them.
    pub fn condition(&self, of: &str) -> Read<Option<Condition<'_>>> {
        field::condition(self.body(), of)
    }

    /// Its labels.
    pub fn labels(&self) -> Option<Fields<'_>> {
        self.body().pointer("/metadata/labels").and_then(Node::as_object)
    }

    /// One of its labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)?.as_str()
    }

    /// One of its annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.body().pointer("/metadata/annotations")?.get(key)?.as_str()
    }

    /// When it was made, by its own word.
    pub fn created_at(&self) -> Option<Timestamp> {
        field::time(self.body(), "/metadata/creationTimestamp").ok().flatten()
    }

    /// When its deletion was asked for, or, for a pod, is due.
    pub fn deletion_at(&self) -> Option<Timestamp> {
        field::time(self.body(), "/metadata/deletionTimestamp").ok().flatten()
    }

    /// Whether its controller has seen its newest specification. Kinds that do not say count as seen.
    ///
    /// # Errors
    /// When the generations are not numbers.
    pub fn is_observed(&self) -> Read<bool> {
        let (generation, observed) = (self.int("/metadata/generation")?, self.int("/status/observedGeneration")?);
        Ok(match (generation, observed) {
            (Some(generation), Some(observed)) => observed >= generation,
            _ => true,
        })
    }

    /// Who it belongs to. References that name nobody are left out.
    pub fn owners(&self) -> Vec<OwnerRef> {
        self.owner_references().map(Reference::to_owned).collect()
    }

    /// The owner that controls it; the only one, where none is said to.
    pub fn controller(&self) -> Option<OwnerRef> {
        self.controller_reference().map(Reference::to_owned)
    }

    /// The same, read where it lies.
    pub(super) fn controller_reference(&self) -> Option<Reference<'_>> {
        let mut owners = self.owner_references();
        match self.owner_references().find(|owner| owner.is_controller()) {
            Some(controller) => Some(controller),
            None => owners.next().filter(|_| owners.next().is_none()),
        }
    }

    fn owner_references(&self) -> impl Iterator<Item = Reference<'_>> {
        let list = self.body().pointer("/metadata/ownerReferences").and_then(Node::as_array);
        list.into_iter().flatten().map(Reference).filter(|owner| ![owner.kind(), owner.word("name"), owner.uid()].contains(&""))
    }
}

/// The text that is held already, where it is the same.
fn shared<T: Clone + PartialEq>(of: &T, held: Option<&T>) -> T {
    held.filter(|held| *held == of).unwrap_or(of).clone()
}

/// A reference to an owner, where it lies in the object.
#[derive(Clone, Copy)]
pub(super) struct Reference<'a>(Node<'a>);

impl<'a> Reference<'a> {
    pub(super) fn kind(self) -> &'a str {
        self.word("kind")
    }

    pub(super) fn uid(self) -> &'a str {
        self.word("uid")
    }

    pub(super) fn to_owned(self) -> OwnerRef {
        OwnerRef {
            group: self.word("apiVersion").split_once('/').map_or("", |(group, _)| group).into(),
            kind: self.kind().into(),
            name: self.word("name").into(),
            uid: self.uid().into(),
            is_controller: self.is_controller(),
        }
    }

    fn is_controller(self) -> bool {
        self.0.get("controller").and_then(Node::as_bool).unwrap_or(false)
    }

    fn word(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Node::as_str).unwrap_or_default()
    }
}
