//! What the questions answer, over the in-memory journal.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_app::questions::{AuditQuestion, ChangesQuestion, HistoryQuestion, ObjectQuestion, ObjectRef, StateQuestion};
use proreus_app::{AppError, Moment, Questions};
use proreus_model::{Access, AccessRule, Change, Filter, ObjectId, Order, Origin, Record, Seq, Verb};
use proreus_store::{Batch, Journal, MemoryJournal, RetentionPolicy};
use serde_json::json;

fn time(second: i64) -> Timestamp {
    "2026-11-21T08:00:00Z".parse::<Timestamp>().unwrap().checked_add(SignedDuration::from_secs(second)).unwrap()
}

struct Shop {
    journal: Arc<MemoryJournal>,
    questions: Questions,
    second: i64,
}

impl Shop {
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let questions = Questions::new(journal.clone());
        Self { journal, questions, second: 0 }
    }

    /// Records `verb kind namespace/name uid` with a spec, one second later; returns its position.
    fn record(&mut self, verb: Verb, kind: &str, place: (&str, &str), uid: &str, spec: serde_json::Value, regarding: Option<&str>) -> Seq {
        self.second += 1;
        let (namespace, name) = place;
        let group = if kind == "Deployment" { "apps" } else { "" };
        let body = json!({"kind": kind, "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": self.second.to_string()}, "spec": spec});
        let change = Change {
            seq: Seq(0),
            recorded_at: time(self.second),
            event_time: None,
            verb,
            origin: Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: "c1".into(),
                group: group.into(),
                kind: kind.into(),
                namespace: namespace.into(),
                name: name.into(),
                uid: uid.into(),
            },
            version: "v1".into(),
            resource: format!("{}s", kind.to_lowercase()).into(),
            resource_version: self.second.to_string().into(),
            generation: None,
            manager: Some("kubectl".into()),
            regarding: regarding.map(Into::into),
            body: Some(Arc::from(serde_json::to_vec(&body).unwrap())),
        };
        let epoch = self.journal.begin_epoch().unwrap();
        let batch = Batch { records: vec![Record::Change(change)], ..Batch::default() };
        self.journal.append(epoch, &batch).unwrap().range.unwrap().last
    }
}

fn shop() -> Shop {
    let mut shop = Shop::new();
    shop.record(Verb::Create, "Deployment", ("shop", "web"), "d1", json!({"image": "web:1", "replicas": 2}), None);
    shop.record(Verb::Create, "Pod", ("shop", "web-1"), "p1", json!({"image": "web:1"}), None);
    shop.record(Verb::Update, "Deployment", ("shop", "web"), "d1", json!({"image": "web:2", "replicas": 2}), None);
    shop.record(Verb::Create, "Event", ("shop", "web-1.17a"), "e1", json!({"reason": "Failed"}), Some("p1"));
    shop.record(Verb::Delete, "Pod", ("shop", "web-1"), "p1", json!({"image": "web:1"}), None);
    shop.record(Verb::Create, "Pod", ("shop", "web-1"), "p2", json!({"image": "web:2"}), None);
    shop.record(Verb::Create, "Pod", ("bank", "web-1"), "p9", json!({"image": "web:2"}), None);
    shop
}

fn reference(kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    ObjectRef { kind: kind.into(), namespace: namespace.map(Into::into), name: name.into(), ..ObjectRef::default() }
}

#[test]
fn a_change_says_what_it_changed_from_what_to_what() {
    let shop = shop();
    let question = ChangesQuestion { filter: Filter { verbs: vec![Verb::Update], ..Filter::changes() }, ..ChangesQuestion::default() };
    let answer = shop.questions.changes(&question, &Access::All).unwrap();
    let fields: Vec<String> =
        answer.items[0].changed.iter().map(|field| format!("{} {:?} {:?}", field.path, field.before, field.after)).collect();
    assert_eq!(fields, [r#"spec.image Some(String("web:1")) Some(String("web:2"))"#]);
    assert_eq!(answer.items[0].object, None, "the object comes only when asked for");
}

#[test]
fn pages_join_to_the_whole_in_either_order() {
    let shop = shop();
    for order in [Order::Ascending, Order::Descending] {
        let mut seen = Vec::new();
        let mut question = ChangesQuestion { limit: 2, order, ..ChangesQuestion::default() };
        loop {
            let answer = shop.questions.changes(&question, &Access::All).unwrap();
            seen.extend(answer.items.iter().map(|item| item.change.seq.0));
            if !answer.more {
                break;
            }
            question.cursor = Some(answer.cursor);
        }
        if order == Order::Descending {
            seen.reverse();
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    }
}

#[test]
fn a_follower_that_comes_back_sees_only_what_is_new() {
    let mut shop = shop();
    let filter = Filter { kinds: vec!["Deployment".into()], ..Filter::changes() };
    let mut question = ChangesQuestion { filter, ..ChangesQuestion::default() };
    let answer = shop.questions.changes(&question, &Access::All).unwrap();
    assert_eq!(answer.cursor.seq, Seq(7), "what did not match needs no second look");
    shop.record(Verb::Delete, "Deployment", ("shop", "web"), "d1", json!({}), None);
    question.cursor = Some(answer.cursor);
    let answer = shop.questions.changes(&question, &Access::All).unwrap();
    assert_eq!(answer.items.iter().map(|item| item.change.verb).collect::<Vec<_>>(), [Verb::Delete]);
}

#[test]
fn history_tells_every_incarnation_and_the_events_about_them() {
    let shop = shop();
    let question = HistoryQuestion { object: reference("po", Some("shop"), "web-1"), page: ChangesQuestion::default(), events: true };
    let answer = shop.questions.history(&question, &Access::All).unwrap();
    let told: Vec<String> = answer
        .items
        .iter()
        .map(|item| format!("{} {} {}", item.change.verb.as_str(), item.change.object.kind, item.change.object.uid))
        .collect();
    assert_eq!(told, ["create Pod p1", "create Event e1", "delete Pod p1", "create Pod p2"]);
}

#[test]
fn history_with_events_pages_without_loss_or_repeat() {
    let shop = shop();
    let mut page = ChangesQuestion { limit: 1, ..ChangesQuestion::default() };
    let mut told = Vec::new();
    for _ in 0..10 {
        let question = HistoryQuestion { object: reference("Pod", Some("shop"), "web-1"), page: page.clone(), events: true };
        let answer = shop.questions.history(&question, &Access::All).unwrap();
        told.extend(answer.items.iter().map(|item| item.change.seq.0));
        if !answer.more {
            break;
        }
        page.cursor = Some(answer.cursor);
    }
    assert_eq!(told, [2, 4, 5, 6]);
}

#[test]
fn an_object_is_what_it_was_at_the_moment() {
    let shop = shop();
    let image = |second: i64| {
        let question = ObjectQuestion { object: reference("deploy", Some("shop"), "web"), at: Moment::At(time(second)) };
        shop.questions.object(&question, &Access::All).map(|answer| answer.object["spec"]["image"].clone())
    };
    assert_eq!(image(1).unwrap(), "web:1");
    assert_eq!(image(2).unwrap(), "web:1");
    assert_eq!(image(3).unwrap(), "web:2");
    assert!(matches!(image(0), Err(AppError::NotFound { .. })));
}

#[test]
fn a_name_that_fits_two_objects_is_asked_back() {
    let shop = shop();
    let question = ObjectQuestion { object: reference("pod", None, "web-1"), at: Moment::Now };
    assert!(matches!(shop.questions.object(&question, &Access::All), Err(AppError::BadParameter { name: "name", .. })));
}

#[test]
fn state_holds_what_was_alive_at_the_moment() {
    let shop = shop();
    let alive = |second: i64| {
        let filter = Filter { kinds: vec!["Pod".into()], ..Filter::changes() };
        let question = StateQuestion { at: Moment::At(time(second)), filter, after: None, limit: 10, full: false };
        let answer = shop.questions.state(&question, &Access::All).unwrap();
        answer.items.iter().map(|item| item.change.object.uid.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(alive(4), ["p1"]);
    assert_eq!(alive(5), Vec::<String>::new());
    assert_eq!(alive(7), ["p9", "p2"]);
}

#[test]
fn what_may_not_be_read_is_in_no_answer() {
    let shop = shop();
    let rule = AccessRule { cluster: "c1".into(), group: "".into(), resource: "pods".into(), namespace: Some("bank".into()) };
    let access = Access::Only(vec![rule]);
    let all = shop.questions.changes(&ChangesQuestion::default(), &access).unwrap();
    assert_eq!(all.items.iter().map(|item| item.change.object.uid.to_string()).collect::<Vec<_>>(), ["p9"]);
    let question = ObjectQuestion { object: reference("deploy", Some("shop"), "web"), at: Moment::Now };
    assert!(matches!(shop.questions.object(&question, &access), Err(AppError::NotFound { .. })));
    assert!(matches!(shop.questions.diff(Seq(1), Seq(3), &access), Err(AppError::NotFound { .. })));
    let history = HistoryQuestion { object: reference("pod", Some("shop"), "web-1"), page: ChangesQuestion::default(), events: true };
    assert!(matches!(shop.questions.history(&history, &access), Err(AppError::NotFound { .. })));
}

#[test]
fn a_difference_needs_two_versions_of_one_object() {
    let shop = shop();
    let answer = shop.questions.diff(Seq(1), Seq(3), &Access::All).unwrap();
    assert_eq!(answer.changed.len(), 1);
    let across = shop.questions.diff(Seq(2), Seq(6), &Access::All).unwrap();
    assert_eq!(
        (across.from.object.uid.as_str(), across.to.object.uid.as_str()),
        ("p1", "p2"),
        "two incarnations of a name may be compared"
    );
    assert!(matches!(shop.questions.diff(Seq(1), Seq(2), &Access::All), Err(AppError::BadParameter { name: "to", .. })));
    assert!(matches!(shop.questions.diff(Seq(1), Seq(99), &Access::All), Err(AppError::NotFound { .. })));
}

#[test]
fn a_cursor_of_elsewhere_or_of_the_forgotten_past_is_gone() {
    let mut shop = shop();
    let other = Questions::new(Arc::new(MemoryJournal::new()));
    let foreign = ChangesQuestion { cursor: Some(other.cursor_at(Seq(1))), ..ChangesQuestion::default() };
    assert!(matches!(shop.questions.changes(&foreign, &Access::All), Err(AppError::CursorGone { .. })));

    let early = shop.questions.cursor_at(Seq(2));
    shop.second += 3 * 86_400;
    shop.record(Verb::Create, "Pod", ("shop", "late"), "p5", json!({}), None);
    let policy = RetentionPolicy { max_age: Some(SignedDuration::from_hours(24)), max_bytes: None };
    shop.journal.retain(&policy, time(shop.second)).unwrap();
    let question = ChangesQuestion { cursor: Some(early), ..ChangesQuestion::default() };
    let Err(AppError::CursorGone { oldest: Some(oldest) }) = shop.questions.changes(&question, &Access::All) else {
        panic!("the cursor should be gone");
    };
    let again = ChangesQuestion { cursor: Some(oldest), ..ChangesQuestion::default() };
    assert_eq!(shop.questions.changes(&again, &Access::All).unwrap().items.len(), 1);
}

#[test]
fn the_older_questions_follow_the_older_rules() {
    let shop = shop();
    let ask = |question: AuditQuestion| shop.questions.audit_events(&question, &Access::All).unwrap();
    let pods = || AuditQuestion { resource_type: Some("pods".into()), limit: 1000, ..AuditQuestion::default() };
    assert_eq!(ask(pods()).items.len(), 4);
    assert_eq!(ask(AuditQuestion { verb: Some("patch".into()), ..pods() }).items.len(), 0);
    assert_eq!(ask(AuditQuestion { user: Some("alice".into()), ..pods() }).items.len(), 0);
    assert_eq!(ask(AuditQuestion { user: Some("system:k8s-watcher".into()), ..pods() }).items.len(), 4);
    assert_eq!(ask(AuditQuestion { start: Some(time(5)), end: Some(time(6)), ..pods() }).items.len(), 2, "the end is inclusive");
    let exact = ask(AuditQuestion { limit: 4, ..pods() });
    assert!(!exact.more, "exactly as many as asked for is not more");

    let object = shop.questions.audit_object(&"shop".into(), &"pods".into(), &"web-1".into(), &Access::All).unwrap();
    assert_eq!((object.watch_events.len(), object.related_events.len()), (3, 1));
}
