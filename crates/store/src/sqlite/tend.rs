//! Background work: dictionaries, bases, rewriting closed days. In steps that fit a budget, from whatever thread the owner has idle.
//!
//! The writer is held for short transactions only. Invariant: a step that is cut off anywhere, by its budget or by `kill -9`, is done
//! again or gone on with, and no question is answered differently meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proreus_model::{Change, Verb};

use super::SqliteJournal;
use super::day::{Day, Kind, lock};
use super::encode::train_dictionary;
use super::fault::OrFail;
use super::open_day::OpenDay;
use super::schema;
use super::solid_write::Rewrite;
use super::view::View;
use super::writer::Writer;
use crate::codec::zstd_frame::Dictionary;
use crate::journal::{BodyDetail, StoreError};

/// Objects of a base written in one transaction: about ten milliseconds that an append may have to wait.
const BASE_OBJECTS_AT_ONCE: usize = 48;

/// Bytes of bodies in one such transaction.
const BASE_BYTES_AT_ONCE: usize = 1 << 20;

/// What a call of `tend` left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// There is work that did not fit the budget.
    pub more: bool,
    /// States written to bases.
    pub base_states: u64,
    /// Days rewritten.
    pub days_rewritten: u64,
    /// Dictionaries trained.
    pub dictionaries: u64,
}

/// Work that goes over several calls.
#[derive(Default)]
pub(super) struct Tending {
    rewrite: Option<Rewrite>,
}

impl SqliteJournal {
    /// Does background work for about `budget`: trains dictionaries, writes the bases of days, rewrites days that are past. Call it from
    /// a thread of its own, again at once while `more` is true and every second or so otherwise. Only one call works at a time; a second
    /// one returns at once. Nothing to do for a journal that was opened to read only.
    pub fn tend(&self, budget: Duration) -> Result<Tended, StoreError> {
        let mut tended = Tended::default();
        let Some(writer) = &self.writer else { return Ok(tended) };
        let Ok(mut tending) = self.tending.try_lock() else { return Ok(tended) };
        let until = Instant::now() + budget;
        self.tend_dictionary(writer, &mut tended)?;
        loop {
            // The guard goes before the work begins: the work takes the lock itself.
            let next = next_base(&lock(writer).days);
            let Some((day, before)) = next else { break };
            if Instant::now() >= until {
                return Ok(Tended { more: true, ..tended });
            }
            self.tend_base(writer, &day, &before, &mut tended)?;
        }
        loop {
            let next = next_rewrite(&lock(writer).days);
            let Some(day) = next else { break };
            if Instant::now() >= until {
                return Ok(Tended { more: true, ..tended });
            }
            self.tend_rewrite(writer, &mut tending, &day, until, &mut tended)?;
        }
        Ok(tended)
    }

    fn tend_dictionary(&self, writer: &std::sync::Mutex<Writer>, tended: &mut Tended) -> Result<(), StoreError> {
        let due = {
            let mut writer = lock(writer);
            let Some(open) = &mut writer.open else { return Ok(()) };
            let generation = open.encoder.dictionary().map_or(0, |dictionary| dictionary.generation);
            open.encoder.samples_due().map(|samples| (Arc::clone(&open.day), generation + 1, samples))
        };
        let Some((day, generation, samples)) = due else { return Ok(()) };
        let Some(bytes) = train_dictionary(&samples) else { return Ok(()) };
        let Some(dictionary) = Dictionary::prepare(generation, bytes) else { return Ok(()) };
        let mut writer = lock(writer);
        // The day may have ended while we trained.
        let Some(open) = writer.open.as_mut().filter(|open| Arc::ptr_eq(&open.day, &day)) else { return Ok(()) };
        open.begin()?;
        let inserted =
            open.connection.execute("INSERT INTO dictionaries VALUES (?1, ?2)", rusqlite::params![dictionary.generation, dictionary.bytes]);
        let committed = inserted.or_fail(&day.place, "failed to store a dictionary").and_then(|_| open.commit());
        if committed.is_err() {
            writer.open = None;
            return committed;
        }
        tracing::debug!(day = %day.date, generation, bytes = dictionary.bytes.len(), "trained a dictionary");
        open.encoder.set_dictionary(Arc::new(dictionary));
        tended.dictionaries += 1;
        Ok(())
    }

    /// One transaction of a day's base.
    fn tend_base(
        &self,
        writer: &std::sync::Mutex<Writer>,
        day: &Arc<Day>,
        before: &Arc<Day>,
        tended: &mut Tended,
    ) -> Result<(), StoreError> {
        let next = {
            let connection = day.borrow()?;
            schema::number(&connection, "base_next").or_fail(&day.place, "failed to write a base")?.unwrap_or_default()
        };
        let (states, next, done) = base_states(before, next)?;
        let mut writer = lock(writer);
        let is_newest = writer.days.last().is_some_and(|newest| Arc::ptr_eq(newest, day));
        let written = if is_newest {
            let date = day.date;
            let next_seq = writer.next_seq;
            let open = writer.open_on(date, next_seq)?;
            write_base(open, &states, next, done)
        } else {
            let mut open = OpenDay::open(Arc::clone(day), writer.memory / 4, None)?;
            write_base(&mut open, &states, next, done)
        };
        if let Err(error) = written {
            writer.open = None;
            return Err(error);
        }
        tended.base_states += states.len() as u64;
        if done {
            day.base_done.store(true, Ordering::Release);
            tracing::info!(day = %day.date, "completed the base of a day");
        }
        Ok(())
    }

    fn tend_rewrite(
        &self,
        writer: &std::sync::Mutex<Writer>,
        tending: &mut Tending,
        day: &Arc<Day>,
        until: Instant,
        tended: &mut Tended,
    ) -> Result<(), StoreError> {
        let begun = tending.rewrite.take().filter(|rewrite| rewrite.is_of(day));
        let worked = begun.map_or_else(|| Rewrite::begin(Arc::clone(day)), Ok).and_then(|mut rewrite| {
            let is_whole = rewrite.go_on(until)?;
            Ok((rewrite, is_whole))
        });
        match worked {
            Ok((rewrite, false)) => {
                tending.rewrite = Some(rewrite);
                return Ok(());
            }
            Ok((rewrite, true)) => rewrite.finish()?,
            Err(StoreError::Damaged { segment, reason }) => {
                // Its rows answer what they can; verify names the rest.
                tracing::error!(segment, reason, "left a damaged day as it is");
                day.stays_rows.store(true, Ordering::Release);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let mut writer = lock(writer);
        let Some(at) = writer.days.iter().position(|known| Arc::ptr_eq(known, day)) else {
            // Retention was faster.
            let late = Kind::Solid.path(&self.dir, day.date);
            return super::writer::remove_file(&late).or_fail(&day.place, "failed to remove a rewritten day");
        };
        let fresh = super::recover::open_day(&self.dir, day.date, Kind::Solid, &writer.idle, false)?;
        if let Some(place) = writer.days.get_mut(at) {
            *place = Arc::new(fresh);
        }
        self.publish(&writer);
        day.close_idle();
        super::writer::remove_file(&day.path).or_fail(&day.place, "failed to remove the rows of a rewritten day")?;
        tracing::info!(day = %day.date, "rewrote a day by object");
        tended.days_rewritten += 1;
        Ok(())
    }
}

/// The oldest day whose base is not whole, and the day before it.
fn next_base(days: &[Arc<Day>]) -> Option<(Arc<Day>, Arc<Day>)> {
    let at = days.iter().position(|day| !day.has_whole_base())?;
    let before = at.checked_sub(1).and_then(|before| days.get(before))?;
    Some((Arc::clone(days.get(at)?), Arc::clone(before)))
}

/// The oldest day that is past, still in rows, and no longer needed for the next one's base.
fn next_rewrite(days: &[Arc<Day>]) -> Option<Arc<Day>> {
    let past = days.iter().zip(days.iter().skip(1));
    let mut due = past.filter(|(day, next)| {
        day.kind == Kind::Rows && !day.stays_rows.load(Ordering::Acquire) && day.has_whole_base() && next.has_whole_base()
    });
    due.next().map(|(day, _)| Arc::clone(day))
}

/// Last states of objects of a day after an object id, as many as fit a transaction; the id to go on after; whether that was all.
fn base_states(before: &Day, after: i64) -> Result<(Vec<Change>, i64, bool), StoreError> {
    let step = "failed to read for a base";
    let connection = before.borrow()?;
    let mut view = View::new(before, &connection)?;
    let ids: Vec<(i64, u32)> = connection
        .prepare_cached("SELECT id, class FROM objects WHERE id > ?1 ORDER BY id LIMIT 1024")
        .and_then(|mut statement| statement.query_map([after], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .or_fail(&before.place, step)?;
    let (mut states, mut bytes, mut next) = (Vec::new(), 0, after);
    for (id, class) in &ids {
        if states.len() >= BASE_OBJECTS_AT_ONCE || bytes >= BASE_BYTES_AT_ONCE {
            return Ok((states, next, false));
        }
        next = *id;
        if view.names.class(*class).is_some_and(super::names::Class::is_event) {
            continue;
        }
        let change = match last_state(&mut view, *id) {
            Ok(Some(change)) => change,
            Ok(None) => continue,
            // One state that is lost must not keep all others out of the base, and the day for ever.
            Err(StoreError::Damaged { segment, reason }) => {
                tracing::error!(segment, object = id, reason, "left a damaged state out of a base");
                continue;
            }
            Err(error) => return Err(error),
        };
        bytes += change.body.as_ref().map_or(0, |body| body.len());
        states.push(change);
    }
    Ok((states, next, ids.is_empty()))
}

/// The object's last change, when it is alive.
fn last_state(view: &mut View<'_>, object: i64) -> Result<Option<Change>, StoreError> {
    let Some(key) = view.last_position(object, i64::MAX)? else { return Ok(None) };
    match view.change_at(key, BodyDetail::None)? {
        Some(change) if change.verb != Verb::Delete => view.change_at(key, BodyDetail::Body),
        _ => Ok(None),
    }
}

/// Adds states to the base of an open day.
pub(super) fn write_base(open: &mut OpenDay, states: &[Change], next: i64, done: bool) -> Result<(), StoreError> {
    let step = "failed to write a base";
    let place = open.day.place.clone();
    open.begin()?;
    let mut key = schema::number(&open.connection, "base_rows").or_fail(&place, step)?.unwrap_or_default();
    for change in states {
        key += 1;
        if key >= open.day.room {
            return Err(place.engine(step, "there are more living objects than a base has room for"));
        }
        open.insert_change(change, key, change.recorded_at, Some(change.seq.0))?;
    }
    schema::set(&open.connection, "base_rows", key).or_fail(&place, step)?;
    schema::set(&open.connection, "base_next", next).or_fail(&place, step)?;
    if done {
        schema::set(&open.connection, "base_done", 1).or_fail(&place, step)?;
    }
    open.commit()
}
