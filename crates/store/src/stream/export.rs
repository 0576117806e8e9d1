//! Writes a journal as a stream.
//!
//! Invariant: everything written is of the watermark at which the positions were read, however much is appended meanwhile.

use std::io::{self, Write};

use proreus_model::{Change, Filter, ObjectId, Order, Record, Seq, SeqRange};
use sha2::{Digest, Sha256};

use super::lines::{ChangeLine, CheckpointLine, CursorLine, EndLine, HeaderLine, Line, MarkLine, OldestLine, hex};
use super::{Carried, Exporting, FORMAT_NAME, FORMAT_VERSION, Header, Progress};
use crate::journal::{BodyDetail, ReadQuery, StoreError};

/// Records in memory at once: bodies of 3 MB are legal, so a page of the usual thousand would be too much.
const PAGE_RECORDS: usize = 64;

/// Good enough beside the long window, and as fast as a journal can be read.
const LEVEL: i32 = 3;

/// 16 MB of window: repeats of an object lie within it, and a reader needs no more memory than that.
const WINDOW_LOG: u32 = 24;

/// Writes the journal and returns what was carried; `to` is flushed but not synced. Fails with `Gone` when retention removes the oldest
/// day meanwhile; what was written then has no trailer and no import takes it.
pub fn export(journal: &dyn Exporting, to: impl Write, progress: Progress<'_>) -> Result<Carried, StoreError> {
    let positions = journal.positions()?;
    let oldest = journal.oldest()?.filter(|oldest| oldest.seq <= positions.watermark);
    if oldest.is_none() && positions.watermark > Seq(0) {
        return Err(unreadable(0, positions.watermark.0));
    }
    let header = Header { journal: journal.id(), watermark: positions.watermark, oldest };
    let mut lines = LineWriter::new(to).map_err(not_written)?;
    lines.header(&header).map_err(not_written)?;
    let mut carried = Carried::default();
    if let Some(oldest) = oldest {
        carried.bases = write_bases(journal, oldest.seq, &mut lines)?;
        carried.records = write_records(journal, &header, oldest.seq, &mut lines, progress)?;
    }
    for checkpoint in &positions.checkpoints {
        lines.line(&Line::Checkpoint(CheckpointLine::of(checkpoint))).map_err(not_written)?;
        carried.checkpoints += 1;
    }
    for cursor in &positions.cursors {
        lines.line(&Line::Cursor(CursorLine::of(cursor))).map_err(not_written)?;
        carried.cursors += 1;
    }
    lines.finish(carried).map_err(not_written)?;
    Ok(carried)
}

fn not_written(error: io::Error) -> StoreError {
    StoreError::Stream { step: "failed to write the export".to_owned(), reason: error.to_string() }
}

fn unreadable(count: u64, wanted: u64) -> StoreError {
    let reason = format!("{count} of {wanted} can be read; `store verify` names the damage");
    StoreError::Stream { step: "failed to export every record".to_owned(), reason }
}

/// The states just before the oldest record: what a base holds, and all that is known of before.
fn write_bases<W: Write>(journal: &dyn Exporting, oldest: Seq, lines: &mut LineWriter<W>) -> Result<u64, StoreError> {
    let before = Seq(oldest.0.saturating_sub(1));
    let mut after: Option<ObjectId> = None;
    let mut count = 0;
    loop {
        let page = journal.objects(before, &Filter::changes(), after.as_ref(), PAGE_RECORDS, BodyDetail::Body)?;
        for change in &page.objects {
            lines.line(&Line::Base(ChangeLine::of(change))).map_err(not_written)?;
            count += 1;
        }
        after = page.objects.last().map(|change: &Change| change.object.clone());
        if !page.more || after.is_none() {
            return Ok(count);
        }
    }
}

fn write_records<W: Write>(
    journal: &dyn Exporting,
    header: &Header,
    oldest: Seq,
    lines: &mut LineWriter<W>,
    progress: Progress<'_>,
) -> Result<u64, StoreError> {
    let mut query = ReadQuery {
        range: SeqRange { first: oldest, last: header.watermark },
        filter: Filter { changes: true, marks: true, ..Filter::default() },
        after: None,
        order: Order::Ascending,
        limit: PAGE_RECORDS,
        detail: BodyDetail::Body,
    };
    let mut count = 0;
    loop {
        let page = journal.read(&query)?;
        for recorded in &page.records {
            let line = match &recorded.record {
                Record::Change(change) => Line::Change(ChangeLine::of(change)),
                Record::Mark(mark) => Line::Mark(MarkLine::of(mark)),
            };
            lines.line(&line).map_err(not_written)?;
            count += 1;
        }
        progress(count, header.records());
        query.after = page.records.last().map(|recorded| recorded.record.seq());
        if !page.more || query.after.is_none() {
            break;
        }
    }
    // A damaged day that was set aside leaves a hole, and a stream with a hole would be taken for a whole journal.
    if count != header.records() {
        return Err(unreadable(count, header.records()));
    }
    Ok(count)
}

/// Writes lines, compresses them, and keeps their checksum.
struct LineWriter<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    digest: Sha256,
    buffer: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    fn new(to: W) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(to, LEVEL)?;
        encoder.window_log(WINDOW_LOG)?;
        encoder.long_distance_matching(true)?;
        encoder.include_checksum(true)?;
        Ok(Self { encoder, digest: Sha256::new(), buffer: Vec::new() })
    }

    fn header(&mut self, header: &Header) -> io::Result<()> {
        let line = HeaderLine {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            journal: header.journal.as_str().to_owned(),
            watermark: header.watermark,
            oldest: header.oldest.map(|oldest| OldestLine { seq: oldest.seq, recorded_at: oldest.recorded_at }),
        };
        self.json(&line)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.json(line)
    }

    fn json(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.digest.update(&self.buffer);
        self.encoder.write_all(&self.buffer)
    }

    fn finish(mut self, carried: Carried) -> io::Result<()> {
        let Carried { bases, records, checkpoints, cursors } = carried;
        let sha256 = hex(&self.digest.clone().finalize());
        self.line(&Line::End(EndLine { bases, records, checkpoints, cursors, sha256 }))?;
        self.encoder.finish()?.flush()
    }
}
