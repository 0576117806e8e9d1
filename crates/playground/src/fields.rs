//! Sets of fields, in the `fieldsV1` notation of managed fields, and which fields differ between two versions of an object.
//!
//! Pure. Who owns which set is `managed`'s business.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{ListKind, Schema, key_default};

/// A set of places in an object. Steps are written as in `fieldsV1`: `f:name`, `k:{"name":"web"}`, `v:"text"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    below: BTreeMap<String, Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    set: FieldSet,
}

impl FieldSet {
    /// True when nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    /// Adds one place.
    pub(crate) fn insert(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.below.entry(first.clone()).or_default();
        if rest.is_empty() { node.member = true } else { node.set.insert(rest) }
    }

    /// Takes one step and everything behind it out.
    pub(crate) fn remove_step(&mut self, step: &str) {
        self.below.remove(step);
    }

    /// Takes one step out as a member of its own; what is behind it stays.
    pub(crate) fn remove_member(&mut self, step: &str) {
        if let Some(node) = self.below.get_mut(step) {
            node.member = false;
            if node.set.is_empty() {
                self.below.remove(step);
            }
        }
    }

    /// Takes everything behind a path out, and what became empty on the way.
    pub(crate) fn remove_below(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.below.remove(*first);
        } else if let Some(node) = self.below.get_mut(*first) {
            node.set.remove_below(rest);
            if node.set.is_empty() && !node.member {
                self.below.remove(*first);
            }
        }
    }

    /// The set behind one step.
    pub(crate) fn step(&self, step: &str) -> Option<(&FieldSet, bool)> {
        self.below.get(step).map(|node| (&node.set, node.member))
    }

    /// What is in either.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        for (step, node) in &other.below {
            let mine = out.below.entry(step.clone()).or_default();
            mine.member |= node.member;
            mine.set = mine.set.union(&node.set);
        }
        out
    }

    /// What is here and not there.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.keep(other, false)
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.keep(other, true)
    }

    fn keep(&self, other: &Self, if_there: bool) -> Self {
        let nothing = Node::default();
        let mut out = Self::default();
        for (step, node) in &self.below {
            let theirs = other.below.get(step).unwrap_or(&nothing);
            let kept = Node { member: node.member && theirs.member == if_there, set: node.set.keep(&theirs.set, if_there) };
            if kept.member || !kept.set.is_empty() {
                out.below.insert(step.clone(), kept);
            }
        }
        out
    }

    /// Every place in the set, as steps.
    pub(crate) fn paths(&self) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
        for (step, node) in &self.below {
            path.push(step.clone());
            if node.member {
                out.push(path.clone());
            }
            node.set.collect(path, out);
            path.pop();
        }
    }

    /// The `fieldsV1` object.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (step, node) in &self.below {
            let mut inner = node.set.to_json();
            if node.member && !node.set.is_empty() {
                inner["."] = Value::Object(Map::new());
            }
            out.insert(step.clone(), inner);
        }
        Value::Object(out)
    }

    /// Reads a `fieldsV1` object; what has not its form is left out.
    pub(crate) fn from_json(value: &Value) -> Self {
        let mut out = Self::default();
        for (step, inner) in value.as_object().into_iter().flatten().filter(|(step, _)| *step != ".") {
            let set = Self::from_json(inner);
            let member = inner.get(".").is_some() || set.is_empty();
            out.below.insert(step.clone(), Node { member, set });
        }
        out
    }
}

/// A path as messages show it: `.spec.containers[name="web"].image`.
pub(crate) fn shown(path: &[String]) -> String {
    let mut out = String::new();
    for step in path {
        match step.split_at_checked(2) {
            Some(("f:", name)) => {
                out.push('.');
                out.push_str(name);
            }
            Some(("k:", key)) => {
                let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let parts: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                out.push_str(&format!("[{}]", parts.join(",")));
            }
            Some(("v:", value)) => out.push_str(&format!("[={value}]")),
            Some(_) | None => out.push_str(step),
        }
    }
    out
}

/// The step that names an item of a keyed list; `None` when a key field is missing.
pub(crate) fn key_step(item: &Value, keys: &[&str]) -> Option<String> {
    let mut key = Map::new();
    for name in keys {
        let value = item.get(*name).cloned().or_else(|| key_default(name))?;
        key.insert((*name).to_owned(), value);
    }
    Some(format!("k:{}", Value::Object(key)))
}

/// Which fields differ between two versions.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    /// Compares two versions of an object.
    pub(crate) fn of(before: &Value, after: &Value, schema: Schema<'_>) -> Self {
        let mut out = Self::default();
        out.walk(Some(before), Some(after), schema, &mut Vec::new());
        out
    }

    /// True when nothing differs.
    pub(crate) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    fn walk(&mut self, before: Option<&Value>, after: Option<&Value>, schema: Schema<'_>, path: &mut Vec<String>) {
        if before == after {
            return;
        }
        // A null takes whatever form the other side has.
        let descended = match (before, after) {
            (Some(Value::Object(_) | Value::Null) | None, Some(Value::Object(_) | Value::Null) | None) if !schema.is_whole() => {
                self.walk_maps(before, after, schema, path)
            }
            (Some(Value::Array(_) | Value::Null) | None, Some(Value::Array(_) | Value::Null) | None) => {
                self.walk_lists(before, after, schema, path)
            }
            _ => false,
        };
        if path.is_empty() {
            return;
        }
        match (before, after) {
            (None, Some(_)) => self.added.insert(path),
            (Some(_), None) => self.removed.insert(path),
            (Some(_), Some(_)) if !descended => self.modified.insert(path),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Returns false for two maps that are both empty or missing, which count as leaves.
    fn walk_maps(&mut self, before: Option<&Value>, after: Option<&Value>, schema: Schema<'_>, path: &mut Vec<String>) -> bool {
        let nothing = Map::new();
        let (old, new) = (before.and_then(Value::as_object).unwrap_or(&nothing), after.and_then(Value::as_object).unwrap_or(&nothing));
        for (name, value) in old {
            path.push(format!("f:{name}"));
            self.walk(Some(value), new.get(name), schema.field(name), path);
            path.pop();
        }
        for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            path.push(format!("f:{name}"));
            self.walk(None, Some(value), schema.field(name), path);
            path.pop();
        }
        !(old.is_empty() && new.is_empty())
    }

    fn walk_lists(&mut self, before: Option<&Value>, after: Option<&Value>, schema: Schema<'_>, path: &mut Vec<String>) -> bool {
        let kind = schema.list_kind();
        let (Some(old), Some(new)) = (indexed(before, &kind), indexed(after, &kind)) else { return false };
        for (step, value) in &old {
            path.push(step.clone());
            self.walk(Some(value), find(&new, step), schema.item(), path);
            path.pop();
        }
        for (step, value) in new.iter().filter(|(step, _)| find(&old, step).is_none()) {
            path.push(step.clone());
            self.walk(None, Some(value), schema.item(), path);
            path.pop();
        }
        true
    }
}

fn find<'a>(items: &[(String, &'a Value)], step: &str) -> Option<&'a Value> {
    items.iter().find(|(known, _)| known == step).map(|(_, value)| *value)
}

/// The items of a list by their steps; `None` for a list that is one leaf.
fn indexed<'a>(list: Option<&'a Value>, kind: &ListKind<'_>) -> Option<Vec<(String, &'a Value)>> {
    let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(items.iter().map(|item| (format!("v:{item}"), item)).collect()),
        ListKind::Keyed(keys) => items.iter().map(|item| key_step(item, keys).map(|step| (step, item))).collect(),
    }
}

/// Every field that a configuration states, as server-side apply owns them.
pub(crate) fn stated(value: &Value, schema: Schema<'_>) -> FieldSet {
    let mut out = FieldSet::default();
    state(value, schema, &mut Vec::new(), &mut out);
    out
}

fn state(value: &Value, schema: Schema<'_>, path: &mut Vec<String>, out: &mut FieldSet) {
    match value {
        Value::Object(map) if !map.is_empty() && !schema.is_whole() => {
            for (name, value) in map {
                path.push(format!("f:{name}"));
                state(value, schema.field(name), path, out);
                path.pop();
            }
        }
        Value::Array(_) => match indexed(Some(value), &schema.list_kind()) {
            Some(items) => {
                for (step, item) in items {
                    path.push(step);
                    out.insert(path);
                    state(item, schema.item(), path, out);
                    path.pop();
                }
            }
            None => out.insert(path),
        },
        _ => out.insert(path),
    }
}
