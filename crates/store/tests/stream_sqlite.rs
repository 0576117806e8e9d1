//! Export and import with day files: what is refused, what a cut-off import leaves, and exporting from beside the writer.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use proreus_model::{Change, ObjectId, Origin, Record, Seq, Verb};
use proreus_store::stream::{Exporting, Header, Importing, export, import};
use proreus_store::{Batch, ConsumerCursor, Journal, OpenOptions, SqliteJournal, StoreError};

fn change(day: u32, name: &str) -> Record {
    Record::Change(Change {
        seq: Seq(0),
        recorded_at: format!("2026-11-{day}T10:00:00Z").parse().unwrap(),
        event_time: None,
        verb: Verb::Update,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "c1".into(),
            group: "".into(),
            kind: "Pod".into(),
            namespace: "web".into(),
            name: name.into(),
            uid: format!("uid-{name}").into(),
        },
        version: "v1".into(),
        resource: "pods".into(),
        resource_version: "7".into(),
        generation: None,
        manager: None,
        regarding: None,
        body: Some(Arc::from(format!(r#"{{"day":{day},"name":"{name}"}}"#).into_bytes())),
    })
}

/// A journal of two days in a directory.
fn two_days(dir: &Path) -> SqliteJournal {
    let journal = SqliteJournal::open(dir, &OpenOptions::default()).unwrap();
    let epoch = journal.begin_epoch().unwrap();
    for day in [20, 21] {
        let records = (0..300).map(|n| change(day, &format!("pod-{}", n % 7))).collect();
        let cursors = vec![ConsumerCursor { consumer: "doctor".to_owned(), seq: Seq(u64::from(day)), state: vec![1] }];
        journal.append(epoch, &Batch { records, cursors, ..Batch::default() }).unwrap();
    }
    journal
}

fn exported(journal: &dyn Exporting) -> Vec<u8> {
    let mut stream = Vec::new();
    export(journal, &mut stream, &mut |_, _| ()).unwrap();
    stream
}

fn import_into(dir: &Path, stream: &[u8]) -> Result<SqliteJournal, StoreError> {
    import(stream, |header: &Header| SqliteJournal::import(dir, header), &mut |_, _| ()).map(|(journal, _)| journal)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn opened(dir: &Path) -> Result<SqliteJournal, StoreError> {
    SqliteJournal::open(dir, &OpenOptions { create: false, ..OpenOptions::default() })
}

#[test]
fn brings_the_same_journal_to_another_directory() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = two_days(here.path());
    let stream = exported(&journal);
    let copy = import_into(&there.path().join("made/by/import"), &stream).unwrap();
    assert_eq!((copy.id(), copy.watermark()), (journal.id(), Seq(600)));
    drop(copy);
    let copy = opened(&there.path().join("made/by/import")).unwrap();
    assert_eq!(exported(&copy), stream, "to the byte");
}

#[test]
fn exports_the_same_from_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let journal = two_days(dir.path());
    let beside = SqliteJournal::open_read_only(dir.path()).unwrap();
    assert_eq!(exported(&beside), exported(&journal));
}

#[test]
fn refuses_a_directory_that_is_not_empty_and_touches_nothing_in_it() {
    let here = tempfile::tempdir().unwrap();
    let stream = exported(&two_days(here.path()));
    for obstacle in ["journal.json", "2026-11-20.rows.sqlite", "notes.txt"] {
        let there = tempfile::tempdir().unwrap();
        std::fs::write(there.path().join(obstacle), "mine").unwrap();
        let refused = import_into(there.path(), &stream).err();
        assert!(matches!(refused, Some(StoreError::NotEmpty { .. })), "{obstacle}: {refused:?}");
        assert!(names(there.path()).iter().all(|name| [obstacle, "lock"].contains(&name.as_str())), "{:?}", names(there.path()));
        assert_eq!(std::fs::read(there.path().join(obstacle)).unwrap(), b"mine");
    }
}

#[test]
fn goes_on_with_the_key_that_was_put_there() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(there.path().join("redaction.key"), "secret").unwrap();
    let stream = exported(&two_days(here.path()));
    assert!(import_into(there.path(), &stream[..stream.len() / 2]).is_err());
    assert!(import_into(there.path(), &stream).is_ok());
    assert_eq!(std::fs::read(there.path().join("redaction.key")).unwrap(), b"secret");
}

#[test]
fn leaves_no_journal_when_the_stream_was_cut() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stream = exported(&two_days(here.path()));
    for length in [0, 10, stream.len() / 2, stream.len() - 1] {
        assert!(import_into(there.path(), &stream[..length]).is_err(), "cut to {length}");
        assert!(names(there.path()).iter().all(|name| name == "lock"), "cut to {length}: {:?}", names(there.path()));
        let opened = opened(there.path()).err();
        assert!(matches!(opened, Some(StoreError::NoJournal { .. })), "cut to {length}: {opened:?}");
    }
    assert!(import_into(there.path(), &stream).is_ok(), "the directory is still good for a whole one");
}

#[test]
fn takes_an_import_that_was_killed_for_no_journal() {
    let (here, there, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = two_days(here.path());
    let stream = exported(&journal);
    let header = Header { journal: journal.id(), watermark: journal.watermark(), oldest: journal.oldest().unwrap() };
    let mut import = SqliteJournal::import(there.path(), &header).unwrap();
    import.records(vec![change(20, "pod-0"), change(21, "pod-1")]).unwrap();
    // What a killed process leaves is what lies there now.
    for name in names(there.path()).iter().filter(|name| *name != "lock") {
        std::fs::copy(there.path().join(name), killed.path().join(name)).unwrap();
    }
    drop(import);
    assert_eq!(names(there.path()), ["lock"]);
    let unfinished = |error: Option<StoreError>| matches!(error, Some(StoreError::Unfinished { .. }));
    assert!(names(killed.path()).iter().any(|name| name == "2026-11-20.rows.sqlite"));
    assert!(unfinished(SqliteJournal::open(killed.path(), &OpenOptions::default()).err()));
    assert!(unfinished(SqliteJournal::open_read_only(killed.path()).err()));
    let copy = import_into(killed.path(), &stream).unwrap();
    assert_eq!(exported(&copy), stream, "the next import begins afresh");
}
