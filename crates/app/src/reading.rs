//! Opening a journal's files for questions, beside whoever writes them.

use std::path::Path;
use std::sync::Arc;

use proreus_store::SqliteJournal;

use crate::{AppError, Questions};

/// Questions to the journal in `dir`; a writer may go on beside us, and nothing is written.
///
/// # Errors
/// No journal there, one of a newer version, or files that cannot be read.
pub fn open_reading(dir: &Path) -> Result<Questions, AppError> {
    Ok(Questions::new(Arc::new(SqliteJournal::open_read_only(dir)?)))
}
