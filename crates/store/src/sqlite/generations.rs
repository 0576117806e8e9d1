//! A cache bounded by weight that forgets what was not used lately.
//!
//! Two maps: what was touched since the last turn, and before it. When the young one holds half the limit it becomes the old one, and
//! the old one goes. Cheaper than exact order, and a looked-up entry always survives the next turn. Invariant: weight ≤ limit.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_weight: usize,
    half: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Generations<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_weight: 0, half: limit / 2 }
    }

    /// The value, kept for another turn.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.put(key.clone(), value.clone(), weight);
        Some(value)
    }

    /// Adds or replaces a value. One heavier than half the limit is not kept.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize) {
        self.old.remove(&key);
        if let Some((_, former)) = self.young.remove(&key) {
            self.young_weight -= former;
        }
        if weight > self.half {
            return;
        }
        if self.young_weight + weight > self.half {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
        self.young_weight += weight;
        self.young.insert(key, (value, weight));
    }

    /// Forgets a value.
    pub(super) fn remove(&mut self, key: &K) {
        self.old.remove(key);
        if let Some((_, weight)) = self.young.remove(key) {
            self.young_weight -= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_forgets_the_rest() {
        let mut cache = Generations::new(8);
        cache.put("used", 0, 1);
        for round in 0..20 {
            cache.put("other", round, 3);
            assert_eq!(cache.get(&"used"), Some(0));
            cache.put("another", round, 2);
            assert_eq!(cache.get(&"used"), Some(0));
        }
        cache.put("big", 1, 4);
        cache.put("bigger", 1, 4);
        cache.put("biggest", 1, 4);
        assert_eq!(cache.get(&"used"), None);
        cache.put("too big", 1, 5);
        assert_eq!(cache.get(&"too big"), None);
    }

    #[test]
    fn never_weighs_more_than_its_limit() {
        let mut cache = Generations::new(100);
        for key in 0..1000_u32 {
            cache.put(key % 70, key, (key % 7) as usize);
            let weight: usize = cache.young.values().chain(cache.old.values()).map(|(_, weight)| weight).sum();
            assert!(weight <= 100);
        }
    }
}
