//! Guarantees of forgetting: what goes, what stays answerable, and how the rest is told.

use jiff::SignedDuration;
use proreus_model::{Filter, Order, Seq, SeqRange, Verb};

use super::sample::{
    FAR, change, commit, create, delete, everything, object, page, query, read_all, scope, seqs, time, update, value, write,
};
use super::{Workbench, in_every_condition};
use crate::{Batch, BodyDetail, Checkpoint, ConsumerCursor, Journal, Oldest, ReadQuery, RetentionPolicy, StoreError};

/// Days 18 (1..=4), 19 (5..=6), 21 (7) and 22 (8..=9) of November.
fn four_days(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-18T10:00:00Z", "Pod/web/quiet/1", "q"), create("2026-11-18T10:00:01Z", "Pod/web/busy/2", "1")]);
    write(bench, vec![create("2026-11-18T10:00:02Z", "Event/web/e/3", "e1"), create("2026-11-18T10:00:03Z", "Pod/web/gone/4", "g")]);
    write(bench, vec![update("2026-11-19T10:00:00Z", "Pod/web/busy/2", "2"), delete("2026-11-19T10:00:01Z", "Pod/web/gone/4")]);
    write(bench, vec![update("2026-11-21T10:00:00Z", "Pod/web/busy/2", "3")]);
    write(bench, vec![update("2026-11-22T10:00:00Z", "Pod/web/busy/2", "4"), update("2026-11-22T10:00:01Z", "Event/web/e/3", "e2")]);
    bench.settle();
}

fn by_age(hours: i64) -> RetentionPolicy {
    RetentionPolicy { max_age: Some(SignedDuration::from_hours(hours)), max_bytes: None }
}

fn retain(journal: &dyn Journal, policy: &RetentionPolicy, now: &str) -> usize {
    journal.retain(policy, time(now)).expect("retention works").removed.len()
}

fn oldest(journal: &dyn Journal) -> Option<u64> {
    journal.oldest().expect("the oldest is known").map(|oldest| oldest.seq.0)
}

pub(super) fn removes_days_that_ended_too_long_ago(bench: &mut dyn Workbench) {
    four_days(bench);
    let journal = bench.journal();
    assert_eq!(retain(journal, &RetentionPolicy { max_age: None, max_bytes: None }, "2036-01-01T00:00:00Z"), 0, "nothing is limited");
    // The 18th ended when the 19th began, so it is 24 hours past at the beginning of the 20th and not before.
    assert_eq!(retain(journal, &by_age(24), "2026-11-20T00:00:00Z"), 0);
    assert_eq!(oldest(journal), Some(1));
    assert_eq!(retain(journal, &by_age(24), "2026-11-20T00:00:01Z"), 1);
    assert_eq!(oldest(journal), Some(5));
    assert_eq!(retain(journal, &by_age(24), "2026-11-20T00:00:01Z"), 0, "what is gone is gone once");
    in_every_condition(bench, |journal| {
        let wanted = Oldest { seq: Seq(5), recorded_at: time("2026-11-19T10:00:00Z") };
        assert_eq!(journal.oldest().expect("the oldest is known"), Some(wanted));
        assert_eq!(seqs(&read_all(journal)), [5, 6, 7, 8, 9]);
        assert_eq!(journal.segments().expect("segments are counted").len(), 3);
        assert_eq!(journal.watermark(), Seq(9));
        assert_eq!(journal.seq_at(time("2026-11-18T10:00:00Z")).expect("a time has a position"), Seq(5));
    });
}

pub(super) fn removes_the_oldest_days_while_too_large(bench: &mut dyn Workbench) {
    four_days(bench);
    let journal = bench.journal();
    let sizes: Vec<u64> = journal.segments().expect("segments are counted").iter().map(|day| day.stored_bytes).collect();
    let whole: u64 = sizes.iter().sum();
    let limit = |bytes| RetentionPolicy { max_age: None, max_bytes: Some(bytes) };
    assert_eq!(retain(journal, &limit(whole), "2026-11-22T12:00:00Z"), 0);
    assert_eq!(retain(journal, &limit(whole - 1), "2026-11-22T12:00:00Z"), 1);
    assert_eq!(oldest(journal), Some(5));
    in_every_condition(bench, |journal| assert_eq!(oldest(journal), Some(5)));
}

pub(super) fn keeps_the_open_day_whatever_the_policy(bench: &mut dyn Workbench) {
    four_days(bench);
    let policy = RetentionPolicy { max_age: Some(SignedDuration::ZERO), max_bytes: Some(0) };
    assert_eq!(retain(bench.journal(), &policy, "2036-01-01T00:00:00Z"), 3);
    in_every_condition(bench, |journal| {
        assert_eq!(oldest(journal), Some(8));
        assert_eq!(seqs(&read_all(journal)), [8, 9]);
        assert_eq!(retain(journal, &policy, "2036-01-01T00:00:00Z"), 0);
    });
    write(bench, vec![update("2026-11-22T11:00:00Z", "Pod/web/busy/2", "5")]);
    in_every_condition(bench, |journal| assert_eq!(journal.watermark(), Seq(10)));
}

pub(super) fn answers_from_the_base_after_retention(bench: &mut dyn Workbench) {
    four_days(bench);
    assert_eq!(retain(bench.journal(), &by_age(24), "2026-11-21T00:00:01Z"), 2);
    in_every_condition(bench, |journal| {
        let state = |path: &str, at: u64| journal.state(&object(path), Seq(at)).expect("the position is kept");
        let mut quiet = change("2026-11-18T10:00:00Z", Verb::Create, &object("Pod/web/quiet/1"), Some("q"));
        quiet.seq = Seq(1);
        for at in [6, 7, 8, FAR.0] {
            assert_eq!(state("Pod/web/quiet/1", at).as_ref(), Some(&quiet), "quiet since before the oldest day, at {at}");
            assert_eq!(state("Pod/web/quiet/", at).as_ref(), Some(&quiet), "by name, at {at}");
        }
        assert_eq!(state("Pod/web/gone/4", FAR.0), None, "deleted before the oldest day");
        assert_eq!(state("Event/web/e/3", 8), None, "a base holds no Events");
        let previous: Vec<String> = read_all(journal).iter().map(|recorded| value(recorded.previous.as_ref())).collect();
        assert_eq!(previous, ["2", "3", ""], "the version before the oldest one is in the base");
        let names = |at: u64| -> Vec<String> {
            let page = journal.objects(Seq(at), &Filter::changes(), None, 10, BodyDetail::Body).expect("the position is kept");
            page.objects.iter().map(|change| format!("{}={}", change.object.name, value(change.body.as_ref()))).collect()
        };
        assert_eq!(names(6), ["busy=2", "quiet=q"], "the state just before the oldest record");
        assert_eq!(names(7), ["busy=3", "quiet=q"]);
        assert_eq!(names(9), ["e=e2", "busy=4", "quiet=q"]);
        let heads = journal.heads(&scope("c1", "", "pods")).expect("heads are kept");
        let heads: Vec<_> = heads.iter().map(|head| (head.object.name.as_str(), head.seq.0)).collect();
        assert_eq!(heads, [("busy", 8), ("quiet", 1)]);
        assert_eq!(journal.head(&object("Pod/web/quiet/")).expect("heads are kept").map(|head| head.seq), Some(Seq(1)));
    });
}

fn asked(error: Option<StoreError>) -> Option<(u64, u64)> {
    match error {
        Some(StoreError::Gone { asked, oldest }) => Some((asked, oldest.seq.0)),
        Some(other) => Some((u64::MAX, other.to_string().len() as u64)),
        None => None,
    }
}

pub(super) fn tells_what_is_gone(bench: &mut dyn Workbench) {
    four_days(bench);
    assert_eq!(retain(bench.journal(), &by_age(24), "2026-11-20T00:00:01Z"), 1);
    in_every_condition(bench, |journal| {
        let read = |first: u64, last: u64, after: Option<u64>, order: Order| {
            let range = SeqRange { first: Seq(first), last: Seq(last) };
            asked(journal.read(&ReadQuery { range, after: after.map(Seq), order, ..query(everything()) }).err())
        };
        let (up, down) = (Order::Ascending, Order::Descending);
        assert_eq!(read(0, FAR.0, None, up), None, "from the oldest there is");
        assert_eq!(read(0, FAR.0, None, down), None, "to the oldest there is");
        assert_eq!(read(5, 9, None, up), None);
        assert_eq!(read(1, 9, None, up), Some((1, 5)), "a position that is gone is never skipped in silence");
        assert_eq!(read(4, 9, None, down), Some((4, 5)));
        assert_eq!(read(0, FAR.0, Some(4), up), None, "the next one is there");
        assert_eq!(read(0, FAR.0, Some(3), up), Some((4, 5)), "the next one is gone");
        assert_eq!(read(1, FAR.0, Some(4), up), None, "the range began long ago, the cursor is past the hole");
        assert_eq!(read(0, FAR.0, Some(5), down), None, "all that is left was given");
        assert_eq!(read(0, FAR.0, Some(4), down), Some((4, 5)));
        assert_eq!(read(0, 4, None, up), Some((4, 5)), "nothing of the range is left");
        assert_eq!(read(3, 2, None, up), None, "an empty range asks for nothing");
        assert_eq!(asked(journal.state(&object("Pod/web/quiet/1"), Seq(3)).err()), Some((3, 5)));
        assert_eq!(asked(journal.state(&object("Pod/web/quiet/1"), Seq(4)).err()), None, "the state before the oldest record is kept");
        let objects = |at| asked(journal.objects(Seq(at), &Filter::changes(), None, 10, BodyDetail::None).err());
        assert_eq!((objects(3), objects(4)), (Some((3, 5)), None));
    });
}

pub(super) fn keeps_checkpoints_and_cursors_over_retention(bench: &mut dyn Workbench) {
    let checkpoint = |resource: &str| Checkpoint {
        scope: scope("c1", "", resource),
        resource_version: Some("7".into()),
        at: time("2026-11-18T10:00:00Z"),
    };
    let cursor = ConsumerCursor { consumer: "doctor".to_owned(), seq: Seq(1), state: b"folded".to_vec() };
    let forgotten = Checkpoint { resource_version: None, ..checkpoint("nodes") };
    let records = vec![create("2026-11-18T10:00:00Z", "Pod/web/a/1", "1")];
    commit(bench, &Batch { records, checkpoints: vec![checkpoint("pods"), checkpoint("nodes")], cursors: vec![cursor.clone()] });
    let records = vec![create("2026-11-20T10:00:00Z", "Pod/web/b/2", "1")];
    commit(bench, &Batch { records, checkpoints: vec![forgotten], cursors: vec![] });
    write(bench, vec![create("2026-11-22T10:00:00Z", "Pod/web/c/3", "1")]);
    bench.settle();
    assert_eq!(retain(bench.journal(), &by_age(0), "2026-11-22T10:00:00Z"), 2);
    in_every_condition(bench, |journal| {
        assert_eq!(page(journal, &query(everything())).records.len(), 1);
        assert_eq!(journal.checkpoints(&"".into()).expect("checkpoints are kept"), [checkpoint("pods")]);
        assert_eq!(journal.cursor("doctor").expect("cursors are kept").as_ref(), Some(&cursor));
    });
}
