//! Monitors: where a cluster is that is being made, as it stands now, as a log by cursor, and as a call that waits for what comes next.

use std::time::Duration;

use futures::FutureExt;
use proreus_api::{MonitorItem, MonitorUpdate};
use proreus_app::monitors::{self as app, LogPage, MonitorCursor, MonitorName, MonitorsAnswer, MonitorsQuestion};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use proreus_app::questions::Phase;

use super::Entry;
use super::history::{TELL_EVERY, patience, to_json};
use crate::mcp::answers::Answer;
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::{schema, words};

/// Updates of one answer: the log of a whole course and what came after it.
const LOG_LIMIT: usize = 50;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "monitor_list",
        title: "Clusters that are being made",
        description: "Every cluster that k0rdent or the Cluster API makes or made, with its phase, percentage and step as they stand now. Use monitor_wait to \
                      follow one of them.",
        input: schema::of::<ListArguments>,
        output: || schema::list_of::<MonitorItem>("items"),
        run: |asker, arguments| list(asker, arguments).boxed(),
    },
    Entry {
        name: "monitor_get",
        title: "How far a cluster is",
        description: "Where one ClusterDeployment (or Cluster of the Cluster API) stands now: phase, percentage, step, message, what is wrong and of which class, \
                      and about how long it will still take.",
        input: schema::of::<NameArguments>,
        output: schema::one_of::<MonitorItem>,
        run: |asker, arguments| get(asker, arguments).boxed(),
    },
    Entry {
        name: "monitor_wait",
        title: "Wait for a cluster",
        description: "The updates of one cluster that is being made. Without cursor: what was told so far, at once. With the nextCursor of the call before: \
                      waits for what comes next, with progress notifications. Repeat it until done is true; every update comes once, across \
                      restarts too.",
        input: schema::of::<WaitArguments>,
        output: || schema::list_of::<MonitorUpdate>("updates"),
        run: |asker, arguments| wait(asker, arguments).boxed(),
    },
];

/// Which clusters.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ListArguments {
    /// Only in these namespaces, separated by commas.
    namespace: Option<String>,
    /// Ids or configured names of the clusters that hold them, separated by commas.
    cluster: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// Items of this page, 1 to 1000.
    limit: Option<u64>,
}

/// Which cluster.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NameArguments {
    /// Namespace of the ClusterDeployment, such as `kcm-system`.
    namespace: String,
    /// Its name.
    name: String,
    /// Id or configured name of the cluster that holds it, where several have one of that name.
    cluster: Option<String>,
}

/// Which cluster, after what, and for how long.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WaitArguments {
    /// Namespace of the ClusterDeployment, such as `kcm-system`.
    namespace: String,
    /// Its name.
    name: String,
    /// Id or configured name of the cluster that holds it, where several have one of that name.
    cluster: Option<String>,
    /// nextCursor of the call before.
    cursor: Option<String>,
    /// How long to wait, 0 to 600 seconds; 25 unless said otherwise.
    timeout_seconds: Option<u64>,
}

/// A cursor of updates.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<MonitorCursor>, Refusal> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse().map_err(|error| {
            Refusal::argument(format!("`cursor` is `{text}`: {error}"), "pass back a nextCursor, or the cursor of an update, as it is")
        })
    })
    .transpose()
}

async fn list(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: ListArguments = read(arguments)?;
    let question = MonitorsQuestion {
        clusters: words::many("cluster", of.cluster.as_deref())?,
        namespaces: words::many("namespace", of.namespace.as_deref())?,
        cursor: of.cursor.filter(|cursor| !cursor.is_empty()),
        limit: words::limit(of.limit)?,
    };
    let MonitorsAnswer { items: views, next } = asker.ask(move |app, access| app.monitors.page_of(&question, access)).await?;
    let places: Vec<String> = views.iter().map(app::MonitorView::place).collect();
    let under_way = views.iter().filter(|view| !matches!(view.now.progress.phase, Phase::Ready | Phase::Failed)).count();
    let items: Vec<Value> = views.into_iter().map(|view| to_json(&MonitorItem::from(view))).collect();
    let summary = match items.len() {
        0 => "No cluster is being made: no ClusterDeployment and no Cluster is recorded.".to_owned(),
        count => format!("{count} clusters, {under_way} of them neither ready nor failed."),
    };
    Ok(Answer::new(summary).list("items", items, next, move |index| places.get(index).cloned()))
}

async fn get(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: NameArguments = read(arguments)?;
    let name = MonitorName { cluster: of.cluster.filter(|word| !word.is_empty()), namespace: of.namespace, name: of.name };
    let view = asker.ask(move |app, access| app.monitors.get(&name, access)).await?;
    Ok(Answer::one(sentence(&view.now), to_json(&MonitorItem::from(view))))
}

fn sentence(update: &app::MonitorUpdate) -> String {
    let of = &update.progress;
    let left = of.estimate.as_ref().map(|left| format!(" ({left})")).unwrap_or_default();
    format!("{}/{}: {} {}%{left}: {}", of.namespace, of.name, of.phase.as_str(), of.progress, of.message)
}

async fn wait(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: WaitArguments = read(arguments)?;
    let (patience, after) = (patience(of.timeout_seconds)?, cursor(of.cursor.as_deref())?);
    let name = MonitorName { cluster: of.cluster.filter(|word| !word.is_empty()), namespace: of.namespace, name: of.name };
    let page = match after {
        None => {
            let name = name.clone();
            asker.ask(move |app, access| app.monitors.log(&name, None, LOG_LIMIT, access)).await?
        }
        Some(after) => waited(&asker, &name, after, patience).await?,
    };
    for update in &page.items {
        asker.tell(f64::from(update.progress.progress), Some(100.0), &sentence(update)).await;
    }
    Ok(answer_of(&page, "Nothing new in time; call again with nextCursor."))
}

/// Waits in portions, so that a client that wants to know hears that we live.
async fn waited(asker: &Asker, name: &MonitorName, after: MonitorCursor, patience: Duration) -> Result<LogPage, Refusal> {
    let started = tokio::time::Instant::now();
    loop {
        let left = patience.saturating_sub(started.elapsed());
        let wait = asker.shared.app.monitors.wait(name.clone(), Some(after.clone()), left.min(TELL_EVERY), asker.access.clone());
        let page = wait.await.map_err(Refusal::from)?;
        if !page.items.is_empty() || page.missed > 0 || started.elapsed() >= patience {
            return Ok(page);
        }
        let name = name.clone();
        let now = asker.ask(move |app, access| app.monitors.get(&name, access)).await?;
        asker.tell(f64::from(now.now.progress.progress), Some(100.0), &sentence(&now.now)).await;
    }
}

/// A page of a log as an answer.
fn answer_of(page: &LogPage, nothing: &str) -> Answer {
    let done = page.items.last().is_some_and(|last| last.progress.terminal);
    let summary = page.items.last().map_or_else(|| nothing.to_owned(), sentence);
    let cursors: Vec<String> = page.items.iter().map(|update| update.cursor.to_string()).collect();
    let updates = page.items.iter().map(|update| to_json(&MonitorUpdate::from(update.clone()))).collect();
    Answer::new(summary).with("done", json!(done)).with("missed", json!(page.missed)).list(
        "updates",
        updates,
        Some(page.cursor.to_string()),
        move |index| cursors.get(index).cloned(),
    )
}

/// The text of a monitor's resource: where it stands, and its log after a cursor.
pub(crate) async fn progress_log(asker: &Asker, name: MonitorName, after: Option<MonitorCursor>) -> Result<Answer, Refusal> {
    let (view, page) = asker
        .ask(move |app, access| Ok((app.monitors.get(&name, access)?, app.monitors.log(&name, after.as_ref(), LOG_LIMIT, access)?)))
        .await?;
    Ok(answer_of(&page, "Nothing new since that cursor.").with("monitor", to_json(&MonitorItem::from(view))))
}
