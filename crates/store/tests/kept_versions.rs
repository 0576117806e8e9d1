//! A journal of every version of the format that was ever written is read as it was meant, and `FORMAT.md` names every table and column.
//!
//! A kept journal lies in `tests/kept/v<version>`, with its answers as a stream of `export` beside it. The program of the version wrote both
//! (`examples/keep.rs`); nothing there is ever changed. The in-memory journal holds the answers, so what is compared is records, states and
//! positions, and not bytes that today's program wrote.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proreus_model::{Change, ClusterId, Filter, ObjectId, Record, Seq, Verb, WatchScope};
use proreus_store::stream::{Exporting, import};
use proreus_store::{Batch, BodyDetail, Journal, MemoryJournal, OpenOptions, SegmentState, SqliteJournal};
use rusqlite::Connection;
use support::{copy_dir, read_all, settle};

/// The name of the answers beside a kept journal.
const ANSWERS: &str = "answers.jsonl.zst";

/// Positions between two that states are compared at: prime, so that no rhythm of the records is met.
const STRIDE: usize = 199;

/// Every kept journal with its version.
fn kept() -> Vec<(u32, PathBuf)> {
    let found = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept")).unwrap();
    let mut kept: Vec<(u32, PathBuf)> = found
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_str().unwrap().strip_prefix('v').unwrap().parse().unwrap(), entry.path()))
        .collect();
    kept.sort();
    kept
}

fn answers(kept: &Path) -> MemoryJournal {
    let stream = std::fs::read(kept.join(ANSWERS)).unwrap();
    import(&stream[..], MemoryJournal::import, &mut |_, _| ()).unwrap().0
}

/// A copy to open: opening writes.
fn copy(kept: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(kept, dir.path());
    std::fs::remove_file(dir.path().join(ANSWERS)).unwrap();
    dir
}

/// Everything that lives at a position.
fn states(journal: &dyn Journal, at: Seq) -> Vec<Change> {
    let mut states: Vec<Change> = Vec::new();
    loop {
        let after: Option<ObjectId> = states.last().map(|state| state.object.clone());
        let page = journal.objects(at, &Filter::changes(), after.as_ref(), 100, BodyDetail::Body).unwrap();
        states.extend(page.objects);
        if !page.more {
            return states;
        }
    }
}

fn assert_answers(found: &impl Exporting, wanted: &MemoryJournal) {
    assert_eq!(found.id(), wanted.id());
    assert_eq!(found.watermark(), wanted.watermark());
    assert_eq!(found.oldest().unwrap(), wanted.oldest().unwrap());
    let records = read_all(wanted).unwrap();
    assert_eq!(read_all(found).unwrap(), records);
    let before = Seq(records.first().unwrap().seq().0 - 1);
    for at in std::iter::once(before).chain(records.iter().rev().step_by(STRIDE).map(Record::seq)) {
        assert_eq!(states(found, at), states(wanted, at), "at {at}");
    }
    assert_eq!(found.checkpoints(&ClusterId::default()).unwrap(), wanted.checkpoints(&ClusterId::default()).unwrap());
    let positions = wanted.positions().unwrap();
    for cursor in &positions.cursors {
        assert_eq!(found.cursor(&cursor.consumer).unwrap().as_ref(), Some(cursor));
    }
    assert_eq!(found.positions().unwrap().cursors, positions.cursors);
    let everything = WatchScope { cluster: "".into(), group: "".into(), resource: "".into() };
    assert_eq!(found.heads(&everything).unwrap(), wanted.heads(&everything).unwrap());
}

#[test]
fn every_version_that_was_ever_written_is_read() {
    let kept = kept();
    assert!(kept.iter().map(|(version, _)| *version).eq(1..=kept.len() as u32) && !kept.is_empty(), "{kept:?}");
    for (_, dir) in kept {
        let (wanted, copy) = (answers(&dir), copy(&dir));
        let reading = SqliteJournal::open_read_only(copy.path()).unwrap();
        assert_answers(&reading, &wanted);
        drop(reading);
        let journal = SqliteJournal::open(copy.path(), &OpenOptions::default()).unwrap();
        assert!(journal.report().damaged.is_empty() && journal.report().lost_records == 0, "{:?}", journal.report());
        for verdict in journal.verify(&mut |_, _| ()).unwrap() {
            assert_eq!(verdict.damage, [] as [String; 0], "{}", verdict.day);
        }
        assert_answers(&journal, &wanted);
    }
}

#[test]
fn a_kept_journal_is_gone_on_with() {
    for (_, dir) in kept() {
        let (wanted, copy) = (answers(&dir), copy(&dir));
        let last = wanted.last_recorded_at().unwrap();
        let Some(Record::Change(known)) = read_all(&wanted).unwrap().into_iter().rfind(|record| matches!(record, Record::Change(_))) else {
            unreachable!("a kept journal has changes")
        };
        let tomorrow = last.checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
        let more = [last, tomorrow].map(|recorded_at| Record::Change(Change { recorded_at, verb: Verb::Update, ..known.clone() }));
        let journal = SqliteJournal::open(copy.path(), &OpenOptions::default()).unwrap();
        for journal in [&journal as &dyn Journal, &wanted] {
            let epoch = journal.begin_epoch().unwrap();
            journal.append(epoch, &Batch { records: more.to_vec(), ..Batch::default() }).unwrap();
        }
        // Its open day is past now, and is rewritten.
        settle(&journal);
        assert_answers(&journal, &wanted);
    }
}

#[test]
fn a_kept_journal_has_both_kinds_of_day_and_says_its_version() {
    for (version, dir) in kept() {
        let copy = copy(&dir);
        let journal = SqliteJournal::open(copy.path(), &OpenOptions::default()).unwrap();
        let days: Vec<SegmentState> = journal.segments().unwrap().iter().map(|day| day.state).collect();
        assert_eq!(days, [SegmentState::Compacted, SegmentState::Open]);
        drop(journal);
        for day in ["2026-11-19.solid.sqlite", "2026-11-20.rows.sqlite"] {
            let file = Connection::open(copy.path().join(day)).unwrap();
            let number = |name: &str| file.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u32>(0)).unwrap();
            assert_eq!((number("application_id"), number("user_version"), number("page_size")), (0x5052_4f52, version, 4096));
        }
    }
}

#[test]
fn the_first_version_is_kept_with_every_coding_of_a_record() {
    let (_, dir) = kept().into_iter().find(|(version, _)| *version == 1).unwrap();
    let copy = copy(&dir);
    let rows = Connection::open(copy.path().join("2026-11-20.rows.sqlite")).unwrap();
    let mut firsts = rows.prepare("SELECT DISTINCT bytes FROM records").unwrap();
    let codings = firsts.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(|bytes| bytes.unwrap()[0] >> 4);
    // No body, alone, dictionary, version before, earlier version, sibling, the same; and marks.
    assert!(codings.collect::<BTreeSet<u8>>().into_iter().eq([0, 1, 2, 3, 4, 5, 6, 15]));
    let solid = Connection::open(copy.path().join("2026-11-19.solid.sqlite")).unwrap();
    let seeded: (u32, u32) =
        solid.query_row("SELECT sum(seed = 0), sum(seed != 0) FROM blocks", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(seeded.0 > 0 && seeded.1 > 0, "{seeded:?}");
}

/// Tables with their columns, as a file has them.
fn tables(file: &Path) -> BTreeMap<String, Vec<String>> {
    let file = Connection::open(file).unwrap();
    let mut list = file
        .prepare("SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY c.cid")
        .unwrap();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = list.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for (table, column) in rows.map(Result::unwrap) {
        tables.entry(table).or_default().push(column);
    }
    tables
}

/// Tables with their columns, as `FORMAT.md` describes them: a heading with the table's name, then a line for each column.
fn described() -> BTreeMap<String, Vec<String>> {
    let text = include_str!("../FORMAT.md");
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = None;
    for line in text.lines() {
        if line.starts_with('#') {
            table = line.strip_prefix("#### `").and_then(|rest| rest.strip_suffix('`'));
        } else if let (Some(table), Some((column, _))) = (table, line.strip_prefix("| `").and_then(|rest| rest.split_once('`'))) {
            tables.entry(table.to_owned()).or_default().push(column.to_owned());
        }
    }
    tables
}

#[test]
fn format_md_names_every_table_and_column() {
    // The journal of today, made here: a kept one shows an older format once there is a newer.
    let home = tempfile::tempdir().unwrap();
    let (_, newest) = kept().pop().unwrap();
    copy_dir(&newest, home.path());
    let journal = SqliteJournal::open(home.path(), &OpenOptions::default()).unwrap();
    let mut cluster = support::Cluster::new(9, "2026-12-01T08:00:00Z".parse().unwrap(), 1);
    support::append_all(&journal, &cluster.take(40));
    settle(&journal);
    drop(journal);
    let mut found = tables(&home.path().join("2026-12-01.rows.sqlite"));
    found.extend(tables(&home.path().join("2026-11-20.solid.sqlite")));
    assert_eq!(described(), found);
    let kinds: BTreeSet<&str> = ["records", "blocks", "chunks", "seeds"].into();
    assert!(kinds.iter().all(|table| found.contains_key(*table)), "both kinds of file were looked at");
}
