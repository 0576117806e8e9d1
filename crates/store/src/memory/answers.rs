//! The questions that a journal answers, each as a plain walk over what is held.
//!
//! No index, no cache, no cleverness: what stands here is what an engine's answer must equal.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use proreus_model::{Change, ClusterId, Filter, ObjectId, Order, Record, Recorded, ResourceType, Seq, SeqRange, Verb, WatchScope};

use super::matching::{matches_object, matches_record};
use super::{Held, day_of, is_event};
use crate::journal::{BodyDetail, Head, ObjectsPage, Page, ReadQuery, SegmentState, SegmentSummary, StoreError};

impl Held {
    pub(super) fn read(&self, query: &ReadQuery) -> Result<Page, StoreError> {
        let mut page = Page { watermark: self.watermark, ..Page::default() };
        let Some(range) = query.positions(self.oldest())? else { return Ok(page) };
        let within = self.records.range(range.first..=range.last).map(|(_, record)| record);
        let ordered: Box<dyn Iterator<Item = &Record>> = match query.order {
            Order::Ascending => Box::new(within),
            Order::Descending => Box::new(within.rev()),
        };
        let mut matching = ordered.filter(|record| matches_record(&query.filter, record));
        let limit = query.limit.max(1);
        page.records = matching.by_ref().take(limit).map(|record| self.recorded(record, query.detail)).collect();
        page.more = matching.next().is_some();
        Ok(page)
    }

    fn recorded(&self, record: &Record, detail: BodyDetail) -> Recorded {
        let mut record = record.clone();
        let mut previous = None;
        if let Record::Change(change) = &mut record {
            if detail == BodyDetail::None {
                change.body = None;
            }
            if detail == BodyDetail::BodyAndPrevious {
                let before = self.last_change(&change.object, Seq(change.seq.0.saturating_sub(1)));
                previous = before.and_then(|before| before.body.clone());
            }
        }
        Recorded { record, previous }
    }

    pub(super) fn state(&self, object: &ObjectId, at: Seq) -> Result<Option<Change>, StoreError> {
        self.refuse_gone(at)?;
        if !object.uid.is_empty() {
            return Ok(self.last_change(object, at).cloned());
        }
        let changes = self.known_objects().filter(|known| same_name(known, object)).filter_map(|known| self.last_change(known, at));
        Ok(newest_incarnation(changes).cloned())
    }

    pub(super) fn objects(
        &self,
        at: Seq,
        filter: &Filter,
        after: Option<&ObjectId>,
        limit: usize,
        detail: BodyDetail,
    ) -> Result<ObjectsPage, StoreError> {
        self.refuse_gone(at)?;
        let today = self.records.range(..=at).next_back().map(|(_, record)| day_of(record.recorded_at()));
        let mut alive = self
            .known_objects()
            .filter(|object| after.is_none_or(|after| *object > after))
            .filter_map(|object| self.last_change(object, at))
            .filter(|change| change.verb != Verb::Delete && matches_object(filter, change))
            .filter(|change| !is_event(&change.object) || Some(day_of(change.recorded_at)) == today);
        let objects = alive
            .by_ref()
            .take(limit.max(1))
            .map(|change| {
                let mut change = change.clone();
                if detail == BodyDetail::None {
                    change.body = None;
                }
                change
            })
            .collect();
        Ok(ObjectsPage { objects, more: alive.next().is_some() })
    }

    pub(super) fn heads(&self, scope: &WatchScope) -> Vec<Head> {
        self.known_objects()
            .filter_map(|object| self.last_change(object, self.watermark))
            .filter(|change| self.is_head(change) && within_scope(change, scope))
            .map(head_of)
            .collect()
    }

    pub(super) fn head(&self, object: &ObjectId) -> Option<Head> {
        let last = |object| self.last_change(object, self.watermark);
        let change = if object.uid.is_empty() {
            newest_incarnation(self.known_objects().filter(|known| same_name(known, object)).filter_map(last))
        } else {
            last(object)
        };
        change.filter(|change| self.is_head(change)).map(head_of)
    }

    /// Clusters of which a change or a living object is kept, by their oldest one.
    pub(super) fn clusters(&self) -> Vec<ClusterId> {
        let mut found = Vec::new();
        for change in self.kept_changes() {
            if !found.contains(&change.object.cluster) {
                found.push(change.object.cluster.clone());
            }
        }
        found
    }

    /// Resource types of which anything is kept, in order, each with the version seen last.
    pub(super) fn types(&self) -> Vec<ResourceType> {
        let mut found = BTreeMap::new();
        for change in self.kept_changes() {
            let key = (change.object.group.clone(), change.object.kind.clone(), change.resource.clone());
            let namespaced = !change.object.namespace.is_empty();
            found.insert(key, (change.version.clone(), namespaced));
        }
        let types = found.into_iter();
        types.map(|((group, kind, resource), (version, namespaced))| ResourceType { group, version, kind, resource, namespaced }).collect()
    }

    fn kept_changes(&self) -> impl Iterator<Item = &Change> {
        let recorded = self.records.values().filter_map(|record| match record {
            Record::Change(change) => Some(change),
            Record::Mark(_) => None,
        });
        let mut base: Vec<&Change> = self.base.values().collect();
        base.sort_by_key(|change| change.seq);
        base.into_iter().chain(recorded)
    }

    /// Alive, and for Events recorded today or yesterday, where today is the day of the last record.
    fn is_head(&self, change: &Change) -> bool {
        let yesterday = self.last_recorded_at.and_then(|last| day_of(last).yesterday().ok()).unwrap_or(Date::MIN);
        change.verb != Verb::Delete && (!is_event(&change.object) || day_of(change.recorded_at) >= yesterday)
    }

    /// States of positions that retention took cannot be told any more; the one just before the oldest record is what the base holds.
    fn refuse_gone(&self, at: Seq) -> Result<(), StoreError> {
        match self.oldest() {
            Some(oldest) if at.0.saturating_add(1) < oldest.seq.0 => Err(StoreError::Gone { asked: at.0, oldest }),
            _ => Ok(()),
        }
    }
}

/// A living incarnation wins over a deleted one (a relist may write the old one's delete after the new one's create); among equals, the
/// one that changed last.
fn newest_incarnation<'a>(changes: impl Iterator<Item = &'a Change>) -> Option<&'a Change> {
    changes.max_by_key(|change| (change.verb != Verb::Delete, change.seq))
}

fn same_name(left: &ObjectId, right: &ObjectId) -> bool {
    left.cluster == right.cluster
        && left.group == right.group
        && left.kind == right.kind
        && left.namespace == right.namespace
        && left.name == right.name
}

/// Whether the change is of the scope: an empty resource stands for the whole cluster, an empty cluster for the whole journal.
fn within_scope(change: &Change, scope: &WatchScope) -> bool {
    (scope.cluster.is_empty() || scope.cluster == change.object.cluster)
        && (scope.resource.is_empty() || (scope.group == change.object.group && scope.resource == change.resource))
}

fn head_of(change: &Change) -> Head {
    Head {
        object: change.object.clone(),
        resource_version: change.resource_version.clone(),
        seq: change.seq,
        recorded_at: change.recorded_at,
    }
}

/// Figures of each day; every one is told as closed.
pub(super) fn segments<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<SegmentSummary> {
    let mut days: Vec<(SegmentSummary, BTreeSet<&ObjectId>)> = Vec::new();
    for record in records {
        let day = day_of(record.recorded_at()).to_string();
        if days.last().is_none_or(|(last, _)| last.day != day) {
            days.push((empty_segment(day, record), BTreeSet::new()));
        }
        let Some((summary, objects)) = days.last_mut() else { continue };
        if let Some((range, times)) = summary.range.as_mut().zip(summary.times.as_mut()) {
            (range.last, times.1) = (record.seq(), record.recorded_at());
        }
        if let Record::Change(change) = record {
            let bytes = change.body.as_ref().map_or(0, |body| body.len() as u64);
            objects.insert(&change.object);
            summary.changes += 1;
            summary.objects = objects.len() as u64;
            summary.raw_bytes += bytes;
            summary.stored_bytes += bytes;
        }
    }
    days.into_iter().map(|(summary, _)| summary).collect()
}

fn empty_segment(day: String, first: &Record) -> SegmentSummary {
    SegmentSummary {
        day,
        state: SegmentState::Closed,
        changes: 0,
        objects: 0,
        raw_bytes: 0,
        stored_bytes: 0,
        range: Some(SeqRange { first: first.seq(), last: first.seq() }),
        times: Some((first.recorded_at(), first.recorded_at())),
    }
}
