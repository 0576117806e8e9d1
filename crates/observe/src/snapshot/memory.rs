//! What a snapshot knows beyond the present state of the objects: a snapshot is its memory and the objects that are alive.
//!
//! Pure. Whoever keeps a snapshot over a restart keeps its memory and takes the objects from the journal. Invariant: a restored snapshot
//! equals the one that was kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_model::{Change, Group, Kind, Record, Resource, Seq, Uid, Verb};
use serde::{Deserialize, Serialize};

use super::freshness::Watching;
use super::trail::{self, Trail};
use super::{EVENTS_KEPT, Observed, Snapshot};
use crate::kept_list::KeptList;

/// What is kept of a snapshot over a restart; of one that is there, its objects are only lent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotMemory<'a> {
    seq: Seq,
    time: Option<Timestamp>,
    past_start: Option<Timestamp>,
    watching: Watching,
    kinds: Vec<(Group, Kind, Resource)>,
    objects: KeptList<'a, Remembered>,
}

/// What is remembered of one object, where its last change alone would tell otherwise.
#[derive(Serialize, Deserialize)]
struct Remembered {
    #[serde(rename = "u")]
    uid: Uid,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    trail: Option<Trail>,
}

impl SnapshotMemory<'_> {
    /// The position up to which the snapshot had taken records in.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Events that changed before this moment are forgotten.
    pub fn events_from(&self) -> Timestamp {
        self.time.and_then(|time| time.checked_sub(EVENTS_KEPT).ok()).unwrap_or(Timestamp::MIN)
    }
}

impl Snapshot {
    /// What is to be kept to restore this snapshot.
    pub fn memory(&self) -> SnapshotMemory<'_> {
        SnapshotMemory {
            seq: self.seq,
            time: self.time,
            past_start: self.past_start,
            watching: self.watching.clone(),
            kinds: self.kinds.iter().map(|((group, kind), resource)| (group.clone(), kind.clone(), resource.clone())).collect(),
            objects: KeptList::lent(|| self.objects.values().filter_map(|observed| self.remembered(observed))),
        }
    }

    /// What the object itself would not tell; nothing where it tells everything.
    fn remembered(&self, observed: &Observed) -> Option<Remembered> {
        let uid = &observed.id.uid;
        let first_seen = (observed.first_seen != observed.recorded_at).then_some(observed.first_seen);
        let trail = self.trails.get(uid).filter(|trail| **trail != trail::at_first_sight(observed));
        let is_plain = first_seen.is_none() && trail.is_none();
        (!is_plain).then(|| Remembered { uid: uid.clone(), first_seen, trail: trail.cloned() })
    }
}

/// A snapshot on its way back: first the Events of its last while in their order, then every object that was alive.
pub struct Restoring {
    view: Snapshot,
    memory: SnapshotMemory<'static>,
    remembered: BTreeMap<Uid, (Option<Timestamp>, Option<Trail>)>,
}

impl Restoring {
    /// Begins with what was kept.
    pub fn new(mut memory: SnapshotMemory<'static>) -> Self {
        let remembered = std::mem::replace(&mut memory.objects, KeptList::Read(Vec::new()));
        Self {
            view: Snapshot::default(),
            memory,
            remembered: remembered.into_elements().into_iter().map(|one| (one.uid, (one.first_seen, one.trail))).collect(),
        }
    }

    /// Takes in an object as it was; an Event that went in between as its deletion.
    pub fn take(&mut self, change: &Change) {
        let is_old_event = super::is_event(&change.object) && change.recorded_at < self.memory.events_from();
        if is_old_event && change.verb != Verb::Delete {
            return;
        }
        // Events that the last day's objects hold as well were taken in before.
        if self.view.get(&change.object).is_some_and(|known| known.seq >= change.seq) {
            return;
        }
        self.view.apply(&Record::Change(change.clone()));
    }

    /// The snapshot as it was.
    pub fn finish(mut self) -> Snapshot {
        self.view.remember(&mut self.remembered);
        let memory = self.memory;
        Snapshot {
            seq: memory.seq,
            time: memory.time,
            past_start: memory.past_start,
            watching: memory.watching,
            kinds: memory.kinds.into_iter().map(|(group, kind, resource)| ((group, kind), resource)).collect(),
            ..self.view
        }
    }
}
