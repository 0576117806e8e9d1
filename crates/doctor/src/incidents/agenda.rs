//! What is due when. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Keys by the moment at which they must be looked at again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "Vec<(Timestamp, BTreeSet<K>)>",
    into = "Vec<(Timestamp, BTreeSet<K>)>",
    bound(serialize = "K: Clone + Ord + Serialize", deserialize = "K: Ord + Deserialize<'de>")
)]
pub(super) struct Agenda<K: Ord> {
    /// One set: most moments have one key.
    dues: BTreeSet<(Timestamp, K)>,
}

impl<K: Ord> Default for Agenda<K> {
    fn default() -> Self {
        Self { dues: BTreeSet::new() }
    }
}

impl<K: Ord> From<Vec<(Timestamp, BTreeSet<K>)>> for Agenda<K> {
    fn from(moments: Vec<(Timestamp, BTreeSet<K>)>) -> Self {
        Self { dues: moments.into_iter().flat_map(|(moment, keys)| keys.into_iter().map(move |key| (moment, key))).collect() }
    }
}

impl<K: Ord> From<Agenda<K>> for Vec<(Timestamp, BTreeSet<K>)> {
    fn from(mut agenda: Agenda<K>) -> Self {
        std::iter::from_fn(|| agenda.pop(Timestamp::MAX)).collect()
    }
}

impl<K: Ord> Agenda<K> {
    pub(super) fn put(&mut self, moment: Timestamp, key: K) {
        self.dues.insert((moment, key));
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.dues.first().map(|(moment, _)| *moment)
    }

    /// Everything that is due at the first moment, if that is not after `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, BTreeSet<K>)> {
        let first = self.next().filter(|first| *first <= now)?;
        let mut keys = BTreeSet::new();
        while self.next() == Some(first) {
            keys.extend(self.dues.pop_first().map(|(_, key)| key));
        }
        Some((first, keys))
    }
}
