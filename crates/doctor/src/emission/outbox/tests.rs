//! What the outbox promises, tried step by step and in simulated runs with faults and restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, ObjectId, Origin, Seq, Verb};
use serde_json::json;

use super::*;
use crate::emission::{EndpointRules, IncidentRecord, RetryRules, Selection};

const JOURNAL: &str = "j";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

/// `id severity state flaps`, recorded as the record of that position at that second.
fn record(seq: u64, second: i64, words: &str) -> Arc<IncidentRecord> {
    let mut words = words.split_whitespace();
    let id = words.next().expect("an id");
    let severity = words.next().unwrap_or("warning");
    let state = words.next().unwrap_or("open");
    let flaps: u64 = words.next().map_or(0, |text| text.parse().expect("a number"));
    let mut body = json!({
        "apiVersion": "proreus.dev/v1", "kind": "Incident", "metadata": {"name": id, "uid": id, "namespace": "shop"},
        "id": id, "state": state, "severity": severity, "reason": "DeploymentUnavailable", "check": "deployment-unavailable",
        "object": {"cluster": "c1", "group": "apps", "resource": "deployments", "kind": "Deployment", "namespace": "shop", "name": format!("web-{id}"), "uid": format!("u-{id}")},
        "message": format!("record {seq}"), "remediation": "look at the pods", "openedAt": at(0).to_string(), "lastSeenAt": at(second).to_string(),
        "flaps": flaps, "findings": [], "evidence": [],
    });
    if state == "resolved" {
        body["resolvedAt"] = json!(at(second).to_string());
    }
    let change = Change {
        seq: Seq(seq),
        recorded_at: at(second),
        event_time: None,
        verb: Verb::Update,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "c1".into(),
            group: "proreus.dev".into(),
            kind: "Incident".into(),
            namespace: "shop".into(),
            name: id.into(),
            uid: id.into(),
        },
        version: "v1".into(),
        resource: "incidents".into(),
        resource_version: "1".into(),
        generation: None,
        manager: Some("proreus".into()),
        regarding: None,
        body: Some(Arc::from(body.to_string().into_bytes())),
    };
    Arc::new(IncidentRecord::read(&change).expect("it reads").expect("it is one"))
}

/// One outbox, and what it did, as text.
struct Run {
    outbox: Outbox,
    next: Option<Timestamp>,
}

impl Run {
    fn new(rules: EndpointRules) -> Self {
        Self { outbox: Outbox::new(JOURNAL, "hook", rules), next: None }
    }

    fn tell(&mut self, step: Step) -> String {
        self.next = step.next_due;
        let word = |notice: &Notice| {
            let occasion = notice.occasion.as_str().trim_start_matches("incident.");
            format!("{occasion} {}@{}", notice.incident.id, notice.incident.seq)
        };
        let sent =
            step.send.iter().map(|parcel| format!("#{} {}", parcel.id, parcel.notices.iter().map(word).collect::<Vec<_>>().join(" + ")));
        let given_up = step.given_up.iter().map(|notice| format!("gave up {}", word(notice)));
        sent.chain(given_up).collect::<Vec<_>>().join(", ")
    }

    fn incident(&mut self, seq: u64, second: i64, words: &str) -> String {
        let step = self.outbox.step(Input::Incident(&record(seq, second, words), Some("prod")), at(second));
        self.tell(step)
    }

    fn outcome(&mut self, parcel: u64, second: i64, outcome: Outcome) -> String {
        let step = self.outbox.step(Input::Outcome(parcel, outcome), at(second));
        self.tell(step)
    }

    fn time(&mut self, second: i64) -> String {
        let step = self.outbox.step(Input::Time, at(second));
        self.tell(step)
    }

    /// The second at which it wants to be stepped next.
    fn due(&self) -> Option<i64> {
        self.next.map(|next| (next.as_millisecond() - at(0).as_millisecond() + 999) / 1_000)
    }
}

#[test]
fn tells_of_an_incident_once_when_it_opens_and_once_when_it_is_resolved() {
    let mut run = Run::new(EndpointRules::default());
    assert_eq!(run.incident(5, 0, "a"), "#1 opened a@5");
    assert_eq!(run.outcome(1, 1, Outcome::Delivered), "");
    assert_eq!(run.incident(9, 2, "a"), "", "a further record that says nothing new");
    assert_eq!(run.incident(5, 3, "a"), "", "a record that was folded before");
    assert_eq!(run.incident(12, 4, "a warning resolved"), "#2 resolved a@12");
    assert_eq!(run.outcome(2, 5, Outcome::Delivered), "");
    assert_eq!((run.outbox.waiting(), run.due()), (0, None));
    assert_eq!(run.incident(13, 6, "a warning resolved"), "", "what is over is not told again");
}

#[test]
fn tells_again_when_the_severity_changes_and_when_it_comes_back() {
    let mut run = Run::new(EndpointRules::default());
    run.incident(1, 0, "a");
    run.outcome(1, 0, Outcome::Delivered);
    assert_eq!(run.incident(2, 1, "a critical"), "#2 changed a@2");
    run.outcome(2, 1, Outcome::Delivered);
    assert_eq!(run.incident(3, 2, "a critical resolved"), "#3 resolved a@3");
    run.outcome(3, 2, Outcome::Delivered);
    assert_eq!(run.incident(4, 3, "a critical open 1"), "#4 reopened a@4");
}

#[test]
fn what_did_not_go_yet_gives_way_to_what_happened_since_except_the_first_word() {
    let mut run = Run::new(EndpointRules::default());
    assert_eq!(run.incident(1, 0, "a"), "#1 opened a@1");
    run.incident(2, 0, "a critical");
    run.incident(3, 0, "a info");
    run.incident(4, 0, "a warning resolved");
    assert_eq!(run.outbox.waiting(), 2);
    assert_eq!(run.outcome(1, 1, Outcome::Delivered), "#2 resolved a@4");
}

#[test]
fn a_notice_waits_longer_after_each_failure_and_is_given_up_when_it_is_old() {
    let retry = RetryRules { give_up_after: SignedDuration::from_secs(20), ..RetryRules::default() };
    let mut run = Run::new(EndpointRules { retry, ..EndpointRules::default() });
    run.incident(1, 0, "a");
    let (mut now, mut gone) = (0, Vec::new());
    let said = (1..=20).find_map(|parcel| {
        let said = run.outcome(parcel, now, Outcome::Failed);
        gone.push(now);
        if said.contains("gave up") {
            return Some(said);
        }
        now = run.due().expect("it tries again");
        assert_eq!(run.time(now), format!("#{} opened a@1", parcel + 1));
        None
    });
    assert_eq!(said.as_deref(), Some("gave up opened a@1"));
    assert_eq!(run.outbox.waiting(), 0);
    assert!((3..10).contains(&gone.len()), "{gone:?}");
    assert!(gone.last().is_some_and(|last| (20..40).contains(last)), "{gone:?}");
}

#[test]
fn a_key_is_the_same_for_every_attempt_and_another_for_every_notice() {
    let repeat = Some(SignedDuration::from_secs(100));
    let mut outbox = Outbox::new(JOURNAL, "hook", EndpointRules { repeat, ..EndpointRules::default() });
    let key = |step: &Step| step.send.first().map(|parcel| parcel.notices[0].key.clone());
    let first = outbox.step(Input::Incident(&record(0x1f, 0, "a"), None), at(0));
    assert_eq!(key(&first).as_deref(), Some("j-1f-hook"));
    outbox.step(Input::Outcome(1, Outcome::Failed), at(0));
    assert_eq!(key(&outbox.step(Input::Time, at(2))), key(&first));
    outbox.step(Input::Outcome(2, Outcome::Delivered), at(2));
    assert_eq!(key(&outbox.step(Input::Time, at(101))), None);
    assert_eq!(key(&outbox.step(Input::Time, at(102))).as_deref(), Some("j-1f-hook-r2"));
    outbox.step(Input::Outcome(3, Outcome::Delivered), at(102));
    assert_eq!(key(&outbox.step(Input::Time, at(202))).as_deref(), Some("j-1f-hook-r3"));
}

#[test]
fn one_receiver_in_trouble_is_asked_one_thing_at_a_time() {
    let mut run = Run::new(EndpointRules::default());
    for seq in 1..=6 {
        run.incident(seq, 0, &format!("i{seq}"));
    }
    assert_eq!(run.outbox.in_flight.len(), IN_FLIGHT_LIMIT);
    for parcel in 1..=4 {
        run.outcome(parcel, 1, Outcome::Failed);
    }
    assert_eq!(run.outbox.in_flight.len(), 0, "it is left alone for a moment");
    let due = run.due().expect("it goes on");
    assert_eq!(run.time(due).matches('#').count(), 1);
    assert_eq!(run.outcome(5, due, Outcome::Delivered).matches('#').count(), 4, "and trusted again after one success");
}

#[test]
fn a_busy_receiver_is_left_alone_for_as_long_as_it_asked() {
    let mut run = Run::new(EndpointRules::default());
    run.incident(1, 0, "a");
    run.outcome(1, 0, Outcome::Busy(SignedDuration::from_secs(30)));
    assert_eq!(run.due(), Some(30));
    assert_eq!(run.incident(2, 1, "b"), "");
    assert_eq!(run.time(29), "");
    assert_eq!(run.time(30), "#2 opened b@2");
}

#[test]
fn a_refusal_is_asked_about_seldom_and_what_is_refused_for_its_words_is_given_up_soon() {
    let mut run = Run::new(EndpointRules::default());
    run.incident(1, 0, "a");
    run.outcome(1, 0, Outcome::Refused);
    assert_eq!(run.due(), Some(60));
    let mut run = Run::new(EndpointRules::default());
    run.incident(1, 0, "a");
    let mut now = 0;
    for parcel in 1..REJECTED_ATTEMPTS {
        run.outcome(u64::from(parcel), now, Outcome::Rejected);
        now = run.due().expect("it tries again");
        run.time(now);
    }
    assert_eq!(run.outcome(u64::from(REJECTED_ATTEMPTS), now, Outcome::Rejected), "gave up opened a@1");
}

#[test]
fn what_a_shared_request_was_refused_for_does_not_take_the_others_with_it() {
    let mut run = Run::new(EndpointRules { batch: 10, ..EndpointRules::default() });
    run.outbox.resume_at = Some(at(1));
    for (seq, id) in [(1, "a"), (2, "b"), (3, "c")] {
        run.incident(seq, 0, id);
    }
    assert_eq!(run.time(1), "#1 opened a@1 + opened b@2 + opened c@3");
    let said = run.outcome(1, 2, Outcome::Rejected);
    assert_eq!(said, "#2 opened a@1, #3 opened b@2, #4 opened c@3");
}

#[test]
fn many_notices_about_one_object_are_held_back_and_the_newest_is_told() {
    let mut run = Run::new(EndpointRules::default());
    let mut told = 0;
    for turn in 0..20_u64 {
        let words = if turn % 2 == 0 { format!("a critical open {turn}") } else { "a critical resolved".to_owned() };
        let said = run.incident(turn + 1, 0, &words);
        if let Some(parcel) = said.strip_prefix('#').and_then(|rest| rest.split(' ').next()?.parse().ok()) {
            told += 1;
            run.outcome(parcel, 0, Outcome::Delivered);
        }
    }
    assert_eq!(told, 10);
    let due = run.due().expect("the last word waits");
    assert_eq!(due, 60);
    assert!(run.time(due).ends_with("resolved a@20"));
}

#[test]
fn an_open_incident_is_told_again_while_it_lasts() {
    let mut run = Run::new(EndpointRules { repeat: Some(SignedDuration::from_secs(60)), ..EndpointRules::default() });
    run.incident(1, 0, "a");
    run.outcome(1, 1, Outcome::Delivered);
    assert_eq!(run.due(), Some(60));
    assert_eq!(run.time(60), "#2 repeated a@1");
    run.outcome(2, 61, Outcome::Delivered);
    assert_eq!(run.incident(7, 70, "a warning resolved"), "#3 resolved a@7");
    run.outcome(3, 71, Outcome::Delivered);
    assert_eq!(run.due(), None);
}

#[test]
fn tells_only_what_was_chosen_and_the_end_of_what_was_told() {
    let selection = Selection { min_severity: crate::Severity::Critical, ..Selection::default() };
    let mut run = Run::new(EndpointRules { selection, ..EndpointRules::default() });
    assert_eq!(run.incident(1, 0, "a warning"), "");
    assert_eq!(run.incident(2, 1, "a critical"), "#1 opened a@2");
    run.outcome(1, 1, Outcome::Delivered);
    assert_eq!(run.incident(3, 2, "a warning resolved"), "#2 resolved a@3");
    let others = |selection: Selection| Run::new(EndpointRules { selection, ..EndpointRules::default() }).incident(1, 0, "a");
    assert_eq!(others(Selection { namespaces: vec!["pay".to_owned()], ..Selection::default() }), "");
    assert_eq!(others(Selection { checks: vec!["crash-loop".to_owned()], ..Selection::default() }), "");
    assert_eq!(others(Selection { clusters: vec!["stage".to_owned()], ..Selection::default() }), "");
    assert_eq!(
        others(Selection { clusters: vec!["prod".to_owned()], namespaces: vec!["shop".to_owned()], ..Selection::default() }),
        "#1 opened a@1"
    );
}

#[test]
fn the_end_is_not_told_where_nobody_wants_it() {
    let mut run = Run::new(EndpointRules { send_resolved: false, repeat: Some(SignedDuration::from_secs(9)), ..EndpointRules::default() });
    run.incident(1, 0, "a");
    run.outcome(1, 0, Outcome::Delivered);
    assert_eq!(run.incident(2, 1, "a warning resolved"), "");
    assert_eq!((run.due(), run.outbox.incidents.len()), (None, 0));
}

#[test]
fn holds_no_more_than_its_limit_and_says_what_it_gave_up() {
    let mut outbox = Outbox::new(JOURNAL, "hook", EndpointRules::default());
    outbox.resume_at = Some(at(1_000));
    let mut given_up = 0;
    for seq in 1..=(WAITING_LIMIT as u64 + 5) {
        given_up += outbox.step(Input::Incident(&record(seq, 0, &format!("i{seq}")), None), at(0)).given_up.len();
    }
    assert_eq!((outbox.waiting(), given_up), (WAITING_LIMIT, 5));
}

/// A linear congruential generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a receiver heard: keys with how often, and occasions of each incident in order of first hearing.
#[derive(Default)]
struct Heard {
    keys: BTreeMap<String, u32>,
    stories: BTreeMap<String, Vec<Occasion>>,
}

/// A run in which anything fails at any moment and the process is killed now and then; gives what was heard and what was to be heard.
fn simulate(seed: u64) -> (Heard, BTreeMap<String, bool>) {
    let mut dice = Dice(seed);
    let mut journal: BTreeMap<(String, Seq), Arc<IncidentRecord>> = BTreeMap::new();
    let mut truth: BTreeMap<String, bool> = BTreeMap::new();
    let mut heard = Heard::default();
    let rules = EndpointRules { batch: 1 + usize::try_from(seed % 3).unwrap_or(0), ..EndpointRules::default() };
    let mut outbox = Outbox::new(JOURNAL, "hook", rules.clone());
    let (mut kept, mut folded) = (outbox.keep(), Seq(0));
    let mut on_the_way: Vec<Parcel> = Vec::new();
    let mut second = 0;
    for turn in 0..600_u64 {
        second += i64::try_from(dice.roll(30)).unwrap_or(0);
        let mut steps = Vec::new();
        match dice.roll(10) {
            0..=2 if turn < 300 => {
                let id = format!("i{}", dice.roll(8));
                let is_open = !truth.get(&id).copied().unwrap_or(false);
                let words = if is_open { format!("{id} critical open {turn}") } else { format!("{id} critical resolved {turn}") };
                truth.insert(id.clone(), is_open);
                let record = record(turn + 1, second, &words);
                journal.insert((id, Seq(turn + 1)), Arc::clone(&record));
                steps.push(outbox.step(Input::Incident(&record, None), at(second)));
            }
            3..=6 if !on_the_way.is_empty() => {
                let parcel = on_the_way.swap_remove(usize::try_from(dice.roll(on_the_way.len() as u64)).unwrap_or(0));
                let outcome = match dice.roll(if turn < 400 { 5 } else { 1 }) {
                    0 | 1 => Outcome::Delivered,
                    2 => Outcome::Busy(SignedDuration::from_secs(5)),
                    _ => Outcome::Failed,
                };
                // A request that fails may have arrived all the same.
                if outcome == Outcome::Delivered || dice.roll(2) == 0 {
                    for notice in &parcel.notices {
                        let times = heard.keys.entry(notice.key.clone()).or_default();
                        *times += 1;
                        if *times == 1 {
                            heard.stories.entry(notice.incident.id.clone()).or_default().push(notice.occasion);
                        }
                    }
                }
                steps.push(outbox.step(Input::Outcome(parcel.id, outcome), at(second)));
            }
            7 if turn < 400 => {
                // Killed: what was on its way is unknown, what was not kept is folded again.
                let (restored, lost) = Outbox::restore(JOURNAL, "hook", rules.clone(), &kept, &journal).expect("it reads");
                assert_eq!(lost, 0);
                outbox = restored;
                on_the_way.clear();
                let again: Vec<Arc<IncidentRecord>> = journal.values().filter(|record| record.seq > folded).cloned().collect();
                let mut again = again;
                again.sort_by_key(|record| record.seq);
                steps.extend(again.iter().map(|record| outbox.step(Input::Incident(record, None), at(second))));
            }
            8 => {
                kept = outbox.keep();
                folded = journal.values().map(|record| record.seq).max().unwrap_or_default();
            }
            _ => steps.push(outbox.step(Input::Time, at(second))),
        }
        for step in steps {
            assert_eq!(step.given_up, []);
            on_the_way.extend(step.send);
        }
    }
    // Everything works in the end.
    while outbox.waiting() > 0 {
        second += 60;
        let step = match on_the_way.pop() {
            Some(parcel) => {
                for notice in &parcel.notices {
                    if heard.keys.insert(notice.key.clone(), 1).is_none() {
                        heard.stories.entry(notice.incident.id.clone()).or_default().push(notice.occasion);
                    }
                }
                outbox.step(Input::Outcome(parcel.id, Outcome::Delivered), at(second))
            }
            None => outbox.step(Input::Time, at(second)),
        };
        on_the_way.extend(step.send);
    }
    (heard, truth)
}

#[test]
fn whatever_fails_every_incident_is_told_and_the_last_word_is_the_last_that_happened() {
    let mut heard_twice = BTreeSet::new();
    for seed in 0..200 {
        let (heard, truth) = simulate(seed);
        for (id, is_open) in &truth {
            let story = heard.stories.get(id).unwrap_or_else(|| panic!("seed {seed}: nobody heard of {id}"));
            let last = story.last().copied();
            assert_eq!(last != Some(Occasion::Resolved), *is_open, "seed {seed}: {id} ends with {story:?}");
        }
        heard_twice.extend(heard.keys.values().filter(|times| **times > 1).map(|_| seed));
    }
    assert!(!heard_twice.is_empty(), "no run had anything arrive twice, so the keys were not tried");
}

#[test]
fn the_same_inputs_give_the_same_requests() {
    for seed in 0..5 {
        let (first, second) = (simulate(seed).0, simulate(seed).0);
        assert_eq!((first.keys, first.stories), (second.keys, second.stories));
    }
}
