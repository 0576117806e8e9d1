//! The words of the plan: a write, a step of writes to one object, where objects are.
//!
//! Nothing is decided here and nothing is sent.

use http::Method;
use serde_json::{Value, json};

use super::Population;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// One write to the API server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) body: Option<Value>,
    /// The path of the object that an Event is about, whose uid belongs into the body.
    pub(super) about: Option<String>,
}

impl Write {
    pub(super) fn create(collection: &str, body: Value) -> Self {
        Self::new(Method::POST, collection, JSON, Some(body))
    }

    pub(super) fn merge(path: &str, body: Value) -> Self {
        Self::new(Method::PATCH, path, MERGE, Some(body))
    }

    pub(super) fn strategic(path: &str, body: Value) -> Self {
        Self::new(Method::PATCH, path, STRATEGIC, Some(body))
    }

    /// At once: nobody would end a grace period where no kubelet is.
    pub(super) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, JSON, Some(json!({"gracePeriodSeconds": 0})))
    }

    fn new(method: Method, path: &str, content_type: &'static str, body: Option<Value>) -> Self {
        Self { method, path: path.to_owned(), content_type, body, about: None }
    }

    /// Says which program writes; it becomes the `manager` of the change.
    pub(super) fn by(mut self, manager: &str) -> Self {
        self.path.push_str("?fieldManager=");
        self.path.push_str(manager);
        self
    }
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    PodStatus,
    PodAgain,
    ConfigMap,
    ConfigMapTwice,
    ConfigMapAgain,
    Secret,
    Rollout,
    Scale,
    CoreEvent,
    NewEvent,
    CountedEvent,
    Node,
    Definition,
    CustomResource,
}

impl Kind {
    /// Its name in a report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PodStatus => "pod statuses",
            Self::PodAgain => "pods re-created",
            Self::ConfigMap => "config maps updated",
            Self::ConfigMapTwice => "config maps updated twice at once",
            Self::ConfigMapAgain => "config maps re-created",
            Self::Secret => "secrets rotated",
            Self::Rollout => "deployments rolled out",
            Self::Scale => "deployments scaled",
            Self::CoreEvent => "events of v1",
            Self::NewEvent => "events of events.k8s.io",
            Self::CountedEvent => "events counted up",
            Self::Node => "nodes",
            Self::Definition => "definitions",
            Self::CustomResource => "custom resources",
        }
    }
}

/// One step: writes to one object, to be sent in this order without a pause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// Steps with the same key touch the same object and must keep their order.
    pub(super) key: String,
    pub(super) writes: Vec<Write>,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) path: String,
}

impl Place {
    pub(super) fn new(prefix: &str, resource: &str, namespace: &str, name: String) -> Self {
        let collection = format!("{prefix}/namespaces/{namespace}/{resource}");
        let path = format!("{collection}/{name}");
        Self { namespace: namespace.to_owned(), name, collection, path }
    }
}

/// The names of everything that the population holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names(pub(super) Population);

impl Names {
    pub(super) fn namespace(self, index: usize) -> String {
        format!("shop-{:02}", index % self.0.namespaces.max(1))
    }

    pub(super) fn node(self, index: usize) -> String {
        format!("node-{:04}", index % self.0.nodes.max(1))
    }

    pub(super) fn pod(self, index: usize) -> Place {
        Place::new("/api/v1", "pods", &self.namespace(index), format!("web-{index:05}"))
    }

    pub(super) fn config_map(self, index: usize) -> Place {
        Place::new("/api/v1", "configmaps", &self.namespace(index), format!("settings-{index}"))
    }

    pub(super) fn secret(self, index: usize) -> Place {
        Place::new("/api/v1", "secrets", &self.namespace(index), format!("credentials-{index}"))
    }

    pub(super) fn deployment(self, index: usize) -> Place {
        Place::new("/apis/apps/v1", "deployments", &self.namespace(index), format!("cart-{index}"))
    }
}
