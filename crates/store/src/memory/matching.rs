//! Whether a record answers a filter. The definition; an engine may push it into its index, but must agree.
//!
//! Invariant: access is decided here too, so that no count, page or cursor ever saw what the caller may not read.

use proreus_model::{Access, AccessRule, Change, Filter, Mark, Record, WatchScope};

/// Whether `value` is one of the alternatives, or any value will do.
fn admits<T: PartialEq>(alternatives: &[T], value: &T) -> bool {
    alternatives.is_empty() || alternatives.contains(value)
}

/// The same for a value that may be absent: an absent value is none of the alternatives.
fn admits_optional<T: PartialEq>(alternatives: &[T], value: Option<&T>) -> bool {
    alternatives.is_empty() || value.is_some_and(|value| alternatives.contains(value))
}

/// Whether the record is asked for and may be read.
pub(super) fn matches_record(filter: &Filter, record: &Record) -> bool {
    match record {
        Record::Change(change) => filter.changes && matches_change(filter, change),
        Record::Mark(mark) => filter.marks && matches_mark(filter, mark),
    }
}

fn matches_change(filter: &Filter, change: &Change) -> bool {
    matches_object(filter, change)
        && admits(&filter.verbs, &change.verb)
        && admits(&filter.origins, &change.origin)
        && admits_optional(&filter.managers, change.manager.as_ref())
}

/// The part of the filter that speaks of the object and not of the change; `changes` and `marks` say nothing of objects.
pub(super) fn matches_object(filter: &Filter, change: &Change) -> bool {
    let object = &change.object;
    admits(&filter.clusters, &object.cluster)
        && admits(&filter.groups, &object.group)
        && admits(&filter.kinds, &object.kind)
        && admits(&filter.resources, &change.resource)
        && admits(&filter.namespaces, &object.namespace)
        && admits(&filter.names, &object.name)
        && admits(&filter.uids, &object.uid)
        && admits_optional(&filter.regarding, change.regarding.as_ref())
        && may_read_change(&filter.access, change)
}

fn matches_mark(filter: &Filter, mark: &Mark) -> bool {
    let asks_for_objects = !(filter.kinds.is_empty()
        && filter.namespaces.is_empty()
        && filter.names.is_empty()
        && filter.uids.is_empty()
        && filter.verbs.is_empty()
        && filter.origins.is_empty()
        && filter.managers.is_empty()
        && filter.regarding.is_empty());
    !asks_for_objects
        && admits(&filter.mark_kinds, &mark.kind)
        && admits(&filter.clusters, &mark.scope.cluster)
        && admits(&filter.groups, &mark.scope.group)
        && admits(&filter.resources, &mark.scope.resource)
        && may_read_mark(&filter.access, &mark.scope)
}

fn may_read_change(access: &Access, change: &Change) -> bool {
    let object = &change.object;
    let admitted = |rule: &AccessRule| {
        rule.cluster == object.cluster
            && rule.group == object.group
            && rule.resource == change.resource
            && rule.namespace.as_ref().is_none_or(|namespace| *namespace == object.namespace)
    };
    match access {
        Access::All => true,
        Access::Only(rules) => rules.iter().any(admitted),
    }
}

/// A mark may be read by whoever may read anything of its scope: it names no object, and who sees pods must see that they are stale.
fn may_read_mark(access: &Access, scope: &WatchScope) -> bool {
    let admitted = |rule: &AccessRule| {
        (scope.cluster.is_empty() || rule.cluster == scope.cluster)
            && (scope.resource.is_empty() || (rule.group == scope.group && rule.resource == scope.resource))
    };
    match access {
        Access::All => true,
        Access::Only(rules) => rules.iter().any(admitted),
    }
}
