//! From the bytes of an object to what is recorded of it: parse, identify, strip, redact, print.
//!
//! The one way by which an object gets in, for live watches and for imports. Decides nothing about verbs. Invariant: what comes out holds
//! no secret and no `managedFields`, and the same object gives the same bytes wherever it came from (a list, a watch, a file).

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{ApiVersion, Change, ClusterId, Gap, ObjectId, Origin, ResourceType, Seq, Uid, Verb, WatchScope};

use crate::authorship::{self, Touched};
use crate::envelope::{self, Metadata};
use crate::json::{self, JsonError, MAX_DEPTH, Node};
use crate::known::Slot;
use crate::noise::{NoiseFilter, NoisePolicy, Print};
use crate::redact::Redactor;

/// Why an object is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("it has no {0}")]
    NoIdentity(&'static str),
    #[error("it has {bytes} bytes, more than {}", crate::cutter::MAX_OBJECT_BYTES)]
    TooLarge { bytes: usize },
}

/// An object as it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) slot: Slot,
    pub(crate) metadata: Metadata,
    pub(crate) version: ApiVersion,
    pub(crate) regarding: Option<Uid>,
    pub(crate) occurred: Option<Timestamp>,
    pub(crate) print: Print,
    pub(crate) body: Arc<[u8]>,
}

/// Takes in the objects of one resource type of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    cluster: ClusterId,
    resource_type: ResourceType,
    redactor: Redactor,
    noise: NoiseFilter,
}

/// How a change came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstance {
    pub(crate) verb: Verb,
    pub(crate) origin: Origin,
    pub(crate) gap: Option<Gap>,
    /// Which part differs from the version recorded before.
    pub(crate) touched: Touched,
    pub(crate) at: Timestamp,
}

impl Intake {
    pub(crate) fn new(cluster: ClusterId, resource_type: ResourceType, redactor: Redactor, noise: &NoisePolicy) -> Self {
        let noise = noise.filter(&resource_type.group, &resource_type.resource);
        Self { cluster, resource_type, redactor, noise }
    }

    pub(crate) fn scope(&self) -> WatchScope {
        WatchScope { cluster: self.cluster.clone(), group: self.resource_type.group.clone(), resource: self.resource_type.resource.clone() }
    }

    pub(crate) fn drops_noise(&self) -> bool {
        self.noise.enabled
    }

    /// Events expire by themselves: their end is no change.
    pub(crate) fn is_event(&self) -> bool {
        is_event(&self.resource_type)
    }

    /// Takes in the bytes of an object.
    pub(crate) fn observe_bytes(&self, bytes: &[u8]) -> Result<Observed, Refusal> {
        self.observe(json::parse(bytes, MAX_DEPTH)?)
    }

    /// Takes in a parsed object.
    pub(crate) fn observe(&self, mut object: Node<'_>) -> Result<Observed, Refusal> {
        let metadata = envelope::metadata(&object).map_err(Refusal::NoIdentity)?;
        let is_event = self.is_event();
        let regarding = if is_event { envelope::regarding(&object) } else { None };
        let occurred = if is_event { envelope::event_occurred(&object) } else { None };
        if let Some(fields) = object.get_mut("metadata") {
            fields.remove("managedFields");
            fields.remove("selfLink");
        }
        // Items of a typed list have neither; events of a watch have both.
        let api_version = match object.text_at(&["apiVersion"]) {
            Some(text) if !text.is_empty() => text.to_owned(),
            Some(_) | None => self.api_version(),
        };
        if object.text_at(&["kind"]).is_none_or(str::is_empty) {
            object.set("kind", Node::Text(Cow::Owned(self.resource_type.kind.as_str().to_owned())));
        }
        let version = api_version.rsplit('/').next().unwrap_or_default().into();
        object.set("apiVersion", Node::Text(Cow::Owned(api_version)));
        self.redactor.redact(&self.cluster, &metadata.uid, &mut object);
        let print = self.noise.print(&object);
        let mut body = Vec::new();
        object.print(&mut body);
        let slot = Slot::of(&metadata.namespace, &metadata.name);
        Ok(Observed { slot, metadata, version, regarding, occurred, print, body: body.into() })
    }

    /// The print of a body that was recorded before, `None` if it does not parse.
    pub(crate) fn print_of_recorded(&self, body: &[u8]) -> Option<Print> {
        json::parse(body, MAX_DEPTH).ok().map(|object| self.noise.print(&object))
    }

    /// The change that an observed object makes.
    pub(crate) fn change(&self, seen: &Observed, how: Circumstance) -> Change {
        let metadata = &seen.metadata;
        let author = authorship::author(&metadata.managed, how.touched);
        let managed_at = author.map(|entry| entry.at);
        let event_time = match how.verb {
            Verb::Create => metadata.created,
            Verb::Update => managed_at,
            Verb::Delete => metadata.deleted.or(managed_at),
        };
        Change {
            seq: Seq(0),
            recorded_at: how.at,
            event_time: seen.occurred.or(event_time),
            verb: how.verb,
            origin: how.origin,
            gap: how.gap,
            object: self.object_id(seen),
            version: seen.version.clone(),
            resource: self.resource_type.resource.clone(),
            resource_version: metadata.resource_version.clone(),
            generation: metadata.generation,
            manager: author.map(|entry| entry.manager.clone()),
            regarding: seen.regarding.clone(),
            body: Some(seen.body.clone()),
        }
    }

    /// The end of an object that went while nobody looked.
    pub(crate) fn synthetic_delete(&self, head: &proreus_store::Head, gap: Gap) -> Change {
        synthetic_delete(&self.resource_type, head, gap)
    }

    /// The object's identity.
    pub(crate) fn object_id(&self, seen: &Observed) -> ObjectId {
        ObjectId {
            cluster: self.cluster.clone(),
            group: self.resource_type.group.clone(),
            kind: self.resource_type.kind.clone(),
            namespace: seen.metadata.namespace.clone(),
            name: seen.metadata.name.clone(),
            uid: seen.metadata.uid.clone(),
        }
    }

    fn api_version(&self) -> String {
        let ResourceType { group, version, .. } = &self.resource_type;
        if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
    }
}

/// The end of an object that went while nobody looked.
pub(crate) fn synthetic_delete(resource_type: &ResourceType, head: &proreus_store::Head, gap: Gap) -> Change {
    Change {
        seq: Seq(0),
        recorded_at: gap.to,
        event_time: None,
        verb: Verb::Delete,
        origin: Origin::Relist,
        gap: Some(gap),
        object: head.object.clone(),
        version: resource_type.version.clone(),
        resource: resource_type.resource.clone(),
        resource_version: head.resource_version.clone(),
        generation: None,
        manager: None,
        regarding: None,
        body: None,
    }
}

/// Whether a type is Event, of either API.
pub(crate) fn is_event(resource_type: &ResourceType) -> bool {
    resource_type.kind.as_str() == "Event" && matches!(resource_type.group.as_str(), "" | "events.k8s.io")
}
