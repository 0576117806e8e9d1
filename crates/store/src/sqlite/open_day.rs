//! The day file that is written to: one transaction an append, and the writer's memory of living objects.
//!
//! Not here: which day a record belongs to and what a failed append undoes (`writer`). Invariant: what is remembered is what the file
//! holds; after any failure the whole of it is thrown away and read again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use proreus_model::{Change, Mark, Order, Uid};
use rusqlite::{Connection, params};

use super::day::Day;
use super::encode::{Encoder, Own, Standing};
use super::fault::OrFail;
use super::generations::Generations;
use super::names::{Interner, TypeName};
use super::objects::{self, ObjectRow, StoredUid};
use super::rows::{self, Bodies, Decoded, LONGEST_RUN, NO_OBJECT, checksum};
use super::schema;
use super::times::{checkpoint_sum, cursor_sum};
use crate::codec::body::Known;
use crate::codec::header::{Coding, Facts, Regarding, Version};
use crate::journal::{Checkpoint, ConsumerCursor, StoreError};

/// Living objects remembered; about a hundred bytes each. Others are looked up by uid.
const OBJECTS_REMEMBERED: usize = 50_000;

/// Finds an object without its row. Name and namespace are in it because nothing forbids a uid to come twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LiveKey {
    identity: u32,
    uid: StoredUid,
    name: u64,
}

/// What the writer remembers of an object.
#[derive(Clone, Debug)]
struct Live {
    id: i64,
    regarding: Option<Uid>,
    /// It has a change in the file, not only a base.
    changed: bool,
}

/// Running figures of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) changes: u64,
    pub(super) objects: u64,
    pub(super) raw_bytes: u64,
}

impl Tally {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("SELECT changes, objects, raw_bytes FROM tally")?
            .query_row([], |row| Ok(Self { changes: row.get(0)?, objects: row.get(1)?, raw_bytes: row.get(2)? }))
    }

    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached("UPDATE tally SET changes = ?1, objects = ?2, raw_bytes = ?3")?.execute(params![
            self.changes,
            self.objects,
            self.raw_bytes
        ])?;
        Ok(())
    }
}

/// A day file open for writing.
pub(super) struct OpenDay {
    pub(super) day: Arc<Day>,
    pub(super) connection: Connection,
    pub(super) encoder: Encoder,
    pub(super) tally: Tally,
    interner: Interner,
    live: Generations<LiveKey, Live>,
    most_pages: Option<Arc<AtomicU32>>,
}

impl OpenDay {
    /// Opens the file of a day for writing, remembering bodies up to `memory` bytes.
    pub(super) fn open(day: Arc<Day>, memory: usize, most_pages: Option<Arc<AtomicU32>>) -> Result<Self, StoreError> {
        let step = "failed to open for writing";
        let connection = schema::open_writer(&day.path).or_fail(&day.place, step)?;
        let interner = Interner::load(&connection).or_fail(&day.place, step)?;
        let tally = Tally::read(&connection).or_fail(&day.place, step)?;
        let newest: Option<u32> =
            connection.query_row("SELECT max(generation) FROM dictionaries", [], |row| row.get(0)).or_fail(&day.place, step)?;
        let dictionary = newest.map(|generation| day.dictionary(&connection, generation)).transpose()?;
        let encoder = Encoder::new(memory, dictionary);
        Ok(Self { day, connection, encoder, tally, interner, live: Generations::new(OBJECTS_REMEMBERED), most_pages })
    }

    fn sql(&self, error: &rusqlite::Error) -> StoreError {
        self.day.place.sql("failed to append", error)
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        if let Some(pages) = &self.most_pages {
            let pages = Some(pages.load(Ordering::Relaxed)).filter(|pages| *pages > 0).unwrap_or(u32::MAX - 1);
            self.connection.execute_batch(&format!("PRAGMA max_page_count = {pages}")).map_err(|error| self.sql(&error))?;
        }
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.sql(&error))
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.tally.write(&self.connection).and_then(|()| self.connection.execute_batch("COMMIT")).map_err(|error| self.sql(&error))
    }

    /// Adds a mark.
    pub(super) fn insert_mark(&mut self, mark: &Mark, key: i64, recorded_at: Timestamp) -> Result<(), StoreError> {
        let bytes = rows::mark_bytes(mark, key, recorded_at, self.day.start);
        self.insert_row(key, Some(NO_OBJECT), &bytes)
    }

    fn insert_row(&self, key: i64, object: Option<i64>, bytes: &[u8]) -> Result<(), StoreError> {
        let inserted = self
            .connection
            .prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| statement.execute(params![key, object, bytes]));
        inserted.map(drop).map_err(|error| self.sql(&error))
    }

    /// Adds a change at a row: the next one, or one of the base with the position it had.
    pub(super) fn insert_change(
        &mut self,
        change: &Change,
        key: i64,
        recorded_at: Timestamp,
        base_seq: Option<u64>,
    ) -> Result<(), StoreError> {
        let of = TypeName {
            cluster: change.object.cluster.clone(),
            group: change.object.group.clone(),
            version: change.version.clone(),
            kind: change.object.kind.clone(),
            resource: change.resource.clone(),
        };
        let class = self.interner.class(&self.connection, of, &change.object.namespace).map_err(|error| self.sql(&error))?;
        let is_event = self.interner.names.class(class).is_some_and(super::names::Class::is_event);
        let (live, is_new) = self.object(change, class, key, is_event)?;
        let own = if is_new || base_seq.is_some() { Own::Nothing } else { self.own(live.id, key)? };
        let known = Known {
            resource_version: change.resource_version.as_str(),
            uid: change.object.uid.as_str(),
            name: change.object.name.as_str(),
            event_time: change.event_time,
            regarding: change.regarding.as_ref().map(Uid::as_str),
        };
        let standing = Standing { key, object: live.id, class, is_event, event_time: change.event_time };
        let encoded = self.encoder.encode(change.body.as_deref(), &known, own, standing);
        let encoded = encoded.or_fail(&self.day.place, "failed to compress a body")?;
        // A base that comes after the object's own changes is not its last version.
        if encoded.body.is_none() || (base_seq.is_some() && !is_new) {
            self.encoder.forget_last(live.id);
        }
        let facts = self.facts(change, class, recorded_at, base_seq, &live, encoded.coding, encoded.body.as_deref())?;
        let mut bytes = Vec::with_capacity(encoded.frame.len() + 32);
        facts.put(&mut bytes, self.day.start);
        let sum = checksum((key, live.id), &bytes, encoded.body.as_ref().map_or(&[], |body| &body.stripped));
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(&encoded.frame);
        self.insert_row(key, (!is_new).then_some(live.id), &bytes)?;
        if base_seq.is_none() {
            self.count(change, &live);
        }
        Ok(())
    }

    fn count(&mut self, change: &Change, live: &Live) {
        self.tally.changes += 1;
        self.tally.objects += u64::from(!live.changed);
        self.tally.raw_bytes += change.body.as_ref().map_or(0, |body| body.len() as u64);
    }

    #[expect(clippy::too_many_arguments, reason = "one header has that many sources; a struct for this one call would hide it")]
    fn facts(
        &mut self,
        change: &Change,
        class: u32,
        recorded_at: Timestamp,
        base_seq: Option<u64>,
        live: &Live,
        coding: Coding,
        body: Option<&Decoded>,
    ) -> Result<Facts, StoreError> {
        let manager = match &change.manager {
            Some(manager) => Some(self.interner.manager(&self.connection, manager).map_err(|error| self.sql(&error))?),
            None => None,
        };
        let regarding = if change.regarding == live.regarding {
            Regarding::AsObject
        } else {
            if let Some(uid) = &change.regarding {
                objects::insert_other_regarding(&self.connection, uid.as_str(), live.id).map_err(|error| self.sql(&error))?;
            }
            Regarding::Other(change.regarding.as_ref().map(|uid| uid.as_str().into()))
        };
        Ok(Facts {
            class,
            verb: change.verb,
            origin: change.origin,
            recorded_at,
            event_time: change.event_time,
            generation: change.generation,
            manager,
            gap: change.gap,
            resource_version: Version::parse(change.resource_version.as_str()),
            regarding,
            base_seq,
            coding,
            literal: body.is_some_and(|body| body.literal),
        })
    }

    /// The change's object, added to the file if it is not there, and whether it was added.
    fn object(&mut self, change: &Change, class: u32, key: i64, is_event: bool) -> Result<(Live, bool), StoreError> {
        let identity = self.interner.identity(class);
        let mut hasher = DefaultHasher::new();
        change.object.name.as_str().hash(&mut hasher);
        let live_key = LiveKey { identity, uid: StoredUid::of(change.object.uid.as_str()), name: hasher.finish() };
        let is_base = key < self.day.room;
        let known = match self.live.get(&live_key) {
            Some(live) => Some(live),
            None => self.find(change, identity)?,
        };
        let (live, is_new) = match known {
            Some(live) => (live, false),
            None => {
                let row = ObjectRow {
                    id: key,
                    class,
                    uid: change.object.uid.clone(),
                    name: change.object.name.clone(),
                    regarding: change.regarding.clone(),
                };
                objects::insert(&self.connection, &row, is_event).map_err(|error| self.sql(&error))?;
                (Live { id: key, regarding: row.regarding, changed: false }, true)
            }
        };
        self.live.put(live_key, Live { changed: live.changed || !is_base, ..live.clone() }, 1);
        Ok((live, is_new))
    }

    fn find(&self, change: &Change, identity: u32) -> Result<Option<Live>, StoreError> {
        let rows = objects::by_uid(&self.connection, change.object.uid.as_str()).map_err(|error| self.sql(&error))?;
        let found = rows.into_iter().find(|row| row.name == change.object.name && self.interner.identity(row.class) == identity);
        let Some(row) = found else { return Ok(None) };
        let changes = (self.day.room, i64::MAX);
        let changed = !rows::positions(&self.day, &self.connection, row.id, changes, Order::Ascending, 1)?.is_empty();
        Ok(Some(Live { id: row.id, regarding: row.regarding, changed }))
    }

    /// What the next version of an object can be coded against.
    fn own(&mut self, object: i64, key: i64) -> Result<Own, StoreError> {
        let mut bodies = Bodies::default();
        let last = match self.encoder.last(object) {
            Some(last) => Some(last),
            None => {
                let before = rows::positions(&self.day, &self.connection, object, (1, key - 1), Order::Descending, 1)?;
                match before.first() {
                    Some(before) => rows::body(&self.day, &self.connection, *before, &mut bodies)?,
                    None => None,
                }
            }
        };
        match last {
            None => Ok(Own::Nothing),
            Some(last) if last.run < LONGEST_RUN => Ok(Own::Previous(last)),
            Some(_) => {
                let first = rows::body(&self.day, &self.connection, object, &mut bodies)?;
                Ok(first.map_or(Own::Nothing, |first| Own::First(object, first)))
            }
        }
    }

    /// Folds the log into the file and closes it. Readers may hold the log open; then it stays, and costs its bytes only.
    pub(super) fn close(self) {
        let folded = self.connection.execute_batch("PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = folded {
            tracing::debug!(day = %self.day.date, %error, "left the log of a day as it is");
        }
    }

    /// Sets watch positions and consumer positions.
    pub(super) fn set_positions(&self, checkpoints: &[Checkpoint], cursors: &[ConsumerCursor]) -> Result<(), StoreError> {
        for checkpoint in checkpoints {
            put_checkpoint(&self.connection, checkpoint).map_err(|error| self.sql(&error))?;
        }
        for cursor in cursors {
            put_cursor(&self.connection, cursor).map_err(|error| self.sql(&error))?;
        }
        Ok(())
    }
}

pub(super) fn put_checkpoint(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    let scope = &checkpoint.scope;
    let key = (scope.cluster.as_str(), scope.group.as_str(), scope.resource.as_str());
    match &checkpoint.resource_version {
        Some(version) => {
            let at = checkpoint.at.to_string();
            let sum = checkpoint_sum([key.0, key.1, key.2, version.as_str(), &at]);
            connection.prepare_cached("INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
                key.0,
                key.1,
                key.2,
                version.as_str(),
                at,
                sum
            ])?
        }
        None => connection
            .prepare_cached("DELETE FROM checkpoints WHERE cluster = ?1 AND api_group = ?2 AND resource = ?3")?
            .execute(params![key.0, key.1, key.2])?,
    };
    Ok(())
}

pub(super) fn put_cursor(connection: &Connection, cursor: &ConsumerCursor) -> rusqlite::Result<()> {
    let seq = i64::try_from(cursor.seq.0).unwrap_or(i64::MAX);
    let sum = cursor_sum(&cursor.consumer, seq, &cursor.state);
    connection.prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        cursor.consumer,
        seq,
        cursor.state,
        sum
    ])?;
    Ok(())
}
