//! Small questions: where a time begins, watch positions, consumer positions.
//!
//! Watch and consumer positions stand in the newest day only: each day begins with those of the day before.

use jiff::Timestamp;
use proreus_model::{ClusterId, Seq, WatchScope};
use rusqlite::{Connection, OptionalExtension, Row};

use super::day::Day;
use super::fault::OrFail;
use super::published::Published;
use super::recover::time;
use super::view::View;
use crate::journal::{Checkpoint, ConsumerCursor, StoreError};
use crate::stream::Positions;

/// First position recorded at or after a time; one past the watermark when there is none.
pub(super) fn seq_at(published: &Published, at: Timestamp) -> Result<Seq, StoreError> {
    for day in published.days.iter() {
        let Some(span) = day.span().filter(|span| span.first_seq <= published.watermark) else { continue };
        if span.first_at >= at {
            return Ok(Seq(span.first_seq));
        }
        if span.last_at < at {
            continue;
        }
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let (mut before, mut from) = (day.key(span.first_seq), day.key(span.last_seq.min(published.watermark)));
        if view.entry(from)?.is_some_and(|entry| time(&entry) < at) {
            continue;
        }
        // Times never fall along the sequence; positions that a loss left out count as what comes after them.
        while before + 1 < from {
            let middle = before + (from - before) / 2;
            match view.entry_from(middle)? {
                Some((key, entry)) if time(&entry) < at => before = key,
                _ => from = middle,
            }
        }
        let first = view.entry_from(from)?.map_or(from, |(key, _)| key);
        return Ok(Seq(day.seq(first)));
    }
    Ok(Seq(published.watermark + 1))
}

/// Every watch and consumer position, with a watermark that is not below what they speak of.
pub(super) fn positions(published: &Published, day: &Day) -> Result<Positions, StoreError> {
    let connection = day.borrow()?;
    let step = "failed to read positions";
    connection.execute_batch("BEGIN").or_fail(&day.place, step)?;
    let checkpoints = read_checkpoints(day, &connection, &ClusterId::default())?;
    let cursors = read_cursors(day, &connection)?;
    let last: Option<i64> = connection.query_row("SELECT max(p) FROM records", [], |row| row.get(0)).or_fail(&day.place, step)?;
    let watermark = last.filter(|key| *key >= day.room).map_or(published.watermark, |key| day.seq(key));
    Ok(Positions { watermark: Seq(watermark), checkpoints, cursors })
}

/// Watch positions of a cluster, or of all.
pub(super) fn checkpoints(day: &Day, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
    read_checkpoints(day, &*day.borrow()?, cluster)
}

fn read_checkpoints(day: &Day, connection: &Connection, cluster: &ClusterId) -> Result<Vec<Checkpoint>, StoreError> {
    let step = "failed to read watch positions";
    let sql = "SELECT cluster, api_group, resource, version, at FROM checkpoints ORDER BY cluster, api_group, resource";
    let mut statement = connection.prepare_cached(sql).or_fail(&day.place, step)?;
    let mut rows = statement.query([]).or_fail(&day.place, step)?;
    let mut checkpoints = Vec::new();
    while let Some(row) = rows.next().or_fail(&day.place, step)? {
        let word = |index| row.get::<_, String>(index).or_fail(&day.place, step);
        let scope = WatchScope { cluster: word(0)?.into(), group: word(1)?.into(), resource: word(2)?.into() };
        if cluster.is_empty() || scope.cluster == *cluster {
            let at = word(4)?.parse().map_err(|_| day.place.damaged("a watch position has no time"))?;
            checkpoints.push(Checkpoint { scope, resource_version: Some(word(3)?.into()), at });
        }
    }
    Ok(checkpoints)
}

fn read_cursor(row: &Row<'_>) -> rusqlite::Result<ConsumerCursor> {
    Ok(ConsumerCursor { consumer: row.get(0)?, seq: Seq(row.get(1)?), state: row.get(2)? })
}

/// Every consumer's position.
pub(super) fn cursors(day: &Day) -> Result<Vec<ConsumerCursor>, StoreError> {
    read_cursors(day, &*day.borrow()?)
}

fn read_cursors(day: &Day, connection: &Connection) -> Result<Vec<ConsumerCursor>, StoreError> {
    let step = "failed to read consumer positions";
    let mut statement =
        connection.prepare_cached("SELECT consumer, seq, state FROM cursors ORDER BY consumer").or_fail(&day.place, step)?;
    let cursors = statement.query_map([], read_cursor).and_then(Iterator::collect);
    cursors.or_fail(&day.place, step)
}

/// One consumer's position.
pub(super) fn cursor(day: &Day, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
    let connection = day.borrow()?;
    let found = connection
        .prepare_cached("SELECT consumer, seq, state FROM cursors WHERE consumer = ?1")
        .and_then(|mut statement| statement.query_row([consumer], read_cursor).optional());
    found.or_fail(&day.place, "failed to read a consumer's position")
}
