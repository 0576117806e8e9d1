//! What the journal knows of: clusters, resource types, objects.
//!
//! Read from the interned words of the days; records are looked at only where those leave an order open.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use proreus_model::{ApiVersion, ClusterId, Group, Kind, Order, Resource, ResourceType};

use super::day::Kind as FileKind;
use super::fault::OrFail;
use super::names::Class;
use super::objects;
use super::published::Published;
use super::rows::Content;
use super::view::View;
use crate::journal::{Place, StoreError};

/// Length of a UTC day.
const SECONDS_OF_A_DAY: u64 = 86_400;

/// The clusters of which anything is kept, by their oldest record.
pub(super) fn clusters(published: &Published) -> Result<Vec<ClusterId>, StoreError> {
    let mut found: Vec<ClusterId> = Vec::new();
    for day in published.days.iter() {
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let here: BTreeSet<ClusterId> = view.names.classes().map(|(_, class)| class.of.cluster.clone()).collect();
        let fresh: BTreeSet<ClusterId> = here.into_iter().filter(|cluster| !found.contains(cluster)).collect();
        if fresh.len() < 2 {
            found.extend(fresh);
            continue;
        }
        let mut first: BTreeMap<ClusterId, u64> = BTreeMap::new();
        let names = std::sync::Arc::clone(&view.names);
        view.scan((1, i64::MAX), Order::Ascending, &mut |key, entry| {
            if let Content::Change(facts) = &entry.content
                && let Some(class) = names.class(facts.class)
                && fresh.contains(&class.of.cluster)
            {
                let seq = facts.base_seq.unwrap_or_else(|| day.seq(key));
                let known = first.entry(class.of.cluster.clone()).or_insert(seq);
                *known = (*known).min(seq);
            }
            // Bases are in no order; after them everything is.
            if first.len() == fresh.len() && key >= day.room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let mut first: Vec<(u64, ClusterId)> = first.into_iter().map(|(cluster, seq)| (seq, cluster)).collect();
        first.sort();
        found.extend(first.into_iter().map(|(_, cluster)| cluster));
    }
    Ok(found)
}

/// A resource type whatever its version and cluster.
type TypeKey = (Group, Kind, Resource);

/// The resource types of which anything is kept, each with the version seen last.
pub(super) fn types(published: &Published) -> Result<Vec<ResourceType>, StoreError> {
    let mut types: BTreeMap<TypeKey, (ApiVersion, bool)> = BTreeMap::new();
    for day in published.days.iter() {
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let mut here: BTreeMap<TypeKey, BTreeSet<(ApiVersion, bool)>> = BTreeMap::new();
        for (_, class) in view.names.classes() {
            let of = &class.of;
            let key = (of.group.clone(), of.kind.clone(), of.resource.clone());
            here.entry(key).or_default().insert((of.version.clone(), !class.namespace.is_empty()));
        }
        let mut open: BTreeSet<TypeKey> = here.iter().filter(|(_, seen)| seen.len() > 1).map(|(key, _)| key.clone()).collect();
        for (key, seen) in here {
            types.extend(seen.into_iter().next().map(|seen| (key, seen)));
        }
        if open.is_empty() {
            continue;
        }
        let names = std::sync::Arc::clone(&view.names);
        view.scan((1, i64::MAX), Order::Descending, &mut |_, entry| {
            if let Content::Change(facts) = &entry.content
                && let Some(class) = names.class(facts.class)
            {
                let of = &class.of;
                let key = (of.group.clone(), of.kind.clone(), of.resource.clone());
                if open.remove(&key) {
                    types.insert(key, (of.version.clone(), !class.namespace.is_empty()));
                }
            }
            if open.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    let types = types.into_iter();
    Ok(types.map(|((group, kind, resource), (version, namespaced))| ResourceType { group, version, kind, resource, namespaced }).collect())
}

/// Where anything is kept: the classes of the days, which are a type in a namespace each.
pub(super) fn places(published: &Published) -> Result<BTreeSet<Place>, StoreError> {
    let mut places = BTreeSet::new();
    for day in published.days.iter() {
        let connection = day.borrow()?;
        let names = day.names(&connection, true)?;
        places.extend(names.classes().map(|(_, Class { of, namespace })| Place {
            cluster: of.cluster.clone(),
            group: of.group.clone(),
            resource: of.resource.clone(),
            namespace: namespace.clone(),
        }));
    }
    Ok(places)
}

/// New places come with the newest day only: its date and how many classes it has.
pub(super) fn places_generation(published: &Published) -> Result<u64, StoreError> {
    let Some(day) = published.days.last() else { return Ok(0) };
    let connection = day.borrow()?;
    let classes = day.names(&connection, true)?.classes().count() as u64;
    let date = u64::try_from(day.start.as_second()).unwrap_or_default() / SECONDS_OF_A_DAY;
    // A day file holds far fewer classes than four thousand million.
    Ok((date << u32::BITS) | classes)
}

/// How many objects have a change in one of the days. What only stands in a base has none.
pub(super) fn changed_objects(published: &Published) -> Result<u64, StoreError> {
    // 64 bits of each identity: among ten million objects two share them once in four hundred thousand journals.
    let hasher = RandomState::new();
    let mut seen: HashSet<u64> = HashSet::new();
    for day in published.days.iter() {
        let Some(last) = day.span().map(|span| span.last_seq.min(published.watermark)) else { continue };
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let range = (day.room, day.key(last));
        let ids = match day.kind {
            FileKind::Rows => objects::ids_of_rows(&connection, range),
            FileKind::Solid => objects::ids(&connection),
        };
        for id in ids.or_fail(&day.place, "failed to count objects")? {
            if day.kind == FileKind::Solid && view.positions(id, range, Order::Ascending, 1)?.is_empty() {
                continue;
            }
            let identity = objects::get(&connection, id).or_fail(&day.place, "failed to count objects")?;
            seen.extend(identity.and_then(|row| row.identity(&view.names)).map(|identity| hasher.hash_one(&identity)));
        }
    }
    Ok(seen.len() as u64)
}
