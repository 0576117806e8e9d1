//! Resources: which there are, and what one reads. Subscribing to them is in `subscriptions`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_api::audit_event;
use proreus_app::questions::{ChangesQuestion, Selection};
use proreus_model::{Filter, Order};
use serde_json::{Value, json};

use super::answers::Answer;
use super::asker::Asker;
use super::refusal::Refusal;
use super::tools::{events_of, log_tail, progress_log, to_json};
use super::uri::Address;

/// Media type of every resource.
const JSON: &str = "application/json";
/// Monitors that are listed as resources: a management cluster makes some hundred clusters, and a list that nobody reads helps nobody.
const LISTED_MONITORS: usize = 200;
/// Events of one reading, before the answer is cut to its size.
const READ_EVENTS: usize = 200;
/// Changes of one reading.
const READ_CHANGES: usize = 200;
/// How far back the older service's resources look.
const AUDIT_RANGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Every template: address, name, what it gives.
pub(crate) const TEMPLATES: [(&str, &str, &str); 10] = [
    (
        "k0rdent://cluster-monitor/{namespace}/{name}{?timeout,await,cluster,cursor}",
        "k0rdent.cluster.monitor",
        "Where a cluster stands that is being made, and the log of its updates after a cursor. Subscribe to be told each update as _meta.delta; the terminal \
         update ends the subscription. timeout is in seconds (3600), await=true waits for a cluster that does not exist yet.",
    ),
    (
        "proreus://cluster-monitor/{namespace}/{name}{?timeout,await,cluster,cursor}",
        "proreus.cluster.monitor",
        "The same by proreus' own scheme.",
    ),
    ("k0rdent://events/{namespace}", "k0rdent.events", "The Kubernetes Events of a namespace. Subscribe to be told each as _meta.delta."),
    ("proreus://events/{namespace}", "proreus.events", "The same by proreus' own scheme."),
    (
        "k0rdent://podlogs/{namespace}/{pod}/{container}",
        "k0rdent.podlogs",
        "The last lines of a container's log, read from the cluster now. Subscribe to be told what follows as _meta.delta. Logs are not recorded: without a live \
         cluster this says so.",
    ),
    ("proreus://podlogs/{namespace}/{pod}/{container}", "proreus.podlogs", "The same by proreus' own scheme."),
    ("audit://events/{namespace}", "Namespace events", "Changes in a namespace within the last 24 hours, in the older service's words."),
    (
        "audit://events/{namespace}/{resource_type}",
        "Resource events",
        "Changes of one resource type in a namespace within the last 24 hours.",
    ),
    ("audit://changes/{time_range}", "Recent changes", "Changes within a range: 1h, 24h or 7d."),
    ("audit://node-events/{node_name}", "Node events", "Changes of a node within the last 24 hours."),
];

/// The templates as they are listed.
pub(crate) fn templates() -> Vec<Value> {
    TEMPLATES
        .iter()
        .map(|(uri, name, description)| json!({"uriTemplate": uri, "name": name, "description": description, "mimeType": JSON}))
        .collect()
}

/// The resources that are there now: a monitor for each cluster that is being made.
pub(crate) async fn list(asker: &Asker) -> Result<Vec<Value>, Refusal> {
    let views = asker.ask(|app, access| app.monitors.list(access)).await?;
    let resources = views.into_iter().take(LISTED_MONITORS).map(|view| {
        let of = view.now.progress;
        let uri = format!("k0rdent://cluster-monitor/{}/{}", of.namespace, of.name);
        json!({
            "uri": uri,
            "name": format!("{}/{}", of.namespace, of.name),
            "title": format!("Cluster {}/{}", of.namespace, of.name),
            "description": format!("{} {}%: {}", of.phase.as_str(), of.progress, of.message),
            "mimeType": JSON,
        })
    });
    Ok(resources.collect())
}

/// What a resource says now.
pub(crate) async fn read(asker: &Asker, uri: &str) -> Result<Value, Refusal> {
    let answer = match Address::read(uri)? {
        Address::Monitor { name, after, .. } => progress_log(asker, name, after).await?,
        Address::Events { namespace } => events(asker, namespace).await?,
        Address::PodLogs(wanted) => log_tail(asker, &wanted).await?,
        Address::AuditEvents { namespace, resource } => {
            let selection =
                Selection { namespaces: vec![namespace.clone()], resources: resource.iter().cloned().collect(), ..Selection::default() };
            let head = [("namespace", Some(namespace)), ("resourceType", resource)];
            audit(asker, selection, AUDIT_RANGE, &head).await?
        }
        Address::AuditChanges { range } => audit(asker, Selection::default(), range, &[]).await?,
        Address::AuditNode { name } => {
            let selection = Selection { kinds: vec!["nodes".to_owned()], names: vec![name.clone()], ..Selection::default() };
            audit(asker, selection, AUDIT_RANGE, &[("nodeName", Some(name))]).await?
        }
    };
    Ok(json!({"contents": [{"uri": uri, "mimeType": JSON, "text": answer.into_text()}]}))
}

async fn events(asker: &Asker, namespace: String) -> Result<Answer, Refusal> {
    asker
        .ask(move |app, access| {
            let found = events_of(app, &namespace, None, READ_EVENTS, |_| true, access)?;
            let cursor = app.questions.cursor_at(app.questions.journal().watermark()).to_string();
            let summary = format!("{} events in {namespace}, newest first.", found.len());
            Ok(Answer::new(summary).with("namespace", json!(namespace)).list("events", found, Some(cursor), |_| None))
        })
        .await
}

/// The older service's envelope: what was asked, the range, the count, the events in its words.
async fn audit(asker: &Asker, selection: Selection, range: Duration, head: &[(&'static str, Option<String>)]) -> Result<Answer, Refusal> {
    let now = asker.shared.app.clock.now();
    let start = now.checked_sub(SignedDuration::try_from(range).unwrap_or(SignedDuration::from_hours(24))).unwrap_or(Timestamp::MIN);
    let head: Vec<(&'static str, Option<String>)> = head.to_vec();
    asker
        .ask(move |app, access| {
            let filter: Filter = app.questions.select(&selection)?;
            let page = ChangesQuestion {
                filter,
                since: Some(start),
                until: Some(now),
                order: Order::Descending,
                limit: READ_CHANGES,
                full: true,
                ..ChangesQuestion::default()
            };
            let answer = app.questions.changes(&page, access)?;
            let more = if answer.more { "; more match, the tool changes pages through them" } else { "" };
            let mut said = Answer::new(format!("{} changes, newest first{more}.", answer.items.len()));
            for (name, value) in head {
                if let Some(value) = value {
                    said = said.with(name, json!(value));
                }
            }
            let events: Vec<Value> = answer.items.into_iter().map(|view| to_json(&audit_event(view))).collect();
            let said =
                said.with("timeRange", json!({"start": start.to_string(), "end": now.to_string()})).with("eventCount", json!(events.len()));
            Ok(said.list("events", events, None, |_| None))
        })
        .await
}
