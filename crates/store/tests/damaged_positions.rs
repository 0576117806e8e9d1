//! A watch position or a consumer's state that is not what was written is never believed, and ends nothing but itself.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{ClusterId, MarkKind, Record, Seq, WatchScope};
use proreus_store::stream::export;
use proreus_store::{Batch, Checkpoint, ConsumerCursor, Journal, OpenOptions, SqliteJournal, StoreError};
use support::{copy_dir, mark};

/// What is flipped; occurs nowhere else in a file.
const STATE: &[u8] = b"{\"folded\":\"state-of-the-consumer\"}";
const VERSION: &str = "4711000042";

fn start() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn cursor(consumer: &str, state: &[u8]) -> ConsumerCursor {
    ConsumerCursor { consumer: consumer.to_owned(), seq: Seq(1), state: state.to_vec() }
}

fn checkpoint(resource: &str, version: &str) -> Checkpoint {
    let scope = WatchScope { cluster: "c1".into(), group: "".into(), resource: resource.into() };
    Checkpoint { scope, resource_version: Some(version.into()), at: start() }
}

fn open(dir: &Path) -> SqliteJournal {
    SqliteJournal::open(dir, &OpenOptions::default()).unwrap()
}

fn append(journal: &SqliteJournal, records: Vec<Record>, cursors: Vec<ConsumerCursor>) {
    let epoch = journal.begin_epoch().unwrap();
    journal.append(epoch, &Batch { records, cursors, ..Batch::default() }).unwrap();
}

/// A journal of one record with the positions of two consumers and two watches.
fn journal(dir: &Path) {
    let journal = open(dir);
    let epoch = journal.begin_epoch().unwrap();
    let cursors = vec![cursor("doctor", STATE), cursor("other", b"whole")];
    let checkpoints = vec![checkpoint("pods", VERSION), checkpoint("nodes", "7")];
    journal.append(epoch, &Batch { records: vec![mark(start(), MarkKind::Synced)], checkpoints, cursors }).unwrap();
}

/// Flips one bit of a byte of the day, where `text` stands.
fn flip(dir: &Path, text: &[u8], byte: usize) {
    let day: PathBuf = dir.join("2026-11-20.rows.sqlite");
    let mut bytes = std::fs::read(&day).unwrap();
    let places: Vec<usize> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    bytes[places[0] + byte] ^= 1;
    std::fs::write(day, bytes).unwrap();
}

fn damage(journal: &SqliteJournal) -> Vec<String> {
    journal.verify(&mut |_, _| ()).unwrap().into_iter().flat_map(|verdict| verdict.damage).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_a_state_is_damage() {
    let whole = tempfile::tempdir().unwrap();
    journal(whole.path());
    for byte in (0..STATE.len()).step_by(5) {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(whole.path(), dir.path());
        flip(dir.path(), STATE, byte);
        let journal = open(dir.path());
        assert_eq!(journal.report().damaged, [], "the day is as good as before");
        assert!(matches!(journal.cursor("doctor"), Err(StoreError::Damaged { .. })), "byte {byte}");
        assert_eq!(damage(&journal), ["the checksum of the state of consumer doctor does not hold"], "byte {byte}");
    }
}

#[test]
fn a_damaged_state_leaves_all_else_as_it_is_and_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    flip(dir.path(), STATE, 9);
    let journal = open(dir.path());
    assert_eq!(journal.cursor("other").unwrap(), Some(cursor("other", b"whole")));
    assert_eq!(journal.cursors().unwrap(), [cursor("other", b"whole")]);
    assert_eq!(journal.checkpoints(&ClusterId::default()).unwrap().len(), 2);
    let mut stream = Vec::new();
    assert_eq!(export(&journal, &mut stream, &mut |_, _| ()).unwrap().records, 1, "a copy begins that consumer anew");
    append(&journal, Vec::new(), vec![cursor("doctor", b"anew")]);
    assert_eq!(journal.cursor("doctor").unwrap(), Some(cursor("doctor", b"anew")));
    assert_eq!(damage(&journal), [] as [String; 0]);
}

#[test]
fn a_damaged_state_stays_in_its_day() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    flip(dir.path(), STATE, 9);
    let journal = open(dir.path());
    append(&journal, vec![mark(start().checked_add(SignedDuration::from_hours(24)).unwrap(), MarkKind::Synced)], Vec::new());
    assert_eq!(journal.cursor("doctor").unwrap(), None);
    assert_eq!(journal.cursor("other").unwrap(), Some(cursor("other", b"whole")));
}

#[test]
fn a_damaged_watch_position_is_named_and_never_resumed_at() {
    let whole = tempfile::tempdir().unwrap();
    journal(whole.path());
    for byte in (0..VERSION.len()).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(whole.path(), dir.path());
        flip(dir.path(), VERSION.as_bytes(), byte);
        let journal = open(dir.path());
        assert_eq!(journal.checkpoints(&ClusterId::default()).unwrap(), [checkpoint("nodes", "7")], "byte {byte}");
        assert_eq!(damage(&journal), ["the checksum of the watch position of pods. in cluster c1 does not hold"]);
    }
}
