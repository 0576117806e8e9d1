//! The engine that is measured, with what the trait does not have: where it lies, closing, and waiting for its background work.

use std::path::{Path, PathBuf};

use anyhow::Result;
use proreus_store::{Journal, MemoryJournal};

/// A journal in a directory of its own.
pub(crate) struct JournalUnderTest {
    dir: PathBuf,
    open: MemoryJournal,
}

impl JournalUnderTest {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), open: MemoryJournal::new() })
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        &self.open
    }

    pub(crate) fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn reopen(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}
