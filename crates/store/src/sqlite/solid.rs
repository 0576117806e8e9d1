//! The parts of a rewritten day: chunks of headers in the order of rows, blocks of bodies in the order of objects.
//!
//! Pure functions of bytes. A chunk keeps like beside like (all times, then all versions, ...), so that they compress; a block is a list
//! of what is in it and the bodies one after the other. Invariant: bytes that do not parse give `None`, never a panic.

use jiff::Timestamp;
use proreus_model::{Gap, Mark};

use super::rows::{Content, Entry, NO_OBJECT, mark_bytes, parse_mark};
use crate::codec::header::{Coding, Facts, Regarding, Version, origin, put_instant, put_near, take_instant, take_near, verb};
use crate::codec::varint::{put, put_signed, put_text, take, take_bytes, take_signed, take_text};

/// Records in one chunk: decoding one costs some tens of microseconds.
pub(super) const CHUNK_RECORDS: usize = 512;

/// Columns of a chunk, in the order in which they are stored.
const COLUMNS: usize = 10;

const KEYS: usize = 0;
const OBJECTS: usize = 1;
const FLAGS: usize = 2;
const CLASSES: usize = 3;
const MANAGERS: usize = 4;
const TIMES: usize = 5;
const VERSIONS: usize = 6;
const EVENT_TIMES: usize = 7;
const GENERATIONS: usize = 8;
const RARE: usize = 9;

const HAS_EVENT_TIME: u64 = 1 << 4;
const HAS_GENERATION: u64 = 1 << 5;
const HAS_MANAGER: u64 = 1 << 6;
const IS_LITERAL: u64 = 1 << 7;
const TEXT_VERSION: u64 = 1 << 8;
const HAS_GAP: u64 = 1 << 9;
const OTHER_REGARDING: u64 = 1 << 10;
const OTHER_REGARDING_NONE: u64 = 1 << 11;
const IS_BASE: u64 = 1 << 12;
const HAS_BODY: u64 = 1 << 13;
const IS_MARK: u64 = 1 << 14;

/// Collects the records of a chunk.
#[derive(Default)]
pub(super) struct ChunkWriter {
    columns: [Vec<u8>; COLUMNS],
    pub(super) count: usize,
    key: i64,
    nanos: i128,
    version: u64,
}

/// Nanoseconds that fit the column; times of a day do.
fn narrowed(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or_default()
}

impl ChunkWriter {
    /// Adds a record; keys ascend.
    pub(super) fn push(&mut self, key: i64, entry: &Entry, day_start: Timestamp) {
        let [keys, objects, flags, classes, managers, times, versions, event_times, generations, rare] = &mut self.columns;
        put_signed(keys, key - self.key);
        (self.key, self.count) = (key, self.count + 1);
        let facts = match &entry.content {
            Content::Mark(mark) => {
                put(flags, IS_MARK);
                let bytes = mark_bytes(mark, key, mark.recorded_at, day_start);
                put(rare, bytes.len() as u64);
                rare.extend_from_slice(&bytes);
                return;
            }
            Content::Change(facts) => facts,
        };
        put(objects, entry.object as u64);
        put(flags, flags_of(facts));
        put(classes, u64::from(facts.class));
        if let Some(manager) = facts.manager {
            put(managers, u64::from(manager));
        }
        match facts.base_seq {
            Some(seq) => {
                put_instant(rare, facts.recorded_at);
                put(rare, seq);
            }
            None => {
                let nanos = facts.recorded_at.as_nanosecond() - day_start.as_nanosecond();
                put_signed(times, narrowed(nanos - self.nanos));
                self.nanos = nanos;
            }
        }
        match &facts.resource_version {
            Version::Number(number) => {
                put_signed(versions, number.wrapping_sub(self.version) as i64);
                self.version = *number;
            }
            Version::Text(text) => put_text(versions, text),
        }
        if let Some(time) = facts.event_time {
            put_near(event_times, time, facts.recorded_at);
        }
        if let Some(generation) = facts.generation {
            put_signed(generations, generation);
        }
        if let Some(gap) = facts.gap {
            put_instant(rare, gap.from);
            put_instant(rare, gap.to);
        }
        if let Regarding::Other(Some(uid)) = &facts.regarding {
            put_text(rare, uid);
        }
    }

    /// The bytes of the chunk, before compression; the writer is empty again.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let done = std::mem::take(self);
        let mut out = Vec::new();
        put(&mut out, done.count as u64);
        for column in &done.columns {
            put(&mut out, column.len() as u64);
        }
        for column in &done.columns {
            out.extend_from_slice(column);
        }
        out
    }
}

fn flags_of(facts: &Facts) -> u64 {
    let mut flags = facts.verb as u64 | (facts.origin as u64) << 2;
    for (set, flag) in [
        (facts.event_time.is_some(), HAS_EVENT_TIME),
        (facts.generation.is_some(), HAS_GENERATION),
        (facts.manager.is_some(), HAS_MANAGER),
        (facts.literal, IS_LITERAL),
        (matches!(facts.resource_version, Version::Text(_)), TEXT_VERSION),
        (facts.gap.is_some(), HAS_GAP),
        (matches!(facts.regarding, Regarding::Other(Some(_))), OTHER_REGARDING),
        (matches!(facts.regarding, Regarding::Other(None)), OTHER_REGARDING_NONE),
        (facts.base_seq.is_some(), IS_BASE),
        (facts.coding != Coding::Absent, HAS_BODY),
    ] {
        flags |= if set { flag } else { 0 };
    }
    flags
}

/// The records of a chunk with their keys, ascending.
pub(super) fn read_chunk(bytes: &[u8], day_start: Timestamp, seq: impl Fn(i64) -> u64) -> Option<Vec<(i64, Entry)>> {
    let mut rest = bytes;
    let count = usize::try_from(take(&mut rest)?).ok().filter(|count| *count <= bytes.len())?;
    let mut lengths = [0_usize; COLUMNS];
    for length in &mut lengths {
        *length = usize::try_from(take(&mut rest)?).ok()?;
    }
    let mut columns: [&[u8]; COLUMNS] = [&[]; COLUMNS];
    for (column, length) in columns.iter_mut().zip(lengths) {
        *column = take_bytes(&mut rest, length)?;
    }
    let (mut key, mut nanos, mut version) = (0_i64, 0_i128, 0_u64);
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        key = key.checked_add(take_signed(&mut columns[KEYS])?)?;
        let flags = take(&mut columns[FLAGS])?;
        let entry = if flags & IS_MARK != 0 {
            let length = usize::try_from(take(&mut columns[RARE])?).ok()?;
            let mark: Mark = parse_mark(take_bytes(&mut columns[RARE], length)?, (key, seq(key)), day_start)?;
            Entry { object: NO_OBJECT, content: Content::Mark(mark) }
        } else {
            let object = i64::try_from(take(&mut columns[OBJECTS])?).ok()?;
            let facts = read_facts(&mut columns, flags, day_start, &mut nanos, &mut version)?;
            Entry { object, content: Content::Change(facts) }
        };
        entries.push((key, entry));
    }
    Some(entries)
}

fn read_facts(columns: &mut [&[u8]; COLUMNS], flags: u64, day_start: Timestamp, nanos: &mut i128, version: &mut u64) -> Option<Facts> {
    let has = |flag: u64| flags & flag != 0;
    let class = u32::try_from(take(&mut columns[CLASSES])?).ok()?;
    let manager = if has(HAS_MANAGER) { Some(u32::try_from(take(&mut columns[MANAGERS])?).ok()?) } else { None };
    let (recorded_at, base_seq) = if has(IS_BASE) {
        (take_instant(&mut columns[RARE])?, Some(take(&mut columns[RARE])?))
    } else {
        *nanos += i128::from(take_signed(&mut columns[TIMES])?);
        (Timestamp::from_nanosecond(day_start.as_nanosecond() + *nanos).ok()?, None)
    };
    let resource_version = if has(TEXT_VERSION) {
        Version::Text(take_text(&mut columns[VERSIONS])?.into())
    } else {
        *version = version.wrapping_add(take_signed(&mut columns[VERSIONS])? as u64);
        Version::Number(*version)
    };
    let event_time = if has(HAS_EVENT_TIME) { Some(take_near(&mut columns[EVENT_TIMES], recorded_at)?) } else { None };
    let generation = if has(HAS_GENERATION) { Some(take_signed(&mut columns[GENERATIONS])?) } else { None };
    let rare = &mut columns[RARE];
    let gap = if has(HAS_GAP) { Some(Gap { from: take_instant(rare)?, to: take_instant(rare)? }) } else { None };
    let regarding = if has(OTHER_REGARDING) {
        Regarding::Other(Some(take_text(rare)?.into()))
    } else if has(OTHER_REGARDING_NONE) {
        Regarding::Other(None)
    } else {
        Regarding::AsObject
    };
    Some(Facts {
        class,
        verb: verb((flags & 3) as u8)?,
        origin: origin((flags >> 2 & 3) as u8),
        recorded_at,
        event_time,
        generation,
        manager,
        gap,
        resource_version,
        regarding,
        base_seq,
        // Where the body stands is told by its object and key.
        coding: if has(HAS_BODY) { Coding::Alone } else { Coding::Absent },
        literal: has(IS_LITERAL),
    })
}

/// Collects the bodies of a block.
#[derive(Default)]
pub(super) struct BlockWriter {
    pub(super) first: Option<(i64, i64)>,
    last: (i64, i64),
    list: Vec<u8>,
    bodies: Vec<u8>,
    count: u64,
}

impl BlockWriter {
    /// Bytes of bodies collected.
    pub(super) fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Adds a body; objects ascend, and keys within an object.
    pub(super) fn push(&mut self, object: i64, key: i64, body: &[u8]) {
        self.first.get_or_insert((object, key));
        let (last_object, last_key) = self.last;
        put(&mut self.list, (object - last_object) as u64);
        put_signed(&mut self.list, key - last_key);
        put(&mut self.list, body.len() as u64);
        self.last = (object, key);
        self.count += 1;
        self.bodies.extend_from_slice(body);
    }

    /// The bytes of the block, before compression; the writer is empty again.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let done = std::mem::take(self);
        let mut out = Vec::with_capacity(done.list.len() + done.bodies.len() + 10);
        put(&mut out, done.count);
        out.extend_from_slice(&done.list);
        out.extend_from_slice(&done.bodies);
        out
    }
}

/// A decompressed block.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Object, key, and where the body stands, ascending.
    list: Vec<(i64, i64, std::ops::Range<usize>)>,
}

impl Block {
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let count = usize::try_from(take(&mut rest)?).ok().filter(|count| *count <= bytes.len())?;
        let mut lengths = Vec::with_capacity(count);
        let (mut object, mut key) = (0_i64, 0_i64);
        for _ in 0..count {
            object = object.checked_add(i64::try_from(take(&mut rest)?).ok()?)?;
            key = key.checked_add(take_signed(&mut rest)?)?;
            lengths.push((object, key, usize::try_from(take(&mut rest)?).ok()?));
        }
        let mut at = bytes.len() - rest.len();
        let mut list = Vec::with_capacity(count);
        for (object, key, length) in lengths {
            let end = at.checked_add(length).filter(|end| *end <= bytes.len())?;
            list.push((object, key, at..end));
            at = end;
        }
        Some(Self { bytes, list })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The body of an object at a key.
    pub(super) fn body(&self, object: i64, key: i64) -> Option<&[u8]> {
        let at = self.list.binary_search_by_key(&(object, key), |(object, key, _)| (*object, *key)).ok()?;
        self.bytes.get(self.list.get(at)?.2.clone())
    }
}

/// Keys of an object's records, ascending, as the objects table lists them.
pub(super) fn write_keys(keys: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0;
    for key in keys {
        put(&mut out, (key - last) as u64);
        last = *key;
    }
    out
}

/// The keys again.
pub(super) fn read_keys(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut rest = bytes;
    let mut keys = Vec::new();
    let mut last = 0_i64;
    while !rest.is_empty() {
        last = last.checked_add(i64::try_from(take(&mut rest)?).ok()?)?;
        keys.push(last);
    }
    Some(keys)
}
