//! The thin thread through the engine: what goes in comes out, now, after the file is opened again, and after a day is rewritten.
#![allow(clippy::unwrap_used)]

mod support;

use jiff::SignedDuration;
use proreus_model::{Filter, MarkKind, Order, Record, Seq};
use proreus_store::{Batch, BodyDetail, Journal, OpenOptions, ReadQuery, SegmentState, SqliteJournal, StoreError};
use support::{append_all, everything, numbered, read_all, settle};

fn open(dir: &std::path::Path) -> SqliteJournal {
    SqliteJournal::open(dir, &OpenOptions::default()).unwrap()
}

/// So many changes over so many days.
fn history(count: usize, days: i64) -> Vec<Record> {
    let mut cluster = support::Cluster::new(1, "2026-11-18T00:10:00Z".parse().unwrap(), 10);
    cluster.pace = SignedDuration::from_secs(days * 130_000 / count as i64);
    numbered(cluster.take(count), 1)
}

#[test]
fn gives_back_every_record_as_it_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let records = history(3_000, 1);
    let journal = open(dir.path());
    append_all(&journal, &records);
    assert_eq!(read_all(&journal).unwrap(), records);
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(journal.watermark(), Seq(3_000));
    assert_eq!(read_all(&journal).unwrap(), records);
}

/// Every kind of answer, as text.
fn answers(journal: &SqliteJournal, records: &[Record]) -> Vec<String> {
    let mut answers = Vec::new();
    let first = journal.oldest().unwrap().unwrap().seq.0;
    let last = journal.watermark().0;
    for filter in [
        Filter { kinds: vec!["Pod".into()], ..Filter::changes() },
        Filter { namespaces: vec!["team-3".into()], verbs: vec![proreus_model::Verb::Delete], ..Filter::changes() },
        Filter { managers: vec!["kubelet".into()], ..Filter::changes() },
        Filter::marks(),
    ] {
        for order in [Order::Ascending, Order::Descending] {
            let query = ReadQuery { filter: filter.clone(), order, detail: BodyDetail::BodyAndPrevious, ..everything(90) };
            answers.push(format!("{:?}", journal.read(&query).unwrap()));
        }
    }
    for record in records.iter().step_by(37) {
        let Record::Change(change) = record else { continue };
        for at in [first, (first + last) / 2, change.seq.0.max(first), last].map(Seq) {
            answers.push(format!("{:?}", journal.state(&change.object, at).unwrap()));
        }
        let of = Filter { uids: vec![change.object.uid.clone()], ..Filter::changes() };
        let regarding = Filter { regarding: vec![change.object.uid.clone()], ..Filter::changes() };
        for filter in [of, regarding] {
            answers.push(format!("{:?}", journal.read(&ReadQuery { filter, ..everything(50) }).unwrap()));
        }
    }
    for at in [first, (first + last) / 2, last].map(Seq) {
        answers.push(format!("{:?}", journal.objects(at, &Filter::changes(), None, 60, BodyDetail::Body).unwrap()));
    }
    answers.push(format!("{:?}", journal.heads(&Default::default()).unwrap()));
    answers
}

#[test]
fn answers_the_same_after_past_days_are_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = history(2_500, 3);
    let marks = [MarkKind::Synced, MarkKind::Gap].map(|kind| support::mark(records[1_000].recorded_at(), kind));
    records.splice(1_000..1_000, marks);
    let records = numbered(records, 1);
    let journal = open(dir.path());
    append_all(&journal, &records);
    let before = answers(&journal, &records);
    settle(&journal);
    let states: Vec<SegmentState> = journal.segments().unwrap().iter().map(|segment| segment.state).collect();
    assert!(states.len() > 2 && states[..states.len() - 1].iter().all(|state| *state == SegmentState::Compacted), "{states:?}");
    for (before, after) in before.iter().zip(answers(&journal, &records)) {
        assert_eq!(*before, after);
    }
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(answers(&journal, &records), before);
    assert_eq!(read_all(&journal).unwrap(), records);
    for verdict in journal.verify(&mut |_, _| ()).unwrap() {
        assert_eq!(verdict.damage, Vec::<String>::new(), "{}", verdict.day);
    }
}

#[test]
fn keeps_one_file_a_day_of_recorded_time() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let records = history(600, 3);
    append_all(&journal, &records);
    let segments = journal.segments().unwrap();
    let days: std::collections::BTreeSet<String> = records.iter().map(|record| record.recorded_at().to_string()[..10].to_owned()).collect();
    assert_eq!(segments.iter().map(|segment| segment.day.clone()).collect::<Vec<_>>(), days.into_iter().collect::<Vec<_>>());
    for segment in &segments {
        let (first, last) = segment.times.unwrap();
        assert_eq!((first.to_string()[..10].to_owned(), last.to_string()[..10].to_owned()), (segment.day.clone(), segment.day.clone()));
    }
}

#[test]
fn commits_a_batch_over_midnight_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let records = history(250, 15);
    let epoch = journal.begin_epoch().unwrap();
    let appended = journal.append(epoch, &Batch { records: records.clone(), ..Batch::default() }).unwrap();
    assert_eq!(appended.watermark, Seq(250));
    assert!(journal.segments().unwrap().len() > 3);
    drop(journal);
    assert_eq!(read_all(&open(dir.path())).unwrap(), records);
}

#[test]
fn keeps_a_day_until_the_next_has_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    append_all(&journal, &history(900, 3));
    let policy = proreus_store::RetentionPolicy { max_age: Some(SignedDuration::ZERO), max_bytes: Some(0) };
    let now = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(journal.retain(&policy, now).unwrap().removed, Vec::<String>::new());
    settle(&journal);
    let days = journal.segments().unwrap().len();
    let retained = journal.retain(&policy, now).unwrap();
    assert_eq!(retained.removed.len(), days - 1);
    assert!(retained.freed_bytes > 0);
    assert!(matches!(journal.read(&ReadQuery { after: Some(Seq(1)), ..everything(10) }), Err(StoreError::Gone { .. })));
}

#[test]
fn counts_what_stands_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let records = history(1_500, 2);
    append_all(&journal, &records);
    let raw: usize = records
        .iter()
        .filter_map(|record| match record {
            Record::Change(change) => change.body.as_ref().map(|body| body.len()),
            Record::Mark(_) => None,
        })
        .sum();
    for _ in 0..2 {
        let segments = journal.segments().unwrap();
        let sum = |of: fn(&proreus_store::SegmentSummary) -> u64| segments.iter().map(of).sum::<u64>();
        assert_eq!((sum(|day| day.changes), sum(|day| day.raw_bytes)), (1_500, raw as u64));
        let on_disk: u64 = std::fs::read_dir(dir.path())
            .unwrap()
            .map(Result::unwrap)
            .filter(|file| file.file_name().to_string_lossy().contains(".sqlite") && !file.file_name().to_string_lossy().ends_with("-shm"))
            .map(|file| file.metadata().unwrap().len())
            .sum();
        assert_eq!(sum(|day| day.stored_bytes), on_disk);
        settle(&journal);
    }
}
