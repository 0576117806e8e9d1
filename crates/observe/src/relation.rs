//! Which keys belong to which others.
//!
//! Pure. One ordered set of pairs: a set for each key would take a kilobyte for the one entry that most keys have.

use std::collections::BTreeSet;

/// Pairs, by their first.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation<K, V> {
    /// The second is always there; nothing comes before it, which is where a key's pairs begin.
    pairs: BTreeSet<(K, Option<V>)>,
}

impl<K, V> Default for Relation<K, V> {
    fn default() -> Self {
        Self { pairs: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Relation<K, V> {
    /// Adds a pair.
    pub fn put(&mut self, key: K, value: V) {
        self.pairs.insert((key, Some(value)));
    }

    /// Takes a pair away; says whether it was there.
    pub fn take(&mut self, key: &K, value: &V) -> bool {
        self.pairs.remove(&(key.clone(), Some(value.clone())))
    }

    /// What belongs to a key, in order.
    pub fn of<'a, 'k>(&'a self, key: &'k K) -> impl Iterator<Item = &'a V> + use<'a, 'k, K, V> {
        self.pairs.range((key.clone(), None)..).take_while(move |(of, _)| of == key).filter_map(|(_, value)| value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_pairs_of_each_key_apart() {
        let mut of = Relation::default();
        for (key, value) in [("a", 2), ("b", 1), ("a", 1), ("a", 2)] {
            of.put(key, value);
        }
        let all = |of: &Relation<&'static str, i32>, key: &'static str| of.of(&key).copied().collect::<Vec<_>>();
        assert_eq!((all(&of, "a"), all(&of, "b"), all(&of, "c")), (vec![1, 2], vec![1], vec![]));
        assert!(of.take(&"a", &1) && !of.take(&"a", &1) && of.take(&"a", &2) && of.take(&"b", &1));
        assert!(of.pairs.is_empty());
    }
}
