#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use proreus_model::*;
use proreus_store::*;
fn main() {
    let journal = SqliteJournal::open_read_only(std::path::Path::new("/tmp/storea_k")).unwrap();
    let query = ReadQuery {
        range: SeqRange { first: Seq(10_000), last: Seq(20_000) },
        filter: Filter { kinds: vec!["Pod".into()], verbs: vec![Verb::Update], ..Filter::changes() },
        after: None,
        order: Order::Ascending,
        limit: 12,
        detail: BodyDetail::BodyAndPrevious,
    };
    for (i, r) in journal.read(&query).unwrap().records.iter().enumerate() {
        let Record::Change(c) = &r.record else { continue };
        std::fs::write(format!("/tmp/storea_ex/{i}.new"), c.body.as_ref().unwrap()).unwrap();
        std::fs::write(format!("/tmp/storea_ex/{i}.old"), r.previous.as_ref().unwrap()).unwrap();
        println!("{i} seq {} {:?} {:?}", c.seq, c.event_time, c.resource_version);
    }
}
