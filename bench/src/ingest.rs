//! How fast changes become durable, beside the least that anybody must do: parse a line and compress its object.
//!
//! Both sides take the same lines. The baseline makes nothing durable, sorts nothing, redacts nothing.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use proreus_model::{Change, Record};
use proreus_store::{Batch, Journal, MemoryJournal};
use serde_json::Value;

use crate::journal_under_test::JournalUnderTest;
use crate::report::{Report, Row};
use crate::timing::{once, percentiles};
use crate::trace::{self, Trace};

/// Records a batch, as the recorder closes them.
pub(crate) const BATCH_RECORDS: usize = 256;

/// The level of the baseline.
const BASELINE_LEVEL: i32 = 3;

/// Times that each is measured; the middle one counts, since other load comes and goes.
const ROUNDS: usize = 3;

pub(crate) fn measure(trace: &Trace, scratch: &Path, report: &mut Report) -> Result<()> {
    let memory = MemoryJournal::new();
    trace::record(trace.lines.as_slice(), &memory, |_| {})?;
    let changes = trace::changes(&memory)?;
    let lines = trace.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as f64;
    let (mut parse_and_compress, mut append, mut from_lines, mut batches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Turn about, so that a load that comes meets all of them.
    for round in 0..ROUNDS {
        crate::tell(&format!("ingest, round {} of {ROUNDS}", round + 1));
        parse_and_compress.push(baseline(trace)?);
        append.push(append_ready(&changes, &scratch.join(format!("ingest-{round}")), &mut batches)?);
        from_lines.push(append_lines(trace, &scratch.join(format!("ingest-lines-{round}")))?);
    }
    let (baseline, append, from_lines) = (middle(parse_and_compress), middle(append), middle(from_lines));
    let what = "parse + zstd-3 of each, one thread";
    report.push(
        Row::new("ingest, durable, 256 a batch, of ready changes", changes.len() as f64 / append, "changes/s")
            .against(what, changes.len() as f64 / baseline)
            .at_least(1.0),
    );
    report.push(
        Row::new("ingest from raw lines: parse, redact, drop noise, append", lines / from_lines, "lines/s")
            .against(what, lines / baseline)
            .at_least(1.0),
    );
    report.push_times("one durable batch of 256", percentiles(batches), None);
    report.push_times("the same bytes, compressed, written and synced to a plain file", synced_writes(&changes, scratch)?, None);
    Ok(())
}

/// Seconds.
fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64()
}

fn baseline(trace: &Trace) -> Result<Duration> {
    let (outcome, took) = once(|| -> Result<usize> {
        let mut compressor = zstd::bulk::Compressor::new(BASELINE_LEVEL)?;
        let mut bytes = 0;
        for line in trace.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut line: Value = serde_json::from_slice(line)?;
            let mut object = line.get_mut("object").map(Value::take).context("a line without an object")?;
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
            bytes += compressor.compress(&serde_json::to_vec(&object)?)?.len();
        }
        Ok(bytes)
    });
    anyhow::ensure!(outcome? > 0, "the baseline compressed nothing");
    Ok(took)
}

fn append_ready(changes: &[Change], dir: &Path, times: &mut Vec<Duration>) -> Result<Duration> {
    let batch = |changes: &[Change]| Batch { records: changes.iter().cloned().map(Record::Change).collect(), ..Batch::default() };
    let batches: Vec<Batch> = changes.chunks(BATCH_RECORDS).map(batch).collect();
    let journal = JournalUnderTest::open(dir)?;
    let epoch = journal.journal()?.begin_epoch()?;
    let (outcome, took) = once(|| {
        batches.iter().try_for_each(|batch| {
            let (appended, took) = once(|| journal.append(epoch, batch));
            times.push(took);
            appended.map(|_| ())
        })
    });
    outcome?;
    journal.remove()?;
    Ok(took)
}

/// The way of `store import`, with the background work that a running service does in between.
fn append_lines(trace: &Trace, dir: &Path) -> Result<Duration> {
    let journal = JournalUnderTest::open(dir)?;
    let engine = journal.journal()?;
    let mut tended = Ok(());
    let (recorded, took) = once(|| {
        trace::record(trace.lines.as_slice(), engine, |_| {
            if tended.is_ok() {
                tended = journal.tend_a_little();
            }
        })
    });
    recorded?;
    tended?;
    journal.remove()?;
    Ok(took)
}

/// What this disk takes for a batch at the least.
fn synced_writes(changes: &[Change], scratch: &Path) -> Result<crate::timing::Percentiles> {
    let path = scratch.join("synced");
    let mut file = File::create(&path).with_context(|| format!("failed to make `{}`", path.display()))?;
    let mut times = Vec::new();
    for changes in changes.chunks(BATCH_RECORDS) {
        let bodies: Vec<u8> = changes.iter().filter_map(|change| change.body.as_deref()).flatten().copied().collect();
        let bytes = zstd::bulk::compress(&bodies, BASELINE_LEVEL)?;
        let (written, took) = once(|| file.write_all(&bytes).and_then(|()| file.sync_data()));
        written?;
        times.push(took);
    }
    std::fs::remove_file(&path)?;
    Ok(percentiles(times))
}
