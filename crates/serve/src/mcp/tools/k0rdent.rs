//! The reading tools of the k0rdent MCP server, by their names and arguments, answered from what was recorded; and the names of its writing
//! tools, so that whoever calls one is told why it is not here.

use futures::FutureExt;
use jiff::SignedDuration;
use proreus_api::{MonitorItem, MonitorUpdate};
use proreus_app::AppError;
use proreus_app::monitors::MonitorName;
use proreus_app::questions::{ChangesQuestion, Selection, StateQuestion, parse_body};
use proreus_app::{Application, Moment};
use proreus_model::{Access, Order};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::history::to_json;
use super::{Entry, logs};
use crate::mcp::answers::{Answer, clipped};
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::{schema, words};

/// Objects of one listing: a management cluster has some hundred templates.
const LISTED: usize = 1_000;
/// Events of one answer when no limit is given.
const EVENTS: u64 = 100;
/// Longest message of an Event that is told; the API allows one kilobyte.
const MESSAGE_CHARS: usize = 1_024;
/// API group of k0rdent.
const GROUP: &str = "k0rdent.mirantis.com";
/// Namespace of what is shared by all, as that server's configuration has it.
const GLOBAL_NAMESPACE: &str = "kcm-system";
/// Kinds that hold identities of cloud accounts.
const IDENTITIES: [&str; 6] = [
    "AWSClusterStaticIdentity",
    "AWSClusterRoleIdentity",
    "AWSClusterControllerIdentity",
    "AzureClusterIdentity",
    "VSphereClusterIdentity",
    "GCPClusterIdentity",
];

/// Tools of that server that write, or that ask what is not in a cluster.
const ABSENT: [&str; 9] = [
    "k0rdent.mgmt.serviceTemplates.install_from_catalog",
    "k0rdent.mgmt.serviceTemplates.delete",
    "k0rdent.mgmt.clusterDeployments.delete",
    "k0rdent.mgmt.clusterDeployments.services.apply",
    "k0rdent.mgmt.clusterDeployments.services.remove",
    "k0rdent.catalog.serviceTemplates.list",
    "k0rdent.provider.aws.clusterDeployments.deploy",
    "k0rdent.provider.azure.clusterDeployments.deploy",
    "k0rdent.provider.gcp.clusterDeployments.deploy",
];

/// Why a tool of that server is not here, when it is one that is left out on purpose.
pub(crate) fn absent(name: &str) -> Option<String> {
    ABSENT.contains(&name).then(|| match name {
        "k0rdent.catalog.serviceTemplates.list" => format!(
            "`{name}` asks a catalogue on the internet, and proreus answers from what it recorded of clusters. hint: \
             k0rdent.mgmt.serviceTemplates.list lists what is installed"
        ),
        _ => format!(
            "`{name}` writes to the cluster, and proreus only reads. hint: change it with kubectl or the k0rdent server, and follow what comes of it with \
             monitor_wait"
        ),
    })
}

/// The names of `absent`, for the reference.
#[cfg(test)]
pub(crate) fn absent_names() -> &'static [&'static str] {
    &ABSENT
}

macro_rules! listing {
    ($name:literal, $title:literal, $description:literal, $kinds:expr) => {
        Entry {
            name: $name,
            title: $title,
            description: $description,
            input: schema::of::<ListArguments>,
            output: || schema::list_of_objects("items"),
            run: |asker, arguments| list(asker, arguments, $kinds).boxed(),
        }
    };
}

macro_rules! detail {
    ($name:literal, $title:literal, $description:literal) => {
        Entry {
            name: $name,
            title: $title,
            description: $description,
            input: schema::of::<DeploymentArguments>,
            output: schema::one_object,
            run: |asker, arguments| detail(asker, arguments).boxed(),
        }
    };
}

pub(super) const ENTRIES: &[Entry] = &[
    listing!(
        "k0rdent.mgmt.namespaces.list",
        "k0rdent: namespaces",
        "The namespaces of the recorded clusters, as they were recorded last.",
        &["Namespace"]
    ),
    Entry {
        name: "k0rdent.mgmt.events.list",
        title: "k0rdent: events",
        description: "Kubernetes Events of a namespace, newest first, by type, by the object they speak of and by age.",
        input: schema::of::<EventsArguments>,
        output: || schema::list_of_objects("events"),
        run: |asker, arguments| events(asker, arguments).boxed(),
    },
    Entry {
        name: "k0rdent.mgmt.podLogs.get",
        title: "k0rdent: pod logs",
        description: "The last lines of a container's log, read from the cluster now, oldest first; what looks like a secret is hidden. Logs are not recorded: without a live cluster this says so.",
        input: schema::of::<logs::LogArguments>,
        output: schema::one_object,
        run: |asker, arguments| logs::tool(asker, arguments).boxed(),
    },
    listing!(
        "k0rdent.mgmt.serviceTemplates.list",
        "k0rdent: service templates",
        "The ServiceTemplates that are installed, with their chart, version and whether they are valid.",
        &["ServiceTemplate"]
    ),
    listing!(
        "k0rdent.mgmt.clusterDeployments.listAll",
        "k0rdent: all cluster deployments",
        "The ClusterDeployments of every namespace, with template, credential and conditions; selector takes labels such as team=web.",
        &["ClusterDeployment"]
    ),
    listing!(
        "k0rdent.mgmt.clusterDeployments.list",
        "k0rdent: cluster deployments",
        "The ClusterDeployments of a namespace, with template, credential and conditions.",
        &["ClusterDeployment"]
    ),
    Entry {
        name: "k0rdent.mgmt.clusterDeployments.getState",
        title: "k0rdent: state of a cluster deployment",
        description: "Where one ClusterDeployment stands now, as one progress update: phase, percentage, step, message, conditions that matter.",
        input: schema::of::<DeploymentArguments>,
        output: state_schema,
        run: |asker, arguments| deployment_state(asker, arguments).boxed(),
    },
    listing!(
        "k0rdent.mgmt.multiClusterServices.list",
        "k0rdent: multi-cluster services",
        "The MultiClusterServices, with the clusters they select and their state; selector takes labels such as team=web.",
        &["MultiClusterService"]
    ),
    listing!(
        "k0rdent.mgmt.providers.list",
        "k0rdent: providers",
        "The ProviderTemplates that are installed: which infrastructure providers this management cluster can use.",
        &["ProviderTemplate"]
    ),
    listing!(
        "k0rdent.mgmt.providers.listCredentials",
        "k0rdent: credentials",
        "The Credentials, with the identity they refer to and whether they are ready; never what they hold. provider narrows them.",
        &["Credential"]
    ),
    listing!(
        "k0rdent.mgmt.providers.listIdentities",
        "k0rdent: identities",
        "The identities of cloud accounts that Credentials refer to; never what they hold.",
        &IDENTITIES
    ),
    listing!(
        "k0rdent.mgmt.clusterTemplates.list",
        "k0rdent: cluster templates",
        "The ClusterTemplates that are installed; scope is global (kcm-system), local (other namespaces) or all.",
        &["ClusterTemplate"]
    ),
    detail!(
        "k0rdent.provider.aws.clusterDeployments.detail",
        "k0rdent: AWS cluster",
        "One ClusterDeployment on AWS, with its specification, status and progress."
    ),
    detail!(
        "k0rdent.provider.azure.clusterDeployments.detail",
        "k0rdent: Azure cluster",
        "One ClusterDeployment on Azure, with its specification, status and progress."
    ),
    detail!(
        "k0rdent.provider.gcp.clusterDeployments.detail",
        "k0rdent: GCP cluster",
        "One ClusterDeployment on GCP, with its specification, status and progress."
    ),
];

fn state_schema() -> JsonObject {
    let mut schema = schema::one_object();
    if let Some(Value::Object(properties)) = schema.get_mut("properties")
        && let Some(result) = properties.remove("result")
    {
        properties.insert("update".to_owned(), result);
    }
    schema.insert("required".to_owned(), json!(["summary", "update"]));
    schema
}

/// Which objects.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ListArguments {
    /// Only in this namespace.
    namespace: Option<String>,
    /// Labels that must be there, such as `team=web,stage=prod`.
    selector: Option<String>,
    /// `global`, `local` or `all`.
    scope: Option<String>,
    /// Only of this infrastructure provider, such as `aws`.
    provider: Option<String>,
    /// Cluster id or configured name.
    cluster: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

async fn list(asker: Asker, arguments: JsonObject, kinds: &'static [&'static str]) -> Result<Answer, Refusal> {
    let of: ListArguments = read(arguments)?;
    let (labels, offset) = (labels(of.selector.as_deref())?, words::offset(of.cursor.as_deref())?);
    let scope = of.scope.clone().unwrap_or_default();
    if !matches!(scope.as_str(), "" | "all" | "global" | "local") {
        return Err(Refusal::argument(format!("`scope` is `{scope}`"), "give global, local or all"));
    }
    let provider = of.provider.unwrap_or_default().to_lowercase();
    let asked = Selection {
        clusters: of.cluster.into_iter().filter(|word| !word.is_empty()).collect(),
        namespaces: of.namespace.into_iter().filter(|word| !word.is_empty()).collect(),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        ..Selection::default()
    };
    asker
        .ask(move |app, access| {
            let (mut found, more) = objects(app, &asked, access)?;
            found.retain(|object| {
                let global = object["namespace"] == GLOBAL_NAMESPACE;
                let in_scope = match scope.as_str() {
                    "global" => global,
                    "local" => !global,
                    _ => true,
                };
                let of_provider = provider.is_empty() || object["spec"].to_string().to_lowercase().contains(&provider);
                in_scope && of_provider && labels.iter().all(|(name, value)| object["labels"][name] == value.as_str())
            });
            let what = kinds.first().copied().unwrap_or_default();
            let bound = if more { " (only the first thousand were looked at)" } else { "" };
            let summary = match found.len() {
                0 => format!("No {what} is recorded that fits{bound}."),
                count => format!("{count} of kind {what}{bound}."),
            };
            Ok(Answer::new(summary).list_from("items", found, offset))
        })
        .await
}

/// `a=b,c=d`.
fn labels(text: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.ends_with('!') => {
            Ok((name.trim().to_owned(), value.trim_start_matches('=').trim().to_owned()))
        }
        _ => Err(Refusal::argument(format!("`selector` has `{word}`"), "write label=value, several with commas")),
    };
    words::many("selector", text)?.into_iter().map(pair).collect()
}

/// Objects alive now, without what only the API server needs.
fn objects(app: &Application, asked: &Selection, access: &Access) -> Result<(Vec<Value>, bool), AppError> {
    let question = StateQuestion { at: Moment::Now, filter: app.questions.select(asked)?, after: None, limit: LISTED, full: true };
    let answer = app.questions.state(&question, access)?;
    let shown = answer.items.into_iter().map(|item| {
        let body = item.object.as_deref().map(parse_body).unwrap_or(Value::Null);
        let id = item.change.object;
        let mut shown = json!({
            "kind": id.kind.as_str(), "namespace": id.namespace.as_str(), "name": id.name.as_str(), "uid": id.uid.as_str(), "cluster": id.cluster.as_str(),
            "createdAt": body["metadata"]["creationTimestamp"], "labels": body["metadata"]["labels"],
        });
        for part in ["spec", "status"] {
            if !body[part].is_null() {
                shown[part] = body[part].clone();
            }
        }
        shown
    });
    Ok((shown.collect(), answer.more))
}

/// Which Events.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventsArguments {
    /// Namespace.
    namespace: String,
    /// `Normal`, `Warning`; both where it is left out.
    #[serde(default)]
    types: Vec<String>,
    /// Kind of the object that they speak of.
    for_kind: Option<String>,
    /// Name of the object that they speak of.
    for_name: Option<String>,
    /// Not older than this many seconds.
    since_seconds: Option<u64>,
    /// Events at most, 1 to 1000.
    limit: Option<u64>,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

async fn events(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: EventsArguments = read(arguments)?;
    let (limit, offset) = (words::limit(Some(of.limit.unwrap_or(EVENTS)))?, words::offset(of.cursor.as_deref())?);
    let now = asker.shared.app.clock.now();
    let since = of
        .since_seconds
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds)).ok());
    asker
        .ask(move |app, access| {
            let is_wanted = |event: &Value| {
                (of.types.is_empty() || of.types.iter().any(|word| event["type"] == word.as_str()))
                    && of.for_kind.as_deref().is_none_or(|kind| event["object"]["kind"] == kind)
                    && of.for_name.as_deref().is_none_or(|name| event["object"]["name"] == name)
            };
            let found = events_of(app, &of.namespace, since, limit, is_wanted, access)?;
            let warnings = found.iter().filter(|event| event["type"] == "Warning").count();
            let summary = format!("{} events in {}, {warnings} of them warnings.", found.len(), of.namespace);
            Ok(Answer::new(summary).list_from("events", found, offset))
        })
        .await
}

/// The Events of a namespace in their last state, newest first; what was cleaned up since is told too.
pub(crate) fn events_of(
    app: &Application,
    namespace: &str,
    since: Option<jiff::Timestamp>,
    limit: usize,
    is_wanted: impl Fn(&Value) -> bool,
    access: &Access,
) -> Result<Vec<Value>, AppError> {
    /// Pages looked through: a namespace in trouble writes some thousand Events an hour.
    const PAGES: usize = 5;
    let asked = Selection { namespaces: vec![namespace.to_owned()], kinds: vec!["events".to_owned()], ..Selection::default() };
    let mut page = ChangesQuestion {
        filter: app.questions.select(&asked)?,
        since,
        order: Order::Descending,
        limit: LISTED,
        full: true,
        ..ChangesQuestion::default()
    };
    let (mut found, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for _ in 0..PAGES {
        let answer = app.questions.changes(&page, access)?;
        for item in answer.items {
            let is_new = seen.insert(item.change.object.uid.clone());
            let event = item.object.as_deref().map(|object| event_json(&parse_body(object)));
            found.extend(event.filter(|event| is_new && is_wanted(event)));
            if found.len() >= limit {
                return Ok(found);
            }
        }
        if !answer.more {
            break;
        }
        page.cursor = Some(answer.cursor);
    }
    Ok(found)
}

/// An Event of either API, in the words of that server.
pub(crate) fn event_json(event: &Value) -> Value {
    let of =
        |paths: &[&str]| paths.iter().filter_map(|path| event.pointer(path)).find(|value| !value.is_null()).cloned().unwrap_or(Value::Null);
    let object = of(&["/involvedObject", "/regarding"]);
    let message = of(&["/message", "/note"]);
    json!({
        "name": event["metadata"]["name"],
        "namespace": event["metadata"]["namespace"],
        "type": event["type"],
        "reason": event["reason"],
        "message": message.as_str().map(|text| clipped(text, MESSAGE_CHARS)),
        "object": {"kind": object["kind"], "namespace": object["namespace"], "name": object["name"], "uid": object["uid"]},
        "count": of(&["/series/count", "/count", "/deprecatedCount"]),
        "firstSeen": of(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime", "/metadata/creationTimestamp"]),
        "lastSeen": of(&["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime", "/firstTimestamp", "/metadata/creationTimestamp"]),
        "source": of(&["/reportingController", "/source/component", "/reportingComponent"]),
    })
}

/// Which ClusterDeployment.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeploymentArguments {
    /// Name.
    name: String,
    /// Namespace; `kcm-system` unless said otherwise.
    namespace: Option<String>,
    /// Id or configured name of the management cluster.
    cluster: Option<String>,
}

impl DeploymentArguments {
    fn monitor(&self) -> MonitorName {
        let namespace = self.namespace.clone().filter(|word| !word.is_empty()).unwrap_or_else(|| GLOBAL_NAMESPACE.to_owned());
        MonitorName { cluster: self.cluster.clone().filter(|word| !word.is_empty()), namespace, name: self.name.clone() }
    }
}

async fn deployment_state(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: DeploymentArguments = read(arguments)?;
    let name = of.monitor();
    let view = asker.ask(move |app, access| app.monitors.get(&name, access)).await?;
    let progress = &view.now.progress;
    let summary =
        format!("{}/{}: {} {}%: {}", progress.namespace, progress.name, progress.phase.as_str(), progress.progress, progress.message);
    Ok(Answer::new(summary).with("update", to_json(&MonitorUpdate::from(view.now))))
}

async fn detail(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: DeploymentArguments = read(arguments)?;
    asker
        .ask(move |app, access| {
            let name = of.monitor();
            let asked = Selection {
                clusters: name.cluster.iter().cloned().collect(),
                namespaces: vec![name.namespace.clone()],
                kinds: vec![format!("ClusterDeployment.{GROUP}")],
                names: vec![name.name.clone()],
                ..Selection::default()
            };
            let (found, _) = objects(app, &asked, access)?;
            let mut deployment = found.into_iter().next().ok_or_else(|| AppError::NotFound {
                what: format!("ClusterDeployment `{}` in namespace `{}`", name.name, name.namespace),
                hint: "k0rdent.mgmt.clusterDeployments.listAll lists those that are recorded".to_owned(),
            })?;
            let view = app.monitors.get(&name, access)?;
            let summary = format!("{}/{}: {}", name.namespace, name.name, view.now.progress.message);
            deployment["progress"] = to_json(&MonitorItem::from(view));
            Ok(Answer::one(summary, deployment))
        })
        .await
}
