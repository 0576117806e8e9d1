//! What is due when. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Keys by the moment at which they must be looked at again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(Timestamp, BTreeSet<K>)>",
    into = "Vec<(Timestamp, BTreeSet<K>)>",
    bound(serialize = "K: Clone + Ord + Serialize", deserialize = "K: Ord + Deserialize<'de>")
)]
pub(super) struct Agenda<K> {
    moments: BTreeMap<Timestamp, BTreeSet<K>>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self { moments: BTreeMap::new() }
    }
}

impl<K: Ord> From<Vec<(Timestamp, BTreeSet<K>)>> for Agenda<K> {
    fn from(moments: Vec<(Timestamp, BTreeSet<K>)>) -> Self {
        Self { moments: moments.into_iter().collect() }
    }
}

impl<K> From<Agenda<K>> for Vec<(Timestamp, BTreeSet<K>)> {
    fn from(agenda: Agenda<K>) -> Self {
        agenda.moments.into_iter().collect()
    }
}

impl<K: Ord> Agenda<K> {
    pub(super) fn put(&mut self, moment: Timestamp, key: K) {
        self.moments.entry(moment).or_default().insert(key);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.moments.keys().next().copied()
    }

    /// Everything that is due at the first moment, if that is not after `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, BTreeSet<K>)> {
        let first = self.next().filter(|first| *first <= now)?;
        self.moments.remove(&first).map(|keys| (first, keys))
    }
}
