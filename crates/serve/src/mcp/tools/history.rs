//! History: what changed, what an object was, what a cluster held, how two versions differ, what is recorded next.

use std::time::Duration;

use futures::FutureExt;
use proreus_api::{Change, Diff, ObjectAtTime};
use proreus_app::questions::{
    ChangesAnswer, ChangesQuestion, HistoryQuestion, ObjectQuestion, ObjectRef, StateCursor, StateQuestion, group_of,
};
use proreus_app::{Application, Moment};
use proreus_model::{Access, Seq};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Entry;
use crate::mcp::answers::Answer;
use crate::mcp::asker::Asker;
use crate::mcp::refusal::{Refusal, read};
use crate::mcp::rpc::JsonObject;
use crate::mcp::schema;
use crate::mcp::words::{self, Narrowing, Paging};

/// How long `watch_changes` waits when nothing else is asked: below the minute after which most clients give a call up.
const DEFAULT_WAIT_SECONDS: u64 = 25;
/// The longest it waits.
pub(super) const MAX_WAIT_SECONDS: u64 = 600;
/// How often a waiting tool says that it lives, to clients that asked for progress.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(5);

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "changes",
        title: "What changed",
        description: "Recorded changes of Kubernetes objects, newest first, with the fields that differ. Narrow it by cluster, namespace, kind, name, verb, \
                      field manager and time; each of them takes several values separated by commas. Pass nextCursor back as cursor for more.",
        input: schema::of::<ChangesArguments>,
        output: || schema::list_of::<Change>("items"),
        run: |asker, arguments| changes(asker, arguments).boxed(),
    },
    Entry {
        name: "history",
        title: "History of one object",
        description: "Every recorded change of one object, newest first, through all its incarnations, with the Events about it in between unless \
                      events is false. The kind may be a kind, a plural or a short name such as deploy.",
        input: schema::of::<HistoryArguments>,
        output: || schema::list_of::<Change>("items"),
        run: |asker, arguments| history(asker, arguments).boxed(),
    },
    Entry {
        name: "object",
        title: "One object at a time",
        description: "One object as it was at a time, or as it was last known, with secrets already removed. Give path, such as /spec/template, \
                      for a part of an object that is too large to be shown whole.",
        input: schema::of::<ObjectArguments>,
        output: schema::one_of::<ObjectAtTime>,
        run: |asker, arguments| object(asker, arguments).boxed(),
    },
    Entry {
        name: "state",
        title: "What a cluster held at a time",
        description: "The objects that were alive at a time, by kind, namespace and name, with the last change of each. Without a time: as of the last \
                      record. Set full to see the objects themselves.",
        input: schema::of::<StateArguments>,
        output: || schema::list_of::<Change>("items"),
        run: |asker, arguments| state(asker, arguments).boxed(),
    },
    Entry {
        name: "diff",
        title: "Difference between two versions",
        description: "The fields that differ between two recorded versions of one object, each version named by the seq of its change as the tools changes \
                      and history list them.",
        input: schema::of::<DiffArguments>,
        output: schema::one_of::<Diff>,
        run: |asker, arguments| diff(asker, arguments).boxed(),
    },
    Entry {
        name: "watch_changes",
        title: "Wait for what changes next",
        description: "Waits until something that matches is recorded, and returns it, oldest first. Begins now, or behind cursor; call it again with the \
                      nextCursor it returned, and nothing is missed or seen twice. An empty list means that nothing came in time.",
        input: schema::of::<WatchArguments>,
        output: || schema::list_of::<Change>("items"),
        run: |asker, arguments| watch(asker, arguments).boxed(),
    },
    Entry {
        name: "clusters",
        title: "Clusters",
        description: "The clusters of which anything is recorded, by id and configured name. Other tools take either as cluster.",
        input: schema::nothing,
        output: || schema::list_of_objects("items"),
        run: |asker, _| clusters(asker).boxed(),
    },
];

/// Which changes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ChangesArguments {
    /// Cluster ids or configured names.
    cluster: Option<String>,
    /// Namespaces; `_` is the cluster scope.
    namespace: Option<String>,
    /// Kinds, plurals or short names, optionally with `.group`.
    kind: Option<String>,
    /// Exact names.
    name: Option<String>,
    /// Incarnations.
    uid: Option<String>,
    /// `create`, `update`, `delete`.
    verb: Option<String>,
    /// Field managers, exact: what wrote last, not who.
    manager: Option<String>,
    /// Recorded at or after: RFC 3339, a date, or how long ago such as `2h`.
    since: Option<String>,
    /// Recorded at or before.
    until: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// `desc` (newest first, the default) or `asc`.
    order: Option<String>,
    /// Items of this page, 1 to 1000.
    limit: Option<u64>,
    /// Whether to show the whole object with each change.
    full: bool,
}

/// A page of changes as an answer.
pub(super) fn listing(app: &Application, answer: ChangesAnswer, what: &str) -> Answer {
    let seqs: Vec<Seq> = answer.items.iter().map(|item| item.change.seq).collect();
    let cursors: Vec<String> = seqs.iter().map(|seq| app.questions.cursor_at(*seq).to_string()).collect();
    let (first, last) = (answer.items.first(), answer.items.last());
    let range = match (first, last) {
        (Some(first), Some(last)) => {
            let (from, to) = (first.change.recorded_at.min(last.change.recorded_at), first.change.recorded_at.max(last.change.recorded_at));
            format!(", {from} to {to}")
        }
        _ => String::new(),
    };
    let more = if answer.more { "; more match" } else { "" };
    let summary = match answer.items.len() {
        0 => format!("No {what} match."),
        count => format!("{count} {what}{range}{more}."),
    };
    let next = answer.more.then(|| answer.cursor.to_string());
    let items = answer.items.into_iter().map(|item| to_json(&Change::from(item))).collect();
    Answer::new(summary).list("items", items, next, move |index| cursors.get(index).cloned())
}

/// JSON of one of our own types.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

async fn changes(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: ChangesArguments = read(arguments)?;
    let selection = Narrowing {
        cluster: of.cluster.as_deref(),
        namespace: of.namespace.as_deref(),
        kind: of.kind.as_deref(),
        name: of.name.as_deref(),
        uid: of.uid.as_deref(),
        verb: of.verb.as_deref(),
        manager: of.manager.as_deref(),
    }
    .selection()?;
    let paging = Paging {
        since: of.since.as_deref(),
        until: of.until.as_deref(),
        cursor: of.cursor.as_deref(),
        order: of.order.as_deref(),
        limit: of.limit,
        full: of.full,
    };
    let page = paging.page(asker.shared.app.clock.now())?;
    asker
        .ask(move |app, access| {
            let filter = app.questions.select(&selection)?;
            Ok(listing(app, app.questions.changes(&ChangesQuestion { filter, ..page }, access)?, "changes"))
        })
        .await
}

/// One object's history.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HistoryArguments {
    /// Kind, plural or short name, optionally with `.group`.
    kind: String,
    /// Name.
    name: String,
    /// Namespace; `_` is the cluster scope; may be left out while one object answers to the name.
    namespace: Option<String>,
    /// API group, or `core`.
    group: Option<String>,
    /// Cluster id or configured name.
    cluster: Option<String>,
    /// One incarnation.
    uid: Option<String>,
    /// Whether to tell the Events about it too; true unless said otherwise.
    events: Option<bool>,
    /// Recorded at or after.
    since: Option<String>,
    /// Recorded at or before.
    until: Option<String>,
    /// nextCursor of the page before.
    cursor: Option<String>,
    /// `desc` (newest first, the default) or `asc`.
    order: Option<String>,
    /// Items of this page, 1 to 1000.
    limit: Option<u64>,
    /// Whether to show the whole object with each change.
    #[serde(default)]
    full: bool,
}

async fn history(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: HistoryArguments = read(arguments)?;
    let paging = Paging {
        since: of.since.as_deref(),
        until: of.until.as_deref(),
        cursor: of.cursor.as_deref(),
        order: of.order.as_deref(),
        limit: of.limit,
        full: of.full,
    };
    let page = paging.page(asker.shared.app.clock.now())?;
    let what = format!("changes of {} {}", of.kind, of.name);
    let object = reference(of.kind, of.name, of.namespace, of.group, of.cluster, of.uid);
    let question = HistoryQuestion { object, page, events: of.events.unwrap_or(true) };
    asker.ask(move |app, access| Ok(listing(app, app.questions.history(&question, access)?, &what))).await
}

/// An object by the words of arguments.
pub(super) fn reference(
    kind: String,
    name: String,
    namespace: Option<String>,
    group: Option<String>,
    cluster: Option<String>,
    uid: Option<String>,
) -> ObjectRef {
    let given = |word: Option<String>| word.filter(|word| !word.is_empty());
    ObjectRef {
        cluster: given(cluster),
        group: given(group).map(|group| group_of(&group)),
        kind,
        namespace: given(namespace).map(|namespace| if namespace == "_" { "".into() } else { namespace.into() }),
        name: name.into(),
        uid: given(uid).map(Into::into),
    }
}

/// One object at a time.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ObjectArguments {
    /// Kind, plural or short name, optionally with `.group`.
    kind: String,
    /// Name.
    name: String,
    /// Namespace; `_` is the cluster scope; may be left out while one object answers to the name.
    namespace: Option<String>,
    /// API group, or `core`.
    group: Option<String>,
    /// Cluster id or configured name.
    cluster: Option<String>,
    /// One incarnation.
    uid: Option<String>,
    /// When: RFC 3339, a date, how long ago such as `2h`, or a cursor. Without it: the last record.
    at: Option<String>,
    /// JSON Pointer to a part of the object, such as `/spec/template`.
    path: Option<String>,
}

async fn object(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: ObjectArguments = read(arguments)?;
    let now = asker.shared.app.clock.now();
    let path = of.path.filter(|path| !path.is_empty());
    let object = reference(of.kind, of.name, of.namespace, of.group, of.cluster, of.uid);
    let at = of.at;
    let found = asker
        .ask(move |app, access| {
            let at = moment(app, at.as_deref(), now)?;
            app.questions.object(&ObjectQuestion { object, at }, access)
        })
        .await?;
    let found = ObjectAtTime::from(found);
    let (change, gone) = (&found.change, if found.deleted { "; it was gone by then, this is its last known state" } else { "" });
    let summary = format!("{} {} as of change {} at {}{gone}.", change.kind, place(change), change.seq, change.recorded_at);
    let mut result = to_json(&found);
    if let Some(path) = path {
        let part = result["object"].pointer(&path).cloned().ok_or_else(|| {
            let hint = "write a JSON Pointer such as /spec/template/spec/containers/0; look at the object without path first";
            Refusal::argument(format!("the object has nothing at `{path}`"), hint)
        })?;
        result["object"] = part;
    }
    Ok(Answer::one(summary, result))
}

fn moment(app: &Application, text: Option<&str>, now: jiff::Timestamp) -> Result<Moment, proreus_app::AppError> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => app.questions.moment("at", text, now),
        None => Ok(Moment::Now),
    }
}

/// `namespace/name`, or the name.
pub(super) fn place(change: &Change) -> String {
    if change.namespace.is_empty() { change.name.clone() } else { format!("{}/{}", change.namespace, change.name) }
}

/// Which objects, when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct StateArguments {
    /// Cluster ids or configured names.
    cluster: Option<String>,
    /// Namespaces; `_` is the cluster scope.
    namespace: Option<String>,
    /// Kinds, plurals or short names, optionally with `.group`.
    kind: Option<String>,
    /// Exact names.
    name: Option<String>,
    /// When: RFC 3339, a date, how long ago such as `2h`, or a cursor. Without it: the last record.
    at: Option<String>,
    /// nextCursor of the page before; it keeps to the same moment.
    cursor: Option<String>,
    /// Items of this page, 1 to 1000.
    limit: Option<u64>,
    /// Whether to show the objects themselves.
    full: bool,
}

async fn state(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: StateArguments = read(arguments)?;
    let selection = Narrowing {
        cluster: of.cluster.as_deref(),
        namespace: of.namespace.as_deref(),
        kind: of.kind.as_deref(),
        name: of.name.as_deref(),
        ..Narrowing::default()
    }
    .selection()?;
    let limit = words::limit(of.limit)?;
    let cursor = of.cursor.filter(|cursor| !cursor.is_empty());
    let cursor: Option<StateCursor> = cursor
        .map(|text| {
            let hint = "pass back a nextCursor of this tool as it is";
            text.parse().map_err(|error| Refusal::argument(format!("`cursor` is `{text}`: {error}"), hint))
        })
        .transpose()?;
    let (now, at, full) = (asker.shared.app.clock.now(), of.at, of.full);
    asker
        .ask(move |app, access| {
            let at = match &cursor {
                Some(cursor) => app.questions.moment_of(&cursor.at)?,
                None => moment(app, at.as_deref(), now)?,
            };
            let filter = app.questions.select(&selection)?;
            let question = StateQuestion { at, filter, after: cursor.map(|cursor| cursor.after), limit, full };
            let answer = app.questions.state(&question, access)?;
            let next = answer.next().map(|next| next.to_string());
            let cursors: Vec<String> = answer
                .items
                .iter()
                .map(|item| StateCursor { at: answer.at.clone(), after: item.change.object.clone() }.to_string())
                .collect();
            let more = if answer.more { "; more match" } else { "" };
            let summary = format!("{} objects alive at cursor {}{more}.", answer.items.len(), answer.at);
            let items = answer.items.into_iter().map(|item| to_json(&Change::from(item))).collect();
            Ok(Answer::new(summary).list("items", items, next, move |index| cursors.get(index).cloned()))
        })
        .await
}

/// Two versions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiffArguments {
    /// seq of the earlier change.
    from: u64,
    /// seq of the later change.
    to: u64,
}

async fn diff(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: DiffArguments = read(arguments)?;
    let answer = asker.ask(move |app, access| app.questions.diff(Seq(of.from), Seq(of.to), access)).await?;
    let diff = Diff::from(answer);
    let what = format!("{} {}", diff.to.kind, place(&diff.to));
    let summary = format!("{} fields of {what} differ between {} and {}.", diff.changed.len(), diff.from.recorded_at, diff.to.recorded_at);
    Ok(Answer::one(summary, to_json(&diff)))
}

/// What to wait for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WatchArguments {
    /// Cluster ids or configured names.
    cluster: Option<String>,
    /// Namespaces; `_` is the cluster scope.
    namespace: Option<String>,
    /// Kinds, plurals or short names, optionally with `.group`.
    kind: Option<String>,
    /// Exact names.
    name: Option<String>,
    /// `create`, `update`, `delete`.
    verb: Option<String>,
    /// Where to begin: nextCursor of the call before. Without it: now.
    cursor: Option<String>,
    /// How long to wait, 0 to 600 seconds; 25 unless said otherwise.
    timeout_seconds: Option<u64>,
    /// Items at most, 1 to 1000.
    limit: Option<u64>,
}

async fn watch(asker: Asker, arguments: JsonObject) -> Result<Answer, Refusal> {
    let of: WatchArguments = read(arguments)?;
    let patience = patience(of.timeout_seconds)?;
    let selection = Narrowing {
        cluster: of.cluster.as_deref(),
        namespace: of.namespace.as_deref(),
        kind: of.kind.as_deref(),
        name: of.name.as_deref(),
        verb: of.verb.as_deref(),
        ..Narrowing::default()
    }
    .selection()?;
    let (cursor, limit) = (words::cursor(of.cursor.as_deref())?, words::limit(of.limit)?);
    let mut question = asker
        .ask(move |app, _: &Access| {
            let filter = app.questions.select(&selection)?;
            let cursor = match cursor {
                Some(cursor) => app.questions.moment_of(&cursor).map(|_| cursor)?,
                None => app.questions.cursor_at(app.questions.journal().watermark()),
            };
            Ok(ChangesQuestion { filter, cursor: Some(cursor), limit, ..ChangesQuestion::default() })
        })
        .await?;
    let (started, _place) = (tokio::time::Instant::now(), asker.stream()?);
    loop {
        let left = patience.saturating_sub(started.elapsed());
        let answer = asker.shared.app.follow(question.clone(), asker.access.clone(), left.min(TELL_EVERY)).await.map_err(Refusal::from)?;
        if answer.items.is_empty() && started.elapsed() < patience {
            question.cursor = Some(answer.cursor);
            asker.tell(started.elapsed().as_secs_f64(), Some(patience.as_secs_f64()), "nothing yet").await;
            continue;
        }
        let end = answer.cursor.to_string();
        return Ok(listing_of_watch(&asker.shared.app, answer, end));
    }
}

/// A watch always says where to go on, also when nothing came.
fn listing_of_watch(app: &Application, answer: ChangesAnswer, end: String) -> Answer {
    let cursors: Vec<String> = answer.items.iter().map(|item| app.questions.cursor_at(item.change.seq).to_string()).collect();
    let summary = match answer.items.len() {
        0 => "Nothing that matches was recorded in time; call again with nextCursor.".to_owned(),
        count => format!("{count} changes were recorded; call again with nextCursor for what comes next."),
    };
    let items = answer.items.into_iter().map(|item| to_json(&Change::from(item))).collect();
    Answer::new(summary).list("items", items, Some(end), move |index| cursors.get(index).cloned())
}

/// How long to wait.
pub(super) fn patience(seconds: Option<u64>) -> Result<Duration, Refusal> {
    let seconds = seconds.unwrap_or(DEFAULT_WAIT_SECONDS);
    if seconds > MAX_WAIT_SECONDS {
        return Err(Refusal::argument(
            format!("`timeoutSeconds` is `{seconds}`"),
            format!("give 0 to {MAX_WAIT_SECONDS}, and call again with the cursor to wait longer"),
        ));
    }
    Ok(Duration::from_secs(seconds))
}

async fn clusters(asker: Asker) -> Result<Answer, Refusal> {
    let clusters = asker.ask(|app, access| app.clusters(access)).await?;
    let items: Vec<Value> = clusters.into_iter().map(|(id, name)| json!({"id": id.to_string(), "name": name})).collect();
    Ok(Answer::new(format!("{} clusters.", items.len())).list("items", items, None, |_| None))
}
