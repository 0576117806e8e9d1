//! A trace: raw watch lines as an API server delivered them, and the changes that the recorder makes of them.
//!
//! The changes are the recorder's own work: its parser, canonical form, redaction and noise policy. Invariant: what is measured is what the
//! product stores, so a line that the recorder cannot use is refused, not counted out.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use proreus_model::{Change, Filter, Order, Record, Seq, SeqRange};
use proreus_record::{ImportOptions, ImportReport, NoisePolicy, RedactionKey, RedactionSettings, Redactor, import_watch_jsonl};
use proreus_store::{BodyDetail, Journal, MemoryJournal, ReadQuery};

/// First bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One cluster: the trace is of one API server.
const CLUSTER: &str = "6f1d2c34-0000-4000-8000-000000000001";

/// Lines kept in memory to measure ingest with: some 300 MB, and enough that one run lasts seconds.
const LINES_KEPT: usize = 40_000;

/// Changes read from memory at a time.
const PAGE: usize = 10_000;

/// A trace in memory.
pub(crate) struct Trace {
    /// The first lines as they came, each with its line end, one after another.
    pub(crate) lines: Vec<u8>,
    /// What is recorded of all lines.
    pub(crate) changes: Vec<Change>,
    report: ImportReport,
}

impl Trace {
    /// Reads a file of lines, plain or compressed.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        crate::tell(&format!("reading `{}`", path.display()));
        let journal = MemoryJournal::new();
        let report = record(open(path)?, &journal, |_| {})?;
        if let Some((line, reason)) = report.bad_lines.first() {
            bail!("line {line} of `{}` is no watch line: {reason}", path.display());
        }
        let mut kept = Vec::new();
        let mut reader = open(path)?;
        for _ in 0..LINES_KEPT {
            if reader.read_until(b'\n', &mut kept)? == 0 {
                break;
            }
        }
        let changes = changes(&journal)?;
        if changes.is_empty() {
            bail!("`{}` holds no change", path.display());
        }
        Ok(Self { lines: kept, changes, report })
    }

    /// Bytes of the canonical objects.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.changes.iter().map(raw_bytes).sum()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImportReport { lines, noise, .. } = self.report;
        let (changes, bytes) = (self.changes.len(), self.raw_bytes());
        write!(f, "trace of {lines} watch lines; {noise} said nothing new, {changes} changes of {bytes} canonical bytes")
    }
}

/// Records lines into a journal exactly as `store import --format watch-jsonl` does; `committed` is called after each batch.
pub(crate) fn record(lines: impl BufRead, journal: &dyn Journal, mut committed: impl FnMut(u64)) -> Result<ImportReport> {
    let options = ImportOptions {
        cluster: CLUSTER.into(),
        noise: NoisePolicy::default(),
        redactor: Redactor::new(Arc::new(RedactionKey::generate()), RedactionSettings::default()),
    };
    import_watch_jsonl(lines, journal, &options, |progress| committed(progress.changes)).context("failed to record the trace")
}

/// Every change of a journal with its body, in order.
pub(crate) fn changes(journal: &MemoryJournal) -> Result<Vec<Change>> {
    let mut query = ReadQuery {
        range: SeqRange { first: Seq(0), last: journal.watermark() },
        filter: Filter::changes(),
        after: None,
        order: Order::Ascending,
        limit: PAGE,
        detail: BodyDetail::Body,
    };
    let mut changes = Vec::new();
    loop {
        let page = journal.read(&query)?;
        query.after = page.records.last().map(|recorded| recorded.record.seq());
        changes.extend(page.records.into_iter().filter_map(|recorded| match recorded.record {
            Record::Change(change) => Some(change),
            Record::Mark(_) => None,
        }));
        if !page.more {
            return Ok(changes);
        }
    }
}

/// Bytes of the canonical object of a change.
pub(crate) fn raw_bytes(change: &Change) -> u64 {
    change.body.as_ref().map_or(0, |body| body.len() as u64)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let opened = || File::open(path).with_context(|| format!("failed to open `{}`", path.display()));
    let mut magic = [0; 4];
    let is_zstd = opened()?.read_exact(&mut magic).is_ok() && magic == ZSTD_MAGIC;
    if !is_zstd {
        return Ok(Box::new(BufReader::new(opened()?)));
    }
    let mut decoder = zstd::Decoder::new(opened()?)?;
    // `zstd --long=31` is how such traces are kept.
    decoder.window_log_max(31)?;
    Ok(Box::new(BufReader::new(decoder)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn measures_what_the_recorder_stores() {
        let line = |version: u32| {
            format!(
                r#"{{"ts":"2026-11-20T10:00:0{version}Z","type":"MODIFIED","resource":"secrets","object":{{"kind":"Secret","apiVersion":"v1",
                "data":{{"a":"Y2FuYXJ5"}},"metadata":{{"uid":"u","name":"n","resourceVersion":"{version}","managedFields":[{{"manager":"m"}}]}}}}}}"#
            )
            .replace('\n', "")
                + "\n"
        };
        let journal = MemoryJournal::new();
        // The second line differs by its resourceVersion only, which is noise.
        let report = record((line(1) + &line(2)).as_bytes(), &journal, |_| {}).unwrap();
        let changes = changes(&journal).unwrap();
        let body = String::from_utf8(changes[0].body.as_deref().unwrap().to_vec()).unwrap();
        assert_eq!((changes.len(), report.noise), (1, 1));
        assert!(!body.contains("Y2FuYXJ5") && !body.contains("managedFields"), "{body}");
    }
}
