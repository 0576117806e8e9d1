//! Records as rows: one a record, in a file that grows.
//!
//! A row is header, checksum, frame; the row of an object's first record has no object, for its key is the object's id. Not here: what a
//! new body is coded against (`encode`). Invariant: bytes that do not parse, decode or add up are damage of the file, never a panic.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{Mark, MarkKind, Order, Seq, WatchScope};
use rusqlite::{Connection, OptionalExtension, params};

use super::day::Day;
use super::fault::OrFail;
use crate::codec::body::restore_time;
use crate::codec::header::{self, Coding, Facts};
use crate::codec::varint::{put_text, take_bytes, take_text};
use crate::codec::zstd_frame::{Against, unpack};
use crate::journal::StoreError;

/// Versions coded one against the other between two that stand on their own. Reading costs up to so many frames.
pub(super) const LONGEST_RUN: u8 = 15;

/// First versions coded one against the other's.
pub(super) const DEEPEST_SIBLING: u8 = 4;

/// More frames behind one body are damage: a run, its start and its siblings are fewer.
const MOST_FRAMES: usize = 64;

/// The object column of marks, which are of no object.
pub(super) const NO_OBJECT: i64 = 0;

/// Decoded bodies kept for the rest of a page.
const BODIES_KEPT_BYTES: usize = 8 << 20;

/// What a record is, without its body.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// A change.
    Change(Facts),
    /// A mark.
    Mark(Mark),
}

/// A record as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) object: i64,
    pub(super) content: Content,
}

/// A body as it is compressed, with what its readers and followers need.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) stripped: Vec<u8>,
    pub(super) literal: bool,
    pub(super) event_time: Option<Timestamp>,
    /// Versions since the last one that does not build on the version before.
    pub(super) run: u8,
    /// First versions of other objects behind this one.
    pub(super) siblings: u8,
}

impl Decoded {
    /// The form that the next version of the same object is coded against.
    pub(super) fn for_next(&self) -> Vec<u8> {
        restore_time(self.stripped.clone(), self.literal, self.event_time)
    }
}

/// Decoded bodies of one file, by row, for as long as one question lasts.
#[derive(Default)]
pub(super) struct Bodies {
    known: HashMap<i64, Arc<Decoded>>,
    bytes: usize,
}

impl Bodies {
    pub(super) fn get(&self, key: i64) -> Option<Arc<Decoded>> {
        self.known.get(&key).cloned()
    }

    pub(super) fn put(&mut self, key: i64, body: &Arc<Decoded>) {
        if self.bytes + body.stripped.len() > BODIES_KEPT_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += body.stripped.len();
        self.known.insert(key, Arc::clone(body));
    }
}

/// Checksum of a record: where it stands, its object, its header and its body as compressed.
pub(super) fn checksum((key, object): (i64, i64), header: &[u8], stripped: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&key.to_le_bytes());
    hasher.update(&object.to_le_bytes());
    hasher.update(header);
    hasher.update(stripped);
    hasher.finalize().to_le_bytes()
}

/// Order of mark kinds in the file.
const MARK_KINDS: [MarkKind; 8] = [
    MarkKind::WatchStarted,
    MarkKind::Synced,
    MarkKind::Stale,
    MarkKind::Gap,
    MarkKind::Stopped,
    MarkKind::ConfigChanged,
    MarkKind::ClockStepped,
    MarkKind::Refused,
];

/// Bytes of a mark.
pub(super) fn mark_bytes(mark: &Mark, key: i64, recorded_at: Timestamp, day_start: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    header::begin_mark(&mut out, recorded_at, day_start);
    out.push(MARK_KINDS.iter().position(|kind| *kind == mark.kind).unwrap_or_default() as u8);
    for text in [mark.scope.cluster.as_str(), mark.scope.group.as_str(), mark.scope.resource.as_str(), &mark.reason] {
        put_text(&mut out, text);
    }
    put_text(&mut out, &mark.detail.to_string());
    let sum = checksum((key, NO_OBJECT), &out, &[]);
    out.extend_from_slice(&sum);
    out
}

/// The mark that `mark_bytes` wrote.
pub(super) fn parse_mark(bytes: &[u8], (key, seq): (i64, u64), day_start: Timestamp) -> Option<Mark> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    (checksum((key, NO_OBJECT), content, &[]) == *sum).then_some(())?;
    let mut rest = content;
    let recorded_at = header::take_mark(&mut rest, day_start)?;
    let kind = *MARK_KINDS.get(usize::from(*take_bytes(&mut rest, 1)?.first()?))?;
    let mut text = || take_text(&mut rest);
    let scope = WatchScope { cluster: text()?.into(), group: text()?.into(), resource: text()?.into() };
    let reason = text()?.to_owned();
    let detail = serde_json::from_str(text()?).ok()?;
    Some(Mark { seq: Seq(seq), recorded_at, kind, scope, reason, detail })
}

fn parse(day: &Day, key: i64, object: Option<i64>, bytes: &[u8]) -> Result<Entry, StoreError> {
    let damaged = || day.place.damaged(format!("the header of row {key} cannot be read"));
    let content = if header::is_mark(bytes) {
        Content::Mark(parse_mark(bytes, (key, day.seq(key)), day.start).ok_or_else(damaged)?)
    } else {
        Content::Change(Facts::take(&mut &bytes[..], day.start).ok_or_else(damaged)?)
    };
    Ok(Entry { object: object.unwrap_or(key), content })
}

/// The record in a row.
pub(super) fn entry(day: &Day, connection: &Connection, key: i64) -> Result<Option<Entry>, StoreError> {
    let step = "failed to read a record";
    let mut statement = connection.prepare_cached("SELECT object, bytes FROM records WHERE p = ?1").or_fail(&day.place, step)?;
    let mut rows = statement.query([key]).or_fail(&day.place, step)?;
    let Some(row) = rows.next().or_fail(&day.place, step)? else { return Ok(None) };
    let object = row.get(0).or_fail(&day.place, step)?;
    let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).or_fail(&day.place, step)?;
    parse(day, key, object, bytes).map(Some)
}

/// Visits the records of a range in order until told to stop.
pub(super) fn scan(
    day: &Day,
    connection: &Connection,
    (from, to): (i64, i64),
    order: Order,
    visit: &mut dyn FnMut(i64, Entry) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let step = "failed to read records";
    let sql = match order {
        Order::Ascending => "SELECT p, object, bytes FROM records WHERE p BETWEEN ?1 AND ?2 ORDER BY p",
        Order::Descending => "SELECT p, object, bytes FROM records WHERE p BETWEEN ?1 AND ?2 ORDER BY p DESC",
    };
    let mut statement = connection.prepare_cached(sql).or_fail(&day.place, step)?;
    let mut rows = statement.query([from, to]).or_fail(&day.place, step)?;
    while let Some(row) = rows.next().or_fail(&day.place, step)? {
        let key = row.get(0).or_fail(&day.place, step)?;
        let object = row.get(1).or_fail(&day.place, step)?;
        let bytes = row.get_ref(2).and_then(|value| Ok(value.as_blob()?)).or_fail(&day.place, step)?;
        if visit(key, parse(day, key, object, bytes)?).is_break() {
            break;
        }
    }
    Ok(())
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
    let step = "failed to find an object's records";
    let sql = match order {
        Order::Ascending => "SELECT p FROM records WHERE object = ?1 AND p BETWEEN ?2 AND ?3 ORDER BY p LIMIT ?4",
        Order::Descending => "SELECT p FROM records WHERE object = ?1 AND p BETWEEN ?2 AND ?3 ORDER BY p DESC LIMIT ?4",
    };
    let mut statement = connection.prepare_cached(sql).or_fail(&day.place, step)?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![object, from, to, most], |row| row.get(0)).or_fail(&day.place, step)?;
    let mut keys: Vec<i64> = rows.collect::<rusqlite::Result<_>>().or_fail(&day.place, step)?;
    // The first record of an object is not in the index: its key is the object's id.
    if object != NO_OBJECT && (from..=to).contains(&object) {
        let at = match order {
            Order::Ascending => keys.partition_point(|key| *key < object),
            Order::Descending => keys.partition_point(|key| *key > object),
        };
        keys.insert(at, object);
        keys.truncate(limit);
    }
    Ok(keys)
}

/// A change's row, taken apart.
struct Loaded {
    key: i64,
    object: i64,
    facts: Facts,
    header: Vec<u8>,
    sum: [u8; 4],
    frame: Vec<u8>,
}

fn load(day: &Day, connection: &Connection, key: i64) -> Result<Loaded, StoreError> {
    let step = "failed to read a body";
    let damaged = || day.place.damaged(format!("row {key} cannot be read"));
    let row: Option<(Option<i64>, Vec<u8>)> = connection
        .prepare_cached("SELECT object, bytes FROM records WHERE p = ?1")
        .and_then(|mut statement| statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .or_fail(&day.place, step)?;
    let (object, bytes) = row.ok_or_else(damaged)?;
    if header::is_mark(&bytes) {
        return Err(damaged());
    }
    let mut rest = &bytes[..];
    let facts = Facts::take(&mut rest, day.start).ok_or_else(damaged)?;
    let header = bytes.get(..bytes.len() - rest.len()).unwrap_or_default().to_vec();
    let (sum, frame) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    Ok(Loaded { key, object: object.unwrap_or(key), facts, header, sum: *sum, frame: frame.to_vec() })
}

/// The body in a row as it was before compression, `None` when the change has none. Decodes what it builds on first.
pub(super) fn body(day: &Day, connection: &Connection, key: i64, bodies: &mut Bodies) -> Result<Option<Arc<Decoded>>, StoreError> {
    let mut waiting: Vec<Loaded> = Vec::new();
    let mut earlier = Earlier::default();
    let mut at = key;
    let mut below: Option<Arc<Decoded>> = None;
    loop {
        if let Some(known) = bodies.get(at) {
            below = Some(known);
            break;
        }
        if waiting.len() > MOST_FRAMES {
            return Err(day.place.damaged(format!("the body of row {key} builds on too many others")));
        }
        let row = load(day, connection, at)?;
        let next = match row.facts.coding {
            Coding::Absent if waiting.is_empty() => {
                verify_sum(day, &row, &[])?;
                return Ok(None);
            }
            Coding::Absent => return Err(day.place.damaged(format!("row {at} has no body to build on"))),
            Coding::Alone | Coding::Dictionary(_) => None,
            Coding::Previous | Coding::Same => Some(earlier.before(day, connection, row.object, at)?),
            Coding::Earlier(back) | Coding::Sibling(back) => Some(at.saturating_sub(back)),
        };
        waiting.push(row);
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    while let Some(row) = waiting.pop() {
        let decoded = Arc::new(decode(day, connection, &row, below.as_deref())?);
        bodies.put(row.key, &decoded);
        below = Some(decoded);
    }
    Ok(below)
}

/// Rows of one object before a row, fetched a run at a time.
#[derive(Default)]
struct Earlier {
    object: i64,
    keys: Vec<i64>,
}

impl Earlier {
    fn before(&mut self, day: &Day, connection: &Connection, object: i64, key: i64) -> Result<i64, StoreError> {
        if self.object != object || self.keys.is_empty() {
            let run = usize::from(LONGEST_RUN) + 1;
            self.keys = positions(day, connection, object, (1, key - 1), Order::Descending, run)?;
            self.keys.reverse();
            self.object = object;
        }
        self.keys.pop().ok_or_else(|| day.place.damaged(format!("row {key} builds on a version that is not there")))
    }
}

fn verify_sum(day: &Day, row: &Loaded, stripped: &[u8]) -> Result<(), StoreError> {
    if checksum((row.key, row.object), &row.header, stripped) == row.sum {
        return Ok(());
    }
    Err(day.place.damaged(format!("the checksum of row {} does not hold", row.key)))
}

fn decode(day: &Day, connection: &Connection, row: &Loaded, below: Option<&Decoded>) -> Result<Decoded, StoreError> {
    let failed = |error: std::io::Error| day.place.damaged(format!("the body of row {} does not decode: {error}", row.key));
    let missing = || day.place.damaged(format!("row {} builds on nothing", row.key));
    let (mut run, mut siblings) = (0, 0);
    let stripped = match row.facts.coding {
        Coding::Absent => return Err(missing()),
        Coding::Alone => unpack(&row.frame, Against::Nothing).map_err(failed)?,
        Coding::Dictionary(generation) => {
            let dictionary = day.dictionary(connection, generation)?;
            unpack(&row.frame, Against::Dictionary(&dictionary)).map_err(failed)?
        }
        Coding::Sibling(_) => {
            let below = below.ok_or_else(missing)?;
            siblings = below.siblings.saturating_add(1);
            unpack(&row.frame, Against::Body(&below.stripped)).map_err(failed)?
        }
        Coding::Previous | Coding::Earlier(_) | Coding::Same => {
            let below = below.ok_or_else(missing)?;
            siblings = below.siblings;
            let prefix = below.for_next();
            if matches!(row.facts.coding, Coding::Earlier(_)) {
                unpack(&row.frame, Against::Body(&prefix)).map_err(failed)?
            } else {
                run = below.run.saturating_add(1);
                if row.facts.coding == Coding::Same { prefix } else { unpack(&row.frame, Against::Body(&prefix)).map_err(failed)? }
            }
        }
    };
    verify_sum(day, row, &stripped)?;
    Ok(Decoded { stripped, literal: row.facts.literal, event_time: row.facts.event_time, run, siblings })
}
