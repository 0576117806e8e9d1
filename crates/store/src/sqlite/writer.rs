//! Appending: positions, raised times, days, and what a failure undoes.
//!
//! Invariants: an append is in the journal whole or not at all, even when its records fall on two days; positions are never given twice;
//! a new day begins with what the day before knew of watch positions, consumers and the dictionary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use jiff::Timestamp;
use jiff::civil::Date;
use proreus_model::{Record, Seq, SeqRange};
use rusqlite::{Connection, params};

use super::day::{BESIDE, Day, Idle, Kind, Span, beside, day_of};
use super::fault::{OrFail, Place};
use super::identity::{Identity, RESERVE, WatermarkFile, sync_dir};
use super::lock::DirectoryLock;
use super::open_day::{OpenDay, put_checkpoint, put_cursor};
use super::published::Published;
use super::recover;
use super::schema;
use super::times;
use crate::journal::{Appended, Batch, StoreError, WriterEpoch};

/// Rows kept free below the first change, for the base: more living objects than any API server holds.
const BASE_ROOM: i64 = 1 << 21;

/// Where the writing side stands.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) place: Place,
    pub(super) identity: Identity,
    pub(super) days: Vec<Arc<Day>>,
    pub(super) last_seq: u64,
    pub(super) last_at: Option<Timestamp>,
    /// The position to give next: past `last_seq` by more than one after a loss.
    pub(super) next_seq: u64,
    pub(super) open: Option<OpenDay>,
    pub(super) watermark_file: WatermarkFile,
    pub(super) idle: Arc<Idle>,
    pub(super) memory: usize,
    pub(super) most_pages: Option<Arc<AtomicU32>>,
    /// Held for as long as anything may be written.
    pub(super) _lock: DirectoryLock,
}

/// A run of a batch's records that falls on one day.
struct Part {
    date: Date,
    from: usize,
    to: usize,
}

impl Writer {
    /// Appends a batch. A newest day that turns out damaged is set aside, and the batch goes to a new file.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<Appended, StoreError> {
        let appended = self.try_append(batch);
        let Err(StoreError::Damaged { reason, .. }) = &appended else { return appended };
        self.open = None;
        if let Some(day) = self.days.pop() {
            day.close_idle();
            recover::set_aside(&self.dir, day.date, day.kind, reason)?;
            self.next_seq = self.identity.reserved + 1;
        }
        self.try_append(batch)
    }

    fn try_append(&mut self, batch: &Batch) -> Result<Appended, StoreError> {
        if batch.records.is_empty() && batch.checkpoints.is_empty() && batch.cursors.is_empty() {
            return Ok(Appended { range: None, watermark: Seq(self.last_seq) });
        }
        let times = self.raised(&batch.records);
        let parts = self.parts(batch, &times);
        let first = self.next_seq;
        let last = first + batch.records.len() as u64 - u64::from(!batch.records.is_empty());
        self.reserve(last)?;
        let days_before = self.days.len();
        let mut written = 0;
        if let Err(error) = self.write_parts(batch, &times, &parts, first, &mut written) {
            self.open = None;
            if written > 0 {
                self.take_back(days_before, first)?;
            }
            return Err(error);
        }
        if batch.records.is_empty() {
            return Ok(Appended { range: None, watermark: Seq(self.last_seq) });
        }
        self.last_seq = last;
        self.next_seq = last + 1;
        self.last_at = times.last().copied();
        // The records are durable; this file only helps to tell a loss later.
        if let Err(error) = self.watermark_file.set(last) {
            tracing::warn!(%error, "failed to note the watermark");
        }
        Ok(Appended { range: Some(SeqRange { first: Seq(first), last: Seq(last) }), watermark: Seq(last) })
    }

    /// This moment, for readers.
    pub(super) fn published(&self) -> Published {
        Published { days: self.days.clone().into(), watermark: self.last_seq, last_at: self.last_at }
    }

    /// Takes over as the writer.
    pub(super) fn begin_epoch(&mut self) -> Result<WriterEpoch, StoreError> {
        let identity = Identity { epoch: self.identity.epoch + 1, ..self.identity.clone() };
        identity.write(&self.dir).or_fail(&self.place, "failed to begin an epoch")?;
        self.identity = identity;
        Ok(WriterEpoch(self.identity.epoch))
    }

    /// The records' times, none before the one before it.
    fn raised(&self, records: &[Record]) -> Vec<Timestamp> {
        let mut last = self.last_at.unwrap_or(Timestamp::MIN);
        records
            .iter()
            .map(|record| {
                last = last.max(record.recorded_at());
                last
            })
            .collect()
    }

    fn parts(&self, batch: &Batch, times: &[Timestamp]) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (index, time) in times.iter().enumerate() {
            let date = day_of(*time);
            match parts.last_mut() {
                Some(part) if part.date == date => part.to = index + 1,
                _ => parts.push(Part { date, from: index, to: index + 1 }),
            }
        }
        if parts.is_empty() {
            let checked = batch.checkpoints.iter().map(|checkpoint| checkpoint.at).max();
            let date = self.days.last().map(|day| day.date).or_else(|| checked.map(day_of));
            parts.push(Part { date: date.unwrap_or_else(|| day_of(Timestamp::UNIX_EPOCH)), from: 0, to: 0 });
        }
        parts
    }

    /// Makes sure that no position up to `last` can be given again after any loss.
    fn reserve(&mut self, last: u64) -> Result<(), StoreError> {
        if last <= self.identity.reserved {
            return Ok(());
        }
        let identity = Identity { reserved: last + RESERVE, ..self.identity.clone() };
        identity.write(&self.dir).or_fail(&self.place, "failed to reserve positions")?;
        self.identity = identity;
        Ok(())
    }

    fn write_parts(
        &mut self,
        batch: &Batch,
        times: &[Timestamp],
        parts: &[Part],
        first: u64,
        written: &mut usize,
    ) -> Result<(), StoreError> {
        let last = first + batch.records.len() as u64 - 1;
        let mut spans = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let part_first = first + part.from as u64;
            let is_last = index + 1 == parts.len();
            let open = self.open_on(part.date, part_first)?;
            open.begin()?;
            if let Some(before) = open.day.span().filter(|span| span.last_seq + 1 < part_first) {
                // Positions that a loss left out, so that they can be told from damage.
                schema::set(&open.connection, &format!("hole_{part_first}"), before.last_seq as i64)
                    .or_fail(&open.day.place, "failed to append")?;
                open.day.reload_holes(&open.connection)?;
            }
            if !is_last {
                // Until the last part is durable, this one is not part of the journal.
                let spill = schema::set(&open.connection, "spill_first", first as i64)
                    .and_then(|()| schema::set(&open.connection, "spill_last", last as i64));
                spill.or_fail(&open.day.place, "failed to append")?;
            }
            for (seq, (record, time)) in (part_first..).zip(batch.records.iter().zip(times).take(part.to).skip(part.from)) {
                let key = open.day.key(seq);
                match record {
                    Record::Change(change) => open.insert_change(change, key, *time, None)?,
                    Record::Mark(mark) => open.insert_mark(mark, key, *time)?,
                }
            }
            if is_last {
                open.set_positions(&batch.checkpoints, &batch.cursors)?;
            }
            open.commit()?;
            *written += usize::from(part.to > part.from);
            if let (Some(from), Some(to)) = (times.get(part.from), part.to.checked_sub(1).and_then(|index| times.get(index))) {
                let span = Span { first_seq: part_first, last_seq: first + part.to as u64 - 1, first_at: *from, last_at: *to };
                spans.push((Arc::clone(&open.day), span));
            }
        }
        for (day, span) in spans {
            let joined = day.span().map_or(span, |before| Span { last_seq: span.last_seq, last_at: span.last_at, ..before });
            day.set_span(Some(joined));
        }
        Ok(())
    }

    /// Undoes the parts of a batch that were written on days before the one that failed.
    fn take_back(&mut self, days_before: usize, first: u64) -> Result<(), StoreError> {
        for day in self.days.split_off(days_before.max(1)) {
            remove_file(&day.path).or_fail(&day.place, "failed to take back an append")?;
        }
        sync_dir(&self.dir).or_fail(&self.place, "failed to take back an append")?;
        if let Some(day) = self.days.last() {
            remove_from(day, first)?;
            if day.span().is_none() && days_before == 0 {
                day.close_idle();
            }
        }
        Ok(())
    }

    /// The file of a day, open for writing; made if it is not there.
    pub(super) fn open_on(&mut self, date: Date, next_seq: u64) -> Result<&mut OpenDay, StoreError> {
        let is_open = self.open.as_ref().is_some_and(|open| open.day.date == date);
        if !is_open {
            let newest = self.days.last().map(|day| day.date);
            if newest != Some(date) {
                self.roll(date, next_seq)?;
            }
            let day = self.days.last().cloned().ok_or_else(|| self.place.engine("failed to append", "there is no day"))?;
            self.open = Some(OpenDay::open(day, self.memory, self.most_pages.clone())?);
        }
        self.open.as_mut().ok_or_else(|| self.place.engine("failed to append", "there is no open day"))
    }

    /// Begins a new day.
    fn roll(&mut self, date: Date, next_seq: u64) -> Result<(), StoreError> {
        let step = "failed to begin a day";
        if let Some(open) = self.open.take() {
            open.close();
        }
        let before = self.days.last().cloned();
        let is_empty = match &before {
            Some(before) => recover::find_span(before)?.is_none(),
            None => false,
        };
        let place = Place::new(&self.dir, &date.to_string());
        let path = Kind::Rows.path(&self.dir, date);
        let fresh = beside(&path, ".new");
        remove_file(&fresh).or_fail(&place, step)?;
        let made = create(&fresh, &self.identity.journal, next_seq, before.as_deref(), is_empty).or_fail(&place, step);
        let made = made.and_then(|()| std::fs::rename(&fresh, &path).or_fail(&place, step));
        if let Err(error) = made.and_then(|()| sync_dir(&self.dir).or_fail(&place, step)) {
            drop(remove_file(&fresh));
            return Err(error);
        }
        let day = Day::open(&self.dir, date, Kind::Rows, Arc::clone(&self.idle), false)?;
        // Only watch positions were ever written to it, on the day of a clock that the records do not have.
        if let Some(empty) = before.filter(|_| is_empty) {
            self.days.pop();
            empty.close_idle();
            remove_file(&empty.path).or_fail(&place, step)?;
        }
        self.days.push(Arc::new(day));
        tracing::info!(day = %date, "began a day");
        Ok(())
    }
}

/// Makes a day file: its tables, and what the day before passes on.
fn create(path: &Path, journal: &str, first_seq: u64, before: Option<&Day>, before_is_empty: bool) -> rusqlite::Result<()> {
    let connection = schema::open_writer(path)?;
    schema::create_rows(&connection)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    schema::set(&connection, "journal", journal)?;
    schema::set(&connection, "first_seq", i64::try_from(first_seq).unwrap_or(i64::MAX))?;
    schema::set(&connection, "room", BASE_ROOM)?;
    schema::set(&connection, "sum", super::day::facts_sum(first_seq, BASE_ROOM))?;
    if let Some(before) = before {
        pass_on(&connection, before)?;
    }
    if before.is_none_or(|before| before_is_empty && before.has_whole_base()) {
        schema::set(&connection, "base_done", 1)?;
    }
    connection.execute_batch("COMMIT")?;
    connection.close().map_err(|(_, error)| error)
}

/// Copies watch positions, consumer positions and the newest dictionary. A position that is damaged stays behind: a day later nobody would
/// need to know any more.
fn pass_on(connection: &Connection, before: &Day) -> rusqlite::Result<()> {
    let source = schema::open_reader(&before.path, false)?;
    for checkpoint in times::stored_checkpoints(&source)?.into_iter().flatten() {
        put_checkpoint(connection, &checkpoint)?;
    }
    for cursor in times::stored_cursors(&source)?.into_iter().flatten() {
        put_cursor(connection, &cursor)?;
    }
    let mut read = source.prepare("SELECT bytes FROM dictionaries ORDER BY generation DESC LIMIT 1")?;
    let mut rows = read.query([])?;
    if let Some(row) = rows.next()? {
        connection.execute("INSERT INTO dictionaries VALUES (1, ?1)", params![row.get::<_, Vec<u8>>(0)?])?;
    }
    Ok(())
}

/// Removes the records from a position on, and the objects that began with them.
pub(super) fn remove_from(day: &Day, first: u64) -> Result<(), StoreError> {
    let step = "failed to take back an append";
    let connection = schema::open_writer(&day.path).or_fail(&day.place, step)?;
    let key = day.key(first);
    connection.execute_batch("BEGIN IMMEDIATE").or_fail(&day.place, step)?;
    recover::recount_without(day, &connection, key)?;
    for sql in ["DELETE FROM objects WHERE id >= ?1", "DELETE FROM records WHERE p >= ?1"] {
        connection.execute(sql, [key]).or_fail(&day.place, step)?;
    }
    let cleared = schema::clear(&connection, "spill_first").and_then(|()| schema::clear(&connection, "spill_last"));
    cleared.and_then(|()| connection.execute_batch("COMMIT")).or_fail(&day.place, step)
}

/// Removes a file and what SQLite keeps beside it; none of them need be there.
pub(super) fn remove_file(path: &Path) -> std::io::Result<()> {
    for path in BESIDE.iter().map(|ending| beside(path, ending)).chain([path.to_owned()]) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
