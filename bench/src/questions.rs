//! How long answers take, in a small journal and in a large one: states at a position, filtered pages, and opening.
//!
//! Invariant: both journals span the same days and are asked the same kinds of questions, so that their times can be compared.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, Filter, ObjectId, Order, Record, Seq, SeqRange, Verb};
use proreus_store::{Batch, BodyDetail, Journal, ReadQuery};

use crate::JournalOptions;
use crate::copies::Copies;
use crate::ingest::BATCH_RECORDS;
use crate::journal_under_test::JournalUnderTest;
use crate::report::{Report, Row};
use crate::timing::{self, Measured, Percentiles, once};
use crate::trace::Trace;

/// The first day of the journals.
const FIRST_DAY: &str = "2026-01-05T00:00:00Z";

/// Hours of each day in which changes come.
const HOURS_A_DAY: i64 = 23;

/// Changes on a page.
const PAGE_RECORDS: usize = 1_000;

/// Pages of each kind of filter.
const PAGES: usize = 200;

/// Times that a journal is opened.
const OPENINGS: usize = 10;

/// How much slower the large journal may be before it is not flat: what repeated runs of one journal differ by.
const FLAT: f64 = 1.5;

/// Where a version was written, to be asked for later.
struct Sighting {
    object: ObjectId,
    seq: Seq,
}

/// Times of one journal.
struct Asked {
    open_states: Measured,
    closed_states: Option<Measured>,
    pages: Vec<(&'static str, Measured)>,
    reopened: Measured,
    after_kill: Percentiles,
    stored_bytes_a_change: f64,
}

pub(crate) fn measure(trace: &Trace, options: &JournalOptions, scratch: &Path, report: &mut Report) -> Result<()> {
    let small = ask(trace, options, options.small, scratch)?;
    let large = ask(trace, options, options.changes, scratch)?;
    for (asked, changes) in [(&small, options.small), (&large, options.changes)] {
        let of = |what: &str| format!("{what}, {changes} changes");
        report.push(Row::new(of("stored, all days"), asked.stored_bytes_a_change, "B/change"));
        push_measured(report, &of("state at T, open day"), asked.open_states, 200.0);
        if let Some(closed) = asked.closed_states {
            push_measured(report, &of("state at T, closed days"), closed, 3_000.0);
        }
        for (filter, times) in &asked.pages {
            push_measured(report, &of(&format!("page of {PAGE_RECORDS}, {filter}")), *times, 30_000.0);
        }
        report.push_times(&of("reopen after closing"), asked.reopened.wall, None);
        report.push_times(&of("reopen after a kill"), asked.after_kill, None);
    }
    let flat = |figure: &str, large: Measured, small: Measured| {
        let row = Row::new(format!("{figure}: large journal over small one, processor time, p99"), large.processor.p99_micros, "µs");
        row.against(format!("{} changes", options.small), small.processor.p99_micros).at_most(FLAT)
    };
    report.push(flat("state at T, open day", large.open_states, small.open_states));
    if let (Some(large), Some(small)) = (large.closed_states, small.closed_states) {
        report.push(flat("state at T, closed days", large, small));
    }
    Ok(())
}

/// The target is for what a caller waits; the processor's time beside it tells how much of that was another program's doing.
fn push_measured(report: &mut Report, figure: &str, times: Measured, limit_micros: f64) {
    report.push_times(figure, times.wall, Some(limit_micros));
    report.push(Row::new(format!("{figure}, processor time, p99"), times.processor.p99_micros, "µs"));
}

fn ask(trace: &Trace, options: &JournalOptions, changes: u64, scratch: &Path) -> Result<Asked> {
    let dir = scratch.join(format!("journal-{changes}"));
    let mut journal = JournalUnderTest::open(&dir)?;
    let sightings = build(&journal, trace, options, changes)?;
    crate::tell(&format!("{changes} changes: rewriting closed days"));
    journal.settle()?;
    let after_kill = reopen_after_kill(&dir, &scratch.join(format!("killed-{changes}")))?;
    let reopened = timing::each(0..OPENINGS, |_| journal.reopen())?;
    let segments = journal.journal()?.segments()?;
    let stored: u64 = segments.iter().map(|day| day.stored_bytes).sum();
    let last_day = segments.last().and_then(|day| day.range).context("the journal has no day")?;
    crate::tell(&format!("{changes} changes: asking"));
    let in_last_day = SeqRange { first: last_day.first, last: journal.journal()?.watermark() };
    let before = SeqRange { first: Seq(1), last: Seq(last_day.first.0.saturating_sub(1)) };
    let open_states = states(journal.journal()?, &sightings, in_last_day, options.questions)?.context("the last day is empty")?;
    let closed_states = states(journal.journal()?, &sightings, before, options.questions)?;
    let pages = pages(journal.journal()?, trace, &sightings)?;
    journal.remove()?;
    Ok(Asked { open_states, closed_states, pages, reopened, after_kill, stored_bytes_a_change: stored as f64 / changes as f64 })
}

/// Appends the trace over and over until the journal holds so many changes, spread over the days.
fn build(journal: &JournalUnderTest, trace: &Trace, options: &JournalOptions, changes: u64) -> Result<Vec<Sighting>> {
    let copies = Copies::of(&trace.changes);
    let first_day: Timestamp = FIRST_DAY.parse()?;
    let days = u64::from(options.days.max(1));
    let a_day = changes.div_ceil(days);
    let micros_a_change = HOURS_A_DAY * 3_600_000_000 / i64::try_from(a_day).unwrap_or(i64::MAX).max(1);
    let every = (changes / (options.questions as u64 * 2 * days).max(1)).max(1);
    let epoch = journal.journal()?.begin_epoch()?;
    let mut sightings = Vec::new();
    let mut batch = Batch::default();
    for number in 0..changes {
        let length = trace.changes.len() as u64;
        let Some(change) = trace.changes.get(usize::try_from(number % length)?) else { continue };
        let (day, within) = (i64::try_from(number / a_day)?, i64::try_from(number % a_day)?);
        let recorded_at = first_day + SignedDuration::from_hours(24 * day) + SignedDuration::from_micros(within * micros_a_change);
        let change = Change { recorded_at, ..copies.change(change, number / length) };
        if number.is_multiple_of(every) {
            sightings.push(Sighting { object: change.object.clone(), seq: Seq(number + 1) });
        }
        batch.records.push(Record::Change(change));
        if batch.records.len() == BATCH_RECORDS {
            journal.append(epoch, &batch)?;
            batch.records.clear();
        }
        if (number + 1).is_multiple_of(1_000_000) {
            crate::tell(&format!("{} of {changes} changes appended", number + 1));
        }
    }
    journal.append(epoch, &batch)?;
    Ok(sightings)
}

/// Asks for states of objects at random positions of the range at which they were known; `None` for an empty range.
fn states(journal: &dyn Journal, sightings: &[Sighting], range: SeqRange, questions: usize) -> Result<Option<Measured>> {
    let candidates: Vec<&Sighting> = sightings.iter().filter(|seen| seen.seq <= range.last).collect();
    if range.first > range.last || candidates.is_empty() {
        return Ok(None);
    }
    let mut chance = Chance(7);
    let asked: Vec<(&ObjectId, Seq)> = (0..questions)
        .filter_map(|_| {
            let seen = candidates.get(chance.below(candidates.len() as u64) as usize)?;
            let first = seen.seq.max(range.first);
            Some((&seen.object, Seq(first.0 + chance.below(range.last.0 - first.0 + 1))))
        })
        .collect();
    // Events of days past are not in a later day's base: every object here was seen, but the newest day may still have to look back.
    let mut known = 0;
    let times = timing::each(&asked, |(object, at)| {
        known += usize::from(journal.state(object, *at)?.is_some());
        anyhow::Ok(())
    })?;
    ensure!(known == asked.len(), "{} of {} states were not known", asked.len() - known, asked.len());
    Ok(Some(times))
}

/// Pages with filters that match much, little and in one place, from random positions in either order.
fn pages(journal: &dyn Journal, trace: &Trace, sightings: &[Sighting]) -> Result<Vec<(&'static str, Measured)>> {
    let watermark = journal.watermark();
    let rarest = rarest_kind(trace);
    let mut told = Vec::new();
    let by_kind = |kind: &str| Filter { kinds: vec![kind.into()], ..Filter::changes() };
    type Make<'a> = Box<dyn Fn(&Sighting) -> Filter + 'a>;
    let kinds: [(&str, BodyDetail, Make<'_>); 5] = [
        ("kind Pod, no bodies", BodyDetail::None, Box::new(|_| by_kind("Pod"))),
        ("kind Pod, changed fields", BodyDetail::BodyAndPrevious, Box::new(|_| by_kind("Pod"))),
        ("rarest kind, no bodies", BodyDetail::None, Box::new(|_| by_kind(&rarest))),
        (
            "one namespace, no bodies",
            BodyDetail::None,
            Box::new(|seen| Filter { namespaces: vec![seen.object.namespace.clone()], ..Filter::changes() }),
        ),
        ("deletes, no bodies", BodyDetail::None, Box::new(|_| Filter { verbs: vec![Verb::Delete], ..Filter::changes() })),
    ];
    for (name, detail, filter) in kinds {
        let mut chance = Chance(11);
        let times = timing::each(0..PAGES, |turn| {
            let Some(seen) = sightings.get(chance.below(sightings.len() as u64) as usize) else { return anyhow::Ok(()) };
            let order = if turn % 2 == 0 { Order::Ascending } else { Order::Descending };
            let query = ReadQuery {
                range: SeqRange { first: Seq(0), last: watermark },
                filter: filter(seen),
                after: Some(Seq(1 + chance.below(watermark.0))),
                order,
                limit: PAGE_RECORDS,
                detail,
            };
            journal.read(&query)?;
            Ok(())
        })?;
        told.push((name, times));
    }
    Ok(told)
}

/// The kind with the fewest changes, of those that fill a page even in a small journal.
fn rarest_kind(trace: &Trace) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for change in &trace.changes {
        *counts.entry(change.object.kind.as_str()).or_insert(0_usize) += 1;
    }
    let rarest = counts.iter().filter(|(_, count)| **count >= 10).min_by_key(|(_, count)| **count);
    rarest.map_or("Pod".to_owned(), |(kind, _)| (*kind).to_owned())
}

/// Opens copies of the files as they lie while the journal is open: what a killed process leaves.
fn reopen_after_kill(dir: &Path, copy: &Path) -> Result<Percentiles> {
    let mut times = Vec::new();
    for _ in 0..OPENINGS {
        copy_files(dir, copy)?;
        let (opened, took) = once(|| JournalUnderTest::open(copy));
        times.push(took);
        opened?.remove()?;
    }
    Ok(timing::percentiles(times))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("failed to copy `{}`", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Numbers by chance, the same in every run.
struct Chance(u64);

impl Chance {
    /// A number below `limit`, or 0 for a limit of 0.
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64: one addition and two multiplications that mix well.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
