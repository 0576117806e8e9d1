//! Small questions: where a time begins, watch positions, consumer positions.
//!
//! Watch and consumer positions are read from the newest day only: each day begins with those of the day before. Invariant: what is told of
//! them is what was written; a row whose checksum does not hold is never believed.

use jiff::Timestamp;
use proreus_model::{ClusterId, Seq, WatchScope};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::day::Day;
use super::fault::OrFail;
use super::published::Published;
use super::recover::time;
use super::schema;
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
    let stored = stored_checkpoints(connection).or_fail(&day.place, "failed to read watch positions")?;
    let checkpoints = stored.into_iter().filter_map(|checkpoint| intact(day, checkpoint));
    Ok(checkpoints.filter(|checkpoint| cluster.is_empty() || checkpoint.scope.cluster == *cluster).collect())
}

/// What was read of a row: the value, or what does not hold of it.
pub(super) type Stored<T> = Result<T, String>;

/// Leaves out a position that is not what was written. Whoever misses it begins anew, which costs work; whoever believed it would go on
/// from where nobody was.
fn intact<T>(day: &Day, stored: Stored<T>) -> Option<T> {
    stored.map_err(|reason| tracing::error!(day = %day.date, reason, "left out a damaged position")).ok()
}

/// A text, or what stands there read as one: the checksum tells the difference.
fn words(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        _ => String::new(),
    })
}

fn read_checkpoint(row: &Row<'_>) -> rusqlite::Result<Stored<Checkpoint>> {
    let [cluster, group, resource, version, at] = [words(row, 0)?, words(row, 1)?, words(row, 2)?, words(row, 3)?, words(row, 4)?];
    let sum = checkpoint_sum([&cluster, &group, &resource, &version, &at]);
    let damaged = || format!("the checksum of the watch position of {resource}.{group} in cluster {cluster} does not hold");
    let time = at.parse().ok().filter(|_| row.get::<_, i64>(5).is_ok_and(|stored| stored == sum));
    let Some(at) = time else { return Ok(Err(damaged())) };
    let scope = WatchScope { cluster: cluster.into(), group: group.into(), resource: resource.into() };
    Ok(Ok(Checkpoint { scope, resource_version: Some(version.into()), at }))
}

/// Tells whether a watch position is as it was written.
pub(super) fn checkpoint_sum(words: [&str; 5]) -> i64 {
    i64::from(schema::crc(0, &words.map(str::as_bytes)))
}

fn read_cursor(row: &Row<'_>) -> rusqlite::Result<Stored<ConsumerCursor>> {
    let consumer = words(row, 0)?;
    let columns = (|| Ok::<_, rusqlite::Error>((row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?, row.get::<_, i64>(3)?)))();
    let damaged = || format!("the checksum of the state of consumer {consumer} does not hold");
    let Ok((seq, state, sum)) = columns else { return Ok(Err(damaged())) };
    match u64::try_from(seq).ok().filter(|_| cursor_sum(&consumer, seq, &state) == sum) {
        Some(seq) => Ok(Ok(ConsumerCursor { consumer, seq: Seq(seq), state })),
        None => Ok(Err(damaged())),
    }
}

/// Tells whether a consumer's position and state are as they were written.
pub(super) fn cursor_sum(consumer: &str, seq: i64, state: &[u8]) -> i64 {
    i64::from(schema::crc(seq, &[consumer.as_bytes(), state]))
}

/// Every watch position in a file.
pub(super) fn stored_checkpoints(connection: &Connection) -> rusqlite::Result<Vec<Stored<Checkpoint>>> {
    let sql = "SELECT cluster, api_group, resource, version, at, sum FROM checkpoints ORDER BY cluster, api_group, resource";
    connection.prepare_cached(sql)?.query_map([], read_checkpoint)?.collect()
}

/// Every consumer's position in a file.
pub(super) fn stored_cursors(connection: &Connection) -> rusqlite::Result<Vec<Stored<ConsumerCursor>>> {
    let sql = "SELECT consumer, seq, state, sum FROM cursors ORDER BY consumer";
    connection.prepare_cached(sql)?.query_map([], read_cursor)?.collect()
}

/// What does not hold of the watch and consumer positions in a file.
pub(super) fn damaged_positions(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let checkpoints = stored_checkpoints(connection)?.into_iter().filter_map(Result::err);
    let cursors = stored_cursors(connection)?.into_iter().filter_map(Result::err);
    Ok(checkpoints.chain(cursors).collect())
}

/// Every consumer's position.
pub(super) fn cursors(day: &Day) -> Result<Vec<ConsumerCursor>, StoreError> {
    read_cursors(day, &*day.borrow()?)
}

fn read_cursors(day: &Day, connection: &Connection) -> Result<Vec<ConsumerCursor>, StoreError> {
    let stored = stored_cursors(connection).or_fail(&day.place, "failed to read consumer positions")?;
    Ok(stored.into_iter().filter_map(|cursor| intact(day, cursor)).collect())
}

/// One consumer's position. `Damaged` when it is not what was written.
pub(super) fn cursor(day: &Day, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
    let connection = day.borrow()?;
    let found = connection
        .prepare_cached("SELECT consumer, seq, state, sum FROM cursors WHERE consumer = ?1")
        .and_then(|mut statement| statement.query_row([consumer], read_cursor).optional());
    let found = found.or_fail(&day.place, "failed to read a consumer's position")?;
    found.transpose().map_err(|reason| day.place.damaged(reason))
}
