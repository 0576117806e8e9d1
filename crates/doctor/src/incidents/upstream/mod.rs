//! What changed before: the last changes of specification of what a workload hangs on.
//!
//! Pure and bounded. Here is what is remembered; `wanted` says which changes are, `about` how near each is to an incident, `trouble` what can
//! bring about what went wrong, and `references` what a specification refers to.

mod about;
mod references;
mod trouble;
mod wanted;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Change, FieldChange, ObjectId, Resource, Seq, Verb};
use proreus_observe::Observed;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

pub(super) use self::about::About;
use self::about::Nearness;
use self::wanted::is_bookkeeping;
use super::incident::Cause;

/// Changes remembered of one namespace; a rollout of a large chart makes some hundred.
const CHANGES_LIMIT: usize = 512;
/// Changes remembered in all; of more the oldest go first.
const ALL_CHANGES_LIMIT: usize = 10_000;
/// Fields of one change that are told.
const FIELDS_LIMIT: usize = 20;
/// Bytes of a field's former or new value that are told; the journal has the whole, at the change's position.
const VALUE_BYTES: usize = 1_024;
/// Bytes of all values of one change after which no further field is told: ten thousand changes of large fields must not fill the memory.
const CHANGE_BYTES: usize = 4_096;
/// A controller carries out a changed specification within seconds; what is told of below the owner by then is its doing.
const CARRIED_OUT_WITHIN: SignedDuration = SignedDuration::from_mins(1);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    object: ObjectId,
    resource: Resource,
    seq: Seq,
    at: Timestamp,
    verb: Verb,
    manager: Option<String>,
    changed: Vec<FieldChange>,
    /// What it was before that tells whom it concerned, where that does not show any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whom: Option<Value>,
}

/// What changed lately, by cluster and namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<VecDeque<Upstream>>")]
pub(super) struct UpstreamChanges {
    places: BTreeMap<(String, String), VecDeque<Upstream>>,
}

impl From<Vec<VecDeque<Upstream>>> for UpstreamChanges {
    fn from(places: Vec<VecDeque<Upstream>>) -> Self {
        let named = places.into_iter().filter_map(|changes| Some((changes.front().map(|change| place_of(&change.object))?, changes)));
        Self { places: named.collect() }
    }
}

impl Serialize for UpstreamChanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.places.values())
    }
}

fn place_of(object: &ObjectId) -> (String, String) {
    (object.cluster.to_string(), object.namespace.to_string())
}

impl UpstreamChanges {
    /// Remembers a change, if it is one that somebody wanted; `former` is the object as it was.
    pub(super) fn note(&mut self, change: &Change, former: Option<&Observed>) {
        let Some(fields) = wanted::wanted(change, former) else { return };
        let object = &change.object;
        let whom = former.and_then(|former| wanted::whom(change, former, &fields));
        let changed = told(fields);
        let place = self.places.entry(place_of(object)).or_default();
        place.push_back(Upstream {
            object: object.clone(),
            resource: change.resource.clone(),
            seq: change.seq,
            at: change.recorded_at,
            verb: change.verb,
            manager: change.manager.as_ref().map(ToString::to_string),
            changed,
            whom,
        });
        if place.len() > CHANGES_LIMIT {
            place.pop_front();
        }
        while self.places.values().map(VecDeque::len).sum::<usize>() > ALL_CHANGES_LIMIT {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.places.iter().min_by_key(|(_, changes)| changes.front().map(|change| change.seq));
        let Some(place) = oldest.map(|(place, _)| place.clone()) else { return };
        if let Some(changes) = self.places.get_mut(&place) {
            changes.pop_front();
            if changes.is_empty() {
                self.places.remove(&place);
            }
        }
    }

    /// The last change before `before` of something that the incident hangs on.
    pub(super) fn before(&self, about: &About<'_>, before: Timestamp, window: SignedDuration) -> Option<Cause> {
        let from = before.checked_sub(window).unwrap_or(Timestamp::MIN);
        let cluster = about.owner.cluster.as_str();
        let all = about.places().into_iter().filter_map(|place| self.places.get(&(cluster.to_owned(), place.to_owned()))).flatten();
        let within = all.filter(|change| change.at >= from && (change.at <= before || about.may_be_heard_late(change)));
        let ranked: Vec<(Nearness, &Upstream)> = within.filter_map(|change| Some((about.rank(change)?, change))).collect();
        // What stands nearer is the likelier cause; of equals, the newest.
        let best = ranked.iter().min_by_key(|(nearness, change)| (*nearness, Reverse(change.seq)))?;
        let cause = loaded(&ranked, *best).unwrap_or_else(|| origin(about, &ranked, *best));
        Some(cause.as_cause())
    }
}

/// What a restart loaded that came after the last change of the thing itself: that change had been rolled out before.
fn loaded<'a>(ranked: &[(Nearness, &'a Upstream)], (nearness, best): (Nearness, &'a Upstream)) -> Option<&'a Upstream> {
    let later = |of: Nearness| ranked.iter().filter(move |(is, change)| *is == of && change.seq > best.seq).map(|(_, change)| *change);
    let restarts = later(Nearness::Beside).filter(|change| change.changed.iter().any(is_bookkeeping));
    let restarted = restarts.map(|change| change.seq).max().filter(|_| nearness == Nearness::Own)?;
    later(Nearness::Referred).filter(|change| change.seq < restarted).max_by_key(|change| change.seq)
}

/// What a change follows from: its own, or that of an owner which a controller was quick to carry out.
fn origin<'a>(about: &About<'_>, ranked: &[(Nearness, &'a Upstream)], (nearness, best): (Nearness, &'a Upstream)) -> &'a Upstream {
    let Some(level) = about.level(&best.object) else { return best };
    let is_origin = |change: &Upstream| {
        let is_carried_out = change.seq < best.seq && best.at.duration_since(change.at) <= CARRIED_OUT_WITHIN;
        is_carried_out && about.level(&change.object).is_some_and(|above| above > level)
    };
    let above = ranked.iter().filter(|(of, change)| *of == nearness && is_origin(change)).map(|(_, change)| *change);
    above.max_by_key(|change| (about.level(&change.object), change.seq)).unwrap_or(best)
}

/// The fields of a change that are told: what pods are before what only makes them start anew.
fn told(mut fields: Vec<FieldChange>) -> Vec<FieldChange> {
    fields.sort_by_key(is_bookkeeping);
    let mut bytes = 0;
    let told = fields.into_iter().take(FIELDS_LIMIT).map(shortened).take_while(|field| {
        let is_room = bytes < CHANGE_BYTES;
        bytes += [&field.before, &field.after].into_iter().flatten().map(|value| value.to_string().len()).sum::<usize>();
        is_room
    });
    told.collect()
}

/// A change of a field with the beginning of what is long.
fn shortened(field: FieldChange) -> FieldChange {
    let cut = |value: Value| {
        let text = match &value {
            Value::Null | Value::Bool(_) | Value::Number(_) => return value,
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Object(_) => value.to_string(),
        };
        if text.len() <= VALUE_BYTES {
            return value;
        }
        Value::String(format!("{}…", text.get(..text.floor_char_boundary(VALUE_BYTES)).unwrap_or_default()))
    };
    FieldChange { before: field.before.map(cut), after: field.after.map(cut), ..field }
}

impl Upstream {
    fn as_cause(&self) -> Cause {
        let what = format!("{} `{}`", self.object.kind, self.object.name);
        let by = self.manager.as_ref().map(|manager| format!(" through {manager}")).unwrap_or_default();
        let summary = match (self.verb, self.changed.as_slice()) {
            (Verb::Create, _) => format!("{what} was created{by}"),
            (Verb::Delete, _) => format!("{what} was deleted{by}"),
            (Verb::Update, [one]) => format!("{what} was changed{by}: {}{}", one.path, values(one)),
            (Verb::Update, [first, rest @ ..]) => {
                format!("{what} was changed{by}: {}{} and {} more", first.path, values(first), rest.len())
            }
            (Verb::Update, []) => format!("{what} was changed{by}"),
        };
        Cause {
            seq: self.seq,
            at: self.at,
            group: self.object.group.clone(),
            resource: self.resource.clone(),
            kind: self.object.kind.to_string(),
            namespace: self.object.namespace.to_string(),
            name: self.object.name.to_string(),
            summary,
            changed: self.changed.clone(),
        }
    }
}

/// ` from a to b`, where both are short.
fn values(field: &FieldChange) -> String {
    const SHORT: usize = 60;
    let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_else(|| "nothing".to_owned());
    let (before, after) = (text(&field.before), text(&field.after));
    if before.len() > SHORT || after.len() > SHORT { String::new() } else { format!(" from {before} to {after}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn created(seq: u64, namespace: &str) -> Change {
        Change {
            seq: Seq(seq),
            recorded_at: Timestamp::from_second(seq as i64).expect("a time"),
            event_time: None,
            verb: Verb::Create,
            origin: proreus_model::Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: "c".into(),
                group: "".into(),
                kind: "ConfigMap".into(),
                namespace: namespace.into(),
                name: seq.to_string().into(),
                uid: seq.to_string().into(),
            },
            version: "v1".into(),
            resource: "configmaps".into(),
            resource_version: "1".into(),
            generation: None,
            manager: None,
            regarding: None,
            body: None,
        }
    }

    #[test]
    fn of_a_long_value_the_beginning_is_told() {
        let field = |after: Value| FieldChange { path: "data.a".into(), op: proreus_model::FieldOp::Add, before: None, after: Some(after) };
        let long = shortened(field(json!("é".repeat(VALUE_BYTES)))).after;
        assert_eq!(long, Some(json!(format!("{}…", "é".repeat(VALUE_BYTES / 2)))));
        let map = shortened(field(json!({ "a": "x".repeat(VALUE_BYTES) }))).after;
        assert!(
            map.and_then(|map| map.as_str().map(str::to_owned)).is_some_and(|text| text.starts_with("{\"a\":\"xxx") && text.ends_with('…'))
        );
        assert_eq!(shortened(field(json!({ "a": [1] }))).after, Some(json!({ "a": [1] })));
    }

    #[test]
    fn of_a_change_of_many_large_fields_some_are_told() {
        let field = |number: usize| FieldChange {
            path: format!("data.a{number}"),
            op: proreus_model::FieldOp::Add,
            before: None,
            after: Some(json!("x".repeat(VALUE_BYTES))),
        };
        assert_eq!(told((0..FIELDS_LIMIT).map(field).collect()).len(), CHANGE_BYTES / VALUE_BYTES);
        assert_eq!(told(vec![field(0)]).len(), 1);
    }

    #[test]
    fn what_an_older_version_kept_still_reads() {
        let mut changes = UpstreamChanges::default();
        changes.note(&created(1, "shop"), None);
        let kept = serde_json::to_value(&changes).expect("JSON");
        assert_eq!(kept.pointer("/0/0/whom"), None, "as it was kept before anybody asked whom a change concerned");
        let read: UpstreamChanges = serde_json::from_value(kept).expect("what was kept");
        assert_eq!(read, changes);
    }

    #[test]
    fn what_is_remembered_is_bounded_in_all() {
        let mut changes = UpstreamChanges::default();
        for number in 0..ALL_CHANGES_LIMIT as u64 + 50 {
            changes.note(&created(number, &format!("n{}", number % 100)), None);
        }
        assert_eq!(changes.places.values().map(VecDeque::len).sum::<usize>(), ALL_CHANGES_LIMIT);
        assert_eq!(changes.places.values().filter_map(|place| place.front()).map(|change| change.seq).min(), Some(Seq(50)));
    }
}
