//! Reads what was recorded, and waits for it, while the recorder works.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proreus_model::{Change, Filter, Mark, Order, Record, Seq, SeqRange};
use proreus_store::{BodyDetail, Journal, ReadQuery, SqliteJournal};

// Short beside what a person would call seconds, long beside a look.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const PAGE: usize = 1000;

/// Every record of a journal with its body, oldest first.
///
/// # Errors
/// When it cannot be read.
pub fn all_records(journal: &dyn Journal) -> Result<Vec<Record>> {
    let mut query = ReadQuery {
        range: SeqRange { first: Seq(0), last: journal.watermark() },
        filter: Filter { changes: true, ..Filter::marks() },
        after: None,
        order: Order::Ascending,
        limit: PAGE,
        detail: BodyDetail::Body,
    };
    let mut records = Vec::new();
    loop {
        let page = journal.read(&query).context("failed to read the journal")?;
        query.after = page.records.last().map(|recorded| recorded.record.seq());
        records.extend(page.records.into_iter().map(|recorded| recorded.record));
        if !page.more || query.after.is_none() {
            return Ok(records);
        }
    }
}

/// The same of a directory that another process may be writing; none while there is no journal.
///
/// # Errors
/// When it cannot be read.
pub fn records_of(dir: &Path) -> Result<Vec<Record>> {
    match SqliteJournal::open_read_only(dir) {
        Ok(journal) => all_records(&journal),
        Err(proreus_store::StoreError::NoJournal { .. }) => Ok(Vec::new()),
        Err(error) => Err(error).context("failed to open the journal to read"),
    }
}

/// The changes among records, of one kind and name.
pub fn changes_of<'r>(records: &'r [Record], kind: &str, name: &str) -> Vec<&'r Change> {
    let of = |change: &Change| change.object.kind.as_str() == kind && change.object.name.as_str() == name;
    changes(records).filter(|change| of(change)).collect()
}

/// The changes among records.
pub fn changes(records: &[Record]) -> impl Iterator<Item = &Change> {
    records.iter().filter_map(|record| match record {
        Record::Change(change) => Some(change),
        Record::Mark(_) => None,
    })
}

/// The marks among records.
pub fn marks(records: &[Record]) -> impl Iterator<Item = &Mark> {
    records.iter().filter_map(|record| match record {
        Record::Mark(mark) => Some(mark),
        Record::Change(_) => None,
    })
}

/// `verb origin resourceVersion` of each change, for comparing with what is expected.
#[must_use]
pub fn told(changes: &[&Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {} {}", change.verb.as_str(), change.origin.as_str(), change.resource_version)).collect()
}

/// Looks at the records until something is found in them.
///
/// # Errors
/// When it is not found in time, or the records cannot be read.
pub async fn wait_for_records<T>(
    what: &str,
    within: Duration,
    mut read: impl FnMut() -> Result<Vec<Record>>,
    mut find: impl FnMut(&[Record]) -> Option<T>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let records = read()?;
        if let Some(found) = find(&records) {
            return Ok(found);
        }
        if begun.elapsed() > within {
            bail!("{what} was not recorded within {} s, among {} records", within.as_secs(), records.len());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
