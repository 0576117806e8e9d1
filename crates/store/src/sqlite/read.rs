//! Pages of records.
//!
//! A page walks the days of its range in order; within a day it either scans headers or merges the rows of a few objects. Bodies are
//! decoded for what is returned only. Invariant: nothing above the page's watermark is seen.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use proreus_model::{Order, Record, Recorded, Seq};

use super::day::Day;
use super::filter::Resolved;
use super::published::Published;
use super::rows::{Entry, NO_OBJECT};
use super::states;
use super::view::View;
use crate::journal::{BodyDetail, Page, ReadQuery, StoreError};

/// Rows of one object fetched at a time while merging: most objects have fewer in a page.
const ROWS_AT_ONCE: usize = 64;

/// A page of records that match.
pub(super) fn page(published: &Published, query: &ReadQuery) -> Result<Page, StoreError> {
    let mut page = Page { watermark: Seq(published.watermark), ..Page::default() };
    let Some(range) = query.positions(published.oldest())? else { return Ok(page) };
    let limit = query.limit.max(1);
    let mut days: Vec<&Arc<Day>> = published.days.iter().collect();
    if query.order == Order::Descending {
        days.reverse();
    }
    for day in days {
        let Some(rows) = published.rows(day, range) else { continue };
        let wanted = limit - page.records.len();
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        // One more than wanted tells whether there is more.
        let mut found = matching(&mut view, query, rows, wanted + 1)?;
        page.more = found.len() > wanted;
        found.truncate(wanted);
        for (key, entry) in &found {
            page.records.push(recorded(published, &mut view, *key, entry, query.detail)?);
        }
        if page.more {
            break;
        }
    }
    Ok(page)
}

/// Up to `limit` matching rows of a range.
fn matching(view: &mut View<'_>, query: &ReadQuery, rows: (i64, i64), limit: usize) -> Result<Vec<(i64, Entry)>, StoreError> {
    let resolved = Resolved::new(&query.filter, view)?;
    match resolved.apart() {
        Some(objects) => merged(view, &resolved, objects, query.order, rows, limit),
        None => scanned(view, &resolved, query, rows, limit),
    }
}

fn scanned(
    view: &mut View<'_>,
    resolved: &Resolved<'_>,
    query: &ReadQuery,
    rows: (i64, i64),
    limit: usize,
) -> Result<Vec<(i64, Entry)>, StoreError> {
    let mut found = Vec::new();
    view.scan(rows, query.order, &mut |key, entry| {
        if resolved.admits(&entry) {
            found.push((key, entry));
        }
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// One object's rows, fetched as the merge comes to them.
struct Run {
    object: i64,
    rows: VecDeque<i64>,
    /// Everything not fetched yet.
    rest: Option<(i64, i64)>,
}

impl Run {
    fn next(&mut self, view: &mut View<'_>, order: Order) -> Result<Option<i64>, StoreError> {
        if let (true, Some((from, to))) = (self.rows.is_empty(), self.rest) {
            let fetched = view.positions(self.object, (from, to), order, ROWS_AT_ONCE)?;
            self.rest = match (fetched.last(), order) {
                (Some(last), Order::Ascending) if fetched.len() == ROWS_AT_ONCE => Some((last + 1, to)),
                (Some(last), Order::Descending) if fetched.len() == ROWS_AT_ONCE => Some((from, last - 1)),
                _ => None,
            };
            self.rows = fetched.into();
        }
        Ok(self.rows.pop_front())
    }
}

fn merged(
    view: &mut View<'_>,
    resolved: &Resolved<'_>,
    objects: &[i64],
    order: Order,
    rows: (i64, i64),
    limit: usize,
) -> Result<Vec<(i64, Entry)>, StoreError> {
    let marks = resolved.wants_marks().then_some(NO_OBJECT);
    let mut runs: Vec<Run> =
        objects.iter().copied().chain(marks).map(|object| Run { object, rows: VecDeque::new(), rest: Some(rows) }).collect();
    // A heap gives its greatest: the sign turns that into the next in order.
    let rank = |key: i64| if order == Order::Ascending { Reverse(key) } else { Reverse(-key) };
    let mut heap = BinaryHeap::new();
    for (index, run) in runs.iter_mut().enumerate() {
        if let Some(key) = run.next(view, order)? {
            heap.push((rank(key), index));
        }
    }
    let mut found = Vec::new();
    while let Some((Reverse(ranked), index)) = heap.pop() {
        let key = if order == Order::Ascending { ranked } else { -ranked };
        if let Some(entry) = view.entry(key)?
            && resolved.admits(&entry)
            && resolved.admits_regarding(view, &entry)?
        {
            found.push((key, entry));
            if found.len() == limit {
                break;
            }
        }
        if let Some(run) = runs.get_mut(index)
            && let Some(next) = run.next(view, order)?
        {
            heap.push((rank(next), index));
        }
    }
    Ok(found)
}

fn recorded(published: &Published, view: &mut View<'_>, key: i64, entry: &Entry, detail: BodyDetail) -> Result<Recorded, StoreError> {
    let record = view.record(key, entry, detail)?;
    let mut previous = None;
    if let (Record::Change(change), BodyDetail::BodyAndPrevious) = (&record, detail) {
        previous = match view.last_position(entry.object, key - 1)? {
            Some(before) => view.change_at(before, BodyDetail::Body)?.and_then(|before| before.body),
            None => states::before_day(published, view.day, &change.object)?.and_then(|before| before.body),
        };
    }
    Ok(Recorded { record, previous })
}
