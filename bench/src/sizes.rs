//! Stored bytes a change: the trace as it is, as an open day and as a closed one, beside the raw bytes and one solid archive of them.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, Record};
use proreus_store::{Batch, Journal};

use crate::ingest::BATCH_RECORDS;
use crate::journal_under_test::JournalUnderTest;
use crate::report::{Report, Row};
use crate::trace::Trace;

/// `--long=31`: the whole trace is one window.
const SOLID_WINDOW_LOG: u32 = 31;

/// The day all changes are put into: a trace may reach over midnight, and the figures are of one day.
const DAY: &str = "2026-01-05T00:00:00Z";

pub(crate) fn measure(trace: &Trace, solid_level: i32, scratch: &Path, report: &mut Report) -> Result<()> {
    let changes = trace.changes.len() as f64;
    let raw = trace.raw_bytes() as f64 / changes;
    crate::tell(&format!("one solid archive, zstd -{solid_level} --long={SOLID_WINDOW_LOG}; this takes minutes"));
    let solid = solid_bytes(trace, solid_level)? as f64 / changes;
    let solid_name = format!("one solid zstd -{solid_level} --long={SOLID_WINDOW_LOG}");
    report.push(Row::new("raw canonical JSON", raw, "B/change"));
    report.push(Row::new(&solid_name, solid, "B/change").against("raw", raw));

    crate::tell("the trace as one day");
    let dir = scratch.join("sizes");
    let mut journal = JournalUnderTest::open(&dir)?;
    let day: Timestamp = DAY.parse()?;
    append(&journal, trace, day)?;
    let open = stored(&journal, 0)? as f64 / changes;
    report.push(Row::new("stored, open day", open, "B/change").against("raw", raw).at_most(1.0 / 25.0));
    report.push(Row::new("stored, open day", open, "B/change").against(&solid_name, solid));
    // The first record of the next day closes this one.
    append_next_day(&journal, trace, day)?;
    journal.settle()?;
    journal.reopen()?;
    let closed = stored(&journal, 0)? as f64 / changes;
    report.push(Row::new("stored, closed day, rewritten", closed, "B/change").against("raw", raw));
    report.push(Row::new("stored, closed day, rewritten", closed, "B/change").against(&solid_name, solid).at_most(2.0));
    let base = stored(&journal, 1)? as f64;
    let alive = journal.journal()?.heads(&proreus_model::WatchScope::default())?;
    let alive = alive.iter().filter(|head| head.object.kind.as_str() != "Event").count().max(1);
    report.push(Row::new(format!("base of the next day, {alive} living objects"), base / alive as f64, "B/object"));
    journal.remove()
}

fn solid_bytes(trace: &Trace, level: i32) -> Result<u64> {
    let mut encoder = zstd::Encoder::new(Counted(0), level)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(SOLID_WINDOW_LOG)?;
    for body in trace.changes.iter().filter_map(|change| change.body.as_deref()) {
        encoder.write_all(body)?;
        encoder.write_all(b"\n")?;
    }
    Ok(encoder.finish()?.0)
}

/// Counts what is written and keeps none of it.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Appends the trace with its own pace, all within one day.
fn append(journal: &JournalUnderTest, trace: &Trace, day: Timestamp) -> Result<()> {
    let first = trace.changes.first().context("an empty trace")?.recorded_at;
    let last_second = SignedDuration::from_secs(86_399);
    let within = |change: &Change| {
        let after = change.recorded_at.duration_since(first);
        day + after.clamp(SignedDuration::ZERO, last_second)
    };
    let epoch = journal.journal()?.begin_epoch()?;
    for changes in trace.changes.chunks(BATCH_RECORDS) {
        let records = changes.iter().map(|change| Record::Change(Change { recorded_at: within(change), ..change.clone() })).collect();
        journal.append(epoch, &Batch { records, ..Batch::default() })?;
    }
    Ok(())
}

fn append_next_day(journal: &JournalUnderTest, trace: &Trace, day: Timestamp) -> Result<()> {
    let change = trace.changes.last().context("an empty trace")?;
    let record = Record::Change(Change { recorded_at: day + SignedDuration::from_hours(25), ..change.clone() });
    let epoch = journal.journal()?.begin_epoch()?;
    journal.append(epoch, &Batch { records: vec![record], ..Batch::default() })?;
    Ok(())
}

fn stored(journal: &JournalUnderTest, day: usize) -> Result<u64> {
    let segments = journal.journal()?.segments()?;
    Ok(segments.get(day).with_context(|| format!("the journal has no day {day}"))?.stored_bytes)
}
