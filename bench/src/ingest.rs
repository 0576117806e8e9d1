//! How fast changes become durable, beside the least that anybody must do: parse a line and compress its object.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use proreus_model::Record;
use proreus_store::{Batch, Journal};

use crate::journal_under_test::JournalUnderTest;
use crate::report::{Report, Row};
use crate::timing::{once, percentiles};
use crate::trace::{Reader, Seen, Trace};

/// Records a batch, as the recorder closes them.
pub(crate) const BATCH_RECORDS: usize = 256;

/// The level of the baseline.
const BASELINE_LEVEL: i32 = 3;

/// Times that each is measured; the middle one counts, since other load comes and goes.
const ROUNDS: usize = 3;

pub(crate) fn measure(trace: &Trace, scratch: &Path, report: &mut Report) -> Result<()> {
    let mut parse_and_compress = Vec::new();
    let mut append = Vec::new();
    let mut from_lines = Vec::new();
    let mut batches = Vec::new();
    // Turn about, so that a load that comes meets all of them.
    for round in 0..ROUNDS {
        crate::tell(&format!("ingest, round {} of {ROUNDS}", round + 1));
        parse_and_compress.push(baseline(trace)?);
        append.push(append_ready(trace, &scratch.join(format!("ingest-{round}")), &mut batches)?);
        from_lines.push(append_lines(trace, &scratch.join(format!("ingest-lines-{round}")))?);
    }
    let baseline = middle(parse_and_compress);
    let what = "parse + zstd-3 of each, one thread, changes/s";
    report.push(
        Row::new("ingest, durable, 256 a batch, canonical changes", middle(append), "changes/s").against(what, baseline).at_least(1.0),
    );
    report.push(Row::new("the same from raw lines (parse, canonicalise, append)", middle(from_lines), "changes/s").against(what, baseline));
    report.push_times("one durable batch of 256", percentiles(batches), None);
    report.push_times("the same bytes, compressed, written and synced to a plain file", synced_writes(trace, scratch)?, None);
    Ok(())
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn rate(trace: &Trace, took: std::time::Duration) -> f64 {
    trace.changes.len() as f64 / took.as_secs_f64()
}

fn baseline(trace: &Trace) -> Result<f64> {
    let (outcome, took) = once(|| -> Result<usize> {
        let mut compressor = zstd::bulk::Compressor::new(BASELINE_LEVEL)?;
        let mut reader = Reader::default();
        let mut bytes = 0;
        for line in &trace.lines {
            let Seen::Change(change) = reader.line(line)? else { continue };
            bytes += compressor.compress(change.body.as_deref().unwrap_or_default())?.len();
        }
        Ok(bytes)
    });
    anyhow::ensure!(outcome? > 0, "the baseline compressed nothing");
    Ok(rate(trace, took))
}

fn append_ready(trace: &Trace, dir: &Path, times: &mut Vec<std::time::Duration>) -> Result<f64> {
    let records: Vec<Record> = trace.changes.iter().cloned().map(Record::Change).collect();
    let batches: Vec<Batch> =
        records.chunks(BATCH_RECORDS).map(|records| Batch { records: records.to_vec(), ..Batch::default() }).collect();
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
    Ok(rate(trace, took))
}

fn append_lines(trace: &Trace, dir: &Path) -> Result<f64> {
    let journal = JournalUnderTest::open(dir)?;
    let epoch = journal.journal()?.begin_epoch()?;
    let (outcome, took) = once(|| -> Result<()> {
        let mut reader = Reader::default();
        for lines in trace.lines.chunks(BATCH_RECORDS) {
            let mut batch = Batch::default();
            for line in lines {
                if let Seen::Change(change) = reader.line(line)? {
                    batch.records.push(Record::Change(*change));
                }
            }
            journal.append(epoch, &batch)?;
        }
        Ok(())
    });
    outcome?;
    journal.remove()?;
    Ok(rate(trace, took))
}

/// What this disk takes for a batch at the least.
fn synced_writes(trace: &Trace, scratch: &Path) -> Result<crate::timing::Percentiles> {
    let path = scratch.join("synced");
    let mut file = File::create(&path).with_context(|| format!("failed to make `{}`", path.display()))?;
    let mut times = Vec::new();
    for changes in trace.changes.chunks(BATCH_RECORDS) {
        let bodies: Vec<u8> = changes.iter().filter_map(|change| change.body.as_deref()).flatten().copied().collect();
        let bytes = zstd::bulk::compress(&bodies, BASELINE_LEVEL)?;
        let (written, took) = once(|| file.write_all(&bytes).and_then(|()| file.sync_data()));
        written?;
        times.push(took);
    }
    std::fs::remove_file(&path)?;
    Ok(percentiles(times))
}
