//! A filter in the words of one file: classes, objects and managers by number, so that most records are judged by their header.
//!
//! Invariant: a record is returned exactly when the filter's definition (`memory::matching`) admits it; sets of objects only spare work.

use std::collections::HashSet;

use proreus_model::{Access, AccessRule, Filter, Mark, Uid, WatchScope};

use super::fault::OrFail;
use super::names::{Class, Names};
use super::objects::{self, ObjectRow};
use super::rows::{Content, Entry};
use super::view::{View, effective_regarding};
use crate::codec::header::Facts;
use crate::journal::StoreError;

/// Objects read one by one rather than by scanning everything: finding the place of each costs some microseconds.
const MOST_OBJECTS_APART: usize = 2_000;

/// A filter for one file.
pub(super) struct Resolved<'f> {
    filter: &'f Filter,
    /// Admitted classes by number.
    classes: Option<Vec<bool>>,
    managers: Option<HashSet<u32>>,
    /// Objects that may match, when names, uids or regarded objects are asked for, or when the classes hold few.
    pub(super) objects: Option<Vec<i64>>,
    /// Whether being one of `objects` is needed to match, not only helpful.
    only_objects: Option<HashSet<i64>>,
}

fn admits<T: PartialEq>(alternatives: &[T], value: &T) -> bool {
    alternatives.is_empty() || alternatives.contains(value)
}

/// Whether objects of the class can match.
fn admits_class(filter: &Filter, class: &Class) -> bool {
    admits(&filter.clusters, &class.of.cluster)
        && admits(&filter.groups, &class.of.group)
        && admits(&filter.kinds, &class.of.kind)
        && admits(&filter.resources, &class.of.resource)
        && admits(&filter.namespaces, &class.namespace)
        && match &filter.access {
            Access::All => true,
            Access::Only(rules) => rules.iter().any(|rule| {
                rule.cluster == class.of.cluster
                    && rule.group == class.of.group
                    && rule.resource == class.of.resource
                    && rule.namespace.as_ref().is_none_or(|namespace| *namespace == class.namespace)
            }),
        }
}

fn narrows_classes(filter: &Filter) -> bool {
    !(filter.clusters.is_empty()
        && filter.groups.is_empty()
        && filter.kinds.is_empty()
        && filter.resources.is_empty()
        && filter.namespaces.is_empty()
        && filter.access == Access::All)
}

/// Whether the filter asks for objects, so that no mark can match.
fn asks_for_objects(filter: &Filter) -> bool {
    !(filter.kinds.is_empty()
        && filter.namespaces.is_empty()
        && filter.names.is_empty()
        && filter.uids.is_empty()
        && filter.verbs.is_empty()
        && filter.origins.is_empty()
        && filter.managers.is_empty()
        && filter.regarding.is_empty())
}

/// Whether a mark matches.
pub(super) fn admits_mark(filter: &Filter, mark: &Mark) -> bool {
    filter.marks
        && !asks_for_objects(filter)
        && admits(&filter.mark_kinds, &mark.kind)
        && admits(&filter.clusters, &mark.scope.cluster)
        && admits(&filter.groups, &mark.scope.group)
        && admits(&filter.resources, &mark.scope.resource)
        && may_read_mark(&filter.access, &mark.scope)
}

/// Whoever may read anything of its scope may read a mark.
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

impl<'f> Resolved<'f> {
    /// Looks the filter's words up in a file.
    pub(super) fn new(filter: &'f Filter, view: &mut View<'_>) -> Result<Self, StoreError> {
        let names = std::sync::Arc::clone(&view.names);
        let classes: Option<Vec<bool>> =
            narrows_classes(filter).then(|| names.classes().map(|(_, class)| admits_class(filter, class)).collect());
        let managers = (!filter.managers.is_empty())
            .then(|| names.managers().filter(|(_, manager)| filter.managers.contains(manager)).map(|(id, _)| id).collect());
        let mut resolved = Self { filter, classes, managers, objects: None, only_objects: None };
        if filter.changes {
            resolved.find_objects(view)?;
        } else {
            resolved.objects = Some(Vec::new());
        }
        Ok(resolved)
    }

    fn find_objects(&mut self, view: &mut View<'_>) -> Result<(), StoreError> {
        let filter = self.filter;
        let step = "failed to find objects";
        let place = &view.day.place;
        let mut found: Vec<i64> = Vec::new();
        if !filter.uids.is_empty() {
            for uid in &filter.uids {
                let rows = objects::by_uid(view.connection, uid.as_str()).or_fail(place, step)?;
                found.extend(rows.iter().filter(|row| admits(&filter.names, &row.name)).map(|row| row.id));
            }
        } else if !filter.names.is_empty() {
            for (id, _) in self.possible_classes(&view.names) {
                for name in &filter.names {
                    let rows = objects::named(view.connection, &view.names, id, name.as_str()).or_fail(place, step)?;
                    found.extend(rows.iter().map(|row| row.id));
                }
            }
        } else if !filter.regarding.is_empty() {
            for uid in &filter.regarding {
                found.extend(objects::regarding(view.connection, uid.as_str()).or_fail(place, step)?);
            }
        } else {
            return self.find_few(view);
        }
        found.sort_unstable();
        found.dedup();
        self.only_objects = Some(found.iter().copied().collect());
        self.objects = Some(found);
        Ok(())
    }

    /// Lists the objects of the admitted classes when they are few and none is a kind of Event.
    fn find_few(&mut self, view: &mut View<'_>) -> Result<(), StoreError> {
        if self.classes.is_none() {
            return Ok(());
        }
        let admitted = self.possible_classes(&view.names);
        if admitted.iter().any(|(_, class)| class.is_event()) {
            return Ok(());
        }
        let mut found = Vec::new();
        for (id, _) in admitted {
            let few = objects::ids_of_class(view.connection, id, MOST_OBJECTS_APART + 1 - found.len());
            found.extend(few.or_fail(&view.day.place, "failed to find objects")?);
            if found.len() > MOST_OBJECTS_APART {
                return Ok(());
            }
        }
        found.sort_unstable();
        self.objects = Some(found);
        Ok(())
    }

    /// Admitted classes, and those that differ from one in version or resource only: an object's row names the first it was seen in.
    pub(super) fn possible_classes<'n>(&self, names: &'n Names) -> Vec<(u32, &'n Class)> {
        let identity = |class: &'n Class| (&class.of.cluster, &class.of.group, &class.of.kind, &class.namespace);
        let admitted: HashSet<_> =
            names.classes().filter(|(id, _)| self.admits_class_number(*id)).map(|(_, class)| identity(class)).collect();
        names.classes().filter(|(_, class)| admitted.contains(&identity(class))).collect()
    }

    fn admits_class_number(&self, class: u32) -> bool {
        let Some(classes) = &self.classes else { return true };
        let index = usize::try_from(class).ok().and_then(|class| class.checked_sub(1));
        index.and_then(|index| classes.get(index)).copied().unwrap_or(false)
    }

    /// Whether the object of a row may match, before any of its records is looked at.
    pub(super) fn may_hold(&self, row: &ObjectRow) -> bool {
        self.only_objects.as_ref().is_none_or(|objects| objects.contains(&row.id))
    }

    /// Whether marks can match.
    pub(super) fn wants_marks(&self) -> bool {
        self.filter.marks && !asks_for_objects(self.filter)
    }

    /// Objects to read one by one, when that is cheaper than a scan.
    pub(super) fn apart(&self) -> Option<&[i64]> {
        self.objects.as_deref().filter(|objects| objects.len() <= MOST_OBJECTS_APART)
    }

    /// Whether a record matches, as far as its header tells.
    pub(super) fn admits(&self, entry: &Entry) -> bool {
        match &entry.content {
            Content::Mark(mark) => admits_mark(self.filter, mark),
            Content::Change(facts) => {
                let filter = self.filter;
                filter.changes
                    && self.admits_class_number(facts.class)
                    && admits(&filter.verbs, &facts.verb)
                    && admits(&filter.origins, &facts.origin)
                    && self.admits_manager(facts)
                    && self.only_objects.as_ref().is_none_or(|objects| objects.contains(&entry.object))
            }
        }
    }

    fn admits_manager(&self, facts: &Facts) -> bool {
        self.managers.as_ref().is_none_or(|managers| facts.manager.is_some_and(|manager| managers.contains(&manager)))
    }

    /// What the header does not tell: what an Event regards.
    pub(super) fn admits_regarding(&self, view: &mut View<'_>, entry: &Entry) -> Result<bool, StoreError> {
        let Content::Change(facts) = &entry.content else { return Ok(true) };
        if self.filter.regarding.is_empty() {
            return Ok(true);
        }
        let object = view.object(entry.object)?;
        let regarding: Option<Uid> = effective_regarding(facts, &object);
        Ok(regarding.is_some_and(|uid| self.filter.regarding.contains(&uid)))
    }

    /// Whether the object may match: for states, where verbs, origins and managers say nothing.
    pub(super) fn admits_state(&self, view: &mut View<'_>, entry: &Entry) -> Result<bool, StoreError> {
        let Content::Change(facts) = &entry.content else { return Ok(false) };
        let listed = self.only_objects.as_ref().is_none_or(|objects| objects.contains(&entry.object));
        Ok(listed && self.admits_class_number(facts.class) && self.admits_regarding(view, entry)?)
    }
}
