//! What was true at a position: of one object, of all, and the heads that a fresh list is compared with.
//!
//! A day with a whole base answers alone; one whose base is still being written is completed by the days before it. Events stand in no
//! base. Invariant: the newest day that knows an object decides what is said of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::civil::Date;
use proreus_model::{Change, Filter, ObjectId, Seq, Verb, WatchScope};

use super::day::{Day, day_of};
use super::fault::OrFail;
use super::filter::Resolved;
use super::names::Class;
use super::objects::{self, ObjectRow};
use super::published::Published;
use super::rows::{Content, Entry};
use super::view::View;
use crate::codec::header::Facts;
use crate::journal::{BodyDetail, Head, ObjectsPage, StoreError};

/// States of positions that retention took cannot be told any more, but for the last of them: it is what the base holds.
pub(super) fn refuse_gone(published: &Published, at: Seq) -> Result<(), StoreError> {
    match published.oldest() {
        Some(oldest) if at.0.saturating_add(1) < oldest.seq.0 => Err(StoreError::Gone { asked: at.0, oldest }),
        _ => Ok(()),
    }
}

/// The last row of a day that a position sees.
fn last_row(published: &Published, day: &Day, at: Seq) -> i64 {
    day.key(at.0.min(published.watermark)).max(day.room - 1)
}

/// The object's last change at or before a position.
pub(super) fn state(published: &Published, object: &ObjectId, at: Seq, detail: BodyDetail) -> Result<Option<Change>, StoreError> {
    refuse_gone(published, at)?;
    let Some(newest) = published.day_index(at.0) else { return Ok(None) };
    let days = published.days.get(..=newest).unwrap_or_default();
    if object.uid.is_empty() {
        newest_incarnation(published, days, object, at, detail)
    } else {
        last_change(published, days, object, at, detail)
    }
}

fn last_change(
    published: &Published,
    days: &[Arc<Day>],
    object: &ObjectId,
    at: Seq,
    detail: BodyDetail,
) -> Result<Option<Change>, StoreError> {
    for day in days.iter().rev() {
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let mut last = None;
        for row in view.find(object)? {
            last = last.max(view.last_position(row.id, last_row(published, day, at))?);
        }
        if let Some(key) = last {
            return view.change_at(key, detail);
        }
    }
    Ok(None)
}

/// A living incarnation wins over a deleted one (a relist may write the old one's delete after the new one's create); among equals, the
/// one that changed last.
fn newest_incarnation(
    published: &Published,
    days: &[Arc<Day>],
    object: &ObjectId,
    at: Seq,
    detail: BodyDetail,
) -> Result<Option<Change>, StoreError> {
    let mut seen = HashSet::new();
    let mut best: Option<Change> = None;
    for day in days.iter().rev() {
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        for row in view.find(object)? {
            let Some(key) = view.last_position(row.id, last_row(published, day, at))? else { continue };
            if !seen.insert(row.uid.clone()) {
                continue;
            }
            let Some(change) = view.change_at(key, detail)? else { continue };
            let rank = |change: &Change| (change.verb != Verb::Delete, change.seq);
            if best.as_ref().is_none_or(|best| rank(best) < rank(&change)) {
                best = Some(change);
            }
        }
        if best.as_ref().is_some_and(|best| best.verb != Verb::Delete) {
            break;
        }
    }
    Ok(best)
}

/// The object's last change before the first record of a day.
pub(super) fn before_day(published: &Published, day: &Day, object: &ObjectId) -> Result<Option<Change>, StoreError> {
    let earlier = published.days.iter().position(|other| std::ptr::eq(other.as_ref(), day)).unwrap_or_default();
    let days = published.days.get(..earlier).unwrap_or_default();
    last_change(published, days, object, Seq(published.watermark), BodyDetail::Body)
}

/// The days that together know every living object at the last of them: back to the newest whole base.
fn answering(published: &Published, newest: usize) -> &[Arc<Day>] {
    let days = published.days.get(..=newest).unwrap_or_default();
    let from = days.iter().rposition(|day| day.has_whole_base()).unwrap_or_default();
    days.get(from..).unwrap_or_default()
}

/// Identity of a class, in the order of object ids.
type ClassKey = (String, String, String, String);

fn class_key(class: &Class) -> ClassKey {
    let of = &class.of;
    (of.cluster.to_string(), of.group.to_string(), of.kind.to_string(), class.namespace.to_string())
}

fn object_class_key(object: &ObjectId) -> ClassKey {
    (object.cluster.to_string(), object.group.to_string(), object.kind.to_string(), object.namespace.to_string())
}

/// Objects alive at a position.
pub(super) fn objects(
    published: &Published,
    at: Seq,
    filter: &Filter,
    after: Option<&ObjectId>,
    limit: usize,
    detail: BodyDetail,
) -> Result<ObjectsPage, StoreError> {
    refuse_gone(published, at)?;
    let Some(newest) = published.day_index(at.0) else { return Ok(ObjectsPage::default()) };
    let days = answering(published, newest);
    // States do not depend on what a reader wants of records.
    let filter = Filter { changes: true, ..filter.clone() };
    let connections = days.iter().map(|day| day.borrow()).collect::<Result<Vec<_>, _>>()?;
    let mut views = Vec::new();
    for (day, connection) in days.iter().zip(&connections) {
        views.push(View::new(day, connection)?);
    }
    let resolved = views.iter_mut().map(|view| Resolved::new(&filter, view)).collect::<Result<Vec<_>, _>>()?;
    let mut classes: BTreeSet<ClassKey> = BTreeSet::new();
    for (view, resolved) in views.iter().zip(&resolved) {
        classes.extend(resolved.possible_classes(&view.names).into_iter().map(|(_, class)| class_key(class)));
    }
    let from = after.map(object_class_key);
    let mut page = ObjectsPage::default();
    for class in classes.into_iter().filter(|class| from.as_ref().is_none_or(|from| class >= from)) {
        let rows = rows_of_class(&mut views, &resolved, &class, after)?;
        for candidates in rows.into_values() {
            let found = alive(published, &mut views, &resolved, &candidates, at, detail)?;
            let Some(change) = found else { continue };
            if page.objects.len() == limit.max(1) {
                page.more = true;
                return Ok(page);
            }
            page.objects.push(change);
        }
    }
    Ok(page)
}

/// Objects of a class in every view, by name and uid: which view, which row.
type Candidates = BTreeMap<(String, String), Vec<(usize, ObjectRow)>>;

fn rows_of_class(
    views: &mut [View<'_>],
    resolved: &[Resolved<'_>],
    class: &ClassKey,
    after: Option<&ObjectId>,
) -> Result<Candidates, StoreError> {
    let after = after.filter(|after| object_class_key(after) == *class);
    let newest = views.len().saturating_sub(1);
    let mut candidates = Candidates::new();
    for (index, (view, resolved)) in views.iter_mut().zip(resolved).enumerate() {
        let ids: Vec<(u32, bool)> =
            view.names.classes().filter(|(_, known)| class_key(known) == *class).map(|(id, known)| (id, known.is_event())).collect();
        for (id, is_event) in ids {
            // Events of days before are left out.
            if is_event && index != newest {
                continue;
            }
            let rows = objects::of_class(view.connection, id, is_event).or_fail(&view.day.place, "failed to list objects")?;
            for row in rows.into_iter().filter(|row| resolved.may_hold(row)) {
                let key = (row.name.to_string(), row.uid.to_string());
                if after.is_none_or(|after| (after.name.as_str(), after.uid.as_str()) < (key.0.as_str(), key.1.as_str())) {
                    candidates.entry(key).or_default().push((index, row));
                }
            }
        }
    }
    Ok(candidates)
}

/// The object's last change, when it is alive and matches.
fn alive(
    published: &Published,
    views: &mut [View<'_>],
    resolved: &[Resolved<'_>],
    candidates: &[(usize, ObjectRow)],
    at: Seq,
    detail: BodyDetail,
) -> Result<Option<Change>, StoreError> {
    for (index, row) in candidates.iter().rev() {
        let (Some(view), Some(resolved)) = (views.get_mut(*index), resolved.get(*index)) else { continue };
        let Some(key) = view.last_position(row.id, last_row(published, view.day, at))? else { continue };
        let Some(entry) = view.entry(key)? else { continue };
        let Content::Change(facts) = &entry.content else { continue };
        if facts.verb == Verb::Delete || !resolved.admits_state(view, &entry)? {
            return Ok(None);
        }
        return view.change(key, entry.object, facts, detail).map(Some);
    }
    Ok(None)
}

/// Whether a last change makes a head: alive, and for Events recorded today or yesterday, where today is the day of the last record.
fn is_head(published: &Published, change: &Change) -> bool {
    let is_event = change.object.kind.as_str() == "Event" && matches!(change.object.group.as_str(), "" | "events.k8s.io");
    change.verb != Verb::Delete && (!is_event || day_of(change.recorded_at) >= yesterday(published))
}

fn yesterday(published: &Published) -> Date {
    published.last_at.and_then(|last| day_of(last).yesterday().ok()).unwrap_or(Date::MIN)
}

/// The head of one object.
pub(super) fn head(published: &Published, object: &ObjectId) -> Result<Option<Head>, StoreError> {
    let last = state(published, object, Seq(published.watermark), BodyDetail::None)?;
    Ok(last.filter(|change| is_head(published, change)).map(|change| Head {
        object: change.object,
        resource_version: change.resource_version,
        seq: change.seq,
        recorded_at: change.recorded_at,
    }))
}

/// Heads of the living objects of a scope, in the order of object ids.
pub(super) fn heads(published: &Published, scope: &WatchScope) -> Result<Vec<Head>, StoreError> {
    let Some(newest) = published.day_index(published.watermark) else { return Ok(Vec::new()) };
    let whole = answering(published, newest).len();
    let yesterday = yesterday(published);
    let mut heads: BTreeMap<ObjectId, Option<Head>> = BTreeMap::new();
    for (back, day) in published.days.iter().take(newest + 1).rev().enumerate() {
        let for_events = day.date >= yesterday;
        if back >= whole && !for_events {
            break;
        }
        let connection = day.borrow()?;
        let mut view = View::new(day, &connection)?;
        let classes: Vec<(u32, bool)> =
            view.names.classes().filter(|(_, class)| may_be_in_scope(class, scope)).map(|(id, class)| (id, class.is_event())).collect();
        for (class, is_event) in classes {
            if if is_event { !for_events } else { back >= whole } {
                continue;
            }
            let rows = objects::of_class(view.connection, class, is_event).or_fail(&day.place, "failed to list objects")?;
            for row in rows {
                add_head(published, &mut view, &row, scope, &mut heads)?;
            }
        }
    }
    Ok(heads.into_values().flatten().collect())
}

/// Whether objects of the class can be in the scope; the resource is a matter of each change.
fn may_be_in_scope(class: &Class, scope: &WatchScope) -> bool {
    (scope.cluster.is_empty() || scope.cluster == class.of.cluster) && (scope.resource.is_empty() || scope.group == class.of.group)
}

fn add_head(
    published: &Published,
    view: &mut View<'_>,
    row: &ObjectRow,
    scope: &WatchScope,
    heads: &mut BTreeMap<ObjectId, Option<Head>>,
) -> Result<(), StoreError> {
    let Some(key) = view.last_position(row.id, last_row(published, view.day, Seq(published.watermark)))? else { return Ok(()) };
    let damaged = || view.day.place.damaged(format!("object {} names what is not there", row.id));
    let object = row.identity(&view.names).ok_or_else(damaged)?;
    if heads.contains_key(&object) {
        return Ok(());
    }
    let Some(Entry { content: Content::Change(facts), .. }) = view.entry(key)? else { return Ok(()) };
    let head = (facts.verb != Verb::Delete && has_resource(view, &facts, scope)).then(|| Head {
        object: object.clone(),
        resource_version: facts.resource_version.to_string().into(),
        seq: Seq(facts.base_seq.unwrap_or_else(|| view.day.seq(key))),
        recorded_at: facts.recorded_at,
    });
    heads.insert(object, head);
    Ok(())
}

fn has_resource(view: &View<'_>, facts: &Facts, scope: &WatchScope) -> bool {
    scope.resource.is_empty() || view.names.class(facts.class).is_some_and(|class| class.of.resource == scope.resource)
}
