//! What the engine survives: kills, cut and flipped bytes, a full disk, a second writer, a newer program, a clock that steps.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use proreus_model::{Record, Seq};
use proreus_store::{Batch, DirectoryLock, Journal, OpenOptions, SegmentState, SqliteJournal, StoreError, WriterEpoch};
use support::{Dice, append_all, copy_dir, everything, numbered, read_all, settle};

fn open(dir: &Path) -> SqliteJournal {
    SqliteJournal::open(dir, &OpenOptions::default()).unwrap()
}

fn cluster(seed: u64, seconds_apart: i64) -> support::Cluster {
    let mut cluster = support::Cluster::new(seed, "2026-11-18T00:10:00Z".parse().unwrap(), 8);
    cluster.pace = SignedDuration::from_secs(seconds_apart);
    cluster
}

const CHILD: &str = "PROREUS_TEST_WRITES_TO";

/// Appends until it is killed, telling each watermark that was acknowledged; background work runs beside it.
fn write_until_killed(dir: &Path) {
    let journal = Arc::new(open(dir));
    let tended = Arc::clone(&journal);
    std::thread::spawn(move || {
        while tended.tend(Duration::from_millis(20)).is_ok() {
            std::thread::yield_now();
        }
    });
    let mut cluster = cluster(journal.watermark().0 + 1, 500);
    if let Some(last) = journal.last_recorded_at() {
        cluster.now = last;
    }
    let epoch = journal.begin_epoch().unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let count = 1 + cluster.dice.below(60) as usize;
        let appended = journal.append(epoch, &Batch { records: cluster.take(count), ..Batch::default() }).unwrap();
        writeln!(out, "acknowledged {}", appended.watermark).unwrap();
    }
}

#[test]
fn keeps_every_acknowledged_record_over_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(11);
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "keeps_every_acknowledged_record_over_kill_9", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let mut left = 5 + dice.below(25);
        for line in lines.map_while(Result::ok) {
            if let Some(seq) = line.strip_prefix("acknowledged ") {
                acknowledged = seq.parse().unwrap();
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acknowledged > 0, "the child wrote in round {round}");
        let journal = open(dir.path());
        assert_eq!(journal.report().damaged, []);
        assert!(journal.watermark().0 >= acknowledged, "round {round}: {} < {acknowledged}", journal.watermark());
        let seqs: Vec<u64> = read_all(&journal).unwrap().iter().map(|record| record.seq().0).collect();
        assert!(seqs.iter().copied().eq(1..=journal.watermark().0), "no position is missing");
        for verdict in journal.verify(&mut |_, _| ()).unwrap() {
            assert_eq!(verdict.damage, Vec::<String>::new(), "round {round}, {}", verdict.day);
        }
    }
    let journal = open(dir.path());
    settle(&journal);
    assert!(journal.segments().unwrap().len() > 2, "days were crossed");
}

/// A journal with rewritten, closed and open days, and its records.
fn three_kinds(dir: &Path) -> Vec<Record> {
    let mut cluster = cluster(3, 700);
    let records = numbered(cluster.take(1_500), 1);
    let (past, rest) = records.split_at(1_000);
    let journal = open(dir);
    append_all(&journal, past);
    settle(&journal);
    append_all(&journal, rest);
    let states: Vec<SegmentState> = journal.segments().unwrap().iter().map(|segment| segment.state).collect();
    for state in [SegmentState::Compacted, SegmentState::Closed, SegmentState::Open] {
        assert!(states.contains(&state), "{states:?}");
    }
    records
}

fn day_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "sqlite")).collect();
    files.sort();
    files
}

/// Asks everything of a journal that may be damaged: whatever is answered is true, whatever is refused is refused as damage of the
/// day that was touched.
fn check_damaged(dir: &Path, records: &[Record], touched: &str, what: &str) {
    let journal = match SqliteJournal::open(dir, &OpenOptions::default()) {
        Ok(journal) => journal,
        // The eight bytes that name the program and its version cannot be told from another program's.
        Err(StoreError::Newer { .. }) => return,
        Err(error) => panic!("{what}: {error}"),
    };
    let by_seq: BTreeMap<Seq, &Record> = records.iter().map(|record| (record.seq(), record)).collect();
    let mut query = everything(100);
    let mut served = 0;
    for window in 0..records.len() as u64 / 50 {
        query.range = proreus_model::SeqRange { first: Seq(0), last: Seq(window * 50 + 50) };
        query.after = Some(Seq((window * 50).max(journal.oldest().ok().flatten().map_or(0, |oldest| oldest.seq.0 - 1))));
        match journal.read(&query) {
            Ok(page) => {
                served += page.records.len();
                for found in page.records {
                    assert_eq!(Some(&&found.record), by_seq.get(&found.record.seq()), "{what}");
                }
            }
            Err(StoreError::Damaged { segment, .. }) => assert_eq!(segment, touched, "{what}"),
            Err(StoreError::Gone { .. }) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
    assert!(served > 0, "{what}: the other days serve");
    drop(journal.heads(&Default::default()));
    drop(journal.verify(&mut |_, _| ()).unwrap());
    drop(journal.tend(Duration::from_millis(100)));
}

#[test]
fn flipped_bytes_cost_their_own_day_only_and_are_never_answered() {
    let dir = tempfile::tempdir().unwrap();
    let records = three_kinds(dir.path());
    let files = day_files(dir.path());
    // More rounds, and others, on demand: `PROREUS_FLIPS=2000 PROREUS_SEED=5 cargo test -p proreus-store --test sqlite_faults flipped`.
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let mut dice = Dice::new(number("PROREUS_SEED", 17));
    for round in 0..number("PROREUS_FLIPS", 90) {
        let scratch = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), scratch.path());
        let file = &files[dice.below(files.len() as u64) as usize];
        let path = scratch.path().join(file.file_name().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let mut at = 0;
        for _ in 0..1 + dice.below(3) {
            at = dice.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << dice.below(8);
        }
        std::fs::write(&path, bytes).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        check_damaged(scratch.path(), &records, &name[..10], &format!("round {round}, {name} at {at}"));
    }
}

#[test]
fn cut_files_cost_their_own_day_only() {
    let dir = tempfile::tempdir().unwrap();
    let records = three_kinds(dir.path());
    let files = day_files(dir.path());
    let mut dice = Dice::new(23);
    for (index, file) in files.iter().enumerate() {
        let scratch = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), scratch.path());
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let path = scratch.path().join(&name);
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(dice.below(length)).unwrap();
        check_damaged(scratch.path(), &records, &name[..10], &format!("cut {name}"));
        let journal = open(scratch.path());
        let damaged: Vec<_> = journal.segments().unwrap().into_iter().filter(|segment| segment.state == SegmentState::Damaged).collect();
        assert_eq!(damaged.iter().map(|segment| &segment.day[..]).collect::<Vec<_>>(), [&name[..10]], "file {index}");
        assert!(journal.verify(&mut |_, _| ()).unwrap().iter().any(|verdict| !verdict.damage.is_empty()));
    }
}

#[test]
fn never_gives_a_position_twice_when_the_newest_day_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let records = three_kinds(dir.path());
    let newest = day_files(dir.path()).pop().unwrap();
    std::fs::write(&newest, b"not a day at all").unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.report().damaged.len(), 1);
    assert!(journal.report().lost_records > 0);
    let before = journal.watermark();
    assert!(before < Seq(1_500));
    let mut more = cluster(99, 1);
    more.now = records.last().unwrap().recorded_at();
    let epoch = journal.begin_epoch().unwrap();
    let appended = journal.append(epoch, &Batch { records: more.take(20), ..Batch::default() }).unwrap();
    assert!(appended.range.unwrap().first > Seq(1_500), "{appended:?}");
    drop(journal);
    let journal = open(dir.path());
    assert_eq!(journal.report().lost_records, 0);
    assert_eq!(journal.watermark(), appended.watermark);
    assert_eq!(read_all(&journal).unwrap().len() as u64, before.0 + 20);
}

#[test]
fn tells_a_log_that_lost_its_tail_and_goes_on_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut cluster = cluster(4, 1);
    append_all(&journal, &cluster.take(700));
    // As a machine without power leaves it: the files of a journal that was not closed, the log cut.
    let scratch = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), scratch.path());
    drop(journal);
    let day = day_files(scratch.path()).pop().unwrap();
    let log = day.with_file_name(format!("{}-wal", day.file_name().unwrap().to_str().unwrap()));
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length * 2 / 3).unwrap();
    let journal = open(scratch.path());
    let kept = journal.watermark().0;
    assert!(kept < 700 && journal.report().lost_records == 700 - kept, "{:?}", journal.report());
    let epoch = journal.begin_epoch().unwrap();
    let appended = journal.append(epoch, &Batch { records: cluster.take(10), ..Batch::default() }).unwrap();
    assert!(appended.range.unwrap().first > Seq(700));
    assert_eq!(read_all(&journal).unwrap().len() as u64, kept + 10);
    for verdict in journal.verify(&mut |_, _| ()).unwrap() {
        assert_eq!(verdict.damage, Vec::<String>::new(), "a hole that is told of is no damage");
    }
}

#[test]
fn takes_back_an_append_over_midnight_that_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let records = numbered(cluster(6, 400).take(400), 1);
    append_all(&open(dir.path()), &records[..300]);
    // What a kill between the two parts leaves: the first part is durable and says that more was to come.
    let newest = day_files(dir.path()).pop().unwrap();
    let day = rusqlite::Connection::open(&newest).unwrap();
    day.execute_batch("INSERT INTO facts VALUES ('spill_first', 296), ('spill_last', 305)").unwrap();
    drop(day);
    std::fs::write(dir.path().join("watermark"), format!("{:020}\n", 295)).unwrap();
    let reading = SqliteJournal::open_read_only(dir.path()).unwrap();
    assert_eq!(reading.watermark(), Seq(295));
    drop(reading);
    let journal = open(dir.path());
    assert!(journal.report().took_back);
    assert_eq!(journal.watermark(), Seq(295));
    assert_eq!(read_all(&journal).unwrap(), records[..295]);
    assert!(journal.verify(&mut |_, _| ()).unwrap().iter().all(|verdict| verdict.damage.is_empty()));
}

#[test]
fn writes_nothing_of_a_batch_on_a_full_disk_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let pages = Arc::new(AtomicU32::new(60));
    let options = OpenOptions { most_pages: Some(Arc::clone(&pages)), ..OpenOptions::default() };
    let journal = SqliteJournal::open(dir.path(), &options).unwrap();
    let epoch = journal.begin_epoch().unwrap();
    let mut cluster = cluster(7, 1);
    let mut kept = Vec::new();
    let refused = loop {
        let records = cluster.take(50);
        match journal.append(epoch, &Batch { records: records.clone(), ..Batch::default() }) {
            Ok(_) => kept.extend(records),
            Err(StoreError::Full { .. }) => break records,
            Err(error) => panic!("{error}"),
        }
    };
    let kept_before = numbered(kept.clone(), 1);
    assert_eq!(read_all(&journal).unwrap(), kept_before);
    assert!(matches!(journal.append(epoch, &Batch { records: refused.clone(), ..Batch::default() }), Err(StoreError::Full { .. })));
    pages.store(0, Ordering::Relaxed);
    journal.append(epoch, &Batch { records: refused.clone(), ..Batch::default() }).unwrap();
    kept.extend(refused);
    assert_eq!(read_all(&journal).unwrap(), numbered(kept, 1));
    assert!(journal.verify(&mut |_, _| ()).unwrap().iter().all(|verdict| verdict.damage.is_empty()));
}

#[test]
fn lets_one_writer_in_and_others_wait() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    assert!(matches!(SqliteJournal::open(dir.path(), &OpenOptions::default()), Err(StoreError::Locked { .. })));
    let mut told = Vec::new();
    let waited = DirectoryLock::wait(dir.path(), |holder| {
        told.push(holder);
        ControlFlow::Break(())
    });
    assert!(matches!(waited, Err(StoreError::Locked { .. })));
    assert_eq!(told, [Some(std::process::id())]);
    let mut holding = Some(journal);
    let lock = DirectoryLock::wait(dir.path(), |_| {
        holding = None;
        ControlFlow::Continue(())
    });
    assert!(SqliteJournal::open_locked(lock.unwrap(), &OpenOptions::default()).is_ok());
}

#[test]
fn changes_nothing_that_a_newer_program_wrote() {
    let dir = tempfile::tempdir().unwrap();
    append_all(&open(dir.path()), &cluster(8, 1).take(10));
    let day = rusqlite::Connection::open(day_files(dir.path()).pop().unwrap()).unwrap();
    day.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(day);
    let contents = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|path| {
            !path.ends_with("lock") && !path.to_string_lossy().ends_with("-shm") && !path.to_string_lossy().ends_with("-wal")
        });
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = contents();
    assert!(matches!(SqliteJournal::open(dir.path(), &OpenOptions::default()), Err(StoreError::Newer { found: 7, supported: 1, .. })));
    assert!(matches!(SqliteJournal::open_read_only(dir.path()), Err(StoreError::Newer { .. })));
    assert!(before == contents());
}

#[test]
fn says_that_there_is_no_journal_or_no_way_to_write_one() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let no_creation = OpenOptions { create: false, ..OpenOptions::default() };
    assert!(matches!(SqliteJournal::open(&missing, &no_creation), Err(StoreError::NoJournal { .. })));
    assert!(matches!(SqliteJournal::open(dir.path(), &no_creation), Err(StoreError::NoJournal { .. })));
    assert!(matches!(SqliteJournal::open_read_only(&missing), Err(StoreError::NoJournal { .. })));
    assert!(matches!(SqliteJournal::open_read_only(dir.path()), Err(StoreError::NoJournal { .. })));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(SqliteJournal::open(&file.join("below"), &OpenOptions::default()), Err(StoreError::NotWritable { .. })));
}

#[test]
fn refuses_writes_of_a_reader_and_of_fenced_writers() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let batch = Batch { records: cluster(9, 1).take(3), ..Batch::default() };
    assert!(matches!(journal.append(WriterEpoch(0), &batch), Err(StoreError::Fenced { .. })));
    let stale = journal.begin_epoch().unwrap();
    let current = journal.begin_epoch().unwrap();
    assert!(matches!(journal.append(stale, &batch), Err(StoreError::Fenced { given: 1, current: 2 })));
    journal.append(current, &batch).unwrap();
    let reader = SqliteJournal::open_read_only(dir.path()).unwrap();
    assert!(matches!(reader.append(current, &batch), Err(StoreError::NotWritable { .. })));
    assert_eq!(reader.watermark(), Seq(3));
}

#[test]
fn follows_a_living_writer_over_days_rewrites_and_retention() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut cluster = cluster(10, 300);
    append_all(&journal, &cluster.take(20));
    let reader = SqliteJournal::open_read_only(dir.path()).unwrap();
    for round in 0..12 {
        append_all(&journal, &cluster.take(60));
        assert_eq!(reader.watermark(), journal.watermark(), "round {round}");
        assert_eq!(read_all(&reader).unwrap(), read_all(&journal).unwrap());
        if round % 4 == 3 {
            settle(&journal);
            let policy = proreus_store::RetentionPolicy { max_age: Some(SignedDuration::from_hours(20)), max_bytes: None };
            journal.retain(&policy, cluster.now).unwrap();
            assert_eq!(reader.oldest().unwrap(), journal.oldest().unwrap());
            assert_eq!(reader.segments().unwrap().len(), journal.segments().unwrap().len());
        }
        assert_eq!(reader.heads(&Default::default()).unwrap(), journal.heads(&Default::default()).unwrap());
    }
    drop(journal);
    assert_eq!(read_all(&SqliteJournal::open_read_only(dir.path()).unwrap()).unwrap(), read_all(&reader).unwrap());
}

#[test]
fn readers_never_wait_for_the_writer_nor_see_half_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(open(dir.path()));
    let writer = Arc::clone(&journal);
    let writing = std::thread::spawn(move || {
        let mut cluster = cluster(12, 30);
        let epoch = writer.begin_epoch().unwrap();
        for _ in 0..80 {
            writer.append(epoch, &Batch { records: cluster.take(10), ..Batch::default() }).unwrap();
            writer.tend(Duration::from_millis(2)).unwrap();
        }
    });
    let mut pages = 0;
    while !writing.is_finished() || pages == 0 {
        let records = read_all(&*journal).unwrap();
        assert!(records.iter().map(|record| record.seq().0).eq(1..=records.len() as u64));
        let page = journal.read(&everything(100_000)).unwrap();
        assert_eq!(page.records.len() as u64, page.watermark.0);
        assert_eq!(page.watermark.0 % 10, 0, "batches are seen whole");
        pages += 1;
    }
    writing.join().unwrap();
    assert_eq!(journal.watermark(), Seq(800));
}
