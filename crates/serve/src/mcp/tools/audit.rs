//! The six tools of the older audit service, by their names and arguments. They read structured status, through the same checks as the
//! doctor, where that service looked for words in the text of events.

use std::collections::BTreeMap;

use futures::FutureExt;
use jiff::Timestamp;
use proreus_api::{Change, Incident};
use proreus_app::questions::{ChangesQuestion, HistoryQuestion, IncidentsQuestion, MAX_PAGE_LIMIT, Selection};
use proreus_app::{AppError, Application, Moment};
use proreus_model::{Access, Filter, Order};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Entry;
use super::history::{place, reference, to_json};
use crate::mcp::answers::Answer;
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::{schema, words};

/// Pages of changes counted for one answer: 10,000 changes are an hour of a large cluster, and a question must end.
const COUNTED_PAGES: usize = 10;
/// Latest changes told of each important type, as that service told.
const LATEST: usize = 5;
/// Types whose latest changes are told.
const IMPORTANT: [&str; 10] = [
    "deployments",
    "statefulsets",
    "daemonsets",
    "configmaps",
    "secrets",
    "services",
    "ingresses",
    "nodes",
    "persistentvolumeclaims",
    "clusterdeployments",
];
/// Changes of one pod told in its timeline.
const TIMELINE: usize = 60;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "check_node_health",
        title: "Node health",
        description: "What was wrong with nodes between two times: not ready, under pressure, without network, or with other trouble, from their \
                      recorded conditions.",
        input: schema::of::<RangeArguments>,
        output: || schema::list_of_objects("issues"),
        run: |asker, arguments| issues(asker, arguments, "nodes", node_bucket).boxed(),
    },
    Entry {
        name: "check_pod_issues",
        title: "Pod issues",
        description: "What was wrong with pods and their workloads between two times: crash loops, images that cannot be pulled, out of memory, probes, \
                      missing configuration, missing replicas.",
        input: schema::of::<NamespacedArguments>,
        output: || schema::list_of_objects("issues"),
        run: |asker, arguments| issues(asker, arguments, "pods", pod_bucket).boxed(),
    },
    Entry {
        name: "check_volume_issues",
        title: "Volume issues",
        description: "What was wrong with volumes and their claims between two times: pending, lost, failed, not attached, not grown.",
        input: schema::of::<NamespacedArguments>,
        output: || schema::list_of_objects("issues"),
        run: |asker, arguments| issues(asker, arguments, "volumes", volume_bucket).boxed(),
    },
    Entry {
        name: "analyze_recent_changes",
        title: "Recent changes",
        description: "How many objects were created, updated and deleted between two times, by resource type, and the latest changes of the types that matter \
                      most. Give resource_types, separated by commas, for some of them.",
        input: schema::of::<RecentArguments>,
        output: || schema::list_of::<Change>("latest"),
        run: |asker, arguments| recent(asker, arguments).boxed(),
    },
    Entry {
        name: "investigate_pod_startup",
        title: "Pod startup",
        description: "Why a pod did not start: what was wrong with it between two times (image, configuration, volume, scheduling, probes) and its timeline \
                      with the Events about it.",
        input: schema::of::<StartupArguments>,
        output: || schema::list_of_objects("issues"),
        run: |asker, arguments| startup(asker, arguments).boxed(),
    },
    Entry {
        name: "check_resource_limits",
        title: "Resource limits",
        description: "Where resources ran out between two times: out of memory, evictions, quotas, nodes under pressure, pods that no node takes, autoscalers \
                      at their maximum.",
        input: schema::of::<NamespacedArguments>,
        output: || schema::list_of_objects("issues"),
        run: |asker, arguments| issues(asker, arguments, "resource limits", limit_bucket).boxed(),
    },
];

/// Between which times.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RangeArguments {
    /// RFC 3339.
    start_time: String,
    /// RFC 3339, not before start_time.
    end_time: String,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

/// Between which times, and where.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NamespacedArguments {
    /// RFC 3339.
    start_time: String,
    /// RFC 3339, not before start_time.
    end_time: String,
    /// Only in this namespace.
    namespace: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

/// Between which times, and of which types.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecentArguments {
    /// RFC 3339.
    start_time: String,
    /// RFC 3339, not before start_time.
    end_time: String,
    /// Lower-case plurals, separated by commas.
    resource_types: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

/// Which pod, between which times.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartupArguments {
    /// RFC 3339.
    start_time: String,
    /// RFC 3339, not before start_time.
    end_time: String,
    /// The pod.
    pod_name: String,
    /// Its namespace.
    namespace: String,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

/// A range in which the end is not before the start.
#[derive(Clone, Copy)]
struct Range {
    start: Timestamp,
    end: Timestamp,
    /// How many items the page before had shown.
    offset: usize,
}

impl Range {
    fn read(start: &str, end: &str, cursor: Option<&str>, now: Timestamp) -> Result<Self, Refusal> {
        let missing =
            |name: &str| Refusal::argument(format!("`{name}` is empty"), "write RFC 3339 with a zone, such as 2026-11-21T08:00:00Z");
        let start = words::time("start_time", Some(start), now)?.ok_or_else(|| missing("start_time"))?;
        let end = words::time("end_time", Some(end), now)?.ok_or_else(|| missing("end_time"))?;
        if end < start {
            return Err(Refusal::argument("`end_time` lies before `start_time`", "exchange them"));
        }
        Ok(Self { start, end, offset: words::offset(cursor)? })
    }

    fn as_json(self) -> Value {
        json!({"start": self.start.to_string(), "end": self.end.to_string()})
    }
}

/// In which drawer of the answer a finding belongs, by the check that found it and its kind.
type Bucket = fn(check: &str, kind: &str) -> Option<&'static str>;

fn node_bucket(check: &str, kind: &str) -> Option<&'static str> {
    match check {
        "node-not-ready" => Some("notReady"),
        "node-pressure" => Some("pressure"),
        "node-network" => Some("networkUnavailable"),
        _ => (kind == "Node").then_some("other"),
    }
}

fn pod_bucket(check: &str, kind: &str) -> Option<&'static str> {
    match check {
        "crash-loop" | "container-restarts" => Some("crashLoop"),
        "image-pull" | "pull-secret" => Some("imagePull"),
        "oom-killed" => Some("outOfMemory"),
        "pod-not-ready" => Some("probes"),
        "container-config" => Some("configuration"),
        "pod-unschedulable" | "pod-pending" => Some("scheduling"),
        "replica-failure"
        | "deployment-progress"
        | "deployment-unavailable"
        | "deployment-degraded"
        | "statefulset-stuck"
        | "daemonset-unavailable" => Some("replicas"),
        _ => (kind == "Pod").then_some("other"),
    }
}

fn volume_bucket(check: &str, kind: &str) -> Option<&'static str> {
    match check {
        "claim-pending" => Some("pending"),
        "claim-lost" => Some("lost"),
        "claim-resize" => Some("resize"),
        "volume-attachment" => Some("attachment"),
        "storage-class-default" => Some("storageClass"),
        _ => matches!(kind, "PersistentVolume" | "PersistentVolumeClaim" | "VolumeAttachment" | "StorageClass").then_some("volume"),
    }
}

fn limit_bucket(check: &str, _: &str) -> Option<&'static str> {
    match check {
        "oom-killed" => Some("outOfMemory"),
        "pod-evicted" => Some("evicted"),
        "quota-exhausted" => Some("quota"),
        "node-pressure" => Some("nodePressure"),
        "pod-unschedulable" => Some("unschedulable"),
        "autoscaler-at-maximum" | "autoscaler-inactive" => Some("autoscaler"),
        _ => None,
    }
}

async fn issues(asker: Asker, arguments: JsonObject, what: &'static str, bucket: Bucket) -> Result<Answer, Refusal> {
    let (range, namespace) = match arguments.contains_key("namespace") {
        true => {
            let of: NamespacedArguments = read(arguments)?;
            (
                Range::read(&of.start_time, &of.end_time, of.cursor.as_deref(), asker.shared.app.clock.now())?,
                of.namespace.filter(|word| !word.is_empty()),
            )
        }
        false => {
            let of: RangeArguments = read(arguments)?;
            (Range::read(&of.start_time, &of.end_time, of.cursor.as_deref(), asker.shared.app.clock.now())?, None)
        }
    };
    asker
        .ask(move |app, access| {
            let found = issues_of(app, range, namespace.into_iter().collect(), bucket, |_| true, access)?;
            Ok(answer_of(what, range, found))
        })
        .await
}

fn answer_of(what: &str, range: Range, found: Vec<Value>) -> Answer {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for issue in &found {
        *counts.entry(issue["bucket"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let told: Vec<String> = counts.iter().map(|(bucket, count)| format!("{count} {bucket}")).collect();
    let summary = match found.len() {
        0 => format!("Nothing was wrong with {what} in that time, as far as it was recorded."),
        count => format!("{count} issues with {what}: {}.", told.join(", ")),
    };
    Answer::new(summary).with("timeRange", range.as_json()).with("counts", json!(counts)).list_from("issues", found, range.offset)
}

/// What was wrong within a range: the findings of the incidents that were open in it.
fn issues_of(
    app: &Application,
    range: Range,
    namespaces: Vec<String>,
    bucket: Bucket,
    is_wanted: impl Fn(&str) -> bool,
    access: &Access,
) -> Result<Vec<Value>, AppError> {
    // Nothing is due that lies in the future.
    let end = app.questions.journal().last_recorded_at().map_or(range.end, |last| range.end.min(last));
    let question = IncidentsQuestion {
        at: Moment::At(end),
        namespaces,
        since: Some(range.start),
        until: Some(range.end),
        order: Order::Descending,
        ..IncidentsQuestion::default()
    };
    let mut found = Vec::new();
    for view in app.questions.incidents(&question, access)?.items {
        let incident = to_json(&Incident::from(view));
        for finding in incident["findings"].as_array().into_iter().flatten() {
            // What may not be shown has no check and no kind.
            let word = |name: &str| finding[name].as_str().unwrap_or_default();
            let Some(bucket) = bucket(word("check"), word("kind")).filter(|_| is_wanted(word("name"))) else { continue };
            let mut issue = finding.clone();
            issue["bucket"] = json!(bucket);
            issue["incident"] = incident["id"].clone();
            issue["state"] = incident["state"].clone();
            found.push(issue);
        }
    }
    Ok(found)
}

async fn recent(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: RecentArguments = read(arguments)?;
    let range = Range::read(&of.start_time, &of.end_time, of.cursor.as_deref(), asker.shared.app.clock.now())?;
    let resources = words::many("resource_types", of.resource_types.as_deref())?;
    asker
        .ask(move |app, access| {
            let asked = Selection { resources: resources.clone(), ..Selection::default() };
            let filter = app.questions.select(&asked)?;
            let is_important = |resource: &str| if resources.is_empty() { IMPORTANT.contains(&resource) } else { true };
            recent_of(app, range, filter, is_important, access)
        })
        .await
}

fn recent_of(
    app: &Application,
    range: Range,
    filter: Filter,
    is_important: impl Fn(&str) -> bool,
    access: &Access,
) -> Result<Answer, AppError> {
    let mut page = ChangesQuestion {
        filter,
        since: Some(range.start),
        until: Some(range.end),
        order: Order::Descending,
        limit: MAX_PAGE_LIMIT,
        ..ChangesQuestion::default()
    };
    let mut counts: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    let mut latest: BTreeMap<String, usize> = BTreeMap::new();
    let (mut told, mut total, mut more) = (Vec::new(), 0_u64, true);
    for _ in 0..COUNTED_PAGES {
        let answer = app.questions.changes(&page, access)?;
        (page.cursor, more) = (Some(answer.cursor), answer.more);
        for item in answer.items {
            total += 1;
            let resource = item.change.resource.to_string();
            *counts.entry(resource.clone()).or_default().entry(item.change.verb.as_str()).or_default() += 1;
            let of_type = latest.entry(resource.clone()).or_default();
            if is_important(&resource) && *of_type < LATEST {
                *of_type += 1;
                told.push(to_json(&Change::from(item)));
            }
        }
        if !more {
            break;
        }
    }
    let bound = if more { " at least (only the newest were counted)" } else { "" };
    let summary = format!("{total} changes{bound} of {} resource types.", counts.len());
    Ok(Answer::new(summary).with("timeRange", range.as_json()).with("counts", json!(counts)).list_from("latest", told, range.offset))
}

async fn startup(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: StartupArguments = read(arguments)?;
    let range = Range::read(&of.start_time, &of.end_time, of.cursor.as_deref(), asker.shared.app.clock.now())?;
    asker
        .ask(move |app, access| {
            let object = reference("Pod".to_owned(), of.pod_name.clone(), Some(of.namespace.clone()), Some("core".to_owned()), None, None);
            let page = ChangesQuestion { since: Some(range.start), until: Some(range.end), limit: TIMELINE, ..ChangesQuestion::default() };
            let history =
                app.questions.history(&HistoryQuestion { object, page: ChangesQuestion { full: true, ..page }, events: true }, access)?;
            let timeline: Vec<Value> = history.items.into_iter().map(|item| moment_of(&Change::from(item))).collect();
            let pod = of.pod_name.clone();
            let found = issues_of(app, range, vec![of.namespace.clone()], startup_bucket, |name| name == pod, access)?;
            Ok(answer_of(&format!("pod {}/{}", of.namespace, of.pod_name), range, found).with("timeline", Value::Array(timeline)))
        })
        .await
}

fn startup_bucket(check: &str, kind: &str) -> Option<&'static str> {
    match check {
        "image-pull" | "pull-secret" => Some("image"),
        "container-config" => Some("configuration"),
        "container-start" | "crash-loop" => Some("start"),
        "pod-unschedulable" | "pod-pending" => Some("scheduling"),
        "pod-not-ready" => Some("probes"),
        "claim-pending" | "claim-lost" | "volume-attachment" => Some("volume"),
        _ => (kind == "Pod").then_some("other"),
    }
}

/// One line of a timeline: what an Event said, or which fields of the pod changed.
fn moment_of(change: &Change) -> Value {
    let time = change.recorded_at.to_string();
    if change.kind == "Event" {
        let event = change.object.as_ref().map(|object| super::k0rdent::event_json(&object.to_value())).unwrap_or(Value::Null);
        return json!({"time": time, "seq": change.seq, "event": {"type": event["type"], "reason": event["reason"], "message": event["message"]}});
    }
    let fields: Vec<&str> = change.changed.iter().map(|field| field.path.as_str()).take(12).collect();
    json!({"time": time, "seq": change.seq, "verb": change.verb, "pod": place(change), "changed": fields})
}
