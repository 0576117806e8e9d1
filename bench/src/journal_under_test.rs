//! The engine that is measured, with what the trait does not have: where it lies, closing, and its background work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use proreus_model::Seq;
use proreus_store::{Batch, Journal, OpenOptions, SqliteJournal, WriterEpoch};

/// Background work between two batches: next to nothing, as on a machine that is busy recording.
const LITTLE: Duration = Duration::ZERO;

/// Background work at a stretch when there is nothing else to do.
const MUCH: Duration = Duration::from_secs(10);

/// A journal in a directory of its own.
pub(crate) struct JournalUnderTest {
    dir: PathBuf,
    open: Option<SqliteJournal>,
}

impl JournalUnderTest {
    /// Opens the journal of a directory, or makes one.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let open = SqliteJournal::open(dir, &OpenOptions::default())?;
        Ok(Self { dir: dir.to_owned(), open: Some(open) })
    }

    /// The journal.
    pub(crate) fn journal(&self) -> Result<&SqliteJournal> {
        self.open.as_ref().context("the journal is closed")
    }

    /// Appends a batch, then does what background work is due at once: it trains dictionaries.
    pub(crate) fn append(&self, epoch: WriterEpoch, batch: &Batch) -> Result<Seq> {
        let journal = self.journal()?;
        let appended = journal.append(epoch, batch)?;
        self.tend_a_little()?;
        Ok(appended.watermark)
    }

    /// Does what background work is due at once.
    pub(crate) fn tend_a_little(&self) -> Result<()> {
        self.journal()?.tend(LITTLE)?;
        Ok(())
    }

    /// Does all background work: bases, and closed days rewritten.
    pub(crate) fn settle(&self) -> Result<()> {
        while self.journal()?.tend(MUCH)?.more {}
        Ok(())
    }

    /// Closes the journal and opens it again.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        self.open = None;
        self.open = Some(SqliteJournal::open(&self.dir, &OpenOptions::default())?);
        Ok(())
    }

    /// Closes the journal and removes its files.
    pub(crate) fn remove(self) -> Result<()> {
        drop(self.open);
        std::fs::remove_dir_all(&self.dir).with_context(|| format!("failed to remove `{}`", self.dir.display()))
    }
}
