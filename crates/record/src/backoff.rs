//! How long to wait after the nth failure in a row. Pure: the randomness is an argument.

use std::time::Duration;

/// Wait after the first failure.
const FIRST: Duration = Duration::from_millis(500);

/// Longest wait: a cluster that comes back is noticed within half a minute.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The wait after failure number `attempt` (from 1), with `jitter` in 0..1 taking off up to half of it, so that many watches of one
/// server do not come back in step.
pub(crate) fn delay(attempt: u32, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    doubled.min(LONGEST).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_half_a_minute_and_takes_off_up_to_half() {
        let waits: Vec<u128> = [1, 2, 3, 7, 8, u32::MAX].map(|attempt| delay(attempt, 0.0).as_millis()).to_vec();
        assert_eq!(waits, [500, 1000, 2000, 30_000, 30_000, 30_000]);
        assert_eq!(delay(1, 1.0), Duration::from_millis(250));
        assert_eq!(delay(1, 7.0), Duration::from_millis(250));
    }
}
