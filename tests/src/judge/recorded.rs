//! Reads a whole journal in order: positions, what was durable at which time, and each object's records.
//!
//! Bodies are compared as they come and not kept: a large run has hundreds of megabytes of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use proreus_model::{Change, Filter, Mark, MarkKind, Order, Origin, Record, Seq, SeqRange, Verb};
use proreus_store::{BodyDetail, Journal, ReadQuery, StoreError};
use serde_json::Value;

use super::likeness;
use super::{Case, Verdict, Violation};

/// Records a page: what fits into some megabytes with bodies of a few kilobytes each.
const PAGE: usize = 1000;
/// Differences of bodies that are told one by one; one mistake makes thousands.
const DIFFERENCES_TOLD: usize = 20;

/// What a journal held when a process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The watermark that the process had reported.
    pub watermark: u64,
    /// A print of all records up to it, read after the kill; `None` where it was not read.
    pub print: Option<u64>,
}

/// One change of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) verb: Verb,
    pub(super) origin: Origin,
    pub(super) has_gap: bool,
    /// 0 when it is no number, which etcd never gives.
    pub(super) revision: u64,
}

/// All changes of one uid.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) changes: Vec<Entry>,
}

/// Whether bodies are compared.
pub(super) enum ReadBodies<'r> {
    No,
    /// With those of the lives at these places.
    Compared(&'r HashMap<&'r str, usize>),
}

/// The journal, without its bodies.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) objects: BTreeMap<String, Entries>,
    pub(super) marks: Vec<MarkSeen>,
    /// Lower-case plurals by (group, kind).
    pub(super) resources: HashMap<(String, String), String>,
}

/// A mark as far as the judge needs it.
#[derive(Clone, Debug)]
pub(super) struct MarkSeen {
    pub(super) seq: u64,
    pub(super) kind: MarkKind,
    pub(super) group: String,
    pub(super) resource: String,
    /// Revision of the list that a `synced` mark ends.
    pub(super) listed: Option<u64>,
}

impl Recorded {
    /// Reads everything and judges the sequence itself.
    pub(super) fn read(case: &Case<'_>, bodies: ReadBodies<'_>, verdict: &mut Verdict) -> Result<Self, StoreError> {
        let mut recorded = Self::default();
        let mut durable: Vec<Durable> = case.durable.to_vec();
        durable.sort_by_key(|durable| durable.watermark);
        let mut durable = durable.into_iter().peekable();
        let mut print = Print::default();
        let detail = if matches!(bodies, ReadBodies::No) { BodyDetail::None } else { BodyDetail::Body };
        let outcome = each(case.journal, case.last, detail, &mut |record| {
            let seq = record.seq().0;
            if seq != print.last + 1 {
                verdict.violations.push(Violation::PositionMissing { expected: print.last + 1, found: seq });
            }
            print.take(&record);
            while let Some(reached) = durable.next_if(|durable| durable.watermark <= seq) {
                if reached.print.is_some_and(|before| before != print.value()) {
                    verdict.violations.push(Violation::DurableChanged { watermark: reached.watermark });
                }
            }
            match record {
                // What Proreus itself did never lived in the cluster.
                Record::Change(change) if change.object.group.as_str() == "proreus.dev" => {}
                Record::Change(change) => recorded.take_change(case, &bodies, change, verdict),
                Record::Mark(mark) => {
                    verdict.marks += 1;
                    recorded.marks.push(MarkSeen::of(&mark));
                }
            }
        });
        if let Err(error) = outcome {
            verdict.violations.push(Violation::Unreadable { after: print.last, reason: error.to_string() });
        }
        if let Some(beyond) = durable.last() {
            verdict.violations.push(Violation::DurableLost { reported: beyond.watermark, end: print.last });
        }
        Ok(recorded)
    }

    fn take_change(&mut self, case: &Case<'_>, bodies: &ReadBodies<'_>, change: Change, verdict: &mut Verdict) {
        verdict.changes += 1;
        verdict.after_gaps += u64::from(matches!(change.origin, Origin::Relist | Origin::Gap));
        let entry = Entry {
            seq: change.seq.0,
            verb: change.verb,
            origin: change.origin,
            has_gap: change.gap.is_some(),
            revision: change.resource_version.as_str().parse().unwrap_or(0),
        };
        if let ReadBodies::Compared(by_uid) = bodies
            && change.verb != Verb::Delete
            && let Some(index) = by_uid.get(change.object.uid.as_str())
        {
            compare(case, *index, &change, entry, verdict);
        }
        let key = (change.object.group.to_string(), change.object.kind.to_string());
        let entries = self.objects.entry(change.object.uid.to_string()).or_insert_with(|| Entries {
            name: format!("{} {}/{}", change.object.kind, change.object.namespace, change.object.name),
            group: key.0.clone(),
            kind: key.1.clone(),
            changes: Vec::new(),
        });
        entries.changes.push(entry);
        self.resources.entry(key).or_insert_with(|| change.resource.to_string());
    }
}

/// Compares a recorded body with the version that it claims to be.
fn compare(case: &Case<'_>, life: usize, change: &Change, entry: Entry, verdict: &mut Verdict) {
    let Some(of) = case.truth.lives().get(life) else { return };
    let Some(place) = of.versions.iter().position(|version| version.revision == entry.revision) else { return };
    let stored = case.truth.body(life, place).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(stored) = stored else { return };
    let recorded = change.body.as_ref().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let at = match recorded {
        None => Some("the body itself: it is missing or no JSON".to_owned()),
        Some(recorded) if recorded.get("apiVersion") != stored.get("apiVersion") => {
            verdict.excuses.bodies_of_other_versions += 1;
            return;
        }
        Some(recorded) => likeness::difference(&recorded, &stored),
    };
    verdict.bodies += 1;
    let told = verdict.violations.iter().filter(|violation| matches!(violation, Violation::BodyDiffers { .. })).count();
    if let Some(at) = at.filter(|_| told < DIFFERENCES_TOLD) {
        verdict.violations.push(Violation::BodyDiffers { object: of.path.clone(), seq: entry.seq, revision: entry.revision, at });
    }
}

impl MarkSeen {
    fn of(mark: &Mark) -> Self {
        let listed = mark.detail.get("resourceVersion").and_then(Value::as_str).and_then(|version| version.parse().ok());
        Self {
            seq: mark.seq.0,
            kind: mark.kind,
            group: mark.scope.group.to_string(),
            resource: mark.scope.resource.to_string(),
            listed: listed.filter(|_| mark.kind == MarkKind::Synced),
        }
    }
}

/// A print of records in their order, without bodies.
#[derive(Default)]
struct Print {
    hasher: DefaultHasher,
    last: u64,
}

impl Print {
    fn take(&mut self, record: &Record) {
        self.last = record.seq().0;
        self.last.hash(&mut self.hasher);
        record.recorded_at().hash(&mut self.hasher);
        match record {
            Record::Change(change) => {
                (change.object.uid.as_str(), change.resource_version.as_str(), change.verb.as_str()).hash(&mut self.hasher);
            }
            Record::Mark(mark) => (mark.kind.as_str(), mark.reason.as_str()).hash(&mut self.hasher),
        }
    }

    fn value(&self) -> u64 {
        self.hasher.finish()
    }
}

/// What a journal holds now of what its process had reported as durable. Read it after the kill and before the next start.
///
/// # Errors
/// When the journal cannot be read.
pub fn durable_at(journal: &dyn Journal, reported: u64) -> Result<Durable, StoreError> {
    let mut print = Print::default();
    let mut is_whole = reported == 0;
    each(journal, Seq(reported), BodyDetail::None, &mut |record| {
        print.take(&record);
        is_whole |= print.last == reported;
    })?;
    // What is missing already shows when the end of the journal is judged.
    Ok(Durable { watermark: reported, print: is_whole.then(|| print.value()) })
}

/// Gives every record up to a position in order.
fn each(journal: &dyn Journal, last: Seq, detail: BodyDetail, take: &mut dyn FnMut(Record)) -> Result<(), StoreError> {
    let mut query = ReadQuery {
        range: SeqRange { first: Seq(0), last },
        filter: Filter { changes: true, ..Filter::marks() },
        after: None,
        order: Order::Ascending,
        limit: PAGE,
        detail,
    };
    loop {
        let page = journal.read(&query)?;
        query.after = page.records.last().map(|recorded| recorded.record.seq());
        page.records.into_iter().for_each(|recorded| take(recorded.record));
        if !page.more || query.after.is_none() {
            return Ok(());
        }
    }
}
