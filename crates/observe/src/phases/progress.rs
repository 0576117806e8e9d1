//! What a monitor tells: the words of one update, as they stand on the wire.
//!
//! Plain data. When an update is told, and what it says, is decided by `course` and `assess`.

use jiff::Timestamp;
use proreus_model::{ClusterId, Group, Kind, Name, Namespace, Seq, Uid};
use serde::{Deserialize, Serialize};

use super::scope::Target;

/// How far a cluster is. In the order in which a provisioning passes through them; `Failed` and `Unknown` stand outside that order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// We cannot see: the watch of the cluster's own objects is stale.
    #[default]
    Unknown,
    /// Accepted; credential, template and chart are being validated.
    Initializing,
    /// Networks, load balancers and what else carries machines are being made.
    Provisioning,
    /// The control plane is starting.
    Bootstrapping,
    /// Workers are joining.
    Scaling,
    /// Services are being deployed into the cluster.
    Installing,
    /// Every source agrees, and has for the settle window.
    Ready,
    /// A classified cause has lasted for its grace. Can be revoked.
    Failed,
}

/// What is true beside the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StateWord {
    /// Reconciliation is paused by a person.
    Paused,
    /// Only validated, nothing is made.
    DryRun,
    /// It is being deleted.
    Deleting,
    /// It was Ready and is not what it was.
    Degraded,
    /// Nothing has moved for longer than is usual.
    Stalled,
}

/// How much an update matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    #[default]
    Info,
    /// Something is wrong and is being retried.
    Warning,
    /// Something is wrong that will not heal by itself.
    Error,
}

/// Where an update was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A condition or another status field of an object.
    #[default]
    Condition,
    /// A Kubernetes Event.
    Event,
    /// The passing of time, or the watching itself.
    System,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CauseClass {
    /// The account's limit is reached.
    Quota,
    /// A credential is missing, wrong, expired or not allowed enough.
    Credentials,
    /// The provider has no such machine left.
    Capacity,
    /// What was asked for cannot be.
    InvalidConfiguration,
    /// Something could not be reached.
    Network,
    /// A machine or container image is not to be had.
    Image,
    /// Something took longer than its own limit.
    Timeout,
    /// None of these.
    Unknown,
}

/// The object that an update speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelatedObject {
    /// Its API group, `""` for the core group.
    pub group: Group,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
    /// Its incarnation, where it is known.
    pub uid: Uid,
}

/// One service that is deployed into the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLine {
    /// Namespace inside the cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// ServiceTemplate.
    pub template: String,
    /// `Deployed`, `Provisioning`, `Failed`, `Pending`, `Deleting`, `Deleted`, or what the API says besides.
    pub state: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure_message: String,
}

/// What the cluster is; empty texts are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterMetadata {
    /// `aws`, `azure`, `gcp`, `docker` and so on.
    pub provider: String,
    /// ClusterTemplate, for a ClusterDeployment.
    pub template: String,
    /// Credential, for a ClusterDeployment.
    pub credential: String,
    /// Region or location at the provider.
    pub region: String,
    /// k0rdent region (a cluster of its own) that holds the Cluster API objects.
    pub management_region: String,
    /// When the object was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// One update of a monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Place in this monitor's log, from 1.
    pub number: u64,
    /// Which course of the monitor: a terminal update ends one, what comes after belongs to the next.
    pub course: u32,
    /// When it became true: the record's `recordedAt`, or the moment at which it was due.
    pub timestamp: Timestamp,
    /// Last record folded before it.
    pub seq: Seq,
    /// Cluster that holds the monitored object.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
    /// How far it is.
    pub phase: Phase,
    /// What is true beside the phase, in the order of `StateWord`.
    pub state: Vec<StateWord>,
    /// Percent, 0 to 100. Never falls while the phase does not.
    pub progress: u8,
    /// What is being done now, a few words: `credential validation`, `virtual network`.
    pub step: String,
    /// One sentence for people.
    pub message: String,
    /// One word for programs, CamelCase.
    pub reason: String,
    /// Where it was learned.
    pub source: Source,
    /// How much it matters.
    pub severity: Severity,
    /// Whether it ends a subscription.
    pub terminal: bool,
    /// What it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related_object: Option<RelatedObject>,
    /// What kind of thing went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause_class: Option<CauseClass>,
    /// How long it will still take, from learned medians: `about 6 min left`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<String>,
    /// The same in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<u64>,
    /// What limits this answer, such as objects that are not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// What the cluster is.
    pub metadata: ClusterMetadata,
    /// Its services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceLine>,
}

impl Progress {
    /// The monitor that it is an update of.
    pub fn target(&self) -> Target {
        Target { cluster: self.cluster.clone(), namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl Phase {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Initializing => "Initializing",
            Self::Provisioning => "Provisioning",
            Self::Bootstrapping => "Bootstrapping",
            Self::Scaling => "Scaling",
            Self::Installing => "Installing",
            Self::Ready => "Ready",
            Self::Failed => "Failed",
        }
    }

    /// Percent at its beginning and the most it reaches before the next one. The seed's weights: infrastructure takes longest.
    pub(super) fn band(self) -> (u32, u32) {
        match self {
            Self::Unknown | Self::Initializing => (0, 9),
            Self::Provisioning => (10, 44),
            Self::Bootstrapping => (45, 64),
            Self::Scaling => (65, 84),
            Self::Installing => (85, 98),
            Self::Ready => (100, 100),
            Self::Failed => (0, 0),
        }
    }
}

impl StateWord {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::DryRun => "dryRun",
            Self::Deleting => "deleting",
            Self::Degraded => "degraded",
            Self::Stalled => "stalled",
        }
    }
}

impl Severity {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl CauseClass {
    /// The wire text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Credentials => "credentials",
            Self::Capacity => "capacity",
            Self::InvalidConfiguration => "invalidConfiguration",
            Self::Network => "network",
            Self::Image => "image",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }
}
