//! Types that went: when a CustomResourceDefinition is deleted while nobody looks, its objects go with it and no watch will ever tell.
//!
//! Invariant: ends are recorded only of types that are known to have been defined by a definition, and only when the API server says that
//! this very definition is not there. A type that is merely not served (an aggregated API that is down, say) keeps its objects. Of either the
//! journal says that it is not followed any more.

use std::collections::{BTreeMap, BTreeSet};

use proreus_model::{ClusterId, Filter, Gap, Mark, MarkKind, ObjectId, Order, Record, ResourceType, Seq, SeqRange, WatchScope};
use proreus_store::{BodyDetail, Checkpoint, Head, Journal, ReadQuery, StoreError};

use crate::cluster::Shared;
use crate::cluster_api::{ApiError, ClusterApi};
use crate::discovery::Discovered;
use crate::intake;
use crate::ledger::{LedgerError, ask};
use crate::queue::Entry;

const DEFINITIONS_GROUP: &str = "apiextensions.k8s.io";
const DEFINITIONS: &str = "customresourcedefinitions";
const DEFINITION: &str = "CustomResourceDefinition";

/// Where the mark of a started watch names the definition.
const DEFINITION_KEY: &str = "definition";

/// A definition holds whole schemas; only whether it is there matters.
const DEFINITION_BYTES: usize = 4 * 1024 * 1024;

/// Marks of started watches that are looked through for the name of a definition: more restarts than that in a row without a readable list
/// of definitions are another trouble.
const STARTS_READ: usize = 200;

/// What is left of a type.
struct Remains {
    resource_type: ResourceType,
    heads: Vec<Head>,
}

/// Looks after the types of one cluster that were recorded once and are not served now.
#[derive(Default)]
pub(crate) struct RemovedTypes {
    /// Scopes that were looked at since they were last served.
    settled: BTreeSet<WatchScope>,
}

impl RemovedTypes {
    /// Records the ends of the objects of types whose definition is gone. `cluster` is the scope of the whole cluster.
    pub(crate) async fn settle(&mut self, shared: &Shared, api: &ClusterApi, cluster: &WatchScope, discovered: &Discovered) {
        let is_served = |scope: &WatchScope| discovered.types.iter().any(|of| of.group == scope.group && of.resource == scope.resource);
        self.settled.retain(|scope| !is_served(scope));
        let recorded = ask(&shared.journal, {
            let cluster = cluster.cluster.clone();
            move |journal| recorded_scopes(journal, &cluster)
        });
        let Ok(recorded) = recorded.await else { return };
        for (scope, checkpoint) in recorded {
            // A definition's group always has a dot in it.
            let may_be_custom = scope.group.as_str().contains('.') && !discovered.uncertain.contains(&scope.group);
            if !may_be_custom || is_served(&scope) || self.settled.contains(&scope) {
                continue;
            }
            match end(shared, api, &scope, checkpoint).await {
                Ok(true) => {
                    self.settled.insert(scope);
                }
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }
}

/// What was ever recorded, with its position. A process that died within the first list of a type left objects and no position.
fn recorded_scopes(journal: &dyn Journal, cluster: &ClusterId) -> Result<BTreeMap<WatchScope, Option<Checkpoint>>, StoreError> {
    let scope = |of: ResourceType| WatchScope { cluster: cluster.clone(), group: of.group, resource: of.resource };
    let mut scopes: BTreeMap<_, _> = journal.types()?.into_iter().map(|of| (scope(of), None)).collect();
    scopes.extend(journal.checkpoints(cluster)?.into_iter().map(|checkpoint| (checkpoint.scope.clone(), Some(checkpoint))));
    Ok(scopes)
}

/// True when there is nothing more to find out about the type.
async fn end(shared: &Shared, api: &ClusterApi, scope: &WatchScope, checkpoint: Option<Checkpoint>) -> Result<bool, LedgerError> {
    shared.queue.flush().await?;
    let known = ask(&shared.journal, {
        let scope = scope.clone();
        move |journal| Ok((is_told_stopped(journal, &scope)?, journal.heads(&scope)?.is_empty()))
    });
    let (is_told, has_no_objects) = known.await?;
    // Without a position and without objects it is a type of another cluster.
    if has_no_objects && (is_told || checkpoint.is_none()) {
        return Ok(true);
    }
    let name = definition_of(scope);
    let path = format!("/apis/{DEFINITIONS_GROUP}/v1/{DEFINITIONS}/{name}");
    match api.document(&path, "application/json", DEFINITION_BYTES).await {
        Err(ApiError::Answer { code: 404, .. }) => {}
        // It is there, or nobody can say: asked again at the next discovery.
        Ok(_) | Err(_) => return Ok(false),
    }
    let remains = ask(&shared.journal, {
        let scope = scope.clone();
        move |journal| if was_defined(journal, &scope, &name)? { remains(journal, &scope) } else { Ok(None) }
    });
    let remains = remains.await?;
    let to = shared.clock.now();
    let reason = if remains.is_some() { "its definition went while nobody looked" } else { "the cluster does not serve the type any more" };
    if let Some(remains) = remains {
        tracing::info!(group = %scope.group, resource = %scope.resource, objects = remains.heads.len(),
            "a definition went while nobody looked, its objects went with it");
        let certain_at = checkpoint.map(|checkpoint| checkpoint.at);
        for head in &remains.heads {
            let from = certain_at.map_or(head.recorded_at, |at| at.max(head.recorded_at)).min(to);
            let change = intake::synthetic_delete(&remains.resource_type, head, Gap { from, to });
            shared.queue.push(Entry { record: Some(Record::Change(change)), ..Entry::default() }).await?;
        }
        let forgotten = Checkpoint { scope: scope.clone(), resource_version: None, at: certain_at.unwrap_or(to) };
        shared.queue.push(Entry { checkpoint: Some(forgotten), ..Entry::default() }).await?;
    }
    if !is_told {
        let (scope, reason, detail) = (scope.clone(), reason.to_owned(), serde_json::Value::Null);
        shared.queue.push(Entry::mark(Mark { seq: Seq(0), recorded_at: to, kind: MarkKind::Stopped, scope, reason, detail })).await?;
    }
    Ok(true)
}

/// The name of the definition that a custom type has.
fn definition_of(scope: &WatchScope) -> String {
    format!("{}.{}", scope.resource, scope.group)
}

/// What the mark of a started watch says of a custom type, so that its end is understood even where definitions are not recorded, or were
/// not yet when the process died.
pub(crate) fn definition_detail(scope: &WatchScope) -> serde_json::Value {
    serde_json::json!({ DEFINITION_KEY: definition_of(scope) })
}

/// Whether the last word about a scope is that it is not followed.
fn is_told_stopped(journal: &dyn Journal, scope: &WatchScope) -> Result<bool, StoreError> {
    let kinds = vec![MarkKind::WatchStarted, MarkKind::Synced, MarkKind::Stale, MarkKind::Gap, MarkKind::Stopped];
    let last = newest(journal, marks_of(scope, kinds), 1)?.into_iter().next();
    Ok(matches!(last, Some(Record::Mark(mark)) if mark.kind == MarkKind::Stopped))
}

/// Whether a definition of the type was recorded at any time, or read when a watch of it began.
fn was_defined(journal: &dyn Journal, scope: &WatchScope, name: &str) -> Result<bool, StoreError> {
    let changes = Filter {
        clusters: vec![scope.cluster.clone()],
        groups: vec![DEFINITIONS_GROUP.into()],
        resources: vec![DEFINITIONS.into()],
        names: vec![name.into()],
        ..Filter::changes()
    };
    if !newest(journal, changes, 1)?.is_empty() {
        return Ok(true);
    }
    // One that did not change for as long as changes are kept.
    let definition = ObjectId {
        cluster: scope.cluster.clone(),
        group: DEFINITIONS_GROUP.into(),
        kind: DEFINITION.into(),
        namespace: "".into(),
        name: name.into(),
        uid: "".into(),
    };
    if journal.head(&definition)?.is_some() {
        return Ok(true);
    }
    let started = newest(journal, marks_of(scope, vec![MarkKind::WatchStarted]), STARTS_READ)?;
    let names_it = |record: &Record| matches!(record, Record::Mark(mark) if mark.detail.get(DEFINITION_KEY).is_some());
    Ok(started.iter().any(names_it))
}

fn marks_of(scope: &WatchScope, mark_kinds: Vec<MarkKind>) -> Filter {
    Filter {
        clusters: vec![scope.cluster.clone()],
        groups: vec![scope.group.clone()],
        resources: vec![scope.resource.clone()],
        mark_kinds,
        ..Filter::marks()
    }
}

fn newest(journal: &dyn Journal, filter: Filter, limit: usize) -> Result<Vec<Record>, StoreError> {
    // From the oldest there is: position 1 is gone after the first day that retention took.
    let range = SeqRange { first: Seq(0), last: journal.watermark() };
    let query = ReadQuery { range, filter, after: None, order: Order::Descending, limit, detail: BodyDetail::None };
    Ok(journal.read(&query)?.records.into_iter().map(|recorded| recorded.record).collect())
}

fn remains(journal: &dyn Journal, scope: &WatchScope) -> Result<Option<Remains>, StoreError> {
    let known = journal.types()?.into_iter().find(|of| of.group == scope.group && of.resource == scope.resource);
    let Some(resource_type) = known else { return Ok(None) };
    Ok(Some(Remains { resource_type, heads: journal.heads(scope)? }))
}
