//! From times, cursors and limits to a sequence range.

use jiff::Timestamp;
use proreus_model::{Cursor, Seq, SeqRange};
use proreus_store::StoreError;

use super::{MAX_PAGE_LIMIT, Questions};
use crate::{AppError, Moment, parse_moment};

impl Questions {
    /// The range of `since..=until`; an empty range has `last < first`.
    pub(super) fn range(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<SeqRange, AppError> {
        let oldest = self.journal.oldest()?.map_or(Seq(1), |oldest| oldest.seq);
        let first = since.map(|time| self.journal.seq_at(time)).transpose()?.unwrap_or(oldest).max(oldest);
        let last = match until {
            Some(time) => self.last_at(time)?,
            None => self.journal.watermark(),
        };
        Ok(SeqRange { first, last })
    }

    /// The last position recorded at or before `time`.
    fn last_at(&self, time: Timestamp) -> Result<Seq, AppError> {
        let Ok(next) = time.checked_add(jiff::SignedDuration::from_nanos(1)) else {
            return Ok(self.journal.watermark());
        };
        Ok(Seq(self.journal.seq_at(next)?.0.saturating_sub(1)))
    }

    /// The same for a moment whose state is asked for: before the oldest record, only the state at the end of what was removed is known,
    /// and that is not the state of any earlier time.
    fn kept_at(&self, time: Timestamp) -> Result<Seq, AppError> {
        match self.journal.oldest()? {
            Some(oldest) if oldest.seq > Seq(1) && time < oldest.recorded_at => {
                Err(StoreError::Gone { asked: oldest.seq.0 - 1, oldest }.into())
            }
            _ => self.last_at(time),
        }
    }

    /// The position a moment stands for.
    ///
    /// # Errors
    /// When the time lies before what is kept, or the journal cannot be read.
    pub fn seq_of(&self, moment: Moment) -> Result<Seq, AppError> {
        match moment {
            Moment::Now => Ok(self.journal.watermark()),
            Moment::At(time) => self.kept_at(time),
            Moment::After(seq) => Ok(seq.min(self.journal.watermark())),
        }
    }

    /// The moment that `text` names, a time in any of the forms of `parse_moment` or a cursor; `name` is the parameter it came from.
    ///
    /// # Errors
    /// `BadParameter` for neither, `CursorGone` for a cursor that cannot be continued.
    pub fn moment(&self, name: &'static str, text: &str, now: Timestamp) -> Result<Moment, AppError> {
        match text.parse::<Cursor>() {
            Ok(cursor) => self.moment_of(&cursor),
            Err(_) => parse_moment(name, text, now).map(Moment::At),
        }
    }

    /// The moment just after a cursor's position.
    ///
    /// # Errors
    /// `CursorGone` for a cursor that cannot be continued.
    pub fn moment_of(&self, cursor: &Cursor) -> Result<Moment, AppError> {
        Ok(self.after(Some(cursor))?.map_or(Moment::Now, Moment::After))
    }

    /// The position to continue after.
    pub(super) fn after(&self, cursor: Option<&Cursor>) -> Result<Option<Seq>, AppError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let oldest = self.journal.oldest()?;
        let kept = oldest.is_none_or(|oldest| cursor.seq.0 + 1 >= oldest.seq.0);
        let ours = cursor.journal == self.journal.id() && cursor.seq <= self.journal.watermark();
        if kept && ours {
            return Ok(Some(cursor.seq));
        }
        Err(AppError::CursorGone { oldest: oldest.map(|oldest| self.cursor_at(Seq(oldest.seq.0.saturating_sub(1)))) })
    }
}

/// Checks a limit; `None` where the caller wants every match.
pub(super) fn check_limit(limit: usize) -> Result<usize, AppError> {
    if (1..=MAX_PAGE_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(AppError::BadParameter {
        name: "limit",
        found: limit.to_string(),
        allowed: format!("give a whole number from 1 to {MAX_PAGE_LIMIT}"),
    })
}
