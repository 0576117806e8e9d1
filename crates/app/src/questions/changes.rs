//! Lists of changes and of marks, page by page.

use jiff::Timestamp;
use proreus_model::{Access, Cursor, Filter, Mark, Order, Record};
use proreus_store::{BodyDetail, ReadQuery};

use super::range::check_limit;
use super::{ChangeView, DEFAULT_PAGE_LIMIT, Questions};
use crate::AppError;

/// Which changes.
#[derive(Clone, Debug)]
pub struct ChangesQuestion {
    /// What they must match.
    pub filter: Filter,
    /// Recorded at or after.
    pub since: Option<Timestamp>,
    /// Recorded at or before.
    pub until: Option<Timestamp>,
    /// Continue after.
    pub cursor: Option<Cursor>,
    /// Direction.
    pub order: Order,
    /// Items of this page, 1 to `MAX_PAGE_LIMIT`.
    pub limit: usize,
    /// Whether the objects themselves are wanted.
    pub full: bool,
}

impl Default for ChangesQuestion {
    fn default() -> Self {
        Self {
            filter: Filter::changes(),
            since: None,
            until: None,
            cursor: None,
            order: Order::Ascending,
            limit: DEFAULT_PAGE_LIMIT,
            full: false,
        }
    }
}

/// A page of changes.
#[derive(Clone, Debug)]
pub struct ChangesAnswer {
    /// The changes.
    pub items: Vec<ChangeView>,
    /// Whether more match now, beyond this page.
    pub more: bool,
    /// Where to continue: set when more match, and for an ascending page always, so that a caller can come back for what is recorded later.
    pub cursor: Cursor,
}

/// Which marks.
#[derive(Clone, Debug)]
pub struct MarksQuestion {
    /// The same as for changes; the filter's object fields match no mark.
    pub of: ChangesQuestion,
}

/// A page of marks.
#[derive(Clone, Debug)]
pub struct MarksAnswer {
    /// The marks.
    pub items: Vec<Mark>,
    /// Whether more match now.
    pub more: bool,
    /// Where to continue.
    pub cursor: Cursor,
}

impl Questions {
    /// A page of changes.
    ///
    /// # Errors
    /// A limit out of range, a cursor that cannot be continued, a journal that cannot be read.
    pub fn changes(&self, question: &ChangesQuestion, access: &Access) -> Result<ChangesAnswer, AppError> {
        let filter = Filter { changes: true, marks: false, access: access.clone(), ..question.filter.clone() };
        let (records, more, cursor) = self.page(question, filter, BodyDetail::BodyAndPrevious)?;
        let items = records.into_iter().filter_map(|recorded| ChangeView::from_recorded(recorded, question.full)).collect();
        Ok(ChangesAnswer { items, more, cursor })
    }

    /// A page of marks.
    ///
    /// # Errors
    /// As for changes.
    pub fn marks(&self, question: &MarksQuestion, access: &Access) -> Result<MarksAnswer, AppError> {
        let filter = Filter { changes: false, marks: true, access: access.clone(), ..question.of.filter.clone() };
        let (records, more, cursor) = self.page(&question.of, filter, BodyDetail::None)?;
        let items = records
            .into_iter()
            .filter_map(|recorded| match recorded.record {
                Record::Mark(mark) => Some(mark),
                Record::Change(_) => None,
            })
            .collect();
        Ok(MarksAnswer { items, more, cursor })
    }

    fn page(
        &self,
        question: &ChangesQuestion,
        filter: Filter,
        detail: BodyDetail,
    ) -> Result<(Vec<proreus_model::Recorded>, bool, Cursor), AppError> {
        let limit = check_limit(question.limit)?;
        let after = self.after(question.cursor.as_ref())?;
        let range = self.range(question.since, question.until)?;
        let nothing_new = after.or(Some(proreus_model::Seq(range.first.0.saturating_sub(1)))).unwrap_or_default();
        if range.last < range.first {
            return Ok((Vec::new(), false, self.cursor_at(nothing_new)));
        }
        let query = ReadQuery { range, filter, after, order: question.order, limit, detail };
        let page = self.journal.read(&query)?;
        // With nothing more to come in this range, the next ascending page starts behind all that was looked at, not behind the last match.
        let seq = match (page.more, question.order) {
            (false, Order::Ascending) => range.last.max(nothing_new),
            _ => page.records.last().map_or(nothing_new, |last| last.record.seq()),
        };
        Ok((page.records, page.more, self.cursor_at(seq)))
    }
}
