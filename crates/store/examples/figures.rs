//! Figures of the engine on an invented cluster, for tuning: `cargo run --release -p proreus-store --example figures -- [changes] [days]`.
//!
//! Not the report: that is made from a recorded trace. An invented cluster repeats itself, so its sizes flatter.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use jiff::SignedDuration;
use proreus_model::{Change, Filter, Order, Record, Seq, SeqRange};
use proreus_store::{Batch, BodyDetail, Journal, OpenOptions, ReadQuery, SqliteJournal};

/// Time this thread had a processor: on a shared machine the only time worth comparing.
#[derive(Clone, Copy)]
struct Begun(Duration);

impl Begun {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Self(Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap()))
    }

    fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}

fn percentile(times: &mut [Duration], of: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * of) as usize]
}

fn report(what: &str, mut times: Vec<Duration>) {
    println!("{what}: p50 {:?} p99 {:?} max {:?}", percentile(&mut times, 0.5), percentile(&mut times, 0.99), percentile(&mut times, 1.0));
}

fn change(record: &Record) -> Option<&Change> {
    match record {
        Record::Change(change) => Some(change),
        Record::Mark(_) => None,
    }
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let count = arguments.next().unwrap_or(75_000);
    let days = arguments.next().unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("KEEP");
    let path = kept.as_ref().map_or(dir.path(), std::path::Path::new);
    let mut cluster = support::Cluster::new(7, "2026-11-20T00:10:00Z".parse().unwrap(), 90);
    // A step of the cluster takes about two ticks for each record.
    cluster.pace = SignedDuration::from_nanos(50_000_000_000_000 * days as i64 / count as i64);
    let journal = SqliteJournal::open(path, &OpenOptions::default()).unwrap();
    let epoch = journal.begin_epoch().unwrap();
    let (mut raw, mut plain, mut appended) = (0_usize, 0_usize, Duration::ZERO);
    let mut baseline = Duration::ZERO;
    let mut solid = zstd::Encoder::new(Vec::new(), if std::env::var_os("SOLID").is_some() { 19 } else { 1 }).unwrap();
    solid.long_distance_matching(true).unwrap();
    solid.window_log(27).unwrap();
    let mut sample = Vec::new();
    for chunk in 0..count.div_ceil(256) {
        let records = cluster.take(256.min(count - chunk * 256));
        for body in records.iter().filter_map(change).filter_map(|change| change.body.as_ref()) {
            raw += body.len();
            let begun = Begun::now();
            let parsed: serde_json::Value = serde_json::from_slice(body).unwrap();
            plain += zstd::bulk::compress(body, 3).unwrap().len();
            baseline += begun.elapsed();
            drop(parsed);
            if days == 1 {
                std::io::Write::write_all(&mut solid, body).unwrap();
            }
        }
        sample.extend(records.iter().filter_map(change).filter(|_| chunk % 7 == 0).map(|change| change.object.clone()).take(8));
        let batch = Batch { records, ..Batch::default() };
        let begun = Begun::now();
        journal.append(epoch, &batch).unwrap();
        appended += begun.elapsed();
        journal.tend(Duration::ZERO).unwrap();
    }
    let changes = count as f64;
    println!("changes {count}, raw {:.0} B, zstd-3 each {:.0} B", raw as f64 / changes, plain as f64 / changes);
    println!(
        "ingest {:.0}/s, baseline parse + zstd-3 {:.0}/s, memory {}",
        changes / appended.as_secs_f64(),
        changes / baseline.as_secs_f64(),
        peak_memory()
    );
    if days == 1 {
        println!("solid -19: {:.1} B", solid.finish().unwrap().len() as f64 / changes);
    }
    if std::env::var_os("INGEST").is_some() {
        return;
    }
    questions("live", &journal, &sample);
    drop(journal);
    let begun = Begun::now();
    let journal = SqliteJournal::open(path, &OpenOptions::default()).unwrap();
    println!("reopened in {:?}", begun.elapsed());
    sizes(&journal, path);
    let begun = Begun::now();
    while journal.tend(Duration::from_millis(500)).unwrap().more {}
    println!("background work {:?}, memory {}", begun.elapsed(), peak_memory());
    sizes(&journal, path);
    questions("settled", &journal, &sample);
}

fn sizes(journal: &SqliteJournal, dir: &std::path::Path) {
    for segment in journal.segments().unwrap() {
        println!(
            "{} {}: {} changes, {} objects, {:.1} B a change, 1/{:.1} of raw",
            segment.day,
            segment.state.as_str(),
            segment.changes,
            segment.objects,
            segment.stored_bytes as f64 / segment.changes as f64,
            segment.raw_bytes as f64 / segment.stored_bytes as f64
        );
    }
    for found in
        std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|found| found.file_name().to_string_lossy().ends_with(".sqlite"))
    {
        let connection = rusqlite::Connection::open(found.path()).unwrap();
        let mut statement =
            match connection.prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 6") {
                Ok(statement) => statement,
                Err(_) => return,
            };
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))).unwrap();
        for row in rows.map(Result::unwrap) {
            println!("    {} {} bytes, {} unused", row.0, row.1, row.2);
        }
    }
}

fn questions(when: &str, journal: &SqliteJournal, objects: &[proreus_model::ObjectId]) {
    let end = journal.watermark().0;
    let mut dice = support::Dice::new(3);
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let object = &objects[dice.below(objects.len() as u64) as usize];
        let at = Seq(1 + dice.below(end));
        let begun = Begun::now();
        let _ = journal.state(object, at).unwrap();
        times.push(begun.elapsed());
    }
    report(&format!("{when}: state at T"), times);
    let page = |filter: &Filter, detail, from: u64, order| {
        let query = ReadQuery {
            range: SeqRange { first: Seq(0), last: Seq(from) },
            filter: filter.clone(),
            after: None,
            order,
            limit: 1_000,
            detail,
        };
        let begun = Begun::now();
        let found = journal.read(&query).unwrap();
        (begun.elapsed(), found.records.len())
    };
    let namespace = Filter { namespaces: vec!["team-3".into()], ..Filter::changes() };
    let kind = Filter { kinds: vec!["Deployment".into()], ..Filter::changes() };
    let deletes = Filter { verbs: vec![proreus_model::Verb::Delete], ..Filter::changes() };
    for (what, filter, detail) in [
        ("namespace", &namespace, BodyDetail::None),
        ("kind", &kind, BodyDetail::None),
        ("deletes", &deletes, BodyDetail::None),
        ("namespace with bodies", &namespace, BodyDetail::Body),
        ("everything with bodies and previous", &Filter::changes(), BodyDetail::BodyAndPrevious),
    ] {
        let mut found = 0;
        let times = (0..60)
            .map(|_| {
                let (time, records) = page(filter, detail, end / 5 + dice.below(end / 5 * 4), Order::Descending);
                found += records;
                time
            })
            .collect();
        report(&format!("{when}: page of {} by {what}", found / 60), times);
    }
    let begun = Begun::now();
    let heads = journal.heads(&proreus_model::WatchScope::default()).unwrap().len();
    println!("{when}: {heads} heads in {:?}", begun.elapsed());
}
