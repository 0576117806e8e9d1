//! Reading a directory that another process may be writing.
//!
//! Looks before each question: a new or replaced day shows in the directory's own time, growth in the newest file. Takes no lock and
//! writes nothing but what SQLite needs beside a file. Invariant: records of an append that is not whole yet are not seen.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proreus_model::JournalId;

use super::day::{Day, Idle, Kind, lock};
use super::fault::{OrFail, Place};
use super::published::Published;
use super::recover::{self, DamagedFile, OpenReport};
use crate::journal::StoreError;

/// When the directory last changed, and how often it had then.
type DirStamp = (i64, i64);

/// The reading side of another process's journal.
pub(super) struct Follower {
    dir: PathBuf,
    idle: Arc<Idle>,
    first_ever: u64,
    seen: Mutex<DirStamp>,
}

fn stamp(dir: &Path) -> Result<DirStamp, StoreError> {
    let found = std::fs::metadata(dir).or_fail(&Place::new(dir, ""), "failed to look at the data directory")?;
    Ok((found.mtime(), found.mtime_nsec()))
}

impl Follower {
    /// Opens a directory. `NoJournal` when there is none.
    pub(super) fn open(dir: &Path) -> Result<(Self, Published, JournalId, OpenReport), StoreError> {
        let none = || StoreError::NoJournal { dir: dir.display().to_string() };
        if !dir.is_dir() {
            return Err(none());
        }
        let mut follower = Self { dir: dir.to_owned(), idle: Arc::default(), first_ever: 1, seen: Mutex::new((0, 0)) };
        let stamp = stamp(dir)?;
        let (days, damaged) = follower.days(&[])?;
        let (identity, _) = recover::identity(dir, &days)?;
        let identity = identity.ok_or_else(none)?;
        let id = identity.journal.parse().map_err(|_| none())?;
        follower.first_ever = identity.first;
        *lock(&follower.seen) = stamp;
        let report = OpenReport { damaged, ..OpenReport::default() };
        let published = follower.publish(days)?;
        Ok((follower, published, id, report))
    }

    /// The days as they are now; those that are known and still there are taken over.
    fn days(&self, known: &[Arc<Day>]) -> Result<(Vec<Arc<Day>>, Vec<DamagedFile>), StoreError> {
        let listing = recover::list(&self.dir)?;
        let (mut days, mut damaged) = (Vec::new(), Vec::new());
        for (date, kind) in listing.days {
            if let Some(same) = known.iter().find(|day| day.date == date && day.kind == kind) {
                days.push(Arc::clone(same));
                continue;
            }
            match self.open_day(date, kind) {
                Ok(day) => days.push(Arc::new(day)),
                Err(StoreError::Damaged { reason, .. }) => {
                    damaged.push(DamagedFile { day: date.to_string(), path: kind.path(&self.dir, date), reason });
                }
                // Retention or a rewrite was faster; the next look sees what is there.
                Err(_) if !kind.path(&self.dir, date).exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok((days, damaged))
    }

    fn open_day(&self, date: jiff::civil::Date, kind: Kind) -> Result<Day, StoreError> {
        match recover::open_day(&self.dir, date, kind, &self.idle, false) {
            // A directory that we may not write to, where nobody keeps a log: nothing changes under us.
            Err(StoreError::NotWritable { .. } | StoreError::Engine { .. })
                if !super::day::beside(&kind.path(&self.dir, date), "-wal").exists() =>
            {
                recover::open_day(&self.dir, date, kind, &self.idle, true)
            }
            other => other,
        }
    }

    fn publish(&self, days: Vec<Arc<Day>>) -> Result<Published, StoreError> {
        let mut newest = None;
        for day in days.iter().rev().filter(|day| day.kind == Kind::Rows).take(2) {
            day.reload_holes(&*day.borrow()?)?;
            day.set_span(recover::find_span(day)?);
        }
        for day in days.iter().rev() {
            let Some(span) = day.span() else { continue };
            newest = newest.or(Some(span));
            // An append over midnight that has not come to its end.
            if let Some((first, last)) = recover::spill(day)?
                && newest.is_some_and(|newest| newest.last_seq < last)
            {
                let cut = super::view::span_below(day, span, first)?;
                day.set_span(cut);
                newest = cut;
                continue;
            }
            break;
        }
        let end = newest.map_or((self.first_ever - 1, None), |span| (span.last_seq, Some(span.last_at)));
        Ok(Published { days: days.into(), watermark: end.0, last_at: end.1 })
    }

    /// The journal as it is now, `None` when nothing changed since `known`.
    pub(super) fn look(&self, known: &Published) -> Result<Option<Published>, StoreError> {
        let stamp = stamp(&self.dir)?;
        let mut seen = lock(&self.seen);
        if *seen != stamp {
            let (days, _) = self.days(&known.days)?;
            let published = self.publish(days)?;
            *seen = stamp;
            return Ok(Some(published));
        }
        let Some(newest) = known.days.last() else { return Ok(None) };
        let end = recover::last_seq(newest)?;
        if end == newest.span().map(|span| span.last_seq) {
            return Ok(None);
        }
        self.publish(known.days.to_vec()).map(Some)
    }
}
