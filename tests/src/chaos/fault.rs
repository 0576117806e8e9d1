//! Which faults a round has: a pure function of the seed and the round's number.
//!
//! A round is a list of acts in order. Each fault is a short list that begins with harm and ends with repair; two faults of one round are
//! merged act by act at random, so they overlap. Every act may be done at any time, twice included.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

// Longer than a reconnect, shorter than what calls a watch stale: both are seen within some rounds.
const SHORTEST_PAUSE_MILLIS: u64 = 300;
const LONGEST_PAUSE_MILLIS: u64 = 4_000;
// One round in so many is long enough for watches to be told as stale.
const LONG_PAUSE_EVERY: u64 = 12;
const LONG_PAUSE_MILLIS: u64 = 14_000;

/// One act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// `kill -9` of the recorder.
    KillRecorder,
    /// SIGTERM to the recorder, which must end in good order.
    EndRecorder,
    /// Start it again.
    StartRecorder,
    /// `kill -9` of the API server.
    KillApiserver,
    /// SIGTERM to the API server: its watches are closed properly.
    StopApiserver,
    /// Start it again.
    StartApiserver,
    /// Make etcd forget its history: older watches get 410 Gone once the API server is restarted.
    Compact,
    /// Connections stay open and silent.
    Stall,
    /// All connections are reset, new ones are accepted.
    Cut,
    /// All connections are reset, new ones are refused.
    Refuse,
    /// Connections work again.
    Forward,
    /// Delete objects, one of them to come back under its name.
    Rebirth,
    /// Let time pass.
    Pause(Duration),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillRecorder => f.write_str("kill -9 recorder"),
            Self::EndRecorder => f.write_str("end recorder"),
            Self::StartRecorder => f.write_str("start recorder"),
            Self::KillApiserver => f.write_str("kill -9 apiserver"),
            Self::StopApiserver => f.write_str("stop apiserver"),
            Self::StartApiserver => f.write_str("start apiserver"),
            Self::Compact => f.write_str("compact"),
            Self::Stall => f.write_str("stall"),
            Self::Cut => f.write_str("cut"),
            Self::Refuse => f.write_str("refuse"),
            Self::Forward => f.write_str("forward"),
            Self::Rebirth => f.write_str("rebirth"),
            Self::Pause(length) => write!(f, "{:.1}s", length.as_secs_f64()),
        }
    }
}

/// The acts of a round, repairs included.
pub(super) fn plan(seed: u64, round: u32) -> Vec<Act> {
    let mut random = Random(seed ^ u64::from(round).wrapping_mul(0xd1b5_4a32_d192_ed03));
    // The first draws of neighbouring rounds resemble each other less after one is thrown away.
    random.next();
    let mut acts = fault(&mut random);
    for _ in 0..random.below(3) {
        let other = fault(&mut random);
        acts = merge(acts, other, &mut random);
    }
    acts.extend([Act::StartApiserver, Act::Forward, Act::StartRecorder]);
    acts
}

fn fault(random: &mut Random) -> Vec<Act> {
    let pause = pause(random);
    match random.below(10) {
        0 | 1 => vec![Act::KillRecorder, Act::Rebirth, pause, Act::StartRecorder],
        2 => vec![Act::EndRecorder, Act::Rebirth, pause, Act::StartRecorder],
        3 => vec![Act::KillApiserver, pause, Act::StartApiserver],
        4 => vec![Act::StopApiserver, pause, Act::StartApiserver],
        // 410 Gone to a recorder that comes back.
        5 => vec![
            Act::KillRecorder,
            Act::Rebirth,
            pause,
            Act::Compact,
            Act::KillApiserver,
            Act::StartApiserver,
            Act::Rebirth,
            Act::StartRecorder,
        ],
        // 410 Gone to a recorder that was there all the time.
        6 => vec![Act::Refuse, Act::Rebirth, pause, Act::Compact, Act::StopApiserver, Act::StartApiserver, Act::Rebirth, Act::Forward],
        7 => vec![Act::Stall, Act::Rebirth, pause, if random.below(2) == 0 { Act::Cut } else { Act::Forward }, Act::Forward],
        8 => vec![Act::Cut, pause, Act::Cut],
        _ => vec![Act::Refuse, Act::Rebirth, pause, Act::Forward],
    }
}

fn pause(random: &mut Random) -> Act {
    let millis = if random.below(LONG_PAUSE_EVERY) == 0 {
        LONG_PAUSE_MILLIS
    } else {
        SHORTEST_PAUSE_MILLIS + random.below(LONGEST_PAUSE_MILLIS - SHORTEST_PAUSE_MILLIS)
    };
    Act::Pause(Duration::from_millis(millis))
}

/// Both lists in their own order, one act of either at a time.
fn merge(left: Vec<Act>, right: Vec<Act>, random: &mut Random) -> Vec<Act> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let mut merged = Vec::new();
    while left.peek().is_some() || right.peek().is_some() {
        let from_left = right.peek().is_none() || (left.peek().is_some() && random.below(2) == 0);
        merged.extend(if from_left { left.next() } else { right.next() });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::{Act, plan};

    #[test]
    fn gives_the_same_rounds_for_a_seed_and_others_for_another() {
        let rounds = |seed: u64| (0..20).map(|round| plan(seed, round)).collect::<Vec<_>>();
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn has_every_fault_within_a_hundred_rounds_and_repairs_each() {
        let rounds: Vec<Vec<Act>> = (0..100).map(|round| plan(1, round)).collect();
        for act in [
            Act::KillRecorder,
            Act::EndRecorder,
            Act::KillApiserver,
            Act::StopApiserver,
            Act::Compact,
            Act::Stall,
            Act::Cut,
            Act::Refuse,
            Act::Rebirth,
        ] {
            assert!(rounds.iter().any(|round| round.contains(&act)), "{act}");
        }
        assert!(rounds.iter().all(|round| round.ends_with(&[Act::StartApiserver, Act::Forward, Act::StartRecorder])));
    }
}
