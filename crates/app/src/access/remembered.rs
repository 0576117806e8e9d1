//! Answers that are good for a moment, by key; one question at a time for each key.
//!
//! Bounded: the stalest go first. Invariant: an answer is never given after its time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is known under a key, and when it was asked; whoever holds the lock is the one who asks.
pub(super) type Slot<V> = Arc<tokio::sync::Mutex<Option<(Instant, V)>>>;

/// Answers by key.
pub(super) struct Remembered<K, V> {
    slots: Mutex<HashMap<K, (Instant, Slot<V>)>>,
    good_for: Duration,
    most: usize,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    pub(super) fn new(good_for: Duration, most: usize) -> Self {
        Self { slots: Mutex::new(HashMap::new()), good_for, most }
    }

    /// Whether an answer of then is still good.
    pub(super) fn is_good(&self, asked: Instant) -> bool {
        asked.elapsed() < self.good_for
    }

    /// The place of a key, made if need be.
    pub(super) fn slot(&self, key: &K) -> Slot<V> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((used, slot)) = slots.get_mut(key) {
            *used = now;
            return slot.clone();
        }
        if slots.len() >= self.most {
            slots.retain(|_, (used, _)| now.duration_since(*used) < self.good_for);
            // Still full: many keys at once. The one that was not used for longest makes room.
            if slots.len() >= self.most
                && let Some(stalest) = slots.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
            {
                slots.remove(&stalest);
            }
        }
        let slot = Slot::default();
        slots.insert(key.clone(), (now, slot.clone()));
        slot
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn holds_no_more_than_it_may_and_drops_the_stalest() {
        let answers: Remembered<u32, u32> = Remembered::new(Duration::from_secs(10), 2);
        *answers.slot(&1).lock().await = Some((Instant::now(), 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        *answers.slot(&2).lock().await = Some((Instant::now(), 2));
        tokio::time::advance(Duration::from_secs(1)).await;
        answers.slot(&3);
        assert_eq!(answers.len(), 2);
        assert!(answers.slot(&2).lock().await.is_some(), "the younger one stayed");
        assert!(answers.slot(&1).lock().await.is_none(), "the stalest went");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_its_time_only() {
        let answers: Remembered<u32, u32> = Remembered::new(Duration::from_secs(10), 2);
        let asked = Instant::now();
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(answers.is_good(asked));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!answers.is_good(asked));
    }
}
