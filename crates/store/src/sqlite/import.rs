//! The engine as the target of a stream: day files are written in place, under a marker that keeps everybody else away.
//!
//! Invariants: while the marker lies in a directory, `open` and `open_read_only` refuse it, so a half-written journal is never taken for a
//! whole one; the marker is removed when everything else is durable, and not before. Whatever stood in the directory before stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proreus_model::{Change, Record};

use super::day::{day_of, lock as hold};
use super::fault::{OrFail, Place};
use super::identity::sync_dir;
use super::lock::DirectoryLock;
use super::tend::write_base;
use super::{OpenOptions, SqliteJournal};
use crate::journal::{Batch, Journal, StoreError, WriterEpoch};
use crate::stream::{Header, Importing, Positions};

/// The marker's name.
const MARKER: &str = "importing";

/// What may stand in a directory that counts as empty: our own lock, the key that a restored journal goes on with, and what `mkfs` makes.
const NO_OBSTACLE: [&str; 4] = ["lock", "redaction.key", "lost+found", MARKER];

/// A journal that is being read from a stream.
pub struct SqliteImport {
    header: Header,
    journal: Option<SqliteJournal>,
    epoch: WriterEpoch,
    /// States of the base that were written.
    bases: i64,
    /// Removes what was written unless the import is finished.
    marked: Marked,
}

/// A marked directory.
struct Marked {
    dir: PathBuf,
    finished: bool,
}

/// Refuses a directory in which an import was not finished.
pub(super) fn refuse_unfinished(dir: &Path) -> Result<(), StoreError> {
    if dir.join(MARKER).exists() {
        return Err(StoreError::Unfinished { dir: dir.display().to_string() });
    }
    Ok(())
}

impl SqliteJournal {
    /// Begins to import into an empty directory, which is made if it is not there. What an import that was cut off left there is removed
    /// first. `NotEmpty` when anything else is there, `Locked` when another process has it.
    pub fn import(dir: &Path, header: &Header) -> Result<SqliteImport, StoreError> {
        let lock = DirectoryLock::acquire(dir)?;
        let place = Place::new(dir, "");
        let step = "failed to begin the import";
        if dir.join(MARKER).exists() {
            remove_written(dir).or_fail(&place, step)?;
        }
        if !is_empty(dir).or_fail(&place, step)? {
            return Err(StoreError::NotEmpty { dir: dir.display().to_string() });
        }
        fs::write(dir.join(MARKER), "").and_then(|()| sync_dir(dir)).or_fail(&place, step)?;
        let marked = Marked { dir: dir.to_owned(), finished: false };
        let first_seq = header.oldest.map_or(OpenOptions::default().first_seq, |oldest| oldest.seq);
        let options = OpenOptions { id: Some(header.journal.clone()), first_seq, ..OpenOptions::default() };
        let journal = SqliteJournal::open_marked(lock, &options)?;
        let epoch = journal.begin_epoch()?;
        Ok(SqliteImport { header: header.clone(), journal: Some(journal), epoch, bases: 0, marked })
    }
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        if !NO_OBSTACLE.iter().any(|name| entry.as_ref().is_ok_and(|entry| entry.file_name() == *name)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a journal's files, then the marker. The directory was empty when the marker was made.
fn remove_written(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !NO_OBSTACLE.iter().any(|name| entry.file_name() == *name) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    sync_dir(dir)?;
    fs::remove_file(dir.join(MARKER))?;
    sync_dir(dir)
}

impl Drop for Marked {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Err(error) = remove_written(&self.dir) {
            // The marker is still there, so nobody takes it for a journal, and the next import begins with this again.
            tracing::warn!(dir = %self.dir.display(), %error, "failed to remove an unfinished import");
        }
    }
}

impl SqliteImport {
    fn journal(&self) -> Result<&SqliteJournal, StoreError> {
        let gone = || Place::new(&self.marked.dir, "").engine("failed to import", "the journal is closed");
        self.journal.as_ref().ok_or_else(gone)
    }
}

impl Drop for SqliteImport {
    fn drop(&mut self) {
        // Its files go next: nothing may hold them open.
        self.journal = None;
    }
}

impl Importing for SqliteImport {
    type Journal = SqliteJournal;

    fn base(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let Some(oldest) = self.header.oldest else { return Ok(()) };
        let mut writer = hold(self.journal()?.writer()?);
        let open = writer.open_on(day_of(oldest.recorded_at), oldest.seq.0)?;
        write_base(open, &changes, self.bases, true)?;
        drop(writer);
        self.bases += changes.len() as i64;
        Ok(())
    }

    fn records(&mut self, records: Vec<Record>) -> Result<(), StoreError> {
        let journal = self.journal()?;
        journal.append(self.epoch, &Batch { records, ..Batch::default() })?;
        // Dictionaries only: bases and rewriting wait until the journal is in use.
        journal.tend(Duration::ZERO).map(drop)
    }

    fn finish(mut self, positions: Positions) -> Result<SqliteJournal, StoreError> {
        let Positions { checkpoints, cursors, .. } = positions;
        let journal = self.journal()?;
        journal.append(self.epoch, &Batch { records: Vec::new(), checkpoints, cursors })?;
        let place = Place::new(&self.marked.dir, "");
        let step = "failed to finish the import";
        sync_dir(&self.marked.dir).or_fail(&place, step)?;
        fs::remove_file(self.marked.dir.join(MARKER)).or_fail(&place, step)?;
        sync_dir(&self.marked.dir).or_fail(&place, step)?;
        self.marked.finished = true;
        self.journal.take().ok_or_else(|| place.engine(step, "the journal is closed"))
    }
}
