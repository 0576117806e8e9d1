//! Rewriting a past day by object.
//!
//! The new file is made beside the old one without any care for crashes, made durable, and renamed; until then it does not exist for
//! anybody. Works in steps, holding no lock. Invariant: the rows of the day do not change any more while this runs.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use proreus_model::Order;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::day::{Day, Kind, beside};
use super::fault::OrFail;
use super::identity::sync_dir;
use super::objects::ObjectRow;
use super::rows::{Entry, NO_OBJECT};
use super::schema;
use super::solid::{BlockWriter, CHUNK_RECORDS, ChunkWriter, write_keys};
use super::view::View;
use super::writer::remove_file;
use crate::codec::zstd_frame::pack_checked;
use crate::journal::StoreError;

/// Bytes of bodies in one block: what one state at a time in the past costs to read.
const BLOCK_BYTES: usize = 256 << 10;

/// Level of blocks and chunks: written once, in the background.
const LEVEL: i32 = 19;

/// Bodies of a type that every block of the type is coded against, so that small blocks need not learn it anew.
const SEED_BYTES: usize = 96 << 10;

/// Bodies in a seed, taken evenly over the objects of the type.
const SEED_BODIES: usize = 32;

/// Types with fewer objects get no seed: it would cost what it saves.
const FEWEST_FOR_SEED: usize = 64;

/// One object of the day.
struct Ranked {
    old: i64,
    class: u32,
}

/// A rewrite under way.
pub(super) struct Rewrite {
    day: Arc<Day>,
    path: PathBuf,
    connection: Connection,
    objects: Vec<Ranked>,
    /// New ids by old ones.
    ranks: HashMap<i64, i64>,
    next: usize,
    block: BlockWriter,
    /// The class whose type the collected bodies are of; 0 for none.
    block_type: u32,
    seeds: HashMap<u32, (i64, Vec<u8>)>,
    next_key: i64,
    marks: Vec<i64>,
    is_done: bool,
}

impl Rewrite {
    /// Begins the rewrite of a day.
    pub(super) fn begin(day: Arc<Day>) -> Result<Self, StoreError> {
        let step = "failed to begin the rewrite of a day";
        let solid = day.path.with_file_name(Kind::Solid.path(std::path::Path::new(""), day.date));
        let path = beside(&solid, ".new");
        remove_file(&path).or_fail(&day.place, step)?;
        let connection = schema::open_scratch(&path).or_fail(&day.place, step)?;
        schema::create_solid(&connection).or_fail(&day.place, step)?;
        let source = day.borrow()?;
        copy_tables(&source, &connection).or_fail(&day.place, step)?;
        let objects = ranked(&day, &source)?;
        drop(source);
        let ranks = objects.iter().zip(1..).map(|(object, rank)| (object.old, rank)).collect();
        let mut rewrite = Self {
            day,
            path,
            connection,
            objects,
            ranks,
            next: 0,
            block: BlockWriter::default(),
            block_type: 0,
            seeds: HashMap::new(),
            next_key: 1,
            marks: Vec::new(),
            is_done: false,
        };
        rewrite.copy_regarding().or_fail(&rewrite.day.place, step)?;
        Ok(rewrite)
    }

    pub(super) fn is_of(&self, day: &Arc<Day>) -> bool {
        Arc::ptr_eq(&self.day, day)
    }

    fn copy_regarding(&mut self) -> rusqlite::Result<()> {
        let source = schema::open_reader(&self.day.path, false)?;
        let mut read = source.prepare("SELECT uid, object FROM other_regarding")?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(rank) = self.ranks.get(&row.get(1)?) {
                self.connection.execute("INSERT INTO other_regarding VALUES (?1, ?2)", params![row.get::<_, String>(0)?, rank])?;
            }
        }
        Ok(())
    }

    /// Works until a moment. Returns whether all is written.
    pub(super) fn go_on(&mut self, until: Instant) -> Result<bool, StoreError> {
        let day = Arc::clone(&self.day);
        let connection = day.borrow()?;
        let mut view = View::new(&day, &connection)?;
        while self.next < self.objects.len() {
            if Instant::now() >= until {
                return Ok(false);
            }
            self.write_object(&mut view)?;
        }
        self.flush_block()?;
        while !self.is_done {
            if Instant::now() >= until {
                return Ok(false);
            }
            self.write_chunk(&mut view)?;
        }
        Ok(true)
    }

    /// The row of the next object, and its bodies.
    fn write_object(&mut self, view: &mut View<'_>) -> Result<(), StoreError> {
        let step = "failed to rewrite a day";
        let Some(object) = self.objects.get(self.next) else { return Ok(()) };
        let (old, class) = (object.old, object.class);
        let rank = self.next as i64 + 1;
        self.next += 1;
        let keys = view.positions(old, (1, i64::MAX), Order::Ascending, usize::MAX)?;
        let row: (Value, Value, Value) = view
            .connection
            .prepare_cached("SELECT uid, name, regarding FROM objects WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([old], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .or_fail(&self.day.place, step)?;
        let sum = ObjectRow { id: rank, ..view.object(old)?.as_ref().clone() }.sum();
        let regarding = match row.2 {
            Value::Integer(old) => self.ranks.get(&old).map_or(Value::Null, |rank| Value::Integer(*rank)),
            other => other,
        };
        self.connection
            .prepare_cached("INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .and_then(|mut statement| statement.execute(params![rank, class, row.0, row.1, regarding, sum, write_keys(&keys)]))
            .or_fail(&self.day.place, step)?;
        let of = self.type_of(view, class);
        if of != self.block_type {
            self.flush_block()?;
            self.block_type = of;
            self.seed(view, of)?;
        }
        for key in keys {
            if let Some(body) = view.stripped(key)? {
                self.block.push(rank, key, &body.stripped);
            }
            if self.block.len() >= BLOCK_BYTES {
                self.flush_block()?;
            }
        }
        Ok(())
    }

    /// The first class of the same type, whatever the namespace.
    fn type_of(&self, view: &View<'_>, class: u32) -> u32 {
        let wanted = view.names.class(class).map(|class| &class.of);
        view.names.classes().find(|(_, class)| Some(&class.of) == wanted).map_or(class, |(id, _)| id)
    }

    /// Makes the seed of a type that has many objects.
    fn seed(&mut self, view: &mut View<'_>, of: u32) -> Result<(), StoreError> {
        let step = "failed to rewrite a day";
        let types: Vec<u32> = view.names.classes().map(|(id, _)| id).filter(|id| self.type_of(view, *id) == of).collect();
        let from = self.next - 1;
        let members: Vec<i64> =
            self.objects.iter().skip(from).take_while(|object| types.contains(&object.class)).map(|object| object.old).collect();
        if members.len() < FEWEST_FOR_SEED {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for old in members.iter().step_by((members.len() / SEED_BODIES).max(1)) {
            let Some(last) = view.last_position(*old, i64::MAX)? else { continue };
            if let Some(body) = view.stripped(last)?
                && bytes.len() + body.stripped.len() <= SEED_BYTES
            {
                bytes.extend_from_slice(&body.stripped);
            }
        }
        let packed = pack_checked(&bytes, &[], LEVEL).or_fail(&self.day.place, step)?;
        self.connection.execute("INSERT INTO seeds VALUES (?1, ?2)", params![of, packed]).or_fail(&self.day.place, step)?;
        self.seeds.clear();
        self.seeds.insert(of, (i64::from(of), bytes));
        Ok(())
    }

    fn flush_block(&mut self) -> Result<(), StoreError> {
        let step = "failed to rewrite a day";
        let Some((object, key)) = self.block.first else { return Ok(()) };
        let raw = self.block.finish();
        let (seed, prefix) = self.seeds.get(&self.block_type).map_or((0, &[][..]), |(id, bytes)| (*id, bytes.as_slice()));
        let packed = pack_checked(&raw, prefix, LEVEL).or_fail(&self.day.place, step)?;
        self.connection
            .prepare_cached("INSERT INTO blocks (first_object, first_key, seed, bytes) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut statement| statement.execute(params![object, key, seed, packed]))
            .or_fail(&self.day.place, step)?;
        Ok(())
    }

    fn write_chunk(&mut self, view: &mut View<'_>) -> Result<(), StoreError> {
        let step = "failed to rewrite a day";
        let mut chunk = ChunkWriter::default();
        let mut first = None;
        let (ranks, marks, start) = (&self.ranks, &mut self.marks, self.day.start);
        let mut lost = None;
        view.scan((self.next_key, i64::MAX), Order::Ascending, &mut |key, entry| {
            let object = if entry.object == NO_OBJECT { Some(NO_OBJECT) } else { ranks.get(&entry.object).copied() };
            let Some(object) = object else {
                lost = Some(key);
                return ControlFlow::Break(());
            };
            if object == NO_OBJECT {
                marks.push(key);
            }
            first.get_or_insert(key);
            chunk.push(key, &Entry { object, content: entry.content }, start);
            self.next_key = key + 1;
            if chunk.count < CHUNK_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if let Some(key) = lost {
            return Err(self.day.place.damaged(format!("the object of row {key} is not there")));
        }
        let Some(first) = first else {
            self.is_done = true;
            return Ok(());
        };
        let packed = pack_checked(&chunk.finish(), &[], LEVEL).or_fail(&self.day.place, step)?;
        let inserted = self.connection.execute("INSERT INTO chunks VALUES (?1, ?2)", params![first, packed]);
        inserted.map(drop).or_fail(&self.day.place, step)
    }

    /// Makes the new file durable and gives it its name.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let step = "failed to finish the rewrite of a day";
        let place = self.day.place.clone();
        schema::set(&self.connection, "marks", write_keys(&self.marks)).or_fail(&place, step)?;
        self.connection.execute_batch("COMMIT").or_fail(&place, step)?;
        self.connection.close().map_err(|(_, error)| error).or_fail(&place, step)?;
        std::fs::File::open(&self.path).and_then(|file| file.sync_all()).or_fail(&place, step)?;
        let dir = self.path.parent().unwrap_or(std::path::Path::new(".")).to_owned();
        std::fs::rename(&self.path, Kind::Solid.path(&dir, self.day.date)).or_fail(&place, step)?;
        sync_dir(&dir).or_fail(&place, step)
    }
}

/// Objects in the order of the new file: by type and namespace, Events as they came, others by name, so that kin stand together.
fn ranked(day: &Day, source: &Connection) -> Result<Vec<Ranked>, StoreError> {
    let step = "failed to begin the rewrite of a day";
    let names = day.names(source, true)?;
    let mut read =
        source.prepare("SELECT id, class, CASE typeof(name) WHEN 'text' THEN name END FROM objects").or_fail(&day.place, step)?;
    let mut rows = read.query([]).or_fail(&day.place, step)?;
    let mut keyed = Vec::new();
    while let Some(row) = rows.next().or_fail(&day.place, step)? {
        let old: i64 = row.get(0).or_fail(&day.place, step)?;
        let class_id: u32 = row.get(1).or_fail(&day.place, step)?;
        let name: Option<String> = row.get(2).or_fail(&day.place, step)?;
        let class = names.class(class_id).ok_or_else(|| day.place.damaged(format!("object {old} is of no class")))?;
        let by_name = name.filter(|_| !class.is_event()).unwrap_or_default();
        let of =
            (class.of.group.clone(), class.of.kind.clone(), class.of.version.clone(), class.of.resource.clone(), class.of.cluster.clone());
        keyed.push(((of, class.namespace.clone(), by_name, old), Ranked { old, class: class_id }));
    }
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(keyed.into_iter().map(|(_, object)| object).collect())
}

/// Copies the tables that both kinds of file have alike.
fn copy_tables(source: &Connection, to: &Connection) -> rusqlite::Result<()> {
    to.execute_batch("BEGIN IMMEDIATE; DELETE FROM tally")?;
    for (table, columns) in [("facts", 2), ("tally", 4), ("types", 7), ("classes", 4), ("managers", 3), ("checkpoints", 6), ("cursors", 4)]
    {
        let mut read = source.prepare(&format!("SELECT * FROM {table}"))?;
        let places = vec!["?"; columns].join(", ");
        let mut write = to.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|index| row.get::<_, Value>(index)).collect::<rusqlite::Result<Vec<_>>>()?;
            write.execute(rusqlite::params_from_iter(values))?;
        }
    }
    Ok(())
}
