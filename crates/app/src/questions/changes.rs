//! Lists of changes and of marks, page by page.

use jiff::Timestamp;
use proreus_model::{Access, Cursor, Filter, Mark, Order, Record, Recorded, Seq};
use proreus_store::{BodyDetail, ReadQuery};

use super::range::check_limit;
use super::{ChangeView, DEFAULT_PAGE_LIMIT, PAGE_BYTES_MAX, Questions, RecordView};
use crate::AppError;
use crate::access::admits_everywhere;

/// Records of the first portion of a page, before it is known how large they are: 8 of the largest objects that are recorded, each with
/// the version before it, are some 50 MB.
const FIRST_PORTION: usize = 8;
/// Bytes of bodies that a further portion should hold; the estimate is the mean of the portion before.
const PORTION_BYTES: usize = 16 * 1024 * 1024;

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

/// A page of changes and marks.
#[derive(Clone, Debug)]
pub struct RecordsAnswer {
    /// The records.
    pub items: Vec<RecordView>,
    /// Whether more match now, beyond this page.
    pub more: bool,
    /// Where to continue, as for a page of changes.
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
        let RecordsAnswer { items, more, cursor } = self.records_of(question, access, Wanted { changes: true, marks: false })?;
        let items = items.into_iter().filter_map(RecordView::into_change).collect();
        Ok(ChangesAnswer { items, more, cursor })
    }

    /// A page of marks.
    ///
    /// # Errors
    /// As for changes.
    pub fn marks(&self, question: &MarksQuestion, access: &Access) -> Result<MarksAnswer, AppError> {
        let RecordsAnswer { items, more, cursor } = self.records_of(&question.of, access, Wanted { changes: false, marks: true })?;
        let items = items.into_iter().filter_map(RecordView::into_mark).collect();
        Ok(MarksAnswer { items, more, cursor })
    }

    /// A page of changes and marks as they came, whichever of the two the filter wants.
    ///
    /// # Errors
    /// As for changes.
    pub fn records(&self, question: &ChangesQuestion, access: &Access) -> Result<RecordsAnswer, AppError> {
        self.records_of(question, access, Wanted { changes: question.filter.changes, marks: question.filter.marks })
    }

    fn records_of(&self, question: &ChangesQuestion, access: &Access, wanted: Wanted) -> Result<RecordsAnswer, AppError> {
        let limit = check_limit(question.limit)?;
        let after = self.after(question.cursor.as_ref())?;
        let range = self.range(question.since, question.until)?;
        let nothing_new = after.unwrap_or(Seq(range.first.0.saturating_sub(1)));
        if range.last < range.first {
            return Ok(RecordsAnswer { items: Vec::new(), more: false, cursor: self.cursor_at(nothing_new) });
        }
        let filter = Filter { changes: wanted.changes, marks: wanted.marks, access: access.clone(), ..question.filter.clone() };
        let query = ReadQuery { range, filter, after, order: question.order, limit, detail: BodyDetail::BodyAndPrevious };
        let (mut items, more) = self.fill(query, question.full)?;
        for item in &mut items {
            if let RecordView::Mark(mark) = item {
                hide_what_names_others(mark, access);
            }
        }
        // With nothing more to come in this range, the next ascending page starts behind all that was looked at, not behind the last match.
        let seq = match (more, question.order) {
            (false, Order::Ascending) => range.last.max(nothing_new),
            _ => items.last().map_or(nothing_new, RecordView::seq),
        };
        Ok(RecordsAnswer { items, more, cursor: self.cursor_at(seq) })
    }

    /// Reads until the page has its items or its bytes. Read in portions, so that a page of large objects is never held whole before it
    /// is cut; a single record larger than the budget still makes a page of its own.
    fn fill(&self, mut query: ReadQuery, full: bool) -> Result<(Vec<RecordView>, bool), AppError> {
        let limit = query.limit;
        let (mut items, mut used): (Vec<RecordView>, usize) = (Vec::new(), 0);
        query.limit = FIRST_PORTION.min(limit);
        loop {
            let page = self.journal.read(&query)?;
            let (mut read, mut read_bytes) = (0_usize, 0_usize);
            for recorded in page.records {
                (read, read_bytes) = (read + 1, read_bytes + body_bytes(&recorded));
                let view = RecordView::from_recorded(recorded, full);
                used += view.weight();
                if used > PAGE_BYTES_MAX && !items.is_empty() {
                    return Ok((items, true));
                }
                query.after = Some(view.seq());
                items.push(view);
            }
            let left = limit.saturating_sub(items.len());
            if !page.more || left == 0 || read == 0 {
                return Ok((items, page.more));
            }
            query.limit = (PORTION_BYTES / (read_bytes / read).max(1)).clamp(1, left);
        }
    }
}

/// Leaves of a type's mark what it says of the watching. Its reason may name objects of any namespace, such as one that could not be
/// recorded, so it is for those who may read the type in all of them.
fn hide_what_names_others(mark: &mut Mark, access: &Access) {
    let scope = &mark.scope;
    if !scope.resource.is_empty() && !admits_everywhere(access, &scope.cluster, &scope.group, &scope.resource) {
        mark.reason.clear();
        mark.detail = serde_json::Value::Null;
    }
}

/// Which records a page is made of.
struct Wanted {
    changes: bool,
    marks: bool,
}

fn body_bytes(recorded: &Recorded) -> usize {
    let body = match &recorded.record {
        Record::Change(change) => change.body.as_ref().map_or(0, |body| body.len()),
        Record::Mark(_) => 0,
    };
    body + recorded.previous.as_ref().map_or(0, |previous| previous.len())
}
