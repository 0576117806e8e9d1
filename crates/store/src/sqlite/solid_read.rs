//! Records of a rewritten day.
//!
//! A body costs its whole block, a header its whole chunk: both are kept for the rest of the question. Invariant: answers are those of the
//! rows that the file was made from.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proreus_model::Order;
use rusqlite::{Connection, OptionalExtension, params};

use super::day::Day;
use super::fault::OrFail;
use super::rows::{Content, Decoded, Entry, NO_OBJECT};
use super::solid::{Block, read_chunk, read_keys};
use crate::codec::zstd_frame::unpack_checked;
use crate::journal::StoreError;

/// Decompressed blocks kept during one question.
const BLOCKS_KEPT_BYTES: usize = 12 << 20;

/// Chunks kept during one question: each is some hundred kilobytes when read.
const CHUNKS_KEPT: usize = 24;

/// More bytes in a block or chunk are damage.
const LARGEST_PART: usize = 256 << 20;

type Chunk = Arc<Vec<(i64, Entry)>>;

/// What a question has read of a rewritten day.
#[derive(Default)]
pub(super) struct Parts {
    chunks: HashMap<i64, Chunk>,
    last_chunk: Option<(i64, Chunk)>,
    blocks: HashMap<i64, Arc<Block>>,
    block_bytes: usize,
}

fn step() -> &'static str {
    "failed to read a rewritten day"
}

/// The chunk that holds a row, or the one after it when none does.
fn chunk_at(day: &Day, connection: &Connection, parts: &mut Parts, key: i64) -> Result<Option<(i64, Chunk)>, StoreError> {
    if let Some((first, chunk)) = &parts.last_chunk
        && *first <= key
        && chunk.last().is_some_and(|(last, _)| key <= *last)
    {
        return Ok(Some((*first, Arc::clone(chunk))));
    }
    let find = "SELECT first FROM chunks WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
    let first: Option<i64> = connection
        .prepare_cached(find)
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .or_fail(&day.place, step())?;
    match first {
        Some(first) => read(day, connection, parts, first).map(|chunk| Some((first, chunk))),
        None => Ok(None),
    }
}

fn read(day: &Day, connection: &Connection, parts: &mut Parts, first: i64) -> Result<Chunk, StoreError> {
    if let Some(chunk) = parts.chunks.get(&first) {
        let chunk = Arc::clone(chunk);
        parts.last_chunk = Some((first, Arc::clone(&chunk)));
        return Ok(chunk);
    }
    let damaged = || day.place.damaged(format!("the chunk of row {first} does not decode"));
    let bytes: Vec<u8> = connection
        .prepare_cached("SELECT bytes FROM chunks WHERE first = ?1")
        .and_then(|mut statement| statement.query_row([first], |row| row.get(0)))
        .or_fail(&day.place, step())?;
    let bytes = unpack_checked(&bytes, &[], LARGEST_PART).map_err(|_| damaged())?;
    let chunk = Arc::new(read_chunk(&bytes, day.start, |key| day.seq(key)).ok_or_else(damaged)?);
    if parts.chunks.len() >= CHUNKS_KEPT {
        parts.chunks.clear();
    }
    parts.chunks.insert(first, Arc::clone(&chunk));
    parts.last_chunk = Some((first, Arc::clone(&chunk)));
    Ok(chunk)
}

/// The record in a row.
pub(super) fn entry(day: &Day, connection: &Connection, parts: &mut Parts, key: i64) -> Result<Option<Entry>, StoreError> {
    let Some((_, chunk)) = chunk_at(day, connection, parts, key)? else { return Ok(None) };
    let found = chunk.binary_search_by_key(&key, |(key, _)| *key).ok();
    Ok(found.and_then(|at| chunk.get(at)).map(|(_, entry)| entry.clone()))
}

/// Visits the records of a range in order until told to stop.
pub(super) fn scan(
    day: &Day,
    connection: &Connection,
    parts: &mut Parts,
    (from, to): (i64, i64),
    order: Order,
    visit: &mut dyn FnMut(i64, Entry) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let sql = match order {
        Order::Ascending => {
            "SELECT first FROM chunks WHERE first <= ?2 AND first >= coalesce((SELECT max(first) FROM chunks WHERE first <= ?1), ?1) \
             ORDER BY first"
        }
        Order::Descending => {
            "SELECT first FROM chunks WHERE first <= ?2 AND first >= coalesce((SELECT max(first) FROM chunks WHERE first <= ?1), ?1) \
             ORDER BY first DESC"
        }
    };
    let mut statement = connection.prepare_cached(sql).or_fail(&day.place, step())?;
    let mut rows = statement.query(params![from, to]).or_fail(&day.place, step())?;
    while let Some(row) = rows.next().or_fail(&day.place, step())? {
        let first = row.get(0).or_fail(&day.place, step())?;
        let chunk = read(day, connection, parts, first)?;
        let within = chunk.iter().filter(|(key, _)| (from..=to).contains(key));
        let stopped = match order {
            Order::Ascending => visit_all(within, visit),
            Order::Descending => visit_all(within.rev(), visit),
        };
        if stopped.is_break() {
            break;
        }
    }
    Ok(())
}

fn visit_all<'a>(entries: impl Iterator<Item = &'a (i64, Entry)>, visit: &mut dyn FnMut(i64, Entry) -> ControlFlow<()>) -> ControlFlow<()> {
    for (key, entry) in entries {
        visit(*key, entry.clone())?;
    }
    ControlFlow::Continue(())
}

/// Rows of an object within a range, at most `limit`, in order.
pub(super) fn positions(
    day: &Day,
    connection: &Connection,
    object: i64,
    (from, to): (i64, i64),
    order: Order,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let damaged = || day.place.damaged(format!("the list of records of object {object} cannot be read"));
    let sql = if object == NO_OBJECT {
        "SELECT value FROM facts WHERE key = 'marks' AND ?1 = 0"
    } else {
        "SELECT versions FROM objects WHERE id = ?1"
    };
    let bytes: Option<Option<Vec<u8>>> = connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([object], |row| row.get(0)).optional())
        .or_fail(&day.place, step())?;
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let keys = read_keys(&bytes.ok_or_else(damaged)?).ok_or_else(damaged)?;
    let within = keys.into_iter().filter(|key| (from..=to).contains(key));
    Ok(match order {
        Order::Ascending => within.take(limit).collect(),
        Order::Descending => {
            let mut within: Vec<i64> = within.collect();
            within.reverse();
            within.truncate(limit);
            within
        }
    })
}

/// The body of a row as it was before compression, `None` when the change has none.
pub(super) fn body(day: &Day, connection: &Connection, parts: &mut Parts, key: i64) -> Result<Option<Arc<Decoded>>, StoreError> {
    let damaged = || day.place.damaged(format!("the body of row {key} is not there"));
    let entry = entry(day, connection, parts, key)?.ok_or_else(damaged)?;
    let Content::Change(facts) = &entry.content else { return Err(damaged()) };
    if facts.coding == crate::codec::header::Coding::Absent {
        return Ok(None);
    }
    let find = "SELECT id FROM blocks WHERE (first_object, first_key) <= (?1, ?2) ORDER BY first_object DESC, first_key DESC LIMIT 1";
    let id: Option<i64> = connection
        .prepare_cached(find)
        .and_then(|mut statement| statement.query_row([entry.object, key], |row| row.get(0)).optional())
        .or_fail(&day.place, step())?;
    let block = block(day, connection, parts, id.ok_or_else(damaged)?)?;
    let stripped = block.body(entry.object, key).ok_or_else(damaged)?.to_vec();
    Ok(Some(Arc::new(Decoded { stripped, literal: facts.literal, event_time: facts.event_time, run: 0, siblings: 0 })))
}

/// A block, decompressed.
pub(super) fn block(day: &Day, connection: &Connection, parts: &mut Parts, id: i64) -> Result<Arc<Block>, StoreError> {
    if let Some(block) = parts.blocks.get(&id) {
        return Ok(Arc::clone(block));
    }
    let damaged = || day.place.damaged(format!("block {id} does not decode"));
    let (seed, bytes): (i64, Vec<u8>) = connection
        .prepare_cached("SELECT seed, bytes FROM blocks WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))))
        .or_fail(&day.place, step())?;
    let seed = day.seed(connection, seed)?;
    let bytes = unpack_checked(&bytes, &seed, LARGEST_PART).map_err(|_| damaged())?;
    let block = Arc::new(Block::read(bytes).ok_or_else(damaged)?);
    if parts.block_bytes + block.len() > BLOCKS_KEPT_BYTES {
        parts.blocks.clear();
        parts.block_bytes = 0;
    }
    parts.block_bytes += block.len();
    parts.blocks.insert(id, Arc::clone(&block));
    Ok(block)
}
