//! What a question sees: the days and the watermark of one moment.
//!
//! Replaced as a whole by the writer after each append, and by a reader of another process's journal when it looks. Invariant: every
//! position up to the watermark stands in one of the days.

use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Seq, SeqRange};

use super::day::Day;
use crate::journal::Oldest;

/// One moment of the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    /// Oldest first.
    pub(super) days: Arc<[Arc<Day>]>,
    pub(super) watermark: u64,
    pub(super) last_at: Option<Timestamp>,
}

impl Published {
    /// The oldest position.
    pub(super) fn oldest(&self) -> Option<Oldest> {
        let span = self.days.iter().find_map(|day| day.span()).filter(|span| span.first_seq <= self.watermark)?;
        Some(Oldest { seq: Seq(span.first_seq), recorded_at: span.first_at })
    }

    /// Rows of a day within a range and the watermark.
    pub(super) fn rows(&self, day: &Day, range: SeqRange) -> Option<(i64, i64)> {
        let span = day.span()?;
        let first = range.first.0.max(span.first_seq);
        let last = range.last.0.min(span.last_seq).min(self.watermark);
        (first <= last).then(|| (day.key(first), day.key(last)))
    }

    /// Index of the newest day that has records at or below a position; before the first record it is the oldest day, for its base.
    pub(super) fn day_index(&self, seq: u64) -> Option<usize> {
        let began = |day: &Arc<Day>| day.span().is_some_and(|span| span.first_seq <= seq.min(self.watermark));
        self.days.iter().rposition(began).or_else(|| self.days.iter().position(|day| day.span().is_some()))
    }
}
