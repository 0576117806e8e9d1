//! Export and import between SQLite journals.
#![allow(clippy::unwrap_used)]

mod support;

use proreus_store::stream::{export, import};
use proreus_store::{Journal, OpenOptions, SqliteJournal, StoreError};
use support::{append_all, read_all, settle};

fn filled(dir: &std::path::Path) -> SqliteJournal {
    let journal = SqliteJournal::open(dir, &OpenOptions::default()).unwrap();
    let mut cluster = support::Cluster::new(5, "2026-11-18T00:10:00Z".parse().unwrap(), 6);
    cluster.pace = jiff::SignedDuration::from_secs(90);
    append_all(&journal, &cluster.take(1_800));
    settle(&journal);
    let policy = proreus_store::RetentionPolicy { max_age: Some(jiff::SignedDuration::from_hours(24)), max_bytes: None };
    journal.retain(&policy, cluster.now).unwrap();
    journal
}

#[test]
fn builds_the_same_journal_elsewhere() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = filled(from.path());
    let mut stream = Vec::new();
    export(&journal, &mut stream, &mut |_, _| ()).unwrap();
    let (copy, _) = import(&stream[..], |header| SqliteJournal::import(to.path(), header), &mut |_, _| ()).unwrap();
    let same = |copy: &SqliteJournal| {
        assert_eq!(copy.id(), journal.id());
        assert_eq!(copy.oldest().unwrap(), journal.oldest().unwrap());
        assert_eq!(read_all(copy).unwrap(), read_all(&journal).unwrap());
        assert_eq!(copy.heads(&Default::default()).unwrap(), journal.heads(&Default::default()).unwrap());
        let before = proreus_model::Seq(journal.oldest().unwrap().unwrap().seq.0 - 1);
        let all = proreus_model::Filter::changes();
        let objects =
            |journal: &SqliteJournal| format!("{:?}", journal.objects(before, &all, None, 500, proreus_store::BodyDetail::Body).unwrap());
        assert_eq!(objects(copy), objects(&journal));
    };
    same(&copy);
    settle(&copy);
    drop(copy);
    same(&SqliteJournal::open(to.path(), &OpenOptions::default()).unwrap());
    let again = import(&stream[..], |header| SqliteJournal::import(to.path(), header), &mut |_, _| ()).map(drop);
    assert!(matches!(again, Err(StoreError::NotEmpty { .. })), "{again:?}");
}

#[test]
fn leaves_nothing_of_a_cut_stream() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stream = Vec::new();
    export(&filled(from.path()), &mut stream, &mut |_, _| ()).unwrap();
    stream.truncate(stream.len() / 2);
    assert!(import(&stream[..], |header| SqliteJournal::import(to.path(), header), &mut |_, _| ()).map(drop).is_err());
    assert!(matches!(SqliteJournal::open_read_only(to.path()), Err(StoreError::NoJournal { .. })));
    let journal = SqliteJournal::open(to.path(), &OpenOptions::default()).unwrap();
    assert!(journal.report().created);
    assert_eq!(journal.oldest().unwrap(), None);
}
