//! The resource types that are served: the built-in table, and what custom resource definitions add to it.
//!
//! Facts of the types only; rules about their objects live in `defaults`, `validate` and `schema`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::custom::CustomVersion;

/// One resource type.
#[derive(Debug)]
pub(crate) struct ResourceDef {
    pub(crate) group: String,
    /// Served versions, the preferred one first.
    pub(crate) versions: Vec<String>,
    /// Version in which objects are stored; conversions start and end here.
    pub(crate) storage_version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) traits: Traits,
    /// Name of the table its objects are kept in: two resource types that are dialects of one share it.
    pub(crate) table: Arc<str>,
    /// Per version: schema and columns of a custom resource. Empty for built-in types.
    pub(crate) custom: BTreeMap<String, CustomVersion>,
}

/// What a type's objects have beside metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// `status` is written through its own subresource.
    pub(crate) status: bool,
    /// There is a `scale` subresource.
    pub(crate) scale: bool,
    /// `metadata.generation` counts changes of the desired state.
    pub(crate) generation: bool,
    /// Only `create` is offered (reviews).
    pub(crate) create_only: bool,
}

impl ResourceDef {
    /// `group/version`, or the bare version for the core group.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// True for a type that a custom resource definition made.
    pub(crate) fn is_custom(&self) -> bool {
        !self.custom.is_empty()
    }

    /// True for Events in either dialect.
    pub(crate) fn is_event(&self) -> bool {
        &*self.table == "/events"
    }

    /// Group and plural, the key it is registered under.
    pub(crate) fn key(&self) -> (String, String) {
        (self.group.clone(), self.plural.clone())
    }
}

const NONE: Traits = Traits { status: false, scale: false, generation: false, create_only: false };
const STATUS: Traits = Traits { status: true, ..NONE };
const SPEC: Traits = Traits { generation: true, ..NONE };
const FULL: Traits = Traits { status: true, generation: true, ..NONE };
const SCALED: Traits = Traits { status: true, scale: true, generation: true, create_only: false };
const REVIEW: Traits = Traits { create_only: true, ..NONE };

/// Group, versions, kind, plural, short names, categories (all blank-separated), namespaced, traits.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, bool, Traits);

const BUILT_IN: &[Row] = &[
    ("", "v1", "ConfigMap", "configmaps", "cm", "", true, NONE),
    ("", "v1", "Endpoints", "endpoints", "ep", "", true, NONE),
    ("", "v1", "Event", "events", "ev", "", true, NONE),
    ("", "v1", "LimitRange", "limitranges", "limits", "", true, NONE),
    ("", "v1", "Namespace", "namespaces", "ns", "", false, STATUS),
    ("", "v1", "Node", "nodes", "no", "", false, STATUS),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "", true, STATUS),
    ("", "v1", "PersistentVolume", "persistentvolumes", "pv", "", false, STATUS),
    ("", "v1", "Pod", "pods", "po", "all", true, FULL),
    ("", "v1", "PodTemplate", "podtemplates", "", "", true, SPEC),
    ("", "v1", "ReplicationController", "replicationcontrollers", "rc", "all", true, SCALED),
    ("", "v1", "ResourceQuota", "resourcequotas", "quota", "", true, STATUS),
    ("", "v1", "Secret", "secrets", "", "", true, NONE),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", "", true, NONE),
    ("", "v1", "Service", "services", "svc", "all", true, STATUS),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "",
        "api-extensions",
        false,
        SPEC,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        "api-extensions",
        false,
        SPEC,
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd crds", "api-extensions", false, FULL),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", "", "api-extensions", false, STATUS),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", "", "", true, NONE),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", "all", true, FULL),
    ("apps", "v1", "Deployment", "deployments", "deploy", "all", true, SCALED),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", "all", true, SCALED),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", "all", true, SCALED),
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "", "", false, REVIEW),
    ("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", "", "", true, REVIEW),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", "", false, REVIEW),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "", "", false, REVIEW),
    ("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", "", "", false, REVIEW),
    ("autoscaling", "v2 v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "all", true, STATUS),
    ("batch", "v1", "CronJob", "cronjobs", "cj", "all", true, FULL),
    ("batch", "v1", "Job", "jobs", "", "all", true, FULL),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", "", true, NONE),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", "", true, SPEC),
    ("events.k8s.io", "v1", "Event", "events", "ev", "", true, NONE),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", "", true, FULL),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "", "", false, SPEC),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol", "", true, SPEC),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "", true, FULL),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", "", false, NONE),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "", "", false, NONE),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "", "", true, NONE),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "", "", true, NONE),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", "", false, SPEC),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "", "", false, NONE),
    ("storage.k8s.io", "v1", "CSINode", "csinodes", "", "", false, NONE),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", "", false, NONE),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "", "", false, STATUS),
];

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Name of the table of a resource type.
pub(crate) fn table_name(group: &str, plural: &str) -> Arc<str> {
    // Events of events.k8s.io are the same objects as core Events, in another dialect.
    let group = if (group, plural) == ("events.k8s.io", "events") { "" } else { group };
    Arc::from(format!("{group}/{plural}"))
}

fn built_in(row: &Row) -> ResourceDef {
    let (group, versions, kind, plural, short, categories, namespaced, traits) = *row;
    let versions = words(versions);
    ResourceDef {
        group: group.to_owned(),
        storage_version: versions.first().cloned().unwrap_or_default(),
        versions,
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short_names: words(short),
        categories: words(categories),
        namespaced,
        traits,
        table: table_name(group, plural),
        custom: BTreeMap::new(),
    }
}

/// Everything that is served, by (group, plural).
#[derive(Debug)]
pub(crate) struct Registry {
    defs: BTreeMap<(String, String), Arc<ResourceDef>>,
}

impl Registry {
    /// The built-in types.
    pub(crate) fn built_in() -> Self {
        Self { defs: BUILT_IN.iter().map(built_in).map(|def| (def.key(), Arc::new(def))).collect() }
    }

    /// The type with this group and plural.
    pub(crate) fn get(&self, group: &str, plural: &str) -> Option<&Arc<ResourceDef>> {
        self.defs.get(&(group.to_owned(), plural.to_owned()))
    }

    /// The type of this group and kind; of two with one kind the one that stores objects.
    pub(crate) fn by_kind(&self, group: &str, kind: &str) -> Option<&Arc<ResourceDef>> {
        self.defs.values().find(|def| def.group == group && def.kind == kind)
    }

    /// Every type, by group and plural.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ResourceDef>> {
        self.defs.values()
    }

    /// Every type that has a table of its own: no reviews, and of the two dialects of Events the core one.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Arc<ResourceDef>> {
        self.all().filter(|def| !def.traits.create_only && def.group != "events.k8s.io")
    }

    /// Serves a custom type, in place of an earlier one of that name.
    pub(crate) fn put(&mut self, def: ResourceDef) {
        self.defs.insert(def.key(), Arc::new(def));
    }

    /// Serves a custom type no more.
    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        self.defs.remove(&(group.to_owned(), plural.to_owned()));
    }
}
