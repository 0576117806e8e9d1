//! Random histories played into an engine and into the in-memory model side by side: every answer must be equal.
//!
//! What differs by right is left out of the comparison: stored bytes, the condition of a segment, and names of removed segments.
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` work as usual; a failure prints the shortest history that shows it.

mod histories;

use jiff::{SignedDuration, Timestamp};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proreus_model::{Filter, Record, Recorded, Seq, WatchScope};

use self::histories::{Asked, Played, Step};
use super::{Factory, Workbench};
use crate::stream::{Exporting, export, import};
use crate::{Batch, BodyDetail, Journal, MemoryJournal, ReadQuery, RetentionPolicy, WriterEpoch};

/// Histories a run: about as many as an engine that syncs every batch plays in a quarter of a minute.
const CASES: u32 = 40;

/// Plays random histories into the engine and into the model, and fails at the first answer that differs.
pub fn agrees_with_the_model(factory: Factory) {
    run(|steps| play(&mut *factory(), &steps));
}

fn run(check: impl Fn(Vec<Step>) -> Result<(), TestCaseError>) {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(_) => Config::default().cases,
        Err(_) => CASES,
    };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&histories::history(), check);
    let told = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(outcome.is_ok(), "the engine and the model disagree: {told}");
}

/// One history, in the engine and in the model.
struct Pair<'a> {
    bench: &'a mut dyn Workbench,
    model: MemoryJournal,
    epochs: (WriterEpoch, WriterEpoch),
    clock: Timestamp,
}

fn play(bench: &mut dyn Workbench, steps: &[Step]) -> Result<(), TestCaseError> {
    let model = MemoryJournal::new();
    let epochs = begin(bench, &model);
    let clock = histories::beginning();
    let mut pair = Pair { bench, model, epochs, clock };
    for step in steps {
        pair.step(step)?;
    }
    pair.sweep("live")?;
    pair.bench.reopen();
    pair.sweep("reopened")?;
    pair.bench.settle();
    pair.sweep("settled")?;
    sweep("carried", &carried(pair.bench.journal()), &pair.model)
}

/// The journal exported, and imported into memory.
fn carried(journal: &dyn Exporting) -> MemoryJournal {
    let mut stream = Vec::new();
    export(journal, &mut stream, &mut |_, _| ()).expect("every record can be read");
    import(&stream[..], MemoryJournal::import, &mut |_, _| ()).expect("what was exported can be imported").0
}

/// Plays random histories into the model, has each carried into an engine by `carry` (by importing its export), and fails at the first
/// answer that differs, then and after the journal went on.
pub fn survives_being_carried(carry: impl Fn(&MemoryJournal) -> Box<dyn Workbench>) {
    run(|steps| {
        let mut memory = InMemory(MemoryJournal::new());
        play(&mut memory, &steps)?;
        let mut bench = carry(&memory.0);
        same("journal id", &bench.journal().id(), &memory.0.id())?;
        sweep("imported", bench.journal(), &memory.0)?;
        bench.reopen();
        sweep("imported and reopened", bench.journal(), &memory.0)?;
        let epochs = begin(&*bench, &memory.0);
        let clock = memory.0.last_recorded_at().unwrap_or(histories::beginning());
        let mut pair = Pair { bench: &mut *bench, model: memory.0, epochs, clock };
        for step in &steps {
            pair.step(step)?;
        }
        pair.bench.settle();
        pair.sweep("gone on after the import")
    });
}

/// The model as an engine of its own.
struct InMemory(MemoryJournal);

impl Workbench for InMemory {
    fn journal(&self) -> &dyn Exporting {
        &self.0
    }

    fn reopen(&mut self) {
        self.0 = self.0.clone();
    }

    fn settle(&mut self) {}
}

fn begin(bench: &dyn Workbench, model: &MemoryJournal) -> (WriterEpoch, WriterEpoch) {
    (bench.journal().begin_epoch().expect("a writer may begin"), model.begin_epoch().expect("a writer may begin"))
}

impl Pair<'_> {
    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(played) => self.append(played),
            Step::Ask(asked) => asked.iter().try_for_each(|asked| self.ask(asked)),
            Step::Reopen => {
                self.bench.reopen();
                self.epochs = begin(self.bench, &self.model);
                self.sweep("reopened")
            }
            Step::Settle => {
                self.bench.settle();
                self.sweep("settled")
            }
            Step::Retain { hours, bytes } => self.retain(*hours, bytes.then_some(0)),
        }
    }

    fn append(&mut self, played: &Played) -> Result<(), TestCaseError> {
        self.clock += played.pause;
        let batch: Batch = played.batch(self.clock);
        let engine = self.bench.journal().append(self.epochs.0, &batch);
        let model = self.model.append(self.epochs.1, &batch);
        same("append", &engine, &model)
    }

    fn retain(&mut self, hours: i64, max_bytes: Option<u64>) -> Result<(), TestCaseError> {
        // A day may go only when the base of the next is complete, and that is background work.
        self.bench.settle();
        let policy = RetentionPolicy { max_age: Some(SignedDuration::from_hours(hours)), max_bytes };
        let engine = self.bench.journal().retain(&policy, self.clock).map(|retained| retained.removed.len());
        let model = self.model.retain(&policy, self.clock).map(|retained| retained.removed.len());
        same("days removed", &engine, &model)?;
        self.sweep("after retention")
    }

    fn ask(&self, asked: &Asked) -> Result<(), TestCaseError> {
        let engine = answer(self.bench.journal(), asked);
        let model = answer(&self.model, asked);
        same(&format!("{asked:?}"), &engine, &model)
    }

    fn sweep(&self, condition: &str) -> Result<(), TestCaseError> {
        sweep(condition, self.bench.journal(), &self.model)
    }
}

/// Asks both for everything there is: all records, every object's state at every position, and all lists.
fn sweep(condition: &str, engine: &dyn Journal, model: &dyn Journal) -> Result<(), TestCaseError> {
    let both = |what: &str, ask: &dyn Fn(&dyn Journal) -> String| {
        let (engine, model) = (ask(engine), ask(model));
        same(&format!("{condition}: {what}"), &engine, &model)
    };
    both("oldest", &|journal| format!("{:?}", journal.oldest()))?;
    both("watermark", &|journal| format!("{:?} {:?}", journal.watermark(), journal.last_recorded_at()))?;
    both("records", &|journal| answer(journal, &histories::whole()))?;
    for query in histories::paged() {
        both("pages", &|journal| follow(journal, query.clone()))?;
    }
    both("clusters", &|journal| format!("{:?}", journal.clusters()))?;
    both("types", &types)?;
    both("checkpoints", &|journal| format!("{:?}", journal.checkpoints(&"".into())))?;
    both("cursors", &|journal| format!("{:?}", histories::CONSUMERS.map(|consumer| journal.cursor(consumer).ok())))?;
    both("heads", &|journal| format!("{:#?}", journal.heads(&WatchScope::default())))?;
    both("segments", &segments)?;
    let first = model.oldest().ok().flatten().map_or(0, |oldest| oldest.seq.0.saturating_sub(2));
    for query in histories::around(first + 2) {
        both(&format!("read {query:?}"), &|journal| answer(journal, &Asked::Read(query.clone())))?;
    }
    for at in (first..=model.watermark().0 + 1).map(Seq) {
        for object in histories::objects() {
            both(&format!("state of {object:?} at {at}"), &|journal| answer(journal, &Asked::State(object.clone(), at)))?;
        }
        let all = Filter::changes();
        both(&format!("objects at {at}"), &|journal| objects(journal, at, &all, None, 1_000, BodyDetail::Body))?;
    }
    for object in histories::objects() {
        both(&format!("head of {object:?}"), &|journal| format!("{:?}", journal.head(&object)))?;
    }
    Ok(())
}

fn same<T: std::fmt::Debug>(what: &str, engine: &T, model: &T) -> Result<(), TestCaseError> {
    let (engine, model) = (format!("{engine:#?}"), format!("{model:#?}"));
    let lines = |text: &str| text.replace("\\n", "\n").replace("\\\"", "\"");
    if engine == model {
        Ok(())
    } else {
        Err(TestCaseError::fail(format!("{what}\nengine: {}\nmodel:  {}", lines(&engine), lines(&model))))
    }
}

/// Follows the pages to the end; told are the positions, a bar after each page.
fn follow(journal: &dyn Journal, mut query: ReadQuery) -> String {
    let mut told = String::new();
    loop {
        let page = match journal.read(&query) {
            Ok(page) => page,
            Err(error) => return format!("{told} {error}"),
        };
        page.records.iter().for_each(|recorded| told.push_str(&format!("{} ", recorded.record.seq())));
        told.push_str("| ");
        let last = page.records.last().map(|recorded| recorded.record.seq());
        // An engine that gives the same page again would be followed for ever.
        if !page.more || last.is_none() || last == query.after {
            return told;
        }
        query.after = last;
    }
}

fn answer(journal: &dyn Journal, asked: &Asked) -> String {
    match asked {
        Asked::Read(query) => match journal.read(query) {
            Ok(page) => {
                let records: Vec<String> = page.records.iter().map(shown).collect();
                format!("{}\nmore {} watermark {}", records.join("\n"), page.more, page.watermark)
            }
            Err(error) => error.to_string(),
        },
        Asked::State(object, at) => match journal.state(object, *at) {
            Ok(state) => state.map_or("unknown".to_owned(), |change| shown_record(&Record::Change(change))),
            Err(error) => error.to_string(),
        },
        Asked::Objects { at, filter, after, limit, detail } => objects(journal, *at, filter, after.as_ref(), *limit, *detail),
        Asked::Heads(scope) => format!("{:#?}", journal.heads(scope)),
        Asked::SeqAt(time) => format!("{:?}", journal.seq_at(*time)),
        Asked::Checkpoints(cluster) => format!("{:?}", journal.checkpoints(cluster)),
    }
}

fn objects(
    journal: &dyn Journal,
    at: Seq,
    filter: &Filter,
    after: Option<&proreus_model::ObjectId>,
    limit: usize,
    detail: BodyDetail,
) -> String {
    match journal.objects(at, filter, after, limit, detail) {
        Ok(page) => {
            let objects: Vec<String> = page.objects.into_iter().map(|change| shown_record(&Record::Change(change))).collect();
            format!("{}\nmore {}", objects.join("\n"), page.more)
        }
        Err(error) => error.to_string(),
    }
}

/// Types without their version: which one was seen last is told as well as a base remembers it.
fn types(journal: &dyn Journal) -> String {
    let types = journal.types().expect("types are known");
    let told = types.iter().map(|of| format!("{} {} {} {}", of.group, of.kind, of.resource, of.namespaced));
    told.collect::<Vec<_>>().join("\n")
}

fn segments(journal: &dyn Journal) -> String {
    let segments = journal.segments().expect("segments are counted");
    let rows = segments.iter().map(|day| {
        format!("{} {} changes, {} objects, {} bytes, {:?} {:?}", day.day, day.changes, day.objects, day.raw_bytes, day.range, day.times)
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn shown(recorded: &Recorded) -> String {
    let previous = recorded.previous.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    format!("{} previous {previous:?}", shown_record(&recorded.record))
}

/// The record on one line, its body as text.
fn shown_record(record: &Record) -> String {
    match record {
        Record::Change(change) => {
            let body = change.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
            let bare = proreus_model::Change { body: None, ..change.clone() };
            format!("{bare:?} body {body:?}")
        }
        Record::Mark(mark) => format!("{mark:?}"),
    }
}
