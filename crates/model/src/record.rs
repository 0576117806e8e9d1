//! A record: what a journal holds, a change or a mark.

use jiff::Timestamp;

use crate::{Change, Mark, Seq};

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A change of an object.
    Change(Change),
    /// A truth about the watching.
    Mark(Mark),
}

impl Record {
    /// Its position.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Change(change) => change.seq,
            Self::Mark(mark) => mark.seq,
        }
    }

    /// When it was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        match self {
            Self::Change(change) => change.recorded_at,
            Self::Mark(mark) => mark.recorded_at,
        }
    }

    /// Lets it be recorded no earlier than `floor`.
    pub fn raise(&mut self, floor: Timestamp) {
        let recorded_at = match self {
            Self::Change(change) => &mut change.recorded_at,
            Self::Mark(mark) => &mut mark.recorded_at,
        };
        *recorded_at = (*recorded_at).max(floor);
    }
}

/// A record as read back, with the version before it where that was asked for and exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The record.
    pub record: Record,
    /// Body of the same uid's version before this one.
    pub previous: Option<std::sync::Arc<[u8]>>,
}
