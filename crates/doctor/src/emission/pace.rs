//! How fast to go, and when to try again.
//!
//! Pure: the jitter of a wait follows from the key of what waits.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::rules::RetryRules;

/// Doublings of a wait that are counted: beyond them every wait is the longest.
const DOUBLINGS_LIMIT: u32 = 20;

/// So many at once, then one each `interval`: a bucket that is known by the moment at which it will be full again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) burst: u32,
    pub(super) interval: SignedDuration,
}

impl Pace {
    /// When the next one may go, given the moment at which the bucket is full again.
    pub(super) fn next(&self, full_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(full_at) = full_at else { return now };
        let ahead = self.interval.saturating_mul(i32::try_from(self.burst.saturating_sub(1)).unwrap_or(i32::MAX));
        full_at.checked_sub(ahead).unwrap_or(Timestamp::MIN).max(now)
    }

    /// Takes one; gives the moment at which the bucket is full again.
    pub(super) fn take(&self, full_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let from = full_at.map_or(now, |full_at| full_at.max(now));
        from.checked_add(self.interval).unwrap_or(Timestamp::MAX)
    }
}

/// A pace for each of many things.
#[derive(Clone, Debug)]
pub(super) struct Paces<K> {
    pace: Pace,
    full_at: BTreeMap<K, Timestamp>,
    limit: usize,
}

impl<K: Ord> Paces<K> {
    pub(super) fn new(pace: Pace, limit: usize) -> Self {
        Self { pace, full_at: BTreeMap::new(), limit }
    }

    pub(super) fn next(&self, key: &K, now: Timestamp) -> Timestamp {
        self.pace.next(self.full_at.get(key).copied(), now)
    }

    pub(super) fn take(&mut self, key: K, now: Timestamp) {
        if self.full_at.len() >= self.limit {
            // What is full again is as good as forgotten.
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let full_at = self.pace.take(self.full_at.get(&key).copied(), now);
        if self.full_at.len() < self.limit || self.full_at.contains_key(&key) {
            self.full_at.insert(key, full_at);
        }
    }
}

/// The wait after failure number `attempt` (from 1). Up to a quarter is taken off, by the key, so that what failed together does not come
/// back together.
pub(super) fn wait(rules: &RetryRules, attempt: u32, key: &str) -> SignedDuration {
    let doublings = attempt.saturating_sub(1).min(DOUBLINGS_LIMIT);
    let wait = rules.first.saturating_mul(1_i32 << doublings).min(rules.longest);
    let quarter = i64::try_from(wait.as_millis() / 4).unwrap_or(i64::MAX);
    let share = i64::try_from(hash(key, u64::from(attempt)) % 1_000).unwrap_or(0);
    wait - SignedDuration::from_millis(quarter.saturating_mul(share) / 1_000)
}

/// FNV-1a, 64 bits: stable across runs and machines.
pub(super) fn hash(text: &str, salt: u64) -> u64 {
    let bytes = text.bytes().chain(salt.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn lets_a_burst_through_and_then_one_each_interval() {
        let pace = Pace { burst: 2, interval: SignedDuration::from_secs(10) };
        let mut paces = Paces::new(pace, 10);
        let mut gone = Vec::new();
        for second in 0..31 {
            while paces.next(&"a", at(second)) <= at(second) {
                paces.take("a", at(second));
                gone.push(second);
            }
        }
        assert_eq!(gone, [0, 0, 10, 20, 30]);
        assert_eq!(paces.next(&"b", at(0)), at(0), "each has a pace of its own");
    }

    #[test]
    fn remembers_no_more_than_its_limit() {
        let mut paces = Paces::new(Pace { burst: 1, interval: SignedDuration::from_secs(1) }, 3);
        for key in 0..100 {
            paces.take(key, at(0));
        }
        assert!(paces.full_at.len() <= 3);
    }

    #[test]
    fn waits_longer_each_time_and_never_longer_than_the_longest() {
        let rules = RetryRules { first: SignedDuration::from_secs(1), longest: SignedDuration::from_secs(60), ..RetryRules::default() };
        let waits: Vec<f64> = [1, 2, 3, 4, 7, 8, u32::MAX].map(|attempt| wait(&rules, attempt, "k").as_secs_f64()).to_vec();
        for (wait, most) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 60.0, 60.0, 60.0]) {
            assert!((most * 0.75..=most).contains(wait), "{waits:?}");
        }
        assert_eq!(wait(&rules, 3, "k"), wait(&rules, 3, "k"));
        assert_ne!(wait(&rules, 3, "k"), wait(&rules, 3, "other"));
    }
}
