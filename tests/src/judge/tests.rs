//! The judge, judged: what it must find and what it must let pass. A line of truth is `uid revision word` (`put NUMBER`, `end`), a record is
//! `create|update|delete ORIGIN uid revision NUMBER [gap]` or `mark KIND [listed REVISION]`.

use jiff::Timestamp;
use proreus_model::{Change, Gap, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use proreus_store::{Batch, Journal, MemoryJournal};

use super::*;

const TYPE: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
    "spec":{"group":"","names":{"kind":"ConfigMap","plural":"configmaps"}}}"#;

#[derive(Default)]
struct Told {
    lives: Vec<Life>,
    bodies: Vec<Vec<Option<Vec<u8>>>>,
}

impl Truth for Told {
    fn lives(&self) -> &[Life] {
        &self.lives
    }

    fn body(&self, life: usize, version: usize) -> Option<Vec<u8>> {
        self.bodies.get(life)?.get(version)?.clone()
    }
}

fn body(number: &str) -> Vec<u8> {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"a"}},"data":{{"n":"{number}"}}}}"#).into_bytes()
}

fn truth(text: &str) -> Told {
    let mut told = Told::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let index = told.lives.iter().position(|life| life.uid == words[0]).unwrap_or_else(|| {
            let (uid, path) = (words[0].to_owned(), words[0].to_owned());
            told.lives.push(Life { uid, path, group: String::new(), kind: "ConfigMap".to_owned(), versions: Vec::new() });
            told.bodies.push(Vec::new());
            told.lives.len() - 1
        });
        let deleted = words[2] == "end";
        told.lives[index].versions.push(TrueVersion { revision: words[1].parse().unwrap(), deleted });
        told.bodies[index].push((!deleted).then(|| body(words[3])));
    }
    told
}

fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split(' ').collect();
    let at = Timestamp::UNIX_EPOCH;
    if words[0] == "mark" {
        let kind = match words[1] {
            "gap" => MarkKind::Gap,
            "synced" => MarkKind::Synced,
            "stopped" => MarkKind::Stopped,
            other => unreachable!("{other}"),
        };
        let scope = WatchScope { cluster: "c".into(), group: "".into(), resource: "configmaps".into() };
        let detail = words.get(3).map_or(serde_json::Value::Null, |revision| serde_json::json!({ "resourceVersion": revision }));
        return Record::Mark(Mark { seq: Seq(0), recorded_at: at, kind, scope, reason: String::new(), detail });
    }
    let (uid, revision) = (words[2], words[3]);
    let object = ObjectId {
        cluster: "c".into(),
        group: "".into(),
        kind: "ConfigMap".into(),
        namespace: "n".into(),
        name: "a".into(),
        uid: uid.into(),
    };
    Record::Change(Change {
        seq: Seq(0),
        recorded_at: at,
        event_time: None,
        verb: match words[0] {
            "create" => Verb::Create,
            "update" => Verb::Update,
            _ => Verb::Delete,
        },
        origin: match words[1] {
            "watch" => Origin::Watch,
            "snapshot" => Origin::Snapshot,
            _ => Origin::Relist,
        },
        gap: (words.last() == Some(&"gap")).then_some(Gap { from: at, to: at }),
        object,
        version: "v1".into(),
        resource: "configmaps".into(),
        resource_version: revision.into(),
        generation: None,
        manager: None,
        regarding: None,
        body: (words[0] != "delete").then(|| body(words[4]).into()),
    })
}

fn journal(text: &str) -> MemoryJournal {
    let journal = MemoryJournal::new();
    let epoch = journal.begin_epoch().unwrap();
    let records: Vec<Record> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(record).collect();
    journal.append(epoch, &Batch { records, ..Batch::default() }).unwrap();
    journal
}

fn found(truth_text: &str, records: &str, durable: &[Durable]) -> Vec<String> {
    let (truth, journal) = (truth(truth_text), journal(records));
    let verdict =
        judge(&Case { journal: &journal, last: journal.watermark(), truth: &truth, until: 1000, durable }, Depth::Bodies).unwrap();
    verdict.violations.iter().map(ToString::to_string).collect()
}

const LIFE: &str = "u 5 put 1
    u 6 put 2
    u 7 put 3
    u 8 end";

#[test]
fn finds_nothing_in_a_whole_record() {
    let records = "create watch u 5 1
        update watch u 6 2
        update watch u 7 3
        delete watch u 8";
    assert_eq!(found(LIFE, records, &[]), [""; 0]);
}

#[test]
fn finds_a_hole_unless_a_mark_or_the_record_tells_of_it() {
    let with = |update: &str| format!("create watch u 5 1\n{update}\ndelete watch u 8");
    assert_eq!(found(LIFE, &with("update watch u 7 3"), &[]), ["u (u): between records 1 and 2 revisions [6] are missing without a mark"]);
    assert_eq!(found(LIFE, &with("update relist u 7 3 gap"), &[]), [""; 0]);
    assert_eq!(found(LIFE, &with("mark gap\nupdate watch u 7 3"), &[]), [""; 0]);
}

#[test]
fn finds_a_missing_end_and_a_missing_last_version() {
    assert_eq!(
        found(LIFE, "create watch u 5 1\nupdate watch u 6 2\nupdate watch u 7 3", &[]),
        ["u (u): its end at revision 8 is not recorded, the last record is 3"]
    );
    assert_eq!(found("u 5 put 1\nu 6 put 2", "create snapshot u 5 1", &[]), ["u (u): revisions [6] never arrived, the last record is 1"]);
}

#[test]
fn finds_a_second_create_an_end_that_never_was_and_a_version_that_never_was() {
    assert_eq!(
        found("u 5 put 1\nu 6 put 2", "create watch u 5 1\ncreate watch u 6 2", &[]),
        ["u (u): record 2 creates the object a second time"]
    );
    assert_eq!(
        found("u 5 put 1", "create watch u 5 1\ndelete relist u 5 gap", &[]),
        ["u (u): record 2 deletes an object that lives (revision 5)"]
    );
    assert_eq!(found("u 5 put 1", "create watch u 4 1", &[]), ["u (u): record 1 is of a version that never was (revision 4)"]);
    assert_eq!(found("", "create watch u 4 1", &[]), ["ConfigMap n/a (u) was recorded and never lived"]);
}

#[test]
fn finds_a_body_that_says_something_else() {
    assert_eq!(found("u 5 put 1", "create watch u 5 2", &[]), ["u: record 1 of revision 5 differs at .data.n: \"2\" instead of \"1\""]);
}

#[test]
fn finds_a_life_that_was_never_recorded_unless_it_fell_between_two_lists() {
    let truth = "u 5 put 1
        v 6 put 1
        v 7 end";
    let told = |revision: u64| format!("create watch u 5 1\nmark gap\nmark synced listed {revision}");
    assert_eq!(found(truth, &told(7), &[]), [""; 0]);
    assert_eq!(found(truth, &told(6), &[]), ["v (v): lived from revision 6 to 7 and was never recorded"]);
    assert_eq!(found(truth, "create watch u 5 1", &[]), ["v (v): lived from revision 6 to 7 and was never recorded"]);
}

#[test]
fn lets_only_the_first_list_be_silent_about_what_was_before() {
    let truth = "u 5 put 1
        u 6 put 2";
    assert_eq!(found(truth, "create snapshot u 6 2", &[]), [""; 0]);
    assert_eq!(
        found(truth, "mark synced listed 4\ncreate snapshot u 6 2", &[]),
        ["u (u): between records 0 and 2 revisions [5] are missing without a mark"]
    );
}

#[test]
fn lets_a_version_pass_that_says_the_same_as_the_one_before() {
    assert_eq!(found("u 5 put 1\nu 6 put 1\nu 7 put 2", "create watch u 5 1\nupdate watch u 7 2", &[]), [""; 0]);
}

#[test]
fn finds_what_was_durable_and_is_lost_or_changed() {
    let records = "create watch u 5 1\nupdate watch u 6 2";
    let truth = "u 5 put 1\nu 6 put 2";
    let before = durable_at(&journal(records), 2).unwrap();
    assert_eq!(found(truth, records, &[before]), [""; 0]);
    assert_eq!(
        found(truth, records, &[Durable { watermark: 3, print: None }]),
        ["watermark 3 had been reported as durable, the journal ends at 2"]
    );
    assert_eq!(
        found(truth, records, &[Durable { watermark: 2, print: Some(1) }]),
        ["records up to 2 are not what they were before the kill"]
    );
}

#[test]
fn finds_the_end_of_an_object_that_is_missing_although_its_type_went_and_a_type_that_went_silently() {
    let judged = |records: &str| {
        let mut truth = truth("u 5 put 1\nu 8 end");
        let versions = vec![TrueVersion { revision: 1, deleted: false }, TrueVersion { revision: 9, deleted: true }];
        let (group, kind) = ("apiextensions.k8s.io".to_owned(), "CustomResourceDefinition".to_owned());
        truth.lives.push(Life { uid: "t".to_owned(), path: "t".to_owned(), group, kind, versions });
        truth.bodies.push(vec![Some(TYPE.as_bytes().to_vec()), None]);
        let journal = journal(records);
        let case = Case { journal: &journal, last: journal.watermark(), truth: &truth, until: 1000, durable: &[] };
        let verdict = judge(&case, Depth::Bodies).unwrap();
        let of_it = verdict.violations.iter().map(ToString::to_string).filter(|text| text.starts_with("u "));
        of_it.collect::<Vec<_>>()
    };
    assert_eq!(judged("create watch u 5 1\ndelete relist u 5 gap\nmark stopped"), [""; 0]);
    assert_eq!(judged("create watch u 5 1\ndelete relist u 5 gap"), ["u (u): its type went, and no mark says so"]);
    assert_eq!(judged("create watch u 5 1\nmark stopped"), ["u (u): its end at revision 8 is not recorded, the last record is 1"]);
}
