//! Holds a journal against the truth: every version of every object, as etcd saw it.
//!
//! Its questions, asked of every life of every object (a uid): do the recorded versions follow the true ones in order; does each recorded
//! body say what the true version said, secrets apart; does the record end where the object ended; is every version that is missing either
//! noise or marked; was nothing created twice, nothing deleted that lives. Of the journal: is every position there and readable, and is
//! nothing changed that was durable before a kill.
//!
//! It knows nothing of how the recorder works and uses none of its code. Invariant: it never guesses: what it excuses has a name and a
//! count in the [`Verdict`].

mod coverage;
mod likeness;
mod lives;
mod recorded;
mod truth;
mod verdict;

use std::collections::HashMap;

use proreus_model::Seq;
use proreus_store::{Journal, StoreError};

pub use recorded::{Durable, durable_at};
pub use truth::{Life, TrueVersion, Truth, WitnessTruth};
pub use verdict::{Excuses, Verdict, Violation};

use coverage::Coverage;
use lives::Judged;
use recorded::{ReadBodies, Recorded};

/// What is judged.
pub struct Case<'c> {
    /// What was recorded.
    pub journal: &'c dyn Journal,
    /// The last position that is judged. Read it before the truth is taken, so that whatever is recorded up to it was true by then.
    pub last: Seq,
    /// What there was to record.
    pub truth: &'c dyn Truth,
    /// Versions up to this revision must be recorded; later ones may be.
    pub until: u64,
    /// What was durable, and said to be so, before each kill.
    pub durable: &'c [Durable],
}

/// How deep a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Positions and versions: quick, for waiting until everything has arrived.
    Positions,
    /// Every body as well.
    Bodies,
}

/// Judges everything.
///
/// # Errors
/// When the journal cannot be asked at all; records that cannot be read are a violation instead.
pub fn judge(case: &Case<'_>, depth: Depth) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict::default();
    let lives = case.truth.lives();
    let by_uid: HashMap<&str, usize> = lives.iter().enumerate().map(|(index, life)| (life.uid.as_str(), index)).collect();
    let read_bodies = match depth {
        Depth::Positions => ReadBodies::No,
        Depth::Bodies => ReadBodies::Compared(&by_uid),
    };
    let recorded = Recorded::read(case, read_bodies, &mut verdict)?;
    let coverage = Coverage::of(&recorded, case);
    for (uid, entries) in &recorded.objects {
        match by_uid.get(uid.as_str()) {
            Some(index) => Judged { case, coverage: &coverage, index: *index, entries }.judge(&mut verdict),
            None => verdict.violations.push(Violation::NeverLived { object: entries.name.clone(), uid: uid.clone() }),
        }
    }
    for (index, life) in lives.iter().enumerate() {
        verdict.lives += 1;
        if !recorded.objects.contains_key(&life.uid) {
            lives::judge_unrecorded(case, &coverage, index, &mut verdict);
        }
    }
    verdict.violations.sort_by_key(Violation::is_about_arrival);
    Ok(verdict)
}

#[cfg(test)]
mod tests;
