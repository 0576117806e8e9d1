//! What the marks cover: gaps, lists, types that went.

use std::collections::{BTreeMap, HashMap, HashSet};

use proreus_model::{MarkKind, Origin};
use serde_json::Value;

use super::Case;
use super::recorded::{MarkSeen, Recorded};
use super::truth::Life;

/// Types that are not recorded unless they are named.
const EXCLUDED: [(&str, &str); 1] = [("coordination.k8s.io", "Lease")];

type Scope = (String, String);

/// A list that was completed.
#[derive(Clone, Copy, Debug)]
struct List {
    /// Nothing newer than this had been seen by the watch before.
    floor: u64,
    /// The list shows the state of this revision.
    revision: u64,
}

/// What the marks say, by scope (group, lower-case plural).
pub(super) struct Coverage<'r> {
    recorded: &'r Recorded,
    marks: HashMap<Scope, Vec<&'r MarkSeen>>,
    /// Of the whole cluster or journal.
    wide: Vec<&'r MarkSeen>,
    lists: HashMap<Scope, Vec<List>>,
    /// (group, kind) of custom types, with the plural and whether a definition lives.
    custom: BTreeMap<(String, String), (String, bool)>,
}

impl<'r> Coverage<'r> {
    pub(super) fn of(recorded: &'r Recorded, case: &Case<'_>) -> Self {
        let mut marks: HashMap<Scope, Vec<&MarkSeen>> = HashMap::new();
        let mut wide = Vec::new();
        for mark in &recorded.marks {
            if mark.resource.is_empty() {
                wide.push(mark);
            } else {
                marks.entry((mark.group.clone(), mark.resource.clone())).or_default().push(mark);
            }
        }
        let lists = lists(recorded, &marks);
        Self { recorded, marks, wide, lists, custom: custom_types(case) }
    }

    /// The scope in which objects of a kind are watched.
    pub(super) fn scope(&self, group: &str, kind: &str) -> Option<Scope> {
        let key = (group.to_owned(), kind.to_owned());
        let plural = self.recorded.resources.get(&key).or_else(|| self.custom.get(&key).map(|(plural, _)| plural));
        plural.map(|plural| (key.0.clone(), plural.clone()))
    }

    /// Whether a mark between two positions (the second may be the end, `u64::MAX`) says that something may be missing.
    pub(super) fn is_marked(&self, scope: Option<&Scope>, after: u64, before: u64) -> bool {
        let of_scope = scope.and_then(|scope| self.marks.get(scope)).into_iter().flatten();
        of_scope.chain(&self.wide).any(|mark| mark.kind == MarkKind::Gap && mark.seq > after && mark.seq < before)
    }

    /// Whether a life fell between two moments at which the watch knew everything, so that nobody could see it.
    pub(super) fn fell_into_a_gap(&self, scope: &Scope, life: &Life) -> bool {
        let end = life.last();
        end.deleted && self.lists.get(scope).into_iter().flatten().any(|list| life.born() > list.floor && end.revision <= list.revision)
    }

    /// Whether the type is not recorded.
    pub(super) fn is_excluded(life: &Life) -> bool {
        EXCLUDED.contains(&(life.group.as_str(), life.kind.as_str()))
    }

    /// Whether the type is a custom one whose definition is gone.
    pub(super) fn has_ended(&self, group: &str, kind: &str) -> bool {
        self.custom.get(&(group.to_owned(), kind.to_owned())).is_some_and(|(_, lives)| !lives)
    }

    /// Whether a list of the scope was ever completed.
    pub(super) fn was_listed(&self, scope: &Scope) -> bool {
        self.lists.contains_key(scope)
    }

    /// Whether one was completed before a position.
    pub(super) fn was_listed_before(&self, scope: &Scope, seq: u64) -> bool {
        self.marks.get(scope).into_iter().flatten().any(|mark| mark.listed.is_some() && mark.seq < seq)
    }

    /// Whether the last word about the scope is that it is not followed.
    pub(super) fn is_stopped(&self, scope: &Scope) -> bool {
        let said = self.marks.get(scope).into_iter().flatten().rfind(|mark| !matches!(mark.kind, MarkKind::Refused | MarkKind::Gap));
        said.is_some_and(|mark| mark.kind == MarkKind::Stopped)
    }
}

/// The completed lists of each scope.
fn lists(recorded: &Recorded, marks: &HashMap<Scope, Vec<&MarkSeen>>) -> HashMap<Scope, Vec<List>> {
    // What watches have told, in the order of the journal.
    let mut watched: HashMap<Scope, Vec<(u64, u64)>> = HashMap::new();
    for entries in recorded.objects.values() {
        let key = (entries.group.clone(), entries.kind.clone());
        let Some(plural) = recorded.resources.get(&key) else { continue };
        let told = entries.changes.iter().filter(|change| change.origin == Origin::Watch).map(|change| (change.seq, change.revision));
        watched.entry((key.0, plural.clone())).or_default().extend(told);
    }
    watched.values_mut().for_each(|told| told.sort_unstable());
    let mut found: HashMap<Scope, Vec<List>> = HashMap::new();
    for (scope, marks) in marks {
        let mut begun = 0;
        for mark in marks {
            match (mark.kind, mark.listed) {
                (MarkKind::WatchStarted | MarkKind::Gap, _) => begun = mark.seq,
                (MarkKind::Synced, Some(revision)) => {
                    let told = watched.get(scope).map_or(&[][..], Vec::as_slice);
                    let floor = told.iter().take_while(|(seq, _)| *seq < begun).map(|(_, revision)| *revision).max().unwrap_or(0);
                    found.entry(scope.clone()).or_default().push(List { floor, revision });
                }
                _ => {}
            }
        }
    }
    found
}

/// Custom types that were ever defined.
fn custom_types(case: &Case<'_>) -> BTreeMap<(String, String), (String, bool)> {
    let mut found: BTreeMap<(String, String), (String, bool)> = BTreeMap::new();
    let mut living = HashSet::new();
    for (index, life) in case.truth.lives().iter().enumerate().filter(|(_, life)| life.kind == "CustomResourceDefinition") {
        let Some(body) = case.truth.body(index, 0).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) else { continue };
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("/spec/group"), text("/spec/names/kind"));
        if !life.last().deleted {
            living.insert(key.clone());
        }
        found.insert(key, (text("/spec/names/plural"), false));
    }
    for (key, (_, lives)) in &mut found {
        *lives = living.contains(key);
    }
    found
}
