//! Reads a stream into a journal under construction.
//!
//! Invariant: nothing is finished before the trailer was read, its counts and checksum held, and nothing followed it. The caller's
//! journal is not even begun before the header was understood.

use std::io::{self, BufRead, BufReader, Read};

use jiff::Timestamp;
use proreus_model::{Change, ObjectId, Record, Seq};
use sha2::{Digest, Sha256};

use super::lines::{EndLine, FormatLine, HeaderLine, Line, hex};
use super::{Carried, FORMAT_NAME, FORMAT_VERSION, Header, Importing, Positions, Progress};
use crate::journal::{Oldest, StoreError};

/// The longest line taken: an object of 3 MB as base64 with its metadata is below 5 MB; far beyond that it is no export of ours.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Records handed on at once, as many as the recorder commits in a batch.
const BATCH_RECORDS: usize = 256;

/// Bytes of bodies handed on at once: 256 objects of 3 MB would be too much.
const BATCH_BYTES: usize = 16 << 20;

/// Reads the stream; `begin` is called with its header and gives the journal to build. On an error everything built is dropped.
pub fn import<I: Importing>(
    from: impl Read,
    begin: impl FnOnce(&Header) -> Result<I, StoreError>,
    progress: Progress<'_>,
) -> Result<(I::Journal, Carried), StoreError> {
    let mut lines = LineReader::new(from)?;
    let header = lines.header()?;
    let mut intake = Intake::new(begin(&header)?, &header);
    loop {
        lines.next_line()?;
        let line = serde_json::from_slice(&lines.line).map_err(|error| lines.damaged(error.to_string()))?;
        if let Line::End(end) = line {
            lines.check_end(&end, intake.carried)?;
            break;
        }
        let before = intake.carried.records;
        intake.take(line).map_err(|refusal| match refusal {
            Refusal::Wrong(reason) => lines.damaged(reason),
            Refusal::NotStored(error) => error,
        })?;
        lines.digest_line();
        if intake.carried.records != before && intake.carried.records.is_multiple_of(BATCH_RECORDS as u64) {
            progress(intake.carried.records, header.records());
        }
    }
    intake.flush()?;
    let Intake { journal, carried, mut positions, .. } = intake;
    positions.watermark = header.watermark;
    if carried.records != header.records() {
        return Err(lines.damaged(format!("the header announces {} records, {} came", header.records(), carried.records)));
    }
    let journal = journal.finish(positions)?;
    progress(carried.records, header.records());
    Ok((journal, carried))
}

/// Why a line was not taken.
enum Refusal {
    /// The line does not fit the ones before it.
    Wrong(String),
    /// The journal under construction failed.
    NotStored(StoreError),
}

/// Checks that lines follow each other as they must, and hands them on in batches.
struct Intake<I> {
    journal: I,
    first: Seq,
    last: Seq,
    next: Seq,
    recorded_at: Option<Timestamp>,
    last_base: Option<ObjectId>,
    bases: Vec<Change>,
    records: Vec<Record>,
    held_bytes: usize,
    positions: Positions,
    carried: Carried,
}

impl<I: Importing> Intake<I> {
    fn new(journal: I, header: &Header) -> Self {
        let first = header.oldest.map_or(Seq(header.watermark.0 + 1), |oldest| oldest.seq);
        Self {
            journal,
            first,
            last: header.watermark,
            next: first,
            recorded_at: None,
            last_base: None,
            bases: Vec::new(),
            records: Vec::new(),
            held_bytes: 0,
            positions: Positions::default(),
            carried: Carried::default(),
        }
    }

    fn take(&mut self, line: Line<'_>) -> Result<(), Refusal> {
        match line {
            Line::Base(line) => self.base(line.into_change().map_err(Refusal::Wrong)?),
            Line::Change(line) => self.record(Record::Change(line.into_change().map_err(Refusal::Wrong)?)),
            Line::Mark(line) => self.record(Record::Mark(line.into_mark())),
            Line::Checkpoint(line) => {
                self.positions.checkpoints.push(line.into_checkpoint());
                self.carried.checkpoints += 1;
                Ok(())
            }
            Line::Cursor(line) => {
                self.positions.cursors.push(line.into_cursor().map_err(Refusal::Wrong)?);
                self.carried.cursors += 1;
                Ok(())
            }
            Line::End(_) => Err(Refusal::Wrong("a trailer within the stream".to_owned())),
        }
    }

    fn base(&mut self, change: Change) -> Result<(), Refusal> {
        if self.carried.records > 0 || change.seq >= self.first {
            return Err(Refusal::Wrong(format!("the base of position {} is not from before the records", change.seq)));
        }
        if self.last_base.as_ref().is_some_and(|last| *last >= change.object) {
            return Err(Refusal::Wrong(format!("the base of position {} is out of order", change.seq)));
        }
        self.last_base = Some(change.object.clone());
        self.carried.bases += 1;
        self.held_bytes += change.body.as_ref().map_or(0, |body| body.len());
        self.bases.push(change);
        self.flush_when_full()
    }

    fn record(&mut self, record: Record) -> Result<(), Refusal> {
        if record.seq() != self.next || record.seq() > self.last {
            return Err(Refusal::Wrong(format!("position {} came where {} was due", record.seq(), self.next)));
        }
        if self.recorded_at.is_some_and(|last| record.recorded_at() < last) {
            return Err(Refusal::Wrong(format!("the time falls at position {}", record.seq())));
        }
        self.next = Seq(self.next.0 + 1);
        self.recorded_at = Some(record.recorded_at());
        self.carried.records += 1;
        if let Record::Change(Change { body: Some(body), .. }) = &record {
            self.held_bytes += body.len();
        }
        self.records.push(record);
        self.flush_when_full()
    }

    fn flush_when_full(&mut self) -> Result<(), Refusal> {
        let full = self.bases.len().max(self.records.len()) >= BATCH_RECORDS || self.held_bytes >= BATCH_BYTES;
        if full { self.flush().map_err(Refusal::NotStored) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if !self.bases.is_empty() {
            self.journal.base(std::mem::take(&mut self.bases))?;
        }
        if !self.records.is_empty() {
            self.journal.records(std::mem::take(&mut self.records))?;
        }
        self.held_bytes = 0;
        Ok(())
    }
}

/// Reads lines and keeps their checksum.
struct LineReader<R: Read> {
    reader: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    digest: Sha256,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> LineReader<R> {
    fn new(from: R) -> Result<Self, StoreError> {
        let decoder = zstd::Decoder::new(from)
            .map_err(|error| StoreError::Stream { step: "failed to begin the import".to_owned(), reason: error.to_string() })?;
        Ok(Self { reader: BufReader::new(decoder), digest: Sha256::new(), line: Vec::new(), number: 0 })
    }

    /// Reads the next line without its end, and refuses a stream that has none.
    fn next_line(&mut self) -> Result<(), StoreError> {
        self.number += 1;
        self.line.clear();
        let read = (&mut self.reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
        match read {
            Ok(_) if self.line.last() == Some(&b'\n') => {
                self.line.pop();
                Ok(())
            }
            Ok(length) if length as u64 == LINE_BYTES_MAX => Err(self.damaged("the line is too long".to_owned())),
            Ok(_) => Err(self.truncated()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.truncated()),
            Err(error) => Err(self.damaged(error.to_string())),
        }
    }

    fn digest_line(&mut self) {
        self.digest.update(&self.line);
        self.digest.update(b"\n");
    }

    fn header(&mut self) -> Result<Header, StoreError> {
        if self.next_line().is_err() {
            return Err(not_an_export());
        }
        let format: FormatLine = serde_json::from_slice(&self.line).map_err(|_| not_an_export())?;
        if format.format != FORMAT_NAME {
            return Err(not_an_export());
        }
        if format.version > FORMAT_VERSION {
            return Err(StoreError::Newer { file: "export".to_owned(), found: format.version, supported: FORMAT_VERSION });
        }
        let line: HeaderLine = serde_json::from_slice(&self.line).map_err(|error| self.damaged(error.to_string()))?;
        self.digest_line();
        let oldest = line.oldest.map(|oldest| Oldest { seq: oldest.seq, recorded_at: oldest.recorded_at });
        let possible = oldest.is_none_or(|oldest| oldest.seq > Seq(0) && oldest.seq <= line.watermark) && line.watermark < Seq(1 << 53);
        if !possible {
            return Err(self.damaged("the header's positions do not fit each other".to_owned()));
        }
        let journal = line.journal.parse().map_err(|_| self.damaged("the header has no journal id".to_owned()))?;
        Ok(Header { journal, watermark: line.watermark, oldest })
    }

    fn check_end(&mut self, end: &EndLine, carried: Carried) -> Result<(), StoreError> {
        let Carried { bases, records, checkpoints, cursors } = carried;
        let came = EndLine { bases, records, checkpoints, cursors, sha256: hex(&self.digest.clone().finalize()) };
        if *end != came {
            return Err(self.damaged("the trailer's counts or checksum do not fit what came before".to_owned()));
        }
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("something follows the trailer".to_owned())),
            // The frame's own end is part of the stream: without it the file was cut.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.truncated()),
            Err(_) => Err(self.damaged("something follows the trailer".to_owned())),
        }
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::Stream { step: format!("failed to import line {}", self.number), reason }
    }

    fn truncated(&self) -> StoreError {
        let reason = "the export ends without its trailer, so it was cut short; export it again".to_owned();
        StoreError::Stream { step: format!("failed to import line {}", self.number), reason }
    }
}

fn not_an_export() -> StoreError {
    StoreError::Stream {
        step: "failed to begin the import".to_owned(),
        reason: "not an export of this program; `store export` writes one".to_owned(),
    }
}
