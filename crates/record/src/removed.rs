//! Types that went: when a CustomResourceDefinition is deleted while nobody looks, its objects go with it and no watch will ever tell.
//!
//! Invariant: ends are recorded only of types that are known to have been defined by a definition, and only when the API server says that
//! this very definition is not there. A type that is merely not served (an aggregated API that is down, say) keeps its objects. Of either the
//! journal says that it is not followed any more.

use std::collections::BTreeSet;

use proreus_model::{Filter, Gap, Mark, MarkKind, Order, Record, ResourceType, Seq, SeqRange, WatchScope};
use proreus_store::{BodyDetail, Checkpoint, Journal, ReadQuery, StoreError};

use crate::cluster::Shared;
use crate::cluster_api::{ApiError, ClusterApi};
use crate::discovery::Discovered;
use crate::intake;
use crate::ledger::{LedgerError, ask};
use crate::queue::Entry;

const DEFINITIONS_GROUP: &str = "apiextensions.k8s.io";
const DEFINITIONS: &str = "customresourcedefinitions";

/// A definition holds whole schemas; only whether it is there matters.
const DEFINITION_BYTES: usize = 4 * 1024 * 1024;

/// What is left of a type.
struct Remains {
    resource_type: ResourceType,
    heads: Vec<proreus_store::Head>,
    checkpoint: Checkpoint,
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
            move |journal| journal.checkpoints(&cluster)
        });
        let Ok(recorded) = recorded.await else { return };
        for checkpoint in recorded {
            let scope = checkpoint.scope.clone();
            // A definition's group always has a dot in it.
            let may_be_custom = scope.group.as_str().contains('.') && !discovered.uncertain.contains(&scope.group);
            if !may_be_custom || is_served(&scope) || self.settled.contains(&scope) {
                continue;
            }
            match end(shared, api, checkpoint).await {
                Ok(true) => {
                    self.settled.insert(scope);
                }
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }
}

/// True when there is nothing more to find out about the type.
async fn end(shared: &Shared, api: &ClusterApi, checkpoint: Checkpoint) -> Result<bool, LedgerError> {
    let scope = checkpoint.scope.clone();
    shared.queue.flush().await?;
    let known = ask(&shared.journal, {
        let scope = scope.clone();
        move |journal| Ok((is_told_stopped(journal, &scope)?, journal.heads(&scope)?.is_empty()))
    });
    let (is_told, has_no_objects) = known.await?;
    if is_told && has_no_objects {
        return Ok(true);
    }
    let name = format!("{}.{}", scope.resource, scope.group);
    let path = format!("/apis/{DEFINITIONS_GROUP}/v1/{DEFINITIONS}/{name}");
    match api.document(&path, "application/json", DEFINITION_BYTES).await {
        Err(ApiError::Answer { code: 404, .. }) => {}
        // It is there, or nobody can say: asked again at the next discovery.
        Ok(_) | Err(_) => return Ok(false),
    }
    let remains = ask(&shared.journal, {
        let scope = scope.clone();
        move |journal| if was_defined(journal, &scope, &name)? { remains(journal, checkpoint) } else { Ok(None) }
    });
    let remains = remains.await?;
    let to = shared.clock.now();
    let reason = if remains.is_some() { "its definition went while nobody looked" } else { "the cluster does not serve the type any more" };
    if let Some(remains) = remains {
        tracing::info!(group = %scope.group, resource = %scope.resource, objects = remains.heads.len(),
            "a definition went while nobody looked, its objects went with it");
        for head in &remains.heads {
            let from = remains.checkpoint.at.max(head.recorded_at).min(to);
            let change = intake::synthetic_delete(&remains.resource_type, head, Gap { from, to });
            shared.queue.push(Entry { record: Some(Record::Change(change)), ..Entry::default() }).await?;
        }
        let forgotten = Checkpoint { resource_version: None, ..remains.checkpoint };
        shared.queue.push(Entry { checkpoint: Some(forgotten), ..Entry::default() }).await?;
    }
    if !is_told {
        let (reason, detail) = (reason.to_owned(), serde_json::Value::Null);
        shared.queue.push(Entry::mark(Mark { seq: Seq(0), recorded_at: to, kind: MarkKind::Stopped, scope, reason, detail })).await?;
    }
    Ok(true)
}

/// Whether the last word about a scope is that it is not followed.
fn is_told_stopped(journal: &dyn Journal, scope: &WatchScope) -> Result<bool, StoreError> {
    let query = ReadQuery {
        range: SeqRange { first: Seq(1), last: journal.watermark() },
        filter: Filter {
            clusters: vec![scope.cluster.clone()],
            groups: vec![scope.group.clone()],
            resources: vec![scope.resource.clone()],
            mark_kinds: vec![MarkKind::WatchStarted, MarkKind::Synced, MarkKind::Stale, MarkKind::Gap, MarkKind::Stopped],
            ..Filter::marks()
        },
        after: None,
        order: Order::Descending,
        limit: 1,
        detail: BodyDetail::None,
    };
    let last = journal.read(&query)?.records.into_iter().next();
    Ok(last.is_some_and(|last| matches!(last.record, Record::Mark(mark) if mark.kind == MarkKind::Stopped)))
}

/// Whether the definition was recorded at any time.
fn was_defined(journal: &dyn Journal, scope: &WatchScope, name: &str) -> Result<bool, StoreError> {
    let query = ReadQuery {
        range: SeqRange { first: Seq(1), last: journal.watermark() },
        filter: Filter {
            clusters: vec![scope.cluster.clone()],
            groups: vec![DEFINITIONS_GROUP.into()],
            resources: vec![DEFINITIONS.into()],
            names: vec![name.into()],
            ..Filter::changes()
        },
        after: None,
        order: Order::Descending,
        limit: 1,
        detail: BodyDetail::None,
    };
    Ok(!journal.read(&query)?.records.is_empty())
}

fn remains(journal: &dyn Journal, checkpoint: Checkpoint) -> Result<Option<Remains>, StoreError> {
    let scope = &checkpoint.scope;
    let known = journal.types()?.into_iter().find(|of| of.group == scope.group && of.resource == scope.resource);
    let Some(resource_type) = known else { return Ok(None) };
    Ok(Some(Remains { resource_type, heads: journal.heads(scope)?, checkpoint }))
}
