//! The thin thread through the engine: what goes in comes out, now and after the file is opened again.
#![allow(clippy::unwrap_used)]

mod support;

use proreus_model::{Filter, Order, Record, Seq, SeqRange};
use proreus_store::{Batch, BodyDetail, Journal, OpenOptions, ReadQuery, SqliteJournal};

fn all(journal: &dyn Journal) -> Vec<Record> {
    let mut records = Vec::new();
    let mut query = ReadQuery {
        range: SeqRange { first: Seq(0), last: Seq(u64::MAX) },
        filter: Filter { marks: true, ..Filter::changes() },
        after: None,
        order: Order::Ascending,
        limit: 700,
        detail: BodyDetail::Body,
    };
    loop {
        let page = journal.read(&query).unwrap();
        records.extend(page.records.into_iter().map(|found| found.record));
        if !page.more {
            return records;
        }
        query.after = records.last().map(Record::seq);
    }
}

#[test]
fn gives_back_every_record_as_it_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = support::Cluster::new(1, "2026-11-21T22:00:00Z".parse().unwrap(), 10);
    let mut records = cluster.take(3_000);
    for (index, record) in records.iter_mut().enumerate() {
        let seq = Seq(index as u64 + 1);
        match record {
            Record::Change(change) => change.seq = seq,
            Record::Mark(mark) => mark.seq = seq,
        }
    }
    let journal = SqliteJournal::open(dir.path(), &OpenOptions::default()).unwrap();
    let epoch = journal.begin_epoch().unwrap();
    for chunk in records.chunks(256) {
        journal.append(epoch, &Batch { records: chunk.to_vec(), ..Batch::default() }).unwrap();
    }
    assert_eq!(all(&journal), records);
    drop(journal);
    let journal = SqliteJournal::open(dir.path(), &OpenOptions::default()).unwrap();
    assert_eq!(journal.watermark(), Seq(3_000));
    assert_eq!(all(&journal), records);
}
