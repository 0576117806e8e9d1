//! Marks of a scenario: what becomes true of the watching.
//!
//! Pure.

use jiff::Timestamp;
use proreus_model::{Mark, MarkKind, Record, WatchScope};
use serde_json::Value;

use super::Player;
use crate::file::{ScenarioError, check_keys, wrong};
use crate::kinds::scope_of;

impl Player {
    pub(super) fn marks(&mut self, value: &Value, at: Timestamp, place: &str) -> Result<(), ScenarioError> {
        let map = value.as_object().ok_or_else(|| wrong(place, "a mapping is needed, such as {stale: pods, reason: …}"))?;
        let kinds = [
            MarkKind::WatchStarted,
            MarkKind::Synced,
            MarkKind::Stale,
            MarkKind::Gap,
            MarkKind::Stopped,
            MarkKind::ConfigChanged,
            MarkKind::ClockStepped,
            MarkKind::Refused,
        ];
        let names = kinds.map(MarkKind::as_str);
        let by_name = |name: &str| kinds.into_iter().find(|kind| kind.as_str() == name);
        let reason = map.get("reason").and_then(Value::as_str).unwrap_or("the scenario says so").to_owned();
        let long = ["mark", "type", "state"].iter().find_map(|key| map.get(*key)?.as_str());
        let long = long.or_else(|| map.get("kind").and_then(Value::as_str).filter(|word| by_name(word).is_some()));
        if let Some(name) = long {
            let kind = by_name(name).ok_or_else(|| wrong(place, format!("`{name}` is no mark, allowed: {}", names.join(", "))))?;
            let of = ["resource", "of", "kind"].iter().find_map(|key| map.get(*key)?.as_str().filter(|word| by_name(word).is_none()));
            let (group, resource) = of.map(scope_of).unwrap_or_default();
            let group = map.get("group").and_then(Value::as_str).map_or(group, str::to_owned);
            self.mark(kind, scope(&group, &resource), reason, at);
            return Ok(());
        }
        let mut allowed = names.to_vec();
        allowed.extend(["reason", "mark", "resource", "group"]);
        check_keys(map, &allowed, place)?;
        let (kind, of) = kinds
            .into_iter()
            .find_map(|kind| Some((kind, map.get(kind.as_str())?)))
            .ok_or_else(|| wrong(place, format!("it names no mark, allowed: {}", names.join(", "))))?;
        match of {
            Value::String(of) if !matches!(of.as_str(), "" | "*" | "all") => {
                let (group, resource) = scope_of(of);
                self.mark(kind, scope(&group, &resource), reason, at);
            }
            Value::Array(list) => {
                for of in list.iter().filter_map(Value::as_str) {
                    let (group, resource) = scope_of(of);
                    self.mark(kind, scope(&group, &resource), reason.clone(), at);
                }
            }
            _ => self.mark(kind, scope("", ""), reason, at),
        }
        Ok(())
    }

    pub(super) fn mark(&mut self, kind: MarkKind, scope: WatchScope, reason: String, at: Timestamp) {
        let seq = self.next_seq();
        self.records.push(Record::Mark(Mark { seq, recorded_at: at, kind, scope, reason, detail: Value::Null }));
    }
}

fn scope(group: &str, resource: &str) -> WatchScope {
    WatchScope { cluster: Player::cluster(), group: group.into(), resource: resource.into() }
}
