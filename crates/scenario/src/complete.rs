//! What an API server and its controllers would have written into an object, and its author left out: uid, versions, times.
//!
//! Pure and deterministic. What the author did write is never changed, but for offsets in the place of times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::kinds::word;
use crate::time;

/// Fields whose text is a moment, by the end of their names.
const TIME_ENDINGS: [&str; 6] = ["Time", "Timestamp", "At", "notAfter", "notBefore", "renewTime"];

/// Writes moments in the place of offsets such as `+30s`, in every field that holds a time.
pub(crate) fn resolve_times(value: &mut Value, start: Timestamp) {
    match value {
        Value::Object(map) => {
            for (key, entry) in map {
                match entry {
                    Value::String(text) if TIME_ENDINGS.iter().any(|end| key.ends_with(end)) => {
                        if let Some(moment) = time::signed_offset_of(text).and_then(|offset| start.checked_add(offset).ok()) {
                            *text = time::text(moment);
                        }
                    }
                    entry => resolve_times(entry, start),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|entry| resolve_times(entry, start)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Times of conditions and of container states that the author left out: the moment at which they changed.
pub(crate) fn stamp(object: &mut Value, former: Option<&Value>, now: Timestamp) {
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
    let before = former.and_then(|former| former.get("status"));
    for (key, value) in status.iter_mut() {
        let Some(list) = value.as_array_mut() else { continue };
        let old = entries(before, key, if key.ends_with("onditions") { "type" } else { "name" });
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            if key.ends_with("onditions") {
                stamp_condition(entry, &old, now);
            } else if key.ends_with("ontainerStatuses") {
                stamp_container(entry, &old, now);
            }
        }
    }
}

fn entries<'a>(status: Option<&'a Value>, list: &str, key: &str) -> BTreeMap<&'a str, &'a Value> {
    let list = status.and_then(|status| status.get(list)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|entry| Some((entry.get(key)?.as_str()?, entry))).collect()
}

fn stamp_condition(entry: &mut Map<String, Value>, old: &BTreeMap<&str, &Value>, now: Timestamp) {
    let former = entry.get("type").and_then(Value::as_str).and_then(|of| old.get(of));
    // A patch of the status alone leaves the former time in place, which is not that of the new status.
    let is_left_over = former.is_some_and(|former| {
        former.get("status") != entry.get("status") && former.get("lastTransitionTime") == entry.get("lastTransitionTime")
    });
    if entry.contains_key("lastTransitionTime") && !is_left_over || !entry.contains_key("status") {
        return;
    }
    let kept = former.filter(|former| former.get("status") == entry.get("status")).and_then(|former| former.get("lastTransitionTime"));
    let moment = kept.cloned().unwrap_or_else(|| time::text(now).into());
    entry.insert("lastTransitionTime".to_owned(), moment);
}

fn stamp_container(entry: &mut Map<String, Value>, old: &BTreeMap<&str, &Value>, now: Timestamp) {
    let former = entry.get("name").and_then(Value::as_str).and_then(|name| old.get(name)).copied();
    // A patch leaves the times of the run before in place.
    let has_restarted = former.is_some_and(|former| former.get("restartCount") != entry.get("restartCount"));
    for (place, state, field) in
        [("state", "running", "startedAt"), ("state", "terminated", "finishedAt"), ("lastState", "terminated", "finishedAt")]
    {
        let path = format!("/{place}/{state}");
        let Some(state) = entry.get_mut(place).and_then(|of| of.get_mut(state)).and_then(Value::as_object_mut) else { continue };
        let is_left_over = has_restarted && former.and_then(|former| former.pointer(&path)?.get(field)) == state.get(field);
        if state.contains_key(field) && !is_left_over {
            continue;
        }
        state.remove(field);
        let mut same = state.clone();
        let kept = former.filter(|_| !has_restarted).and_then(|former| former.pointer(&path)).and_then(|former| {
            let moment = former.get(field)?.clone();
            same.insert(field.to_owned(), moment.clone());
            (former == &Value::Object(same)).then_some(moment)
        });
        state.insert(field.to_owned(), kept.unwrap_or_else(|| time::text(now).into()));
    }
}

/// The generation of an object: grows with its specification, and is never behind what the author says its controller has seen of it.
pub(crate) fn generation(object: &Value, former: Option<&Value>) -> Option<i64> {
    if let Some(given) = object.pointer("/metadata/generation").and_then(Value::as_i64)
        && former.and_then(|former| former.pointer("/metadata/generation")).and_then(Value::as_i64) != Some(given)
    {
        return Some(given);
    }
    object.get("spec")?;
    let observed = |of: &Value| of.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let seen = observed(object).unwrap_or(0);
    let Some(former) = former else { return Some(seen.max(1)) };
    let last = former.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
    let has_changed = former.get("spec") != object.get("spec");
    // Who writes a new specification together with what was seen of it means that it was seen.
    let is_said_anew = object.get("status") != former.get("status") && seen > 0;
    Some(if has_changed && !is_said_anew { (last + 1).max(seen) } else { last.max(seen) })
}

/// A uid in the usual form from what it must follow from.
pub(crate) fn uid(seed: u64, parts: &[&str]) -> String {
    let (high, low) = (hash(seed, parts), hash(seed ^ 0x5bd1_e995_9e37_79b9, parts));
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
}

/// FNV-1a over the parts with ends between them, stirred so that near names do not give near uids.
fn hash(seed: u64, parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The newest moment that an object names for itself.
pub(crate) fn event_time(object: &Value) -> Option<Timestamp> {
    ["/metadata/deletionTimestamp", "/metadata/creationTimestamp"].iter().find_map(|path| word(object, path).parse().ok())
}
