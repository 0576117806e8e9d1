//! Looking after a journal: is it sound, take it elsewhere, take something in.
//!
//! Synchronous; an export and a verification go on beside a writer, an import is the writer.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use proreus_model::{Filter, Order, SeqRange};
use proreus_record::{ImportOptions, ImportProgress, ImportReport, NoisePolicy, RecordError, RedactionKey, Redactor, import_watch_jsonl};
pub use proreus_store::stream::Carried;
use proreus_store::stream::{self, Progress};
use proreus_store::{BodyDetail, Journal, OpenOptions, ReadQuery, SegmentState, SegmentSummary, SqliteJournal, StoreError};
use serde::Serialize;

use crate::config::RecordSelection;
use crate::error::store_hint;
use crate::service::{KEY_FILE, redaction_settings};

/// Records read at a time: each with the version before it, so that every delta is undone.
const VERIFY_PAGE: usize = 64;
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

fn with_source(error: &RecordError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
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

/// Reads every record of every day whole, with the version before it, and the state of every object at the end of each day.
///
/// # Errors
/// A journal that cannot be opened at all. Damage is no error but the answer.
pub fn verify(dir: &Path, progress: Progress<'_>) -> Result<Verification, StorekeepingError> {
    let journal = SqliteJournal::open_read_only(dir)?;
    let segments = journal.segments()?;
    let positions = |segment: &SegmentSummary| segment.range.map_or(0, |range| range.last.0 + 1 - range.first.0);
    let total: u64 = segments.iter().map(positions).sum();
    let mut records = 0;
    let mut verified: Vec<VerifiedSegment> = Vec::new();
    for segment in &segments {
        let mut one =
            VerifiedSegment { day: segment.day.clone(), state: segment.state.as_str().to_owned(), records: 0, damage: Vec::new() };
        let reported = journal.report().damaged.iter().filter(|damaged| damaged.day == segment.day);
        one.damage.extend(reported.map(|damaged| damaged.reason.clone()));
        if segment.state == SegmentState::Damaged && one.damage.is_empty() {
            one.damage.push("it could not be read and was set aside".to_owned());
        } else if let Some(range) = segment.range.filter(|_| segment.state != SegmentState::Damaged) {
            verify_segment(&journal, segment, range, &mut one, &mut |read| progress(records + read, total));
        }
        records += one.records;
        verified.push(one);
    }
    for damaged in &journal.report().damaged {
        if !segments.iter().any(|segment| segment.day == damaged.day) {
            let damage = vec![damaged.reason.clone()];
            verified.push(VerifiedSegment { day: damaged.day.clone(), state: "damaged".to_owned(), records: 0, damage });
        }
    }
    verified.sort_by(|left, right| left.day.cmp(&right.day));
    progress(records, total);
    Ok(Verification { sound: verified.iter().all(|segment| segment.damage.is_empty()), records, segments: verified })
}

fn verify_segment(
    journal: &SqliteJournal,
    segment: &SegmentSummary,
    range: SeqRange,
    one: &mut VerifiedSegment,
    progress: &mut dyn FnMut(u64),
) {
    let filter = Filter { changes: true, marks: true, ..Filter::default() };
    let mut query =
        ReadQuery { range, filter, after: None, order: Order::Ascending, limit: VERIFY_PAGE, detail: BodyDetail::BodyAndPrevious };
    loop {
        match journal.read(&query) {
            Ok(page) => {
                one.records += page.records.len() as u64;
                progress(one.records);
                query.after = page.records.last().map(|recorded| recorded.record.seq());
                if !page.more || query.after.is_none() {
                    break;
                }
            }
            Err(error) => {
                one.damage.push(format!("after position {}: {error}", query.after.unwrap_or(range.first)));
                return;
            }
        }
    }
    let expected = range.last.0 + 1 - range.first.0;
    if one.records < expected {
        one.damage.push(format!("{} of {expected} records are missing", expected - one.records));
    }
    let mut after = None;
    loop {
        match journal.objects(range.last, &Filter::changes(), after.as_ref(), VERIFY_PAGE, BodyDetail::Body) {
            Ok(page) => {
                after = page.objects.into_iter().last().map(|change| change.object);
                if !page.more || after.is_none() {
                    return;
                }
            }
            Err(error) => {
                one.damage.push(format!("the objects at the end of {}: {error}", segment.day));
                return;
            }
        }
    }
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
