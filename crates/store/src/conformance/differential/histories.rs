//! How random histories look: few names, so that they meet; verbs in any order, since a recorder may be wrong and a journal may not;
//! times that stand, step back, or jump over days.
//!
//! Invariant: the same choices give the same history; nothing here reads a clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{option, sample};
use proreus_model::{
    Access, AccessRule, Change, ClusterId, Filter, Gap, Mark, MarkKind, ObjectId, Order, Origin, Record, Seq, SeqRange, Uid, Verb,
    WatchScope,
};

use crate::{Batch, BodyDetail, Checkpoint, ConsumerCursor, ReadQuery};

/// Names of consumers in histories.
pub(super) const CONSUMERS: [&str; 2] = ["doctor", "policy"];

/// Steps in one history: enough for a few days with retention between, few enough to sweep after each turn.
const STEPS: std::ops::Range<usize> = 1..25;
/// Records in one batch.
const RECORDS: std::ops::Range<usize> = 0..9;
/// Questions asked at one moment.
const QUESTIONS: std::ops::Range<usize> = 1..12;
/// Positions that questions are about; histories rarely grow beyond.
const POSITIONS: std::ops::Range<u64> = 0..120;

/// One step of a history.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Played),
    Ask(Vec<Asked>),
    Reopen,
    Settle,
    /// Keep days for so long; `bytes` also forbids all but the open one.
    Retain {
        hours: i64,
        bytes: bool,
    },
}

/// An append, after a pause.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) pause: SignedDuration,
    records: Vec<(Drawn, SignedDuration)>,
    checkpoints: Vec<(usize, Option<u8>)>,
    cursors: Vec<(usize, u64)>,
}

/// A record before it has a time.
#[derive(Clone, Debug)]
enum Drawn {
    Change { object: usize, verb: Verb, origin: Origin, version: u8, size: usize, manager: Option<&'static str>, bodyless: bool },
    Mark { scope: usize, kind: MarkKind },
}

/// A question.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Read(ReadQuery),
    State(ObjectId, Seq),
    Objects { at: Seq, filter: Filter, after: Option<ObjectId>, limit: usize, detail: BodyDetail },
    Heads(WatchScope),
    SeqAt(Timestamp),
    Checkpoints(ClusterId),
}

/// An hour before midnight, so that the first pauses cross into the next day.
pub(super) fn beginning() -> Timestamp {
    // 2026-11-19T23:00:00Z.
    Timestamp::from_second(1_795_129_200).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Every object of every history, and one without a uid for each name.
pub(super) fn objects() -> Vec<ObjectId> {
    let mut objects = Vec::new();
    let kinds =
        [("Pod", "", true), ("Deployment", "apps", true), ("Event", "", true), ("Event", "events.k8s.io", true), ("Node", "", false)];
    for (kind, group, namespaced) in kinds {
        for (cluster, namespace) in [("c1", "web"), ("c1", "shop"), ("c2", "web")] {
            for uid in ["", "u1", "u2"] {
                objects.push(ObjectId {
                    cluster: cluster.into(),
                    group: group.into(),
                    kind: kind.into(),
                    namespace: if namespaced { namespace.into() } else { "".into() },
                    name: "a".into(),
                    uid: uid.into(),
                });
            }
        }
    }
    objects.sort();
    objects.dedup();
    objects
}

fn incarnations() -> Vec<ObjectId> {
    objects().into_iter().filter(|object| !object.uid.is_empty()).collect()
}

fn scopes() -> Vec<WatchScope> {
    [("", "", ""), ("c1", "", ""), ("c1", "", "pods"), ("c1", "apps", "deployments"), ("c2", "", "pods"), ("c1", "", "events")]
        .map(|(cluster, group, resource)| WatchScope { cluster: cluster.into(), group: group.into(), resource: resource.into() })
        .to_vec()
}

fn resource_of(object: &ObjectId) -> String {
    format!("{}s", object.kind.as_str().to_lowercase())
}

/// The question for every record with everything in it.
pub(super) fn whole() -> Asked {
    Asked::Read(ReadQuery {
        range: SeqRange { first: Seq(0), last: Seq(1 << 52) },
        filter: Filter { changes: true, marks: true, ..Filter::default() },
        after: None,
        order: Order::Ascending,
        limit: 10_000,
        detail: BodyDetail::BodyAndPrevious,
    })
}

/// Pages to follow after each turn of a history, one question each: every order, sizes that divide the whole and that do not.
pub(super) fn paged() -> Vec<ReadQuery> {
    let mut queries = Vec::new();
    for order in [Order::Ascending, Order::Descending] {
        for (limit, kinds) in [(1, vec!["Pod".into()]), (4, vec!["Event".into()]), (7, vec![])] {
            queries.push(ReadQuery {
                range: SeqRange { first: Seq(0), last: Seq(1 << 52) },
                filter: Filter { kinds, ..Filter::changes() },
                after: None,
                order,
                limit,
                detail: BodyDetail::Body,
            });
        }
    }
    queries
}

/// Questions that begin or continue just before, at and after a position.
pub(super) fn around(oldest: u64) -> Vec<ReadQuery> {
    let mut queries = Vec::new();
    for near in [1, oldest.saturating_sub(1), oldest, oldest + 1].map(Seq) {
        for (order, first, after) in
            [(Order::Ascending, near, None), (Order::Ascending, Seq(0), Some(near)), (Order::Descending, Seq(0), Some(near))]
        {
            let range = SeqRange { first, last: Seq(1 << 52) };
            queries.push(ReadQuery { range, filter: Filter::changes(), after, order, limit: 3, detail: BodyDetail::None });
        }
    }
    queries
}

impl Played {
    pub(super) fn batch(&self, now: Timestamp) -> Batch {
        let records = self.records.iter().map(|(drawn, offset)| drawn.record(now + *offset)).collect();
        let scopes = scopes();
        let checkpoint = |(scope, version): &(usize, Option<u8>)| {
            let scope = scopes.get(*scope)?.clone();
            Some(Checkpoint { scope, resource_version: version.map(|version| version.to_string().into()), at: now })
        };
        let cursor = |(consumer, seq): &(usize, u64)| {
            let consumer = (*CONSUMERS.get(*consumer)?).to_owned();
            Some(ConsumerCursor { consumer, seq: Seq(*seq), state: seq.to_le_bytes().to_vec() })
        };
        let checkpoints = self.checkpoints.iter().filter_map(checkpoint).collect();
        Batch { records, checkpoints, cursors: self.cursors.iter().filter_map(cursor).collect() }
    }
}

impl Drawn {
    fn record(&self, at: Timestamp) -> Record {
        match self {
            Self::Change { object, verb, origin, version, size, manager, bodyless } => {
                let incarnations = incarnations();
                let object = incarnations.get(object % incarnations.len()).cloned().unwrap_or_else(|| incarnations[0].clone());
                let text = format!(
                    r#"{{"kind":"{}","metadata":{{"uid":"{}"}},"v":{version},"z":"{}"}}"#,
                    object.kind,
                    object.uid,
                    "filler ".repeat(*size)
                );
                Record::Change(Change {
                    seq: Seq(0),
                    recorded_at: at,
                    event_time: version.is_multiple_of(3).then_some(at),
                    verb: *verb,
                    origin: *origin,
                    gap: (*origin == Origin::Gap).then_some(Gap { from: at - SignedDuration::from_secs(5), to: at }),
                    version: if version.is_multiple_of(2) { "v1" } else { "v1beta1" }.into(),
                    resource: resource_of(&object).into(),
                    resource_version: version.to_string().into(),
                    generation: version.is_multiple_of(4).then_some(i64::from(*version)),
                    manager: manager.map(Into::into),
                    regarding: (object.kind.as_str() == "Event").then(|| Uid::from(format!("of-{}", object.cluster))),
                    body: (*verb != Verb::Delete || !bodyless).then(|| Arc::from(text.into_bytes())),
                    object,
                })
            }
            Self::Mark { scope, kind } => Record::Mark(Mark {
                seq: Seq(0),
                recorded_at: at,
                kind: *kind,
                scope: scopes().get(*scope).cloned().unwrap_or_default(),
                reason: "by chance".to_owned(),
                detail: serde_json::json!({ "scope": scope }),
            }),
        }
    }
}

/// A whole history.
pub(super) fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => played().prop_map(Step::Append),
        8 => vec(asked(), QUESTIONS).prop_map(Step::Ask),
        1 => Just(Step::Reopen),
        1 => Just(Step::Settle),
        2 => (0..60_i64, proptest::bool::weighted(0.2)).prop_map(|(hours, bytes)| Step::Retain { hours, bytes }),
    ];
    vec(step, STEPS)
}

fn played() -> impl Strategy<Value = Played> {
    let pause = prop_oneof![
        6 => (0..5_000_i64).prop_map(SignedDuration::from_millis),
        1 => (-7_200..0_i64).prop_map(SignedDuration::from_secs),
        3 => (1..70_i64).prop_map(SignedDuration::from_hours),
    ];
    // Batches that reach over midnight by themselves, and records out of order in time.
    let offset = prop_oneof![8 => Just(0), 2 => -3_600_000_000_000..7_200_000_000_001_i64].prop_map(SignedDuration::from_nanos);
    let checkpoints = vec((0..scopes().len(), option::weighted(0.8, any::<u8>())), 0..3);
    let cursors = vec((0..CONSUMERS.len(), POSITIONS), 0..2);
    let records = vec((drawn(), offset), RECORDS);
    (pause, records, checkpoints, cursors).prop_map(|(pause, records, checkpoints, cursors)| Played {
        pause,
        records,
        checkpoints,
        cursors,
    })
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![2 => Just(Verb::Create), 5 => Just(Verb::Update), 2 => Just(Verb::Delete)]
}

fn origin() -> impl Strategy<Value = Origin> {
    sample::select(vec![Origin::Watch, Origin::Watch, Origin::Snapshot, Origin::Relist, Origin::Gap])
}

fn mark_kind() -> impl Strategy<Value = MarkKind> {
    sample::select(vec![MarkKind::Synced, MarkKind::Stale, MarkKind::Gap, MarkKind::Refused])
}

fn manager() -> impl Strategy<Value = Option<&'static str>> {
    sample::select(vec![None, Some("kubelet"), Some("")])
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let change = (0..incarnations().len(), verb(), origin(), any::<u8>(), 0..60_usize, manager(), any::<bool>()).prop_map(
        |(object, verb, origin, version, size, manager, bodyless)| Drawn::Change { object, verb, origin, version, size, manager, bodyless },
    );
    let mark = (0..scopes().len(), mark_kind()).prop_map(|(scope, kind)| Drawn::Mark { scope, kind });
    prop_oneof![8 => change, 1 => mark]
}

/// Mostly empty, else one or two of the values.
fn some_of<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![5 => Just(Vec::new()), 1 => vec(sample::select(values), 1..3)]
}

fn texts<T: for<'a> From<&'a str> + Clone + std::fmt::Debug + 'static>(values: &[&str]) -> impl Strategy<Value = Vec<T>> + use<T> {
    some_of(values.iter().map(|text| T::from(text)).collect())
}

fn access() -> impl Strategy<Value = Access> {
    let rule = (sample::select(incarnations()), any::<bool>()).prop_map(|(object, anywhere)| AccessRule {
        resource: resource_of(&object).into(),
        cluster: object.cluster,
        group: object.group,
        namespace: (!anywhere).then_some(object.namespace),
    });
    prop_oneof![3 => Just(Access::All), 1 => vec(rule, 0..4).prop_map(Access::Only)]
}

fn filter() -> impl Strategy<Value = Filter> {
    let place = (texts(&["c1", "c2", ""]), texts(&["", "apps"]), texts(&["Pod", "Event", "Node"]), texts(&["pods", "events", "nodes", ""]));
    let object = (texts(&["web", "shop", ""]), texts(&["a", "b"]), texts(&["u1", "u2"]), texts(&["of-c1", "of-c2"]));
    let change = (
        some_of(vec![Verb::Create, Verb::Update, Verb::Delete]),
        some_of(vec![Origin::Watch, Origin::Gap]),
        texts(&["kubelet", ""]),
        some_of(vec![MarkKind::Stale, MarkKind::Synced]),
    );
    let wanted = prop_oneof![4 => Just((true, true)), 3 => Just((true, false)), 1 => Just((false, true)), 1 => Just((false, false))];
    (place, object, change, wanted, access()).prop_map(|(place, object, change, wanted, access)| Filter {
        clusters: place.0,
        groups: place.1,
        kinds: place.2,
        resources: place.3,
        namespaces: object.0,
        names: object.1,
        uids: object.2,
        regarding: object.3,
        verbs: change.0,
        origins: change.1,
        managers: change.2,
        mark_kinds: change.3,
        changes: wanted.0,
        marks: wanted.1,
        access,
    })
}

fn detail() -> impl Strategy<Value = BodyDetail> {
    sample::select(vec![BodyDetail::None, BodyDetail::Body, BodyDetail::BodyAndPrevious])
}

fn asked() -> impl Strategy<Value = Asked> {
    let first = prop_oneof![3 => Just(0), 1 => POSITIONS];
    let last = prop_oneof![3 => Just(1 << 52), 1 => POSITIONS];
    let range = (first, last).prop_map(|(first, last)| SeqRange { first: Seq(first), last: Seq(last) });
    let order = sample::select(vec![Order::Ascending, Order::Descending]);
    let read = (range, filter(), option::of(POSITIONS.prop_map(Seq)), order, 1..20_usize, detail())
        .prop_map(|(range, filter, after, order, limit, detail)| Asked::Read(ReadQuery { range, filter, after, order, limit, detail }));
    let state = (sample::select(objects()), POSITIONS).prop_map(|(object, at)| Asked::State(object, Seq(at)));
    let listed = (POSITIONS, filter(), option::of(sample::select(objects())), 1..6_usize, detail())
        .prop_map(|(at, filter, after, limit, detail)| Asked::Objects { at: Seq(at), filter, after, limit, detail });
    let heads = sample::select(scopes()).prop_map(Asked::Heads);
    let seq_at = (-100..400_i64).prop_map(|hours| Asked::SeqAt(beginning() + SignedDuration::from_mins(hours * 20)));
    let checkpoints = sample::select(vec!["", "c1", "c2"]).prop_map(|cluster| Asked::Checkpoints(cluster.into()));
    prop_oneof![6 => read, 2 => state, 3 => listed, 1 => heads, 1 => seq_at, 1 => checkpoints]
}
