//! Turns sights of objects into records: compares with what is known, asks the journal or the server where that is not enough.
//!
//! One ledger a watch. It pushes records in the order of the sights and never writes a delete that nobody witnessed: an end is told by the
//! watch, or by the absence in a whole list, confirmed by a question where the list did not show everything.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Clock, Gap, Mark, MarkKind, ObjectId, Origin, Record, ResourceVersion, Seq, Uid, Verb};
use proreus_store::{Checkpoint, Head, Journal, StoreError};

use crate::authorship::Touched;
use crate::board::WatchCell;
use crate::cluster_api::{self, ApiError, ClusterApi};
use crate::intake::{Circumstance, Intake, Observed, Refusal};
use crate::json::{self, MAX_DEPTH, Node};
use crate::known::{Ending, Known, Seen, Sight, Slot, Verdict};
use crate::queue::{Closed, Entry, Queue};
use crate::removed;
use crate::selection::Chosen;

/// A refusal is marked at once, further ones at most this often, with their count.
const REFUSED_MARK_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Metadata of one object.
const METADATA_BYTES: usize = 4 * 1024 * 1024;

const ACCEPT_METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Why a watch cannot go on.
#[derive(Debug)]
pub(crate) enum LedgerError {
    /// Nothing can be recorded any more.
    Closed,
    /// The journal does not answer.
    Journal(String),
}

impl From<Closed> for LedgerError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// What is known of an object that a list did not show.
enum Presence {
    Gone,
    Alive,
    Unclear(String),
}

/// The records of one watch.
pub(crate) struct Ledger {
    pub(crate) intake: Intake,
    pub(crate) chosen: Chosen,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cell: Arc<WatchCell>,
    pub(crate) api: ClusterApi,
    is_custom: bool,
    known: Known,
    /// Something of this scope was recorded as complete before: what a list shows anew was created while nobody looked.
    was_synced: bool,
    /// Last moment at which nothing was missing.
    certain_at: Option<Timestamp>,
    /// The listing at hand had objects that could not be identified.
    is_listing_blurred: bool,
    refused: u64,
    first_refusal: Option<String>,
    refusal_marked_at: Option<Timestamp>,
    /// Records that wait for the position that goes with them.
    held: Vec<Entry>,
}

/// Everything a ledger is made of.
#[derive(Clone)]
pub(crate) struct LedgerParts {
    pub(crate) intake: Intake,
    pub(crate) chosen: Chosen,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cell: Arc<WatchCell>,
    pub(crate) api: ClusterApi,
    /// The type comes from a definition in the cluster.
    pub(crate) is_custom: bool,
}

/// Runs a question to the journal on a thread that may block.
pub(crate) async fn ask<T: Send + 'static>(
    journal: &Arc<dyn Journal>,
    question: impl FnOnce(&dyn Journal) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, LedgerError> {
    let journal = journal.clone();
    let answer = tokio::task::spawn_blocking(move || question(&*journal)).await;
    answer.map_err(|error| LedgerError::Journal(error.to_string()))?.map_err(|error| LedgerError::Journal(error.to_string()))
}

impl Ledger {
    /// Reads what an earlier process recorded. Gives the position to resume after, if there is one.
    pub(crate) async fn open(parts: LedgerParts) -> Result<(Self, Option<ResourceVersion>), LedgerError> {
        // A former watch of this scope may have left records on their way.
        parts.queue.flush().await?;
        let scope = parts.intake.scope();
        let found = ask(&parts.journal, {
            let scope = scope.clone();
            move |journal| {
                let checkpoint = journal.checkpoints(&scope.cluster)?.into_iter().find(|checkpoint| checkpoint.scope == scope);
                let was_synced = checkpoint.is_some() || has_synced_mark(journal, &scope)?;
                Ok((journal.heads(&scope)?, checkpoint, was_synced))
            }
        });
        let (heads, checkpoint, was_synced) = found.await?;
        let mut known = Known::new(parts.intake.drops_noise());
        for head in heads.iter().filter(|head| parts.chosen.namespaces.admits(&head.object.namespace)) {
            known.remember(slot_of(head), &head.object.uid, &head.resource_version);
        }
        let LedgerParts { intake, chosen, journal, queue, clock, cell, api, is_custom } = parts;
        let ledger = Self {
            intake,
            chosen,
            journal,
            queue,
            clock,
            cell,
            api,
            is_custom,
            known,
            was_synced,
            certain_at: checkpoint.as_ref().map(|checkpoint| checkpoint.at),
            is_listing_blurred: false,
            refused: 0,
            first_refusal: None,
            refusal_marked_at: None,
            held: Vec::new(),
        };
        Ok((ledger, checkpoint.and_then(|checkpoint| checkpoint.resource_version)))
    }

    /// A listing begins anew.
    pub(crate) fn begin_listing(&mut self) {
        self.known.begin_listing();
        self.is_listing_blurred = false;
    }

    /// Takes in an object of a list or of a watch.
    pub(crate) async fn see(&mut self, sight: Sight, observed: Result<Observed, Refusal>) -> Result<(), LedgerError> {
        let observed = match observed {
            Ok(observed) => observed,
            Err(refusal) => return self.refuse(&refusal.to_string()).await,
        };
        if !self.chosen.namespaces.admits(&observed.metadata.namespace) {
            return Ok(());
        }
        loop {
            let seen = Seen {
                slot: observed.slot,
                uid: &observed.metadata.uid,
                version: &observed.metadata.resource_version,
                print: observed.print,
            };
            match self.known.see(&seen) {
                Verdict::Recorded => self.cell.count(|counters| counters.repeated += 1),
                Verdict::Noise => self.cell.count(|counters| counters.noise += 1),
                Verdict::New => self.create(sight, &observed).await,
                Verdict::Changed { had_left, touched } => self.update(sight, had_left, touched, &observed).await?,
                Verdict::NeedsContent => {
                    self.learn(&observed).await?;
                    continue;
                }
                Verdict::Replaced => {
                    self.end_former(&observed).await?;
                    continue;
                }
            }
            return self.release_while_listing(sight).await;
        }
    }

    /// Takes in the end of an object, told by a watch.
    pub(crate) async fn end(&mut self, observed: Result<Observed, Refusal>) -> Result<(), LedgerError> {
        let observed = match observed {
            Ok(observed) => observed,
            Err(refusal) => return self.refuse(&refusal.to_string()).await,
        };
        let slot = observed.slot;
        if self.intake.is_event() {
            // The server lets Events expire; that says nothing of what they told.
            self.known.forget(slot);
            self.cell.count(|counters| counters.noise += 1);
            return Ok(());
        }
        if !self.chosen.namespaces.admits(&observed.metadata.namespace) {
            return Ok(());
        }
        if self.known.ending(slot, &observed.metadata.uid) == Ending::Past {
            self.cell.count(|counters| counters.repeated += 1);
            return Ok(());
        }
        if self.chosen.label_selector.is_some() {
            // The same event is sent when the labels stop matching.
            match self.presence(&self.intake.object_id(&observed)).await {
                Presence::Gone => {}
                Presence::Alive => {
                    self.known.leave(slot);
                    return Ok(());
                }
                Presence::Unclear(reason) => {
                    self.known.leave(slot);
                    return self.mark(MarkKind::Gap, format!("an object left the selection and may be gone: {reason}")).await;
                }
            }
        }
        self.known.forget(slot);
        let how = Circumstance { verb: Verb::Delete, origin: Origin::Watch, gap: None, touched: Touched::Unknown, at: self.clock.now() };
        self.hold(&observed, how);
        Ok(())
    }

    /// Everything up to a version was taken in: what is held goes out with that position.
    pub(crate) async fn advance(&mut self, version: ResourceVersion) -> Result<(), LedgerError> {
        let at = self.clock.now();
        self.certain_at = Some(at);
        let objects = self.known.len() as u64;
        self.cell.update(|status| {
            status.seen_version = Some(version.clone());
            status.heard_at = Some(at);
            status.objects = objects;
        });
        let checkpoint = Checkpoint { scope: self.intake.scope(), resource_version: Some(version.clone()), at };
        let mut held = std::mem::take(&mut self.held);
        let mut last = held.pop().unwrap_or_default();
        last.checkpoint = Some(checkpoint);
        last.reached = Some(version);
        last.cell = Some(self.cell.clone());
        for entry in held {
            self.queue.push(entry).await?;
        }
        self.queue.push(last).await?;
        Ok(())
    }

    /// Nothing is missing as of now.
    pub(crate) fn is_certain(&mut self) {
        self.certain_at = Some(self.clock.now());
    }

    /// Forgets the durable position.
    pub(crate) async fn forget_checkpoint(&mut self) -> Result<(), LedgerError> {
        // The time stays that of the last certainty: a restart in the middle of the list still knows where the gap begins.
        let Some(at) = self.certain_at else { return Ok(()) };
        let checkpoint = Checkpoint { scope: self.intake.scope(), resource_version: None, at };
        Ok(self.queue.push(Entry { checkpoint: Some(checkpoint), ..Entry::default() }).await?)
    }

    /// The listing is complete as of `version`: what it did not show is gone; the scope is synced.
    pub(crate) async fn end_listing(&mut self, version: ResourceVersion) -> Result<(), LedgerError> {
        self.release().await?;
        let absent = self.known.absent();
        if self.intake.is_event() {
            absent.into_iter().for_each(|slot| self.known.forget(slot));
        } else if !absent.is_empty() {
            self.queue.flush().await?;
            let scope = self.intake.scope();
            let heads = ask(&self.journal, move |journal| journal.heads(&scope)).await?;
            for head in heads.into_iter().filter(|head| absent.contains(&slot_of(head))) {
                self.end_absent(&head).await?;
            }
        }
        self.mark_refusals(true).await?;
        let objects = self.known.len();
        let mark = self.new_mark(
            MarkKind::Synced,
            "listed".to_owned(),
            serde_json::json!({ "objects": objects, "resourceVersion": version.as_str() }),
        );
        self.held.push(Entry::mark(mark));
        self.was_synced = true;
        self.advance(version).await
    }

    /// Records a mark about this scope.
    pub(crate) async fn mark(&mut self, kind: MarkKind, reason: String) -> Result<(), LedgerError> {
        let detail = match kind {
            MarkKind::WatchStarted if self.is_custom => removed::definition_detail(&self.intake.scope()),
            _ => serde_json::Value::Null,
        };
        let mark = self.new_mark(kind, reason, detail);
        Ok(self.queue.push(Entry::mark(mark)).await?)
    }

    /// Counts what could not be recorded, and marks it now and then.
    pub(crate) async fn refuse(&mut self, reason: &str) -> Result<(), LedgerError> {
        tracing::warn!(scope = ?self.intake.scope(), reason, "an object cannot be recorded");
        self.is_listing_blurred = true;
        self.refused += 1;
        self.first_refusal.get_or_insert_with(|| reason.to_owned());
        self.cell.count(|counters| counters.refused += 1);
        self.mark_refusals(false).await
    }

    /// Marks refusals that were not marked yet; `now` even if the last mark is young.
    pub(crate) async fn mark_refusals(&mut self, now: bool) -> Result<(), LedgerError> {
        let at = self.clock.now();
        let is_due = now || self.refusal_marked_at.is_none_or(|last| at.duration_since(last) >= REFUSED_MARK_INTERVAL);
        if self.refused == 0 || !is_due {
            return Ok(());
        }
        let count = std::mem::take(&mut self.refused);
        let reason = self.first_refusal.take().unwrap_or_default();
        self.refusal_marked_at = Some(at);
        let mark = self.new_mark(
            MarkKind::Refused,
            format!("{count} could not be recorded, the first because {reason}"),
            serde_json::json!({ "count": count, "firstReason": reason }),
        );
        Ok(self.queue.push(Entry::mark(mark)).await?)
    }

    /// Sends out what is held without a position.
    pub(crate) async fn release(&mut self) -> Result<(), LedgerError> {
        for entry in std::mem::take(&mut self.held) {
            self.queue.push(entry).await?;
        }
        Ok(())
    }

    async fn release_while_listing(&mut self, sight: Sight) -> Result<(), LedgerError> {
        match sight {
            Sight::Listed => self.release().await,
            Sight::Watched => Ok(()),
        }
    }

    fn hold(&mut self, observed: &Observed, how: Circumstance) {
        self.cell.count(|counters| counters.recorded += 1);
        let arrived_at = (how.origin == Origin::Watch).then(Instant::now);
        let change = self.intake.change(observed, how);
        self.held.push(Entry {
            record: Some(Record::Change(change)),
            slot: Some(observed.slot),
            arrived_at,
            cell: Some(self.cell.clone()),
            ..Entry::default()
        });
    }

    async fn create(&mut self, sight: Sight, observed: &Observed) {
        let at = self.clock.now();
        let (origin, gap) = match sight {
            Sight::Watched => (Origin::Watch, None),
            Sight::Listed if self.was_synced => (Origin::Relist, self.certain_at.map(|from| Gap { from: from.min(at), to: at })),
            Sight::Listed => (Origin::Snapshot, None),
        };
        self.hold(observed, Circumstance { verb: Verb::Create, origin, gap, touched: Touched::AllButStatus, at });
    }

    async fn update(&mut self, sight: Sight, had_left: bool, touched: Touched, observed: &Observed) -> Result<(), LedgerError> {
        let at = self.clock.now();
        let (origin, gap) = match sight {
            Sight::Watched if !had_left => (Origin::Watch, None),
            Sight::Watched | Sight::Listed => (Origin::Relist, Some(self.gap_of(self.intake.object_id(observed), had_left, at).await?)),
        };
        if gap.is_some() {
            self.cell.count(|counters| counters.gaps += 1);
        }
        self.hold(observed, Circumstance { verb: Verb::Update, origin, gap, touched, at });
        Ok(())
    }

    /// The time in which versions of an object may be missing.
    async fn gap_of(&mut self, object: ObjectId, had_left: bool, to: Timestamp) -> Result<Gap, LedgerError> {
        if let Some(from) = self.certain_at.filter(|_| !had_left) {
            return Ok(Gap { from: from.min(to), to });
        }
        self.queue.flush().await?;
        let head = ask(&self.journal, move |journal| journal.head(&object)).await?;
        Ok(Gap { from: head.map_or(to, |head| head.recorded_at.min(to)), to })
    }

    async fn learn(&mut self, observed: &Observed) -> Result<(), LedgerError> {
        let object = self.intake.object_id(observed);
        let recorded = ask(&self.journal, move |journal| journal.state(&object, journal.watermark())).await?;
        let print = recorded.and_then(|change| change.body).and_then(|body| self.intake.print_of_recorded(&body));
        self.known.learn(observed.slot, print);
        Ok(())
    }

    /// Another object lives under a name: records the end of the one before.
    async fn end_former(&mut self, observed: &Observed) -> Result<(), LedgerError> {
        self.release().await?;
        self.queue.flush().await?;
        let mut object = self.intake.object_id(observed);
        object.uid = Uid::default();
        let head = ask(&self.journal, move |journal| journal.head(&object)).await?;
        if let Some(head) = head.filter(|head| head.object.uid != observed.metadata.uid && !self.intake.is_event()) {
            self.hold_synthetic_delete(&head);
        }
        Ok(())
    }

    fn hold_synthetic_delete(&mut self, head: &Head) {
        let to = self.clock.now();
        let from = self.certain_at.unwrap_or(head.recorded_at).max(head.recorded_at).min(to);
        self.cell.count(|counters| {
            counters.recorded += 1;
            counters.gaps += 1;
        });
        let change = self.intake.synthetic_delete(head, Gap { from, to });
        self.held.push(Entry { record: Some(Record::Change(change)), slot: Some(slot_of(head)), ..Entry::default() });
    }

    /// Judges an object that a whole list did not show.
    async fn end_absent(&mut self, head: &Head) -> Result<(), LedgerError> {
        let slot = slot_of(head);
        let presence = if self.chosen.label_selector.is_some() || self.is_listing_blurred {
            self.presence(&head.object).await
        } else {
            Presence::Gone
        };
        match presence {
            Presence::Gone => {
                self.known.forget(slot);
                self.hold_synthetic_delete(head);
                self.release().await
            }
            Presence::Alive => {
                self.known.leave(slot);
                Ok(())
            }
            Presence::Unclear(reason) => {
                self.known.leave(slot);
                self.mark(MarkKind::Gap, format!("an object was not in the list and may be gone: {reason}")).await
            }
        }
    }

    /// Asks the server whether this very object lives.
    async fn presence(&self, object: &ObjectId) -> Presence {
        let path = cluster_api::named(&self.chosen.resource_type, object);
        match self.api.document(&path, ACCEPT_METADATA, METADATA_BYTES).await {
            Ok(document) => match json::parse(&document, MAX_DEPTH) {
                Ok(found) => match found.get("items") {
                    Some(Node::List(items)) if items.iter().any(|item| item.text_at(&["metadata", "uid"]) == Some(object.uid.as_str())) => {
                        Presence::Alive
                    }
                    Some(Node::List(_)) => Presence::Gone,
                    _ => Presence::Unclear("the answer is no list".to_owned()),
                },
                Err(error) => Presence::Unclear(error.to_string()),
            },
            // The type itself is gone, and so is everything of it.
            Err(ApiError::Answer { code: 404, .. }) => Presence::Gone,
            Err(error) => Presence::Unclear(error.to_string()),
        }
    }

    fn new_mark(&self, kind: MarkKind, reason: String, detail: serde_json::Value) -> Mark {
        Mark { seq: Seq(0), recorded_at: self.clock.now(), kind, scope: self.intake.scope(), reason, detail }
    }
}

fn slot_of(head: &Head) -> Slot {
    Slot::of(&head.object.namespace, &head.object.name)
}

fn has_synced_mark(journal: &dyn Journal, scope: &proreus_model::WatchScope) -> Result<bool, StoreError> {
    let query = proreus_store::ReadQuery {
        range: proreus_model::SeqRange { first: Seq(0), last: journal.watermark() },
        filter: proreus_model::Filter {
            clusters: vec![scope.cluster.clone()],
            groups: vec![scope.group.clone()],
            resources: vec![scope.resource.clone()],
            mark_kinds: vec![MarkKind::Synced],
            ..proreus_model::Filter::marks()
        },
        after: None,
        order: proreus_model::Order::Descending,
        limit: 1,
        detail: proreus_store::BodyDetail::None,
    };
    Ok(!journal.read(&query)?.records.is_empty())
}
