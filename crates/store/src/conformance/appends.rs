//! Guarantees of the write path: positions, times, fields, tenure, and what commits together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proreus_model::{Change, Gap, Mark, MarkKind, Origin, Record, Seq, SeqRange, Verb};

use super::sample::{change, commit, create, mark, object, page, query, read_all, scope, seqs, time, update, write};
use super::{Workbench, in_every_condition};
use crate::{Appended, Batch, Checkpoint, ConsumerCursor, Journal, StoreError, WriterEpoch};

pub(super) fn gives_positions_from_one_without_holes(bench: &mut dyn Workbench) {
    let first = write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1"), update("2026-11-20T10:00:01Z", "Pod/web/a/1", "2")]);
    assert_eq!(first, Appended { range: Some(SeqRange { first: Seq(1), last: Seq(2) }), watermark: Seq(2) });
    bench.reopen();
    let second = write(bench, vec![create("2026-11-21T10:00:00Z", "Pod/web/b/2", "1")]);
    assert_eq!(second, Appended { range: Some(SeqRange { first: Seq(3), last: Seq(3) }), watermark: Seq(3) });
    in_every_condition(bench, |journal| {
        assert_eq!(seqs(&read_all(journal)), [1, 2, 3]);
        assert_eq!(journal.watermark(), Seq(3));
        assert_eq!(journal.last_recorded_at(), Some(time("2026-11-21T10:00:00Z")));
    });
}

/// A change with every field set, and its bare opposite.
fn rich_changes() -> Vec<Change> {
    let full = Change {
        event_time: Some(time("1999-12-31T23:59:59.999999999Z")),
        origin: Origin::Relist,
        gap: Some(Gap { from: time("2026-11-20T09:00:00.000000001Z"), to: time("2026-11-20T09:59:59.5Z") }),
        version: "v1beta1".into(),
        generation: Some(i64::MAX),
        manager: Some("kubectl-client-side-apply".into()),
        ..change("2026-11-20T10:00:00.123456789Z", Verb::Update, &object("Deployment/web/ünï-\u{1F980}/1"), Some("1"))
    };
    let bare = change("2026-11-20T10:00:00.123456789Z", Verb::Delete, &object("Node//n1/2"), None);
    let negative = Change { generation: Some(-1), origin: Origin::Snapshot, ..full.clone() };
    let empty_manager = Change { manager: Some("".into()), origin: Origin::Gap, verb: Verb::Create, ..bare.clone() };
    let event = change("2026-11-20T10:00:00.123456790Z", Verb::Create, &object("Event/web/a.1/3"), Some("1"));
    let event = Change { regarding: Some("somebody".into()), ..event };
    vec![full, bare, negative, empty_manager, event]
}

pub(super) fn keeps_every_field_of_changes_and_marks(bench: &mut dyn Workbench) {
    let mut records: Vec<Record> = rich_changes().into_iter().map(Record::Change).collect();
    let kinds = [
        MarkKind::WatchStarted,
        MarkKind::Synced,
        MarkKind::Stale,
        MarkKind::Gap,
        MarkKind::Stopped,
        MarkKind::ConfigChanged,
        MarkKind::ClockStepped,
        MarkKind::Refused,
    ];
    for kind in kinds {
        let Record::Mark(mark) = mark("2026-11-20T11:00:00.000000001Z", kind, scope("c1", "apps", "deployments")) else { continue };
        let detail = serde_json::json!({"count": 3, "first": ["a", null, 1.5, "ü"]});
        records.push(Record::Mark(Mark { detail, reason: "lost history of \"pods\"".to_owned(), ..mark }));
    }
    records.push(mark("2026-11-20T12:00:00Z", MarkKind::Stale, scope("", "", "")));
    write(bench, records.clone());
    let wanted: Vec<Record> = records.into_iter().zip(1..).map(|(record, seq)| with_seq(record, Seq(seq))).collect();
    in_every_condition(bench, |journal| {
        let kept: Vec<Record> = read_all(journal).into_iter().map(|recorded| recorded.record).collect();
        for (kept, wanted) in kept.iter().zip(&wanted) {
            assert_eq!(kept, wanted);
        }
        assert_eq!(kept.len(), wanted.len());
    });
}

fn with_seq(record: Record, seq: Seq) -> Record {
    match record {
        Record::Change(change) => Record::Change(Change { seq, ..change }),
        Record::Mark(mark) => Record::Mark(Mark { seq, ..mark }),
    }
}

/// Bodies that a codec could get wrong: empty, not text, tiny, larger than any window, and nearly equal to their neighbours.
fn awkward_bodies() -> Vec<Vec<u8>> {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut nearly = large.clone();
    nearly[1_500_000] ^= 1;
    let words: Vec<u8> = br#"{"spec":{"replicas":1.0,"max":1e400,"name":"caf\u00e9"}}"#.repeat(200);
    let mut shifted = words.clone();
    shifted.insert(0, b' ');
    vec![vec![], b"{}".to_vec(), vec![0xff, 0xfe, 0x00], words, shifted, large.clone(), nearly, large, b"{}".to_vec(), vec![]]
}

pub(super) fn keeps_bodies_to_the_byte(bench: &mut dyn Workbench) {
    let bodies = awkward_bodies();
    for (index, body) in bodies.iter().enumerate() {
        let day = if index < 5 { "2026-11-20T10:00:00Z" } else { "2026-11-21T10:00:00Z" };
        let change = Change { body: Some(Arc::from(&body[..])), ..change(day, Verb::Update, &object("Pod/web/a/1"), None) };
        write(bench, vec![Record::Change(change)]);
    }
    in_every_condition(bench, |journal| {
        let mut previous: Option<&Vec<u8>> = None;
        for (index, (recorded, body)) in read_all(journal).iter().zip(&bodies).enumerate() {
            let Record::Change(change) = &recorded.record else { continue };
            assert!(change.body.as_deref() == Some(&body[..]), "body {index} of {} bytes", body.len());
            assert!(recorded.previous.as_deref() == previous.map(|body| &body[..]), "version before body {index}");
            let state = journal.state(&change.object, change.seq).expect("states are kept").expect("the object is known");
            assert!(state.body.as_deref() == Some(&body[..]), "state at body {index}");
            previous = Some(body);
        }
        assert_eq!(journal.watermark(), Seq(bodies.len() as u64));
    });
}

pub(super) fn raises_times_to_the_last_one(bench: &mut dyn Workbench) {
    let noon = "2026-11-20T12:00:00.000000002Z";
    write(bench, vec![create(noon, "Pod/web/a/1", "1"), update("2026-11-20T11:00:00Z", "Pod/web/a/1", "2")]);
    write(bench, vec![mark("2026-11-19T12:00:00Z", MarkKind::ClockStepped, scope("", "", ""))]);
    bench.reopen();
    write(bench, vec![update("2026-11-20T12:00:00.000000001Z", "Pod/web/a/1", "3"), update("2026-11-20T12:00:01Z", "Pod/web/a/1", "4")]);
    in_every_condition(bench, |journal| {
        let times: Vec<String> = read_all(journal).iter().map(|recorded| recorded.record.recorded_at().to_string()).collect();
        assert_eq!(times, [noon, noon, noon, noon, "2026-11-20T12:00:01Z"]);
    });
}

pub(super) fn commits_batches_without_records(bench: &mut dyn Workbench) {
    assert_eq!(commit(bench, &Batch::default()), Appended { range: None, watermark: Seq(0) });
    let pods = checkpoint("pods", Some("17"), "2026-11-20T10:00:00Z");
    let cursor = ConsumerCursor { consumer: "doctor".to_owned(), seq: Seq(0), state: vec![0, 255] };
    let batch = Batch { checkpoints: vec![pods.clone()], cursors: vec![cursor.clone()], ..Batch::default() };
    assert_eq!(commit(bench, &batch), Appended { range: None, watermark: Seq(0) });
    in_every_condition(bench, |journal| {
        assert_eq!(journal.checkpoints(&"c1".into()).expect("checkpoints are kept"), std::slice::from_ref(&pods));
        assert_eq!(journal.cursor("doctor").expect("cursors are kept").as_ref(), Some(&cursor));
        assert_eq!(journal.watermark(), Seq(0));
    });
}

pub(super) fn refuses_writers_that_were_replaced(bench: &mut dyn Workbench) {
    let journal = bench.journal();
    let pods = Batch {
        records: vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1")],
        checkpoints: vec![checkpoint("pods", Some("1"), "2026-11-20T10:00:00Z")],
        ..Batch::default()
    };
    assert!(matches!(journal.append(WriterEpoch(0), &pods), Err(StoreError::Fenced { given: 0, .. })), "nobody has begun");
    let old = journal.begin_epoch().expect("a writer may begin");
    let new = journal.begin_epoch().expect("another writer may take over");
    assert!(new > old);
    for given in [old.0, new.0 + 1] {
        let refused = journal.append(WriterEpoch(given), &pods);
        assert!(matches!(refused, Err(StoreError::Fenced { given: told, current }) if told == given && current == new.0), "{refused:?}");
    }
    assert_eq!(journal.watermark(), Seq(0));
    assert_eq!(journal.checkpoints(&"".into()).expect("checkpoints are kept"), []);
    assert_eq!(journal.append(new, &pods).expect("the writer in force is taken").watermark, Seq(1));
}

pub(super) fn raises_the_epoch_over_reopening(bench: &mut dyn Workbench) {
    let before = bench.journal().begin_epoch().expect("a writer may begin");
    bench.reopen();
    let after = bench.journal().begin_epoch().expect("a writer may begin");
    assert!(after > before, "{after:?} after {before:?}");
    let refused = bench.journal().append(before, &Batch::default());
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
}

pub(super) fn keeps_its_identity(bench: &mut dyn Workbench) {
    let id = bench.journal().id();
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1"), create("2026-11-22T10:00:00Z", "Pod/web/b/2", "1")]);
    in_every_condition(bench, |journal| assert_eq!(journal.id(), id));
}

/// Batches in the concurrent guarantee; enough that readers meet appends in every phase, few enough for an engine that syncs each.
const BATCHES: u64 = 60;
/// Records a batch: a reader that sees a watermark which is no multiple of it saw half a batch.
const BATCH_RECORDS: u64 = 7;

pub(super) fn shows_whole_batches_only_to_readers(bench: &mut dyn Workbench) {
    let journal = bench.journal();
    let epoch = journal.begin_epoch().expect("a writer may begin");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..2).map(|_| threads.spawn(|| read_until(journal, &done))).collect();
        for batch in 0..BATCHES {
            let minute = format!("2026-11-20T{:02}:{:02}:00Z", batch / 60 + 10, batch % 60);
            let records = (0..BATCH_RECORDS).map(|n| update(&minute, "Pod/web/a/1", &format!("{batch}-{n}"))).collect();
            let appended = journal.append(epoch, &Batch { records, ..Batch::default() }).expect("the writer in force is taken");
            assert_eq!(appended.watermark, Seq((batch + 1) * BATCH_RECORDS));
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().is_ok(), "a reader saw half a batch or a hole");
        }
    });
}

fn read_until(journal: &dyn Journal, done: &AtomicBool) {
    loop {
        let last_round = done.load(Ordering::Acquire);
        let page = page(journal, &query(super::sample::everything()));
        assert_eq!(page.watermark.0 % BATCH_RECORDS, 0, "half a batch is visible");
        assert_eq!(seqs(&page.records), (1..=page.watermark.0).collect::<Vec<_>>(), "the page reaches to its watermark without holes");
        if last_round {
            assert_eq!(page.watermark.0, BATCHES * BATCH_RECORDS);
            return;
        }
    }
}

fn checkpoint(resource: &str, version: Option<&str>, at: &str) -> Checkpoint {
    Checkpoint { scope: scope("c1", "", resource), resource_version: version.map(Into::into), at: time(at) }
}

pub(super) fn remembers_the_newest_checkpoint_of_a_scope(bench: &mut dyn Workbench) {
    let other = Checkpoint {
        scope: scope("c2", "apps", "deployments"),
        resource_version: Some("9".into()),
        at: time("2026-11-20T10:00:00.000000001Z"),
    };
    let first = checkpoint("pods", Some("1"), "2026-11-20T10:00:00Z");
    let batch = Batch {
        checkpoints: vec![first, other.clone(), checkpoint("nodes", Some("5"), "2026-11-20T10:00:00Z")],
        records: vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1")],
        ..Batch::default()
    };
    commit(bench, &batch);
    let newest = checkpoint("pods", Some("opaque-2"), "2026-11-21T10:00:00Z");
    let batch = Batch {
        checkpoints: vec![newest.clone(), checkpoint("nodes", None, "2026-11-21T10:00:00Z")],
        records: vec![create("2026-11-21T10:00:00Z", "Pod/web/b/2", "1")],
        ..Batch::default()
    };
    commit(bench, &batch);
    in_every_condition(bench, |journal| {
        assert_eq!(journal.checkpoints(&"c1".into()).expect("checkpoints are kept"), std::slice::from_ref(&newest));
        assert_eq!(journal.checkpoints(&"".into()).expect("checkpoints are kept"), [newest.clone(), other.clone()]);
        assert_eq!(journal.checkpoints(&"c3".into()).expect("checkpoints are kept"), []);
    });
}

pub(super) fn remembers_the_newest_cursor_of_a_consumer(bench: &mut dyn Workbench) {
    let cursor =
        |consumer: &str, seq: u64, state: &[u8]| ConsumerCursor { consumer: consumer.to_owned(), seq: Seq(seq), state: state.to_vec() };
    let records = vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1")];
    commit(bench, &Batch { records, cursors: vec![cursor("doctor", 1, b"old"), cursor("policy", 1, b"")], ..Batch::default() });
    let records = vec![create("2026-11-21T10:00:00Z", "Pod/web/b/2", "1")];
    commit(bench, &Batch { records, cursors: vec![cursor("doctor", 2, b"\x00new\xff")], ..Batch::default() });
    in_every_condition(bench, |journal| {
        assert_eq!(journal.cursor("doctor").expect("cursors are kept"), Some(cursor("doctor", 2, b"\x00new\xff")));
        assert_eq!(journal.cursor("policy").expect("cursors are kept"), Some(cursor("policy", 1, b"")));
        assert_eq!(journal.cursor("nobody").expect("cursors are kept"), None);
    });
}
