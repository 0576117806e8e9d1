//! Monitors on the wire: how far a cluster is that is being made, and the log of what was told of it.

use jiff::Timestamp;
use proreus_app::monitors::{self as app, MonitorNotice};
use proreus_app::questions::{CauseClass, Phase, Severity, StateWord, UpdateSource};
use proreus_model::Seq;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One update of a monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorUpdate {
    /// Where it stands: pass it back to go on after it. The same in every replay of the journal, so it is the update's identity.
    pub cursor: String,
    /// Place in this monitor's log, from 1, within what is kept.
    pub number: u64,
    /// Which course of the monitor: a terminal update ends one, what comes after belongs to the next.
    pub course: u32,
    /// When it became true.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// Last change of the cluster's objects before it.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Cluster that holds the monitored object.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Initializing`, `Provisioning`, `Bootstrapping`, `Scaling`, `Installing`, `Ready`, `Failed`, or `Unknown`.
    #[schema(value_type = String)]
    pub phase: Phase,
    /// What is true besides: `paused`, `dryRun`, `deleting`, `degraded`, `stalled`.
    #[schema(value_type = Vec<String>)]
    pub state: Vec<StateWord>,
    /// Percent. Never falls while the phase does not.
    #[schema(minimum = 0, maximum = 100)]
    pub progress: u8,
    /// What is being done now, a few words.
    pub step: String,
    /// One sentence for people.
    pub message: String,
    /// One word for programs.
    pub reason: String,
    /// Where it was learned: `condition`, `event` or `system`.
    #[schema(value_type = String)]
    pub source: UpdateSource,
    /// `info`, `warning` or `error`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Whether it ends a subscription.
    pub terminal: bool,
    /// What it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub related_object: Option<RelatedObject>,
    /// `quota`, `credentials`, `capacity`, `invalidConfiguration`, `network`, `image`, `timeout` or `unknown`, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false)]
    pub cause_class: Option<CauseClass>,
    /// How long it will still take, from what earlier deployments took: `about 6 min left`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub estimate: Option<String>,
    /// The same in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remaining_seconds: Option<u64>,
    /// What limits this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub caveat: Option<String>,
    /// What the cluster is.
    pub metadata: MonitorMetadata,
    /// Its services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<MonitorService>,
}

/// An object, or that there is one which the caller may not read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum RelatedObject {
    /// There is one.
    Hidden {
        /// Always true.
        hidden: bool,
    },
    /// This one.
    Shown {
        /// API group, `""` for the core group.
        group: String,
        /// Kind.
        kind: String,
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Incarnation, where it is known.
        uid: String,
    },
}

/// What the cluster is; empty texts are not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorMetadata {
    /// `aws`, `azure`, `gcp`, `docker` and so on.
    pub provider: String,
    /// ClusterTemplate, for a ClusterDeployment.
    pub template: String,
    /// Credential, for a ClusterDeployment.
    pub credential: String,
    /// Region or location at the provider.
    pub region: String,
    /// k0rdent region that holds the Cluster API objects.
    pub management_region: String,
    /// When the object was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, nullable = false)]
    pub created_at: Option<Timestamp>,
}

/// One service that is deployed into the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorService {
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

/// A monitor as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MonitorItem {
    /// What an update would say now; its `cursor` is that of the last update that was told, its `number` too.
    pub now: MonitorUpdate,
    /// Updates told so far, within what is kept.
    pub updates: u64,
    /// Whether the monitored object is gone.
    pub deleted: bool,
}

/// The monitors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorPage {
    /// By cluster, namespace and name; those whose object is gone are left out.
    pub items: Vec<MonitorItem>,
    /// Pass it back as `cursor` for the next page; `null` when there is none.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A monitor as it stands now, and a page of its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorLog {
    /// Where it is now.
    pub monitor: MonitorItem,
    /// Updates after the cursor that was given, oldest first.
    pub items: Vec<MonitorUpdate>,
    /// Pass it back as `cursor` for the next page; `null` when there is nothing more now.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
    /// Where this page ends: what is told later follows it.
    pub end_cursor: String,
    /// Updates between the cursor and this page that are no longer kept.
    pub missed: u64,
}

impl From<app::MonitorUpdate> for MonitorUpdate {
    fn from(update: app::MonitorUpdate) -> Self {
        let app::MonitorUpdate { cursor, progress, is_related_hidden } = update;
        let shown = progress.related_object.map(|related| RelatedObject::Shown {
            group: related.group.as_str().to_owned(),
            kind: related.kind.as_str().to_owned(),
            namespace: related.namespace.as_str().to_owned(),
            name: related.name.as_str().to_owned(),
            uid: related.uid.as_str().to_owned(),
        });
        let of = progress.metadata;
        let services = progress.services.into_iter().map(|service| MonitorService {
            namespace: service.namespace,
            name: service.name,
            template: service.template,
            state: service.state,
            failure_message: service.failure_message,
        });
        Self {
            cursor: cursor.to_string(),
            number: progress.number,
            course: progress.course,
            timestamp: progress.timestamp,
            seq: progress.seq,
            cluster: progress.cluster.as_str().to_owned(),
            namespace: progress.namespace.as_str().to_owned(),
            name: progress.name.as_str().to_owned(),
            phase: progress.phase,
            state: progress.state,
            progress: progress.progress,
            step: progress.step,
            message: progress.message,
            reason: progress.reason,
            source: progress.source,
            severity: progress.severity,
            terminal: progress.terminal,
            related_object: if is_related_hidden { Some(RelatedObject::Hidden { hidden: true }) } else { shown },
            cause_class: progress.cause_class,
            estimate: progress.estimate,
            remaining_seconds: progress.remaining_seconds,
            caveat: progress.caveat,
            metadata: MonitorMetadata {
                provider: of.provider,
                template: of.template,
                credential: of.credential,
                region: of.region,
                management_region: of.management_region,
                created_at: of.created_at,
            },
            services: services.collect(),
        }
    }
}

impl From<MonitorNotice> for MonitorUpdate {
    fn from(notice: MonitorNotice) -> Self {
        notice.update.into()
    }
}

impl From<app::MonitorView> for MonitorItem {
    fn from(view: app::MonitorView) -> Self {
        Self { now: view.now.into(), updates: view.updates, deleted: view.is_deleted }
    }
}

impl MonitorLog {
    /// A page under the monitor's present state.
    pub fn new(monitor: app::MonitorView, page: app::LogPage) -> Self {
        let end_cursor = page.cursor.to_string();
        Self {
            monitor: monitor.into(),
            next_cursor: page.more.then(|| end_cursor.clone()),
            items: page.items.into_iter().map(MonitorUpdate::from).collect(),
            end_cursor,
            missed: page.missed,
        }
    }
}
