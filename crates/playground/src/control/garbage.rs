//! The garbage collector: dependents follow their owners, first or after them, or are set free.

use serde_json::Value;

use super::{Place, Step};
use crate::remove::{DeleteOptions, FOREGROUND, ORPHAN, Propagation};
use crate::store::key_of;
use crate::tree;

/// Looks at everything that names one owner.
pub(super) fn step(step: &mut Step<'_>, uid: &str) {
    let dependents: Vec<_> = step.dependents.get(uid).into_iter().flatten().cloned().collect();
    let owner = find_owner(step, uid, &dependents);
    let Some((group, plural, key, terminating, finalizers)) = owner else {
        for (table, dependent) in dependents {
            collect(step, &table, &dependent, uid);
        }
        return;
    };
    if !terminating {
        return;
    }
    if finalizers.iter().any(|finalizer| finalizer == ORPHAN) {
        for (table, dependent) in dependents {
            edit_owners(step, &table, &dependent, |owners| owners.retain(|owner| tree::text(owner, "/uid") != uid));
        }
        drop_finalizer(step, &group, &plural, &key, ORPHAN);
    } else if finalizers.iter().any(|finalizer| finalizer == FOREGROUND) {
        let mut blocked = false;
        for (table, dependent) in &dependents {
            let Some(object) = step.cluster.store.get(table, dependent).cloned() else { continue };
            let own = tree::items(object.value(), "/metadata/ownerReferences").iter().find(|owner| tree::text(owner, "/uid") == uid);
            let blocks = own.is_some_and(|owner| tree::flag(owner, "/blockOwnerDeletion"));
            if !object.is_terminating() {
                let (group, plural) = names(table);
                let options = DeleteOptions { propagation: Propagation::Foreground, ..DeleteOptions::default() };
                step.delete(group, plural, dependent, &options);
            }
            blocked |= blocks && step.cluster.store.get(table, dependent).is_some();
        }
        if !blocked {
            drop_finalizer(step, &group, &plural, &key, FOREGROUND);
        }
    }
}

fn names(table: &str) -> (&str, &str) {
    table.split_once('/').unwrap_or(("", table))
}

type Owner = (String, String, String, bool, Vec<Value>);

/// The owner with a uid, by what its dependents (or, without any, the tables) say.
fn find_owner(step: &Step<'_>, uid: &str, dependents: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> Option<Owner> {
    let describe = |group: &str, plural: &str, object: &crate::store::Object| {
        let finalizers = tree::items(object.value(), "/metadata/finalizers").to_vec();
        (group.to_owned(), plural.to_owned(), key_of(object.namespace(), object.name()), object.is_terminating(), finalizers)
    };
    for (table, key) in dependents {
        let Some(dependent) = step.cluster.store.get(table, key) else { continue };
        let owners = tree::items(dependent.value(), "/metadata/ownerReferences").iter();
        let Some(owner) = owners.into_iter().find(|owner| tree::text(owner, "/uid") == uid) else { continue };
        let api_version = tree::text(owner, "/apiVersion");
        let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
        let def = step.cluster.registry.by_kind(group, tree::text(owner, "/kind"))?;
        let name = tree::text(owner, "/name");
        let candidates = [key_of(dependent.namespace(), name), name.to_owned()];
        let found = candidates.iter().find_map(|key| step.cluster.store.get(&def.table, key)).filter(|object| object.uid() == uid);
        return found.map(|object| describe(&def.group, &def.plural, object));
    }
    // No dependents: only a finalizer of ours on the object itself still asks for work.
    let entry = step.cluster.store.everything().find(|(_, object)| object.uid() == uid)?;
    let (group, plural) = names(entry.0);
    Some(describe(group, plural, entry.1))
}

/// Deletes a dependent whose owner is gone, unless another owner is still there.
fn collect(step: &mut Step<'_>, table: &str, key: &str, uid: &str) {
    let Some(object) = step.cluster.store.get(table, key).cloned() else { return };
    let owners = tree::items(object.value(), "/metadata/ownerReferences");
    let others_live = owners.iter().filter(|owner| tree::text(owner, "/uid") != uid).any(|owner| {
        let api_version = tree::text(owner, "/apiVersion");
        let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
        let def = step.cluster.registry.by_kind(group, tree::text(owner, "/kind"));
        let key = |namespace: &str| key_of(namespace, tree::text(owner, "/name"));
        def.and_then(|def| [key(object.namespace()), key("")].iter().find_map(|key| step.cluster.store.get(&def.table, key)))
            .is_some_and(|found| found.uid() == tree::text(owner, "/uid"))
    });
    if others_live {
        edit_owners(step, table, key, |owners| owners.retain(|owner| tree::text(owner, "/uid") != uid));
    } else if !object.is_terminating() {
        let (group, plural) = names(table);
        step.delete(group, plural, key, &DeleteOptions { uid: Some(object.uid().to_owned()), ..DeleteOptions::default() });
    }
}

/// Lets go of claims and volumes that are to go: nothing mounts them here, so nothing holds them.
pub(super) fn release_storage(step: &mut Step<'_>, table: &str) {
    let (group, plural) = names(table);
    let keys: Vec<String> = step
        .cluster
        .store
        .scan(table, "")
        .filter(|object| object.is_terminating())
        .map(|object| key_of(object.namespace(), object.name()))
        .collect();
    for key in keys {
        for finalizer in ["kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"] {
            drop_finalizer(step, group, plural, &key, finalizer);
        }
    }
}

fn edit_owners(step: &mut Step<'_>, table: &str, key: &str, edit: impl FnOnce(&mut Vec<Value>)) {
    let (group, plural) = names(table);
    step.change(Place { group, plural, key, subresource: "" }, "kube-controller-manager", |value| {
        let owners = tree::list_mut(value, &["metadata", "ownerReferences"]);
        edit(owners);
        if owners.is_empty() {
            tree::take(value, &["metadata", "ownerReferences"]);
        }
    });
}

fn drop_finalizer(step: &mut Step<'_>, group: &str, plural: &str, key: &str, name: &str) {
    step.change(Place { group, plural, key, subresource: "" }, "kube-controller-manager", |value| {
        let list = tree::list_mut(value, &["metadata", "finalizers"]);
        list.retain(|finalizer| finalizer != name);
        if list.is_empty() {
            tree::take(value, &["metadata", "finalizers"]);
        }
    });
}
