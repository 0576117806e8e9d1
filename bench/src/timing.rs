//! Times of many like operations, and what they come to.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Percentiles of a series, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// How many there were.
    pub count: usize,
    /// Half are no longer.
    pub p50_micros: f64,
    /// 99 of 100 are no longer.
    pub p99_micros: f64,
    /// The longest.
    pub max_micros: f64,
}

/// Times of the same operations by two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// From call to answer, waiting for the disk and for other programs included.
    pub(crate) wall: Percentiles,
    /// Of the processor for the calling thread: what is left of `wall` where nobody else wants the processor and the disk is quick.
    pub(crate) processor: Percentiles,
}

/// Runs the operation for each input and keeps how long each took.
pub(crate) fn each<T, E>(inputs: impl IntoIterator<Item = T>, mut operation: impl FnMut(T) -> Result<(), E>) -> Result<Measured, E> {
    let (mut wall, mut processor) = (Vec::new(), Vec::new());
    for input in inputs {
        let (begin, spent) = (Instant::now(), processor_time());
        operation(input)?;
        processor.push(processor_time().saturating_sub(spent));
        wall.push(begin.elapsed());
    }
    Ok(Measured { wall: percentiles(wall), processor: percentiles(processor) })
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Runs the operation once.
pub(crate) fn once<T>(operation: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let outcome = operation();
    (outcome, begin.elapsed())
}

/// Percentiles of times, in any order.
pub fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort();
    // Nearest rank: the smallest time that at least this share does not exceed.
    let rank = |share: f64| {
        let index = (share * times.len() as f64).ceil().max(1.0) as usize - 1;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Percentiles { count: times.len(), p50_micros: rank(0.5), p99_micros: rank(0.99), max_micros: rank(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_nearest_rank() {
        let told = percentiles((1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!((told.p50_micros.round(), told.p99_micros.round(), told.max_micros.round()), (100.0, 198.0, 200.0));
        assert_eq!(percentiles(Vec::new()).count, 0);
    }
}
