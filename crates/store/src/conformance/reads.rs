//! Guarantees of pages: order, continuation, bodies, and times as positions.

use proreus_model::{Filter, Order, Record, Seq, SeqRange, WatchScope};

use super::sample::{FAR, create, delete, everything, mark, object, page, query, read_all, scope, seqs, time, update, value, write};
use super::{Workbench, in_every_condition};
use crate::{BodyDetail, Journal, ReadQuery, SegmentState};

pub(super) fn answers_an_empty_journal(bench: &mut dyn Workbench) {
    in_every_condition(bench, |journal| {
        assert_eq!(journal.watermark(), Seq(0));
        assert_eq!(journal.last_recorded_at(), None);
        assert_eq!(journal.oldest().expect("an empty journal answers"), None);
        assert_eq!(journal.seq_at(time("2026-11-20T10:00:00Z")).expect("an empty journal answers"), Seq(1));
        let page = page(journal, &query(everything()));
        assert_eq!((page.records.len(), page.more, page.watermark), (0, false, Seq(0)));
        assert_eq!(journal.state(&object("Pod/web/a/1"), Seq(5)).expect("an empty journal answers"), None);
        let objects = journal.objects(Seq(5), &Filter::changes(), None, 10, BodyDetail::Body).expect("an empty journal answers");
        assert_eq!((objects.objects.len(), objects.more), (0, false));
        assert_eq!(journal.heads(&WatchScope::default()).expect("an empty journal answers"), []);
        assert_eq!(journal.head(&object("Pod/web/a/")).expect("an empty journal answers"), None);
    });
}

/// Ten updates over two days, pod `a` on the odd positions and pod `b` on the even ones.
fn two_days(bench: &dyn Workbench) {
    for n in 1..=10 {
        let at = if n <= 5 { format!("2026-11-20T10:00:{n:02}Z") } else { format!("2026-11-21T10:00:{n:02}Z") };
        let path = if n % 2 == 1 { "Pod/web/a/1" } else { "Pod/web/b/2" };
        write(bench, vec![update(&at, path, &n.to_string())]);
    }
}

/// Follows pages of `limit` to the end, as a caller with a cursor does.
fn follow(journal: &dyn Journal, query: &ReadQuery, limit: usize) -> Vec<u64> {
    let mut query = ReadQuery { limit, ..query.clone() };
    let mut all = Vec::new();
    loop {
        let page = page(journal, &query);
        assert!(page.records.len() <= limit);
        all.extend(seqs(&page.records));
        if !page.more {
            return all;
        }
        assert_eq!(page.records.len(), limit, "more is told, so the page is full");
        query.after = page.records.last().map(|recorded| recorded.record.seq());
    }
}

pub(super) fn reads_pages_in_both_orders(bench: &mut dyn Workbench) {
    two_days(bench);
    let only_a = Filter { names: vec!["a".into()], ..Filter::changes() };
    in_every_condition(bench, |journal| {
        for limit in [1, 2, 3, 10, 11] {
            for (filter, range, wanted) in [
                (everything(), (0, FAR.0), vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
                (everything(), (4, 7), vec![4, 5, 6, 7]),
                (only_a.clone(), (2, 8), vec![3, 5, 7]),
                (everything(), (11, 20), vec![]),
                (everything(), (7, 6), vec![]),
            ] {
                let mut wanted = wanted;
                let range = SeqRange { first: Seq(range.0), last: Seq(range.1) };
                let mut query = ReadQuery { range, ..query(filter) };
                assert_eq!(follow(journal, &query, limit), wanted, "ascending, {limit} a page");
                query.order = Order::Descending;
                wanted.reverse();
                assert_eq!(follow(journal, &query, limit), wanted, "descending, {limit} a page");
            }
        }
    });
}

pub(super) fn says_more_only_when_more_match(bench: &mut dyn Workbench) {
    two_days(bench);
    let only_b = Filter { uids: vec!["2".into()], ..Filter::changes() };
    in_every_condition(bench, |journal| {
        for (order, after, limit, wanted) in [
            (Order::Ascending, None, 4, true),
            (Order::Ascending, None, 5, false),
            (Order::Ascending, Some(8), 1, false),
            (Order::Ascending, Some(10), 1, false),
            (Order::Ascending, Some(FAR.0), 1, false),
            (Order::Descending, Some(4), 1, false),
            (Order::Descending, Some(6), 1, true),
            (Order::Descending, Some(1), 1, false),
        ] {
            let query = ReadQuery { order, after: after.map(Seq), limit, ..query(only_b.clone()) };
            let page = page(journal, &query);
            assert_eq!(page.more, wanted, "{order:?} after {after:?}, {limit} a page");
            assert_eq!(page.watermark, Seq(10));
        }
    });
}

pub(super) fn leaves_bodies_out_unless_asked(bench: &mut dyn Workbench) {
    two_days(bench);
    in_every_condition(bench, |journal| {
        for (detail, wanted) in [(BodyDetail::None, ("", "")), (BodyDetail::Body, ("7", "")), (BodyDetail::BodyAndPrevious, ("7", "5"))] {
            let query = ReadQuery { detail, range: SeqRange { first: Seq(7), last: Seq(7) }, ..query(everything()) };
            let shown: Vec<(String, String)> = page(journal, &query).records.iter().map(body_and_previous).collect();
            assert_eq!(shown, [(wanted.0.to_owned(), wanted.1.to_owned())], "{detail:?}");
        }
    });
}

fn body_and_previous(recorded: &proreus_model::Recorded) -> (String, String) {
    let body = match &recorded.record {
        Record::Change(change) => change.body.as_ref(),
        Record::Mark(_) => None,
    };
    (value(body), value(recorded.previous.as_ref()))
}

pub(super) fn gives_the_version_before_within_a_uid(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "a1"), create("2026-11-20T10:00:00Z", "Pod/web/b/2", "b1")]);
    write(bench, vec![update("2026-11-20T10:00:01Z", "Pod/web/a/1", "a2"), delete("2026-11-20T10:00:02Z", "Pod/web/a/1")]);
    write(bench, vec![create("2026-11-20T10:00:03Z", "Pod/web/a/3", "again"), create("2026-11-20T10:00:03Z", "Event/web/e/9", "e1")]);
    // Two days on: the version before lies in another day, and for the Event beyond what a base holds.
    write(bench, vec![update("2026-11-22T10:00:00Z", "Pod/web/a/3", "later"), update("2026-11-22T10:00:00Z", "Pod/web/b/2", "b2")]);
    write(bench, vec![update("2026-11-22T10:00:01Z", "Event/web/e/9", "e2"), create("2026-11-22T10:00:02Z", "Pod/web/a/1", "back")]);
    let wanted = [
        ("a1", ""),
        ("b1", ""),
        ("a2", "a1"),
        ("", "a2"),
        ("again", ""),
        ("e1", ""),
        ("later", "again"),
        ("b2", "b1"),
        ("e2", "e1"),
        // The delete was without a body, so there is none before this one.
        ("back", ""),
    ];
    in_every_condition(bench, |journal| {
        let shown: Vec<(String, String)> = read_all(journal).iter().map(body_and_previous).collect();
        assert_eq!(shown, wanted.map(|(body, previous)| (body.to_owned(), previous.to_owned())));
    });
}

pub(super) fn finds_the_first_position_of_a_time(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1"), update("2026-11-20T10:00:00Z", "Pod/web/a/1", "2")]);
    write(bench, vec![update("2026-11-20T23:59:59.999999999Z", "Pod/web/a/1", "3")]);
    write(bench, vec![update("2026-11-22T00:00:00Z", "Pod/web/a/1", "4"), update("2026-11-22T00:00:00.000000001Z", "Pod/web/a/1", "5")]);
    in_every_condition(bench, |journal| {
        for (at, wanted) in [
            ("1970-01-01T00:00:00Z", 1),
            ("2026-11-20T10:00:00Z", 1),
            ("2026-11-20T10:00:00.000000001Z", 3),
            ("2026-11-20T23:59:59.999999999Z", 3),
            ("2026-11-21T00:00:00Z", 4),
            ("2026-11-21T12:00:00Z", 4),
            ("2026-11-22T00:00:00Z", 4),
            ("2026-11-22T00:00:00.000000001Z", 5),
            ("2026-11-22T00:00:00.000000002Z", 6),
            ("2027-01-01T00:00:00Z", 6),
        ] {
            assert_eq!(journal.seq_at(time(at)).expect("a time has a position"), Seq(wanted), "{at}");
        }
    });
}

pub(super) fn counts_segments_by_day(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "12345"), update("2026-11-20T10:00:01Z", "Pod/web/a/1", "1")]);
    write(bench, vec![mark("2026-11-22T10:00:00Z", proreus_model::MarkKind::Synced, scope("c1", "", "pods"))]);
    write(bench, vec![update("2026-11-22T10:00:01Z", "Pod/web/a/1", "1"), delete("2026-11-22T10:00:02Z", "Pod/web/a/1")]);
    in_every_condition(bench, |journal| {
        let segments = journal.segments().expect("segments are counted");
        let counted: Vec<_> = segments.iter().map(|day| (day.day.as_str(), day.changes, day.objects, day.raw_bytes)).collect();
        // A body is `{"v":"…"}`: eight bytes around the value.
        assert_eq!(counted, [("2026-11-20", 2, 1, 13 + 9), ("2026-11-22", 2, 1, 9)]);
        let range = |first, last| Some(SeqRange { first: Seq(first), last: Seq(last) });
        assert_eq!([segments[0].range, segments[1].range], [range(1, 2), range(3, 5)]);
        assert_eq!(segments[1].times, Some((time("2026-11-22T10:00:00Z"), time("2026-11-22T10:00:02Z"))));
        assert!(segments[0].state != SegmentState::Open && segments[1].state == SegmentState::Open);
    });
}
