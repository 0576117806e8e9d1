//! What was expected against what came out: only the fields that are named are compared, every entry that came out must be expected.
//!
//! Pure. A list of expectations is complete: an entry that came out and matches none of them is a difference, and so is one that was
//! expected and did not come. Whoever wants less says `includes` or `excludes`.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::file::Section;
use crate::time;

/// Differences told of one section; the rest is counted.
const TOLD_LIMIT: usize = 50;

/// Says what differs, one line each; nothing when what came out is as expected.
pub fn differences(section: Section, expected: &Value, actual: &[Value], start: Timestamp) -> Vec<String> {
    let compare = Compare { section, start };
    let mut found = compare.whole(expected, actual);
    if found.len() > TOLD_LIMIT {
        let rest = found.len() - TOLD_LIMIT;
        found.truncate(TOLD_LIMIT);
        found.push(format!("{section}: {rest} further differences"));
    }
    found
}

struct Compare {
    section: Section,
    start: Timestamp,
}

impl Compare {
    fn whole(&self, expected: &Value, actual: &[Value]) -> Vec<String> {
        match expected {
            Value::Null => self.list(&[], actual),
            Value::Array(entries) => self.list(entries, actual),
            Value::Number(_) => self.count(expected, actual),
            Value::Object(map) => self.mapping(map, actual),
            Value::Bool(_) | Value::String(_) => {
                vec![format!(
                    "{}: `{expected}` is no expectation; write a list, a count, or a mapping with includes, excludes, count",
                    self.section
                )]
            }
        }
    }

    fn count(&self, expected: &Value, actual: &[Value]) -> Vec<String> {
        match expected.as_u64() == Some(actual.len() as u64) {
            true => Vec::new(),
            false => vec![format!("{}: expected {expected}, came out {}", self.section, actual.len())],
        }
    }

    fn mapping(&self, map: &Map<String, Value>, actual: &[Value]) -> Vec<String> {
        let mut found = Vec::new();
        for (key, value) in map {
            let entries = match value {
                Value::Array(list) => list.as_slice(),
                one => std::slice::from_ref(one),
            };
            match key.as_str() {
                "count" => found.extend(self.count(value, actual)),
                "includes" => found.extend(self.pair(entries, actual).0),
                "excludes" => {
                    for entry in entries {
                        let unwanted = actual.iter().filter(|came| self.entry("", entry, came).is_empty());
                        found.extend(unwanted.map(|came| format!("{}: should not be there: {}", self.section, brief(came))));
                    }
                }
                other => found.push(format!("{}: `{other}` is no expectation, allowed: includes, excludes, count", self.section)),
            }
        }
        found
    }

    fn list(&self, expected: &[Value], actual: &[Value]) -> Vec<String> {
        if self.section.is_ordered() {
            return self.sequence(expected, actual);
        }
        let (mut found, surplus) = self.pair(expected, actual);
        found.extend(
            surplus
                .into_iter()
                .filter_map(|index| actual.get(index))
                .map(|came| format!("{}: not expected: {}", self.section, brief(came))),
        );
        found
    }

    fn sequence(&self, expected: &[Value], actual: &[Value]) -> Vec<String> {
        let mut found = Vec::new();
        for (index, entry) in expected.iter().enumerate() {
            match actual.get(index) {
                Some(came) => found.extend(self.entry(&format!("{}[{index}]", self.section), entry, came)),
                None => found.push(format!("{}[{index}]: did not come: {}", self.section, brief(entry))),
            }
        }
        found.extend(actual.iter().skip(expected.len()).map(|came| format!("{}: not expected: {}", self.section, brief(came))));
        found
    }

    /// Gives each expected entry one that came out. Returns what is wrong with the expected ones, and which others came out.
    fn pair(&self, expected: &[Value], actual: &[Value]) -> (Vec<String>, Vec<usize>) {
        let fits: Vec<Vec<usize>> = expected
            .iter()
            .map(|entry| {
                (0..actual.len()).filter(|index| actual.get(*index).is_some_and(|came| self.entry("", entry, came).is_empty())).collect()
            })
            .collect();
        let mut taken: Vec<Option<usize>> = vec![None; actual.len()];
        for index in 0..expected.len() {
            let mut seen = vec![false; actual.len()];
            assign(index, &fits, &mut taken, &mut seen);
        }
        let mut surplus: Vec<usize> = (0..actual.len()).filter(|index| taken.get(*index) == Some(&None)).collect();
        let mut found = Vec::new();
        for (index, entry) in expected.iter().enumerate().filter(|(index, _)| !taken.contains(&Some(*index))) {
            // The likeliest is told field by field: nearly right is the usual way of being wrong.
            let nearest =
                surplus.iter().copied().min_by_key(|came| actual.get(*came).map_or(usize::MAX, |came| self.distance(entry, came)));
            match nearest.and_then(|came| Some((came, actual.get(came)?))) {
                Some((came, value)) if self.distance(entry, value) < fields_of(entry) => {
                    found.extend(self.entry(&format!("{}[{index}]", self.section), entry, value));
                    surplus.retain(|other| *other != came);
                }
                _ => found.push(format!("{}[{index}]: did not come: {}", self.section, brief(entry))),
            }
        }
        (found, surplus)
    }

    fn distance(&self, expected: &Value, actual: &Value) -> usize {
        self.entry("", expected, actual).len()
    }

    /// What differs between one expected entry and one that came out.
    fn entry(&self, path: &str, expected: &Value, actual: &Value) -> Vec<String> {
        let told = |what: String| vec![format!("{path}: {what}")];
        match (expected, actual) {
            (Value::Object(wanted), Value::String(text)) if wanted.keys().all(|key| key == "contains") && !wanted.is_empty() => {
                let pieces = wanted.values().flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
                let missing: Vec<&str> = pieces.filter_map(Value::as_str).filter(|piece| !text.contains(piece)).collect();
                if missing.is_empty() { Vec::new() } else { told(format!("expected to contain {missing:?}, came out {text:?}")) }
            }
            (Value::Object(wanted), Value::Object(came)) => wanted
                .iter()
                .flat_map(|(key, value)| {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.entry(&path, value, came.get(key).unwrap_or(&Value::Null))
                })
                .collect(),
            (Value::Array(wanted), Value::Array(came)) => {
                if wanted.len() != came.len() {
                    return told(format!("expected {} entries, came out {}: {}", wanted.len(), came.len(), actual));
                }
                let pairs = wanted.iter().zip(came).enumerate();
                pairs.flat_map(|(index, (wanted, came))| self.entry(&format!("{path}[{index}]"), wanted, came)).collect()
            }
            _ if self.is_same(expected, actual) => Vec::new(),
            (_, Value::Null) => told(format!("expected {expected}, nothing came out")),
            _ => told(format!("expected {expected}, came out {actual}")),
        }
    }

    fn is_same(&self, expected: &Value, actual: &Value) -> bool {
        match (expected, actual) {
            (Value::Number(wanted), Value::Number(came)) => wanted == came || wanted.as_f64() == came.as_f64(),
            (Value::String(wanted), Value::String(came)) if wanted != came => {
                let moment = |text: &str| time::signed_offset_of(text).and_then(|offset| self.start.checked_add(offset).ok());
                let wanted: Option<Timestamp> = moment(wanted).or_else(|| wanted.parse().ok());
                wanted.is_some() && wanted == came.parse().ok()
            }
            _ => expected == actual,
        }
    }
}

/// One augmenting path: gives `wanted` a place, moving others where that helps.
fn assign(wanted: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for place in fits.get(wanted).into_iter().flatten() {
        if seen.get_mut(*place).is_none_or(|seen| std::mem::replace(seen, true)) {
            continue;
        }
        let holder = taken.get(*place).copied().flatten();
        if holder.is_none_or(|holder| assign(holder, fits, taken, seen)) {
            if let Some(slot) = taken.get_mut(*place) {
                *slot = Some(wanted);
            }
            return true;
        }
    }
    false
}

fn fields_of(entry: &Value) -> usize {
    entry.as_object().map_or(1, Map::len)
}

/// An entry in one line, without what is long and seldom telling.
fn brief(entry: &Value) -> String {
    let Some(map) = entry.as_object() else { return entry.to_string() };
    const LONG: [&str; 6] = ["uid", "remediation", "evidence", "findings", "cluster", "cause"];
    let fields = map.iter().filter(|(key, _)| !LONG.contains(&key.as_str()));
    let fields: Vec<String> =
        fields.map(|(key, value)| format!("{key}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect();
    format!("{{{}}}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, actual: Value, told: &[&str]) {
        let actual = actual.as_array().expect("list").clone();
        assert_eq!(differences(Section::Findings, &expected, &actual, Timestamp::UNIX_EPOCH), told);
    }

    #[test]
    fn compares_only_the_fields_that_are_named_in_any_order() {
        check(
            json!([{"name": "b"}, {"name": "a", "severity": "warning"}]),
            json!([{"name": "a", "severity": "warning", "x": 1}, {"name": "b"}]),
            &[],
        );
    }

    #[test]
    fn an_empty_list_means_none() {
        check(json!([]), json!([{"name": "a", "uid": "u"}]), &["findings: not expected: {name: a}"]);
        check(json!(null), json!([]), &[]);
    }

    #[test]
    fn what_is_nearly_right_is_told_by_field() {
        check(
            json!([{"name": "a", "severity": "critical"}]),
            json!([{"name": "a", "severity": "warning"}]),
            &[r#"findings[0].severity: expected "critical", came out "warning""#],
        );
    }

    #[test]
    fn a_loose_expectation_does_not_take_what_a_strict_one_needs() {
        check(
            json!([{"kind": "Pod"}, {"kind": "Pod", "name": "a"}]),
            json!([{"kind": "Pod", "name": "a"}, {"kind": "Pod", "name": "b"}]),
            &[],
        );
    }

    #[test]
    fn texts_times_and_counts_may_be_said_loosely() {
        check(json!([{"message": {"contains": ["no such", "host"]}}]), json!([{"message": "lookup x: no such host"}]), &[]);
        check(json!([{"since": "+90s"}]), json!([{"since": "1970-01-01T00:01:30Z"}]), &[]);
        check(json!(2), json!([{}]), &["findings: expected 2, came out 1"]);
        check(json!({"includes": {"name": "a"}, "excludes": [{"name": "b"}]}), json!([{"name": "a"}, {"name": "c"}]), &[]);
    }
}
