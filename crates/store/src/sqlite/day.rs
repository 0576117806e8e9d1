//! A day file as readers hold it: its place in the sequence, its interned words, and a few connections kept open.
//!
//! Not here: what stands in the file (`rows`, `solid`), and who writes it. Invariant: `first_seq`, `room` and `start` never change for a
//! file, so a position in the journal and a row's key convert into each other without asking anybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::fault::{OrFail, Place};
use super::names::Names;
use super::schema;
use crate::codec::zstd_frame::{Dictionary, unpack_checked};
use crate::journal::StoreError;

/// Connections kept open for a day: more readers at once open their own and close it.
const IDLE_A_DAY: usize = 4;

/// Connections kept open over all days: each holds up to three descriptors and its page cache.
const IDLE_IN_ALL: usize = 24;

/// Seeds of a rewritten day kept in memory, about 100 KB each.
const SEEDS_KEPT: usize = 8;

/// A longer seed is damage.
const LARGEST_SEED: usize = 16 << 20;

/// Which tables hold the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One row a record, written as they come.
    Rows,
    /// Rewritten by object.
    Solid,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Rows => ".rows.sqlite",
            Self::Solid => ".solid.sqlite",
        }
    }

    /// Path of the day's file of this kind.
    pub(super) fn path(self, dir: &Path, date: Date) -> PathBuf {
        dir.join(format!("{date}{}", self.suffix()))
    }

    /// The day and kind that a file name tells.
    pub(super) fn parse(name: &str) -> Option<(Date, Self)> {
        let (kind, date) = [Self::Rows, Self::Solid].into_iter().find_map(|kind| Some((kind, name.strip_suffix(kind.suffix())?)))?;
        let parsed: Date = date.parse().ok()?;
        (parsed.to_string() == date).then_some((parsed, kind))
    }
}

/// The UTC day of a time.
pub(super) fn day_of(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// The first moment of a day.
pub(super) fn start_of(date: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).unwrap_or(Timestamp::MIN)
}

/// Positions and times of the records in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

/// Counts over connections of all days.
#[derive(Debug, Default)]
pub(super) struct Idle(AtomicUsize);

/// One day file.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) place: Place,
    pub(super) date: Date,
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    /// First moment of the day; times in the file count from it.
    pub(super) start: Timestamp,
    /// Position of the record at row `room`.
    pub(super) first_seq: u64,
    /// Rows below it are the base.
    pub(super) room: i64,
    /// Whether the base holds every object that was alive when the day began.
    pub(super) base_done: AtomicBool,
    /// Could not be rewritten because of damage.
    pub(super) stays_rows: AtomicBool,
    span: Mutex<Option<Span>>,
    /// Last position before a loss and first one after it.
    holes: RwLock<Vec<(u64, u64)>>,
    names: RwLock<Arc<Names>>,
    dictionaries: RwLock<BTreeMap<u32, Arc<Dictionary>>>,
    seeds: RwLock<BTreeMap<i64, Arc<Vec<u8>>>>,
    idle: Mutex<Vec<Connection>>,
    idle_in_all: Arc<Idle>,
    /// Nothing writes the file, and it cannot be written: read it as it lies.
    untouched: bool,
}

/// A connection that goes back to its day when dropped.
pub(super) struct Borrowed<'a> {
    day: &'a Day,
    connection: Option<Connection>,
}

impl std::ops::Deref for Borrowed<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("the connection leaves only when this is dropped")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A transaction left open by an error would pin the log.
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        let mut idle = lock(&self.day.idle);
        let in_all = &self.day.idle_in_all.0;
        if idle.len() < IDLE_A_DAY && in_all.load(Ordering::Relaxed) < IDLE_IN_ALL {
            in_all.fetch_add(1, Ordering::Relaxed);
            idle.push(connection);
        }
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        self.idle_in_all.0.fetch_sub(lock(&self.idle).len(), Ordering::Relaxed);
    }
}

/// A lock whose holder panicked still guards whole values: nothing under it is changed in steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Day {
    /// Opens a file to read from, checks what it says of itself and finds its span.
    pub(super) fn open(dir: &Path, date: Date, kind: Kind, idle_in_all: Arc<Idle>, untouched: bool) -> Result<Self, StoreError> {
        let path = kind.path(dir, date);
        let place = Place::new(dir, &date.to_string());
        let step = "failed to open";
        let connection = schema::open_reader(&path, untouched).or_fail(&place, step)?;
        let (application, format) = schema::identify(&connection).or_fail(&place, step)?;
        if application != schema::APPLICATION {
            return Err(place.damaged("the file is not a day of a journal"));
        }
        if format > schema::FORMAT {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(StoreError::Newer { file, found: format, supported: schema::FORMAT });
        }
        let number = |key: &str| schema::number(&connection, key).or_fail(&place, step);
        let (first_seq, room) = (number("first_seq")?, number("room")?);
        let base_done = number("base_done")?.is_some();
        let whole = first_seq.and_then(|seq| u64::try_from(seq).ok()).filter(|seq| *seq > 0).zip(room.filter(|room| *room > 0));
        let Some((first_seq, room)) = whole else { return Err(place.damaged("the file does not say where it begins")) };
        if number("sum")? != Some(facts_sum(first_seq, room)) {
            return Err(place.damaged("what the file says of itself does not add up"));
        }
        let holes = RwLock::new(read_holes(&connection).or_fail(&place, step)?);
        let mut names = Names::default();
        names.load(&connection).or_fail(&place, step)?;
        let day = Self {
            place,
            date,
            kind,
            path,
            start: start_of(date),
            first_seq,
            room,
            base_done: AtomicBool::new(base_done),
            stays_rows: AtomicBool::new(false),
            span: Mutex::new(None),
            holes,
            names: RwLock::new(Arc::new(names)),
            dictionaries: RwLock::default(),
            seeds: RwLock::default(),
            idle: Mutex::default(),
            idle_in_all,
            untouched,
        };
        drop(Borrowed { day: &day, connection: Some(connection) });
        Ok(day)
    }

    /// A connection to read with.
    pub(super) fn borrow(&self) -> Result<Borrowed<'_>, StoreError> {
        if let Some(connection) = lock(&self.idle).pop() {
            self.idle_in_all.0.fetch_sub(1, Ordering::Relaxed);
            return Ok(Borrowed { day: self, connection: Some(connection) });
        }
        let connection = schema::open_reader(&self.path, self.untouched).or_fail(&self.place, "failed to open")?;
        Ok(Borrowed { day: self, connection: Some(connection) })
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close_idle(&self) {
        let mut idle = lock(&self.idle);
        self.idle_in_all.0.fetch_sub(idle.len(), Ordering::Relaxed);
        idle.clear();
    }

    /// Row key of a position.
    pub(super) fn key(&self, seq: u64) -> i64 {
        let after_first = i128::from(seq) - i128::from(self.first_seq);
        i64::try_from(i128::from(self.room) + after_first).unwrap_or(i64::MAX)
    }

    /// Position of a row key at or above `room`.
    pub(super) fn seq(&self, key: i64) -> u64 {
        let after_first = u64::try_from(key - self.room).unwrap_or_default();
        self.first_seq.saturating_add(after_first)
    }

    pub(super) fn span(&self) -> Option<Span> {
        *lock(&self.span)
    }

    pub(super) fn set_span(&self, span: Option<Span>) {
        *lock(&self.span) = span;
    }

    /// Whether a loss left out all positions between two.
    pub(super) fn is_hole(&self, before: u64, after: u64) -> bool {
        self.holes.read().unwrap_or_else(PoisonError::into_inner).contains(&(before, after))
    }

    /// The first position after the loss that came after a position.
    pub(super) fn after_hole(&self, before: u64) -> Option<u64> {
        let holes = self.holes.read().unwrap_or_else(PoisonError::into_inner);
        holes.iter().find(|(last, _)| *last == before).map(|(_, first)| *first)
    }

    /// Looks again for positions that a loss left out.
    pub(super) fn reload_holes(&self, connection: &Connection) -> Result<(), StoreError> {
        let holes = read_holes(connection).or_fail(&self.place, "failed to read")?;
        *self.holes.write().unwrap_or_else(PoisonError::into_inner) = holes;
        Ok(())
    }

    pub(super) fn has_whole_base(&self) -> bool {
        self.base_done.load(Ordering::Acquire)
    }

    /// The file's interned words, those included that were added since the last look.
    pub(super) fn names(&self, connection: &Connection, may_have_grown: bool) -> Result<Arc<Names>, StoreError> {
        let known = Arc::clone(&self.names.read().unwrap_or_else(PoisonError::into_inner));
        let step = "failed to read names";
        if !may_have_grown || !known.is_behind(connection).or_fail(&self.place, step)? {
            return Ok(known);
        }
        let mut grown = known.as_ref().clone();
        grown.load(connection).or_fail(&self.place, step)?;
        let grown = Arc::new(grown);
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&grown);
        Ok(grown)
    }

    /// A dictionary of the file.
    pub(super) fn dictionary(&self, connection: &Connection, generation: u32) -> Result<Arc<Dictionary>, StoreError> {
        if let Some(known) = self.dictionaries.read().unwrap_or_else(PoisonError::into_inner).get(&generation) {
            return Ok(Arc::clone(known));
        }
        let bytes: Vec<u8> = connection
            .prepare_cached("SELECT bytes FROM dictionaries WHERE generation = ?1")
            .and_then(|mut statement| statement.query_row([generation], |row| row.get(0)))
            .or_fail(&self.place, "failed to read a dictionary")?;
        let dictionary = Dictionary::prepare(generation, bytes).ok_or_else(|| self.place.damaged("a dictionary cannot be prepared"))?;
        let dictionary = Arc::new(dictionary);
        let mut known = self.dictionaries.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.entry(generation).or_insert(dictionary)))
    }

    /// What blocks of a rewritten file are coded against; 0 is nothing.
    pub(super) fn seed(&self, connection: &Connection, id: i64) -> Result<Arc<Vec<u8>>, StoreError> {
        if id == 0 {
            return Ok(Arc::default());
        }
        if let Some(known) = self.seeds.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(known));
        }
        let bytes: Vec<u8> = connection
            .prepare_cached("SELECT bytes FROM seeds WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)))
            .or_fail(&self.place, "failed to read a seed")?;
        let seed = unpack_checked(&bytes, &[], LARGEST_SEED).map_err(|_| self.place.damaged(format!("seed {id} does not decode")))?;
        let seed = Arc::new(seed);
        let mut known = self.seeds.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SEEDS_KEPT {
            known.clear();
        }
        known.insert(id, Arc::clone(&seed));
        Ok(seed)
    }

    /// Bytes of the file and what lies beside it.
    pub(super) fn stored_bytes(&self) -> u64 {
        stored_bytes(&self.path)
    }
}

/// Tells whether `first_seq` and `room` are as they were written.
pub(super) fn facts_sum(first_seq: u64, room: i64) -> i64 {
    schema::sum(0, &[&first_seq.to_le_bytes(), &room.to_le_bytes()])
}

/// Positions that losses left out, as the file tells them: the last before, the first after.
fn read_holes(connection: &Connection) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut statement = connection.prepare("SELECT substr(key, 6), value FROM facts WHERE key LIKE 'hole\\_%' ESCAPE '\\'")?;
    let rows: Vec<(String, u64)> = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().filter_map(|(first, last)| Some((last, first.parse().ok()?))).collect())
}

/// Endings of the files that SQLite keeps beside a database.
pub(super) const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Bytes of a database with its log. The shared-memory file is not counted: it is a cache of the running process.
pub(super) fn stored_bytes(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    size(path) + size(&beside(path, "-wal"))
}

/// Path of a file beside a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
