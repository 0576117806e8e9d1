//! How long changes took from their arrival to their durability, as a histogram with fixed bounds.
//!
//! Counts what a watch told; what a list showed is as old as the list. Never reads a clock. Invariant: each observation is in exactly one
//! bucket, and a bound belongs to the bucket below it.

use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Upper bounds: from a batch that closes at once to a journal that a disk holds up. The target is 50 ms beyond a raw watch.
pub(crate) const LAG_BOUNDS: [Duration; 12] = [
    millis(5),
    millis(10),
    millis(20),
    millis(35),
    millis(50),
    millis(100),
    millis(250),
    millis(500),
    millis(1_000),
    millis(5_000),
    millis(30_000),
    millis(120_000),
];

/// Times from arrival to durability since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LagHistogram {
    /// Observations at or below each bound and above the one before it.
    within: [u64; LAG_BOUNDS.len()],
    above: u64,
    sum: Duration,
}

impl LagHistogram {
    pub(crate) fn observe(&mut self, lag: Duration) {
        let found = LAG_BOUNDS.iter().zip(&mut self.within).find(|(bound, _)| lag <= **bound);
        *found.map_or(&mut self.above, |(_, count)| count) += 1;
        self.sum = self.sum.saturating_add(lag);
    }

    /// How many were observed.
    pub fn count(&self) -> u64 {
        self.within.iter().sum::<u64>() + self.above
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Each bound with the number of observations at or below it.
    pub fn cumulative(&self) -> Vec<(Duration, u64)> {
        let running = self.within.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        });
        LAG_BOUNDS.into_iter().zip(running).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_observation_once_and_a_bound_with_those_below_it() {
        let mut lag = LagHistogram::default();
        for observed in [0, 5, 6, 50, 51, 120_001] {
            lag.observe(millis(observed));
        }
        let at = |bound| lag.cumulative().into_iter().find(|(of, _)| *of == millis(bound)).map(|(_, count)| count);
        assert_eq!((at(5), at(10), at(50), at(100), at(120_000)), (Some(2), Some(3), Some(4), Some(5), Some(5)));
        assert_eq!((lag.count(), lag.sum()), (6, millis(120_113)));
    }

    #[test]
    fn bounds_rise() {
        assert!(LAG_BOUNDS.is_sorted());
    }
}
