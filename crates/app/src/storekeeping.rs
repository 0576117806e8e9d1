//! Looking after a journal: is it sound, take it elsewhere, take something in.
//!
//! Synchronous; an export and a verification go on beside a writer, an import is the writer.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use proreus_record::{ImportOptions, ImportProgress, ImportReport, NoisePolicy, RecordError, RedactionKey, Redactor, import_watch_jsonl};
pub use proreus_store::stream::Carried;
use proreus_store::stream::{self, Progress};
use proreus_store::{OpenOptions, SegmentVerdict, SqliteJournal, StoreError};
use serde::Serialize;

use crate::config::RecordSelection;
use crate::error::{store_hint, with_source};
use crate::service::{KEY_FILE, redaction_settings};

/// Background work on an imported journal is done in steps of this length.
const TEND_STEP: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a journal could not be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorekeepingError {
    /// The journal refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stream could not be written to its end.
    #[error(transparent)]
    NotExported(StoreError),
    /// What was to be recorded could not be.
    #[error("{}", with_source(.0))]
    Record(#[from] RecordError),
}

impl StorekeepingError {
    /// Whether the input was refused (as against: we failed).
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Store(error) => matches!(
                error,
                StoreError::NoJournal { .. }
                    | StoreError::Newer { .. }
                    | StoreError::NotEmpty { .. }
                    | StoreError::Unfinished { .. }
                    | StoreError::Stream { .. }
            ),
            Self::NotExported(_) => false,
            Self::Record(error) => matches!(error, RecordError::ImportUseless { .. }),
        }
    }

    /// What the person can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Store(StoreError::NotEmpty { .. }) => "name a directory that is empty or not there yet".to_owned(),
            Self::Store(StoreError::Stream { .. }) => {
                "check that the file is a whole export, made by `proreus store export` and copied to its end".to_owned()
            }
            Self::NotExported(StoreError::Stream { .. }) => "check the disk that it is written to, then export again".to_owned(),
            Self::Store(error) | Self::NotExported(error) => store_hint(error),
            Self::Record(RecordError::ImportUseless { .. }) => {
                "check the format: one JSON object a line with ts, type, resource and object".to_owned()
            }
            Self::Record(RecordError::Journal { source, .. } | RecordError::Append(source)) => store_hint(source),
            Self::Record(_) => "what was imported before is safe; an import that is run again adds nothing twice".to_owned(),
        }
    }
}

/// What was found of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedSegment {
    /// UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// `open`, `closed`, `compacted` or `damaged`.
    pub state: String,
    /// Changes and marks that were read whole.
    pub records: u64,
    /// What does not hold; empty for a sound day.
    pub damage: Vec<String>,
}

impl From<SegmentVerdict> for VerifiedSegment {
    fn from(of: SegmentVerdict) -> Self {
        Self { day: of.day, state: of.state.as_str().to_owned(), records: of.records, damage: of.damage }
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether everything held.
    pub sound: bool,
    /// Changes and marks that were read whole.
    pub records: u64,
    /// The days, oldest first.
    pub segments: Vec<VerifiedSegment>,
}

/// Reads every record of every day and undoes every delta, beside a writer or without one. `progress` is told records done and in all.
///
/// # Errors
/// A journal that cannot be opened at all. Damage is no error but the answer.
pub fn verify(dir: &Path, progress: Progress<'_>) -> Result<Verification, StorekeepingError> {
    let journal = SqliteJournal::open_read_only(dir)?;
    let segments: Vec<VerifiedSegment> = journal.verify(progress)?.into_iter().map(VerifiedSegment::from).collect();
    let sound = segments.iter().all(|segment| segment.damage.is_empty());
    Ok(Verification { sound, records: segments.iter().map(|segment| segment.records).sum(), segments })
}

/// Writes the whole journal as one stream, as of the moment this begins.
///
/// # Errors
/// No journal, damage in it, or a stream that cannot be written.
pub fn export(dir: &Path, to: impl Write, progress: Progress<'_>) -> Result<Carried, StorekeepingError> {
    let journal = SqliteJournal::open_read_only(dir)?;
    stream::export(&journal, to, progress).map_err(StorekeepingError::NotExported)
}

/// Makes a journal in an empty directory from a stream.
///
/// # Errors
/// A directory with something in it, or a stream that is cut, damaged or of a newer version. Nothing is left behind then.
pub fn import(dir: &Path, from: impl Read, progress: Progress<'_>) -> Result<Carried, StorekeepingError> {
    let (journal, carried) = stream::import(from, |header| SqliteJournal::import(dir, header), progress)?;
    tend(&journal)?;
    Ok(carried)
}

/// How lines of a watch are imported.
#[derive(Clone, Debug)]
pub struct WatchImport {
    /// Identity of the cluster whose lines these are.
    pub cluster: String,
    /// Whether updates that say nothing new are left out, as in a live recording.
    pub noise_policy: bool,
}

/// Takes lines of `{ts, type, resource, object}` into a journal, which is made if there is none, as a live recording would have.
///
/// # Errors
/// A journal that is in use or cannot be written, a file that cannot be read, or nothing in it that can be used.
pub fn import_watch_lines(
    dir: &Path,
    from: impl BufRead,
    how: &WatchImport,
    progress: impl FnMut(ImportProgress),
) -> Result<ImportReport, StorekeepingError> {
    let journal = SqliteJournal::open(dir, &OpenOptions::default())?;
    let (key, _) = RedactionKey::load_or_create(&dir.join(KEY_FILE))?;
    let options = ImportOptions {
        cluster: how.cluster.as_str().into(),
        noise: NoisePolicy { enabled: how.noise_policy, ..NoisePolicy::default() },
        redactor: Redactor::new(std::sync::Arc::new(key), redaction_settings(&RecordSelection::default())),
    };
    let report = import_watch_jsonl(from, &journal, &options, progress)?;
    tend(&journal)?;
    Ok(report)
}

/// Does at once what a running service does in the background.
fn tend(journal: &SqliteJournal) -> Result<(), StoreError> {
    while journal.tend(TEND_STEP)?.more {}
    Ok(())
}
