//! What is due when. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// Keys by the moment at which they must be looked at again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Vec<(Timestamp, BTreeSet<K>)>", bound(deserialize = "K: Ord + Deserialize<'de>"))]
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

impl<K: Ord + Serialize> Serialize for Agenda<K> {
    /// As moments, each with its keys.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut moments: Vec<(Timestamp, Vec<&K>)> = Vec::new();
        for (moment, key) in &self.dues {
            match moments.last_mut() {
                Some((last, keys)) if last == moment => keys.push(key),
                _ => moments.push((*moment, vec![key])),
            }
        }
        serializer.collect_seq(moments)
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
