//! Questions about objects: one at a moment, all at a moment, the history of one, the difference between two versions.

use proreus_model::{
    Access, Change, ClusterId, Cursor, FieldChange, Filter, Group, Name, Namespace, ObjectId, Order, Record, Seq, SeqRange, Uid,
};
use proreus_observe::changed_fields;
use proreus_store::{BodyDetail, ReadQuery};
use serde_json::Value;

use super::range::check_limit;
use super::view::parse_body;
use super::{ChangeView, ChangesAnswer, ChangesQuestion, PAGE_BYTES_MAX, Questions, StateCursor};
use crate::kinds::{KindQuery, resolve_kind};
use crate::{AppError, Moment};

/// Most incarnations of one name whose history is told together: a same-name re-creation in a tight loop must not make the filter endless.
const MAX_INCARNATIONS: usize = 100;

/// Full objects read at once for a page of a state: enough to spare the engine repeated starts, few enough that large ones fit.
const FULL_PORTION: usize = 64;

/// An object as a person names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef {
    /// Cluster id or configured name; may be left out while the journal holds one cluster.
    pub cluster: Option<String>,
    /// API group, where it is known.
    pub group: Option<Group>,
    /// Kind, plural, singular or short name, in any case.
    pub kind: String,
    /// Namespace, `""` for the cluster scope; left out, any namespace will do while only one object answers.
    pub namespace: Option<Namespace>,
    /// Name.
    pub name: Name,
    /// One incarnation; left out, the newest known at the moment.
    pub uid: Option<Uid>,
}

/// One object at a moment.
#[derive(Clone, Debug)]
pub struct ObjectQuestion {
    /// Which.
    pub object: ObjectRef,
    /// When.
    pub at: Moment,
}

/// One object at a moment.
#[derive(Clone, Debug)]
pub struct ObjectAnswer {
    /// Its last change by then; a delete when it was gone.
    pub change: Change,
    /// The object; for one that was gone, its last known state.
    pub object: Value,
}

/// The history of one object.
#[derive(Clone, Debug)]
pub struct HistoryQuestion {
    /// Which; without a uid every incarnation is told.
    pub object: ObjectRef,
    /// Range, page and order; its filter is not used.
    pub page: ChangesQuestion,
    /// Whether the Events that speak of the object are told in between.
    pub events: bool,
}

/// All objects alive at a moment.
#[derive(Clone, Debug)]
pub struct StateQuestion {
    /// When.
    pub at: Moment,
    /// Which.
    pub filter: Filter,
    /// Continue after this object, at the same moment.
    pub after: Option<ObjectId>,
    /// Items of this page, 1 to `MAX_PAGE_LIMIT`.
    pub limit: usize,
    /// Whether the objects themselves are wanted.
    pub full: bool,
}

/// A page of objects.
#[derive(Clone, Debug)]
pub struct StateAnswer {
    /// The moment, as a position: pass it back to read further pages of the same moment.
    pub at: Cursor,
    /// Last change of each object by then, with the object when asked for.
    pub items: Vec<ChangeView>,
    /// Whether more match.
    pub more: bool,
}

impl StateAnswer {
    /// Where the next page of the same moment begins, when there is one.
    pub fn next(&self) -> Option<StateCursor> {
        let last = self.items.last().filter(|_| self.more)?;
        Some(StateCursor { at: self.at.clone(), after: last.change.object.clone() })
    }
}

/// The difference between two versions.
#[derive(Clone, Debug)]
pub struct DiffAnswer {
    /// The earlier change.
    pub from: Change,
    /// The later change.
    pub to: Change,
    /// Fields that differ.
    pub changed: Vec<FieldChange>,
}

impl Questions {
    /// The kinds a word stands for in this journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn kind(&self, word: &str) -> Result<KindQuery, AppError> {
        Ok(resolve_kind(word, &self.journal.types()?))
    }

    /// One object at a moment.
    ///
    /// # Errors
    /// `NotFound` when nothing by that name had been seen by then, or the caller may not read it.
    pub fn object(&self, question: &ObjectQuestion, access: &Access) -> Result<ObjectAnswer, AppError> {
        let at = self.seq_of(question.at)?;
        let found = self.identify(&question.object, at, access)?;
        let missing = || not_found(&question.object);
        let change = self.journal.state(&found, at)?.ok_or_else(missing)?;
        let object = match &change.body {
            Some(body) => parse_body(body),
            None => self.body_before(&change)?,
        };
        Ok(ObjectAnswer { change, object })
    }

    /// The history of one object, with its related Events when asked for, joined by uid.
    ///
    /// # Errors
    /// `NotFound` when nothing of it is kept, or the caller may not read it.
    pub fn history(&self, question: &HistoryQuestion, access: &Access) -> Result<ChangesAnswer, AppError> {
        let limit = check_limit(question.page.limit)?;
        let uids = self.incarnations(&question.object, access)?;
        let own = ChangesQuestion { filter: Filter { uids: uids.clone(), ..Filter::changes() }, limit, ..question.page.clone() };
        let own = self.changes(&own, access)?;
        if !question.events {
            return Ok(own);
        }
        let related = ChangesQuestion { filter: Filter { regarding: uids, ..Filter::changes() }, limit, ..question.page.clone() };
        let related = self.changes(&related, access)?;
        Ok(self.merge(own, related, question.page.order, limit))
    }

    fn merge(&self, own: ChangesAnswer, related: ChangesAnswer, order: Order, limit: usize) -> ChangesAnswer {
        let precedes = |left: Seq, right: Seq| if order == Order::Ascending { left <= right } else { left >= right };
        // A page that was cut says nothing of what lies beyond its end, so the merged one must not go there either.
        let ends = [&own, &related].into_iter().filter(|page| page.more).filter_map(|page| page.items.last());
        let ends: Vec<Seq> = ends.map(|last| last.change.seq).collect();
        let cursor = own.cursor;
        let mut more = own.more || related.more;
        let mut items: Vec<ChangeView> = own.items.into_iter().chain(related.items).collect();
        items.sort_by_key(|item| item.change.seq);
        if order == Order::Descending {
            items.reverse();
        }
        let within = items.iter().take_while(|item| ends.iter().all(|end| precedes(item.change.seq, *end)));
        let (mut kept, mut used) = (0, 0);
        for item in within.take(limit) {
            used += item.weight();
            if used > PAGE_BYTES_MAX && kept > 0 {
                break;
            }
            kept += 1;
        }
        more |= items.len() > kept;
        items.truncate(kept);
        let cursor = match items.last() {
            Some(last) if more => self.cursor_at(last.change.seq),
            _ => cursor,
        };
        ChangesAnswer { items, more, cursor }
    }

    /// A page of the objects alive at a moment.
    ///
    /// # Errors
    /// A limit out of range, or a journal that cannot be read.
    pub fn state(&self, question: &StateQuestion, access: &Access) -> Result<StateAnswer, AppError> {
        let limit = check_limit(question.limit)?;
        let at = self.seq_of(question.at)?;
        let filter = Filter { access: access.clone(), changes: true, ..question.filter.clone() };
        let detail = if question.full { BodyDetail::Body } else { BodyDetail::None };
        let portion = if question.full { FULL_PORTION } else { limit };
        let (mut items, mut used, mut after): (Vec<ChangeView>, usize, _) = (Vec::new(), 0, question.after.clone());
        loop {
            let wanted = portion.min(limit.saturating_sub(items.len()));
            let page = self.journal.objects(at, &filter, after.as_ref(), wanted, detail)?;
            for change in page.objects {
                let view = ChangeView::plain(change, question.full);
                used += view.weight();
                if used > PAGE_BYTES_MAX && !items.is_empty() {
                    return Ok(StateAnswer { at: self.cursor_at(at), items, more: true });
                }
                after = Some(view.change.object.clone());
                items.push(view);
            }
            if !page.more || items.len() >= limit || wanted == 0 {
                return Ok(StateAnswer { at: self.cursor_at(at), items, more: page.more });
            }
        }
    }

    /// The fields that differ between two recorded versions of one object.
    ///
    /// # Errors
    /// `NotFound` for a position that holds no readable change; `BadParameter` when the two are not of one object.
    pub fn diff(&self, from: Seq, to: Seq, access: &Access) -> Result<DiffAnswer, AppError> {
        let (from, before) = self.version(from, access)?;
        let (to, after) = self.version(to, access)?;
        let same = (&from.object.cluster, &from.object.group, &from.object.kind, &from.object.namespace, &from.object.name)
            == (&to.object.cluster, &to.object.group, &to.object.kind, &to.object.namespace, &to.object.name);
        if !same {
            return Err(AppError::BadParameter {
                name: "to",
                found: to.seq.to_string(),
                allowed: format!("give two positions of one object; {} is of {} {}", from.seq, from.object.kind, from.object.name),
            });
        }
        let changed = changed_fields(&before, &after);
        Ok(DiffAnswer { from, to, changed })
    }

    fn version(&self, seq: Seq, access: &Access) -> Result<(Change, Value), AppError> {
        let filter = Filter { access: access.clone(), ..Filter::changes() };
        let query = ReadQuery {
            range: SeqRange { first: seq, last: seq },
            filter,
            after: None,
            order: Order::Ascending,
            limit: 1,
            detail: BodyDetail::BodyAndPrevious,
        };
        let recorded = self.journal.read(&query)?.records.pop();
        let Some((Record::Change(mut change), previous)) = recorded.map(|recorded| (recorded.record, recorded.previous)) else {
            return Err(AppError::NotFound {
                what: format!("change {seq}"),
                hint: "give the seq of a change, as `proreus changes` lists them".to_owned(),
            });
        };
        let body = change.body.take().or(previous).map_or(Value::Null, |body| parse_body(&body));
        Ok((change, body))
    }

    /// The last known state before a change that has none of its own.
    fn body_before(&self, change: &Change) -> Result<Value, AppError> {
        let (_, body) = self.version(change.seq, &Access::All)?;
        Ok(body)
    }

    fn filter_of(&self, object: &ObjectRef) -> Result<Filter, AppError> {
        let KindQuery { groups, kinds, resources } = self.kind(&object.kind)?;
        Ok(Filter {
            clusters: object.cluster.as_deref().map(|word| self.cluster(word)).transpose()?.into_iter().collect(),
            groups: object.group.clone().map_or(groups, |group| vec![group]),
            kinds,
            resources,
            namespaces: object.namespace.clone().into_iter().collect(),
            names: vec![object.name.clone()],
            uids: object.uid.clone().into_iter().collect(),
            ..Filter::changes()
        })
    }

    /// The newest incarnation by `at` that answers to the name, when all that answer are one object.
    fn identify(&self, object: &ObjectRef, at: Seq, access: &Access) -> Result<ObjectId, AppError> {
        let filter = Filter { access: access.clone(), ..self.filter_of(object)? };
        let mut found = self.sightings(filter, at, MAX_INCARNATIONS)?;
        if found.is_empty() {
            // Nothing changed in what is kept, but it may be alive since before: the base knows it.
            let filter = Filter { access: access.clone(), ..self.filter_of(object)? };
            let page = self.journal.objects(at, &filter, None, MAX_INCARNATIONS, BodyDetail::None)?;
            found = page.objects.into_iter().map(|change| change.object).collect();
        }
        let Some(newest) = found.first() else { return Err(not_found(object)) };
        let place = |id: &ObjectId| (id.cluster.clone(), id.group.clone(), id.kind.clone(), id.namespace.clone());
        if let Some(other) = found.iter().find(|other| place(other) != place(newest)) {
            return Err(ambiguous(object, newest, other));
        }
        Ok(newest.clone())
    }

    /// Objects of the last changes that match by `at`, newest first.
    fn sightings(&self, filter: Filter, at: Seq, limit: usize) -> Result<Vec<ObjectId>, AppError> {
        let first = self.journal.oldest()?.map_or(Seq(1), |oldest| oldest.seq);
        if at < first {
            return Ok(Vec::new());
        }
        let query = ReadQuery {
            range: SeqRange { first, last: at },
            filter,
            after: None,
            order: Order::Descending,
            limit,
            detail: BodyDetail::None,
        };
        let mut found: Vec<ObjectId> = Vec::new();
        for recorded in self.journal.read(&query)?.records {
            if let Record::Change(change) = recorded.record
                && !found.contains(&change.object)
            {
                found.push(change.object);
            }
        }
        Ok(found)
    }

    /// Uids of every kept incarnation of a name.
    fn incarnations(&self, object: &ObjectRef, access: &Access) -> Result<Vec<Uid>, AppError> {
        let at = self.journal.watermark();
        // Also for a named uid: Events are joined by it, and whoever may read Events may not read every object that they speak of.
        let newest = self.identify(object, at, access)?;
        if let Some(uid) = &object.uid {
            return Ok(vec![uid.clone()]);
        }
        let mut uids = vec![newest.uid.clone()];
        let mut filter = Filter {
            clusters: vec![newest.cluster.clone()],
            groups: vec![newest.group.clone()],
            kinds: vec![newest.kind.clone()],
            namespaces: vec![newest.namespace.clone()],
            names: vec![newest.name],
            access: access.clone(),
            ..Filter::changes()
        };
        filter.verbs = vec![proreus_model::Verb::Create, proreus_model::Verb::Delete];
        for id in self.sightings(filter, at, MAX_INCARNATIONS)? {
            if !uids.contains(&id.uid) {
                uids.push(id.uid);
            }
        }
        Ok(uids)
    }

    /// The clusters of the journal with their configured names.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn clusters(&self) -> Result<Vec<(ClusterId, Option<String>)>, AppError> {
        let aliases = self.aliases()?;
        let name_of = |id: &ClusterId| aliases.iter().find(|(_, of)| of == id).map(|(alias, _)| alias.clone());
        Ok(self.journal.clusters()?.into_iter().map(|id| (id.clone(), name_of(&id))).collect())
    }
}

fn not_found(object: &ObjectRef) -> AppError {
    let place = object.namespace.as_ref().filter(|namespace| !namespace.is_empty());
    let within = place.map_or(String::new(), |namespace| format!(" in namespace `{namespace}`"));
    AppError::NotFound {
        what: format!("{} `{}`{within}", object.kind, object.name),
        hint: "check kind, namespace and name; it may not be recorded, or not have existed at that time".to_owned(),
    }
}

fn ambiguous(object: &ObjectRef, one: &ObjectId, other: &ObjectId) -> AppError {
    let text = |id: &ObjectId| format!("{}/{} in namespace `{}` of cluster {}", id.group, id.kind, id.namespace, id.cluster);
    AppError::BadParameter {
        name: "name",
        found: object.name.to_string(),
        allowed: format!("name the namespace, group or cluster: it fits {} and {}", text(one), text(other)),
    }
}
