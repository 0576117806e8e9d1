//! A day file during one question: its records as the model's types, whichever kind of file they stand in.
//!
//! Holds what the question has decoded so far; nothing outlives it. Invariant: rows above the question's watermark are never touched,
//! for every range given to a view was cut to it before.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use proreus_model::{Change, ObjectId, Order, Record, Seq, Uid};
use rusqlite::Connection;

use super::day::{Day, Kind, Span};
use super::fault::OrFail;
use super::names::Names;
use super::objects::{self, ObjectRow};
use super::rows::{self, Bodies, Content, Decoded, Entry};
use super::solid_read::{self, Parts};
use crate::codec::body::{Known, restore};
use crate::codec::header::{Facts, Regarding};
use crate::journal::{BodyDetail, StoreError};

/// Objects remembered during one question.
const OBJECTS_KEPT: usize = 20_000;

/// One file, one question.
pub(super) struct View<'a> {
    pub(super) day: &'a Day,
    pub(super) connection: &'a Connection,
    pub(super) names: Arc<Names>,
    objects: HashMap<i64, Arc<ObjectRow>>,
    bodies: Bodies,
    parts: Parts,
}

impl<'a> View<'a> {
    pub(super) fn new(day: &'a Day, connection: &'a Connection) -> Result<Self, StoreError> {
        let names = day.names(connection, true)?;
        Ok(Self { day, connection, names, objects: HashMap::new(), bodies: Bodies::default(), parts: Parts::default() })
    }

    pub(super) fn entry(&mut self, key: i64) -> Result<Option<Entry>, StoreError> {
        match self.day.kind {
            Kind::Rows => rows::entry(self.day, self.connection, key),
            Kind::Solid => solid_read::entry(self.day, self.connection, &mut self.parts, key),
        }
    }

    /// The first record at or after a row, within the next changes.
    pub(super) fn entry_from(&mut self, key: i64) -> Result<Option<(i64, Entry)>, StoreError> {
        let mut found = None;
        self.scan((key, i64::MAX), Order::Ascending, &mut |key, entry| {
            found = Some((key, entry));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Visits the records of a range in order until told to stop. A position that is not there, and was not lost before, is damage: a
    /// reader must not take a hole for quiet.
    pub(super) fn scan(
        &mut self,
        range: (i64, i64),
        order: Order,
        visit: &mut dyn FnMut(i64, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let day = self.day;
        let (mut last, mut torn) = (None, None);
        let mut checked = |key: i64, entry: Entry| {
            let (below, above) = match (last, order) {
                (Some(last), Order::Ascending) => (last, key),
                (Some(last), Order::Descending) => (key, last),
                (None, _) => (key - 1, key),
            };
            if below >= day.room && below + 1 != above && !day.is_hole(day.seq(below), day.seq(above)) {
                torn = Some(below + 1);
                return ControlFlow::Break(());
            }
            last = Some(key);
            visit(key, entry)
        };
        match day.kind {
            Kind::Rows => rows::scan(day, self.connection, range, order, &mut checked)?,
            Kind::Solid => solid_read::scan(day, self.connection, &mut self.parts, range, order, &mut checked)?,
        }
        match torn {
            Some(key) => Err(day.place.damaged(format!("position {} is not there", day.seq(key)))),
            None => Ok(()),
        }
    }

    /// Rows of an object within a range, at most `limit`, in order.
    pub(super) fn positions(&mut self, object: i64, range: (i64, i64), order: Order, limit: usize) -> Result<Vec<i64>, StoreError> {
        match self.day.kind {
            Kind::Rows => rows::positions(self.day, self.connection, object, range, order, limit),
            Kind::Solid => solid_read::positions(self.day, self.connection, object, range, order, limit),
        }
    }

    /// The body of a row as it is compressed.
    pub(super) fn stripped(&mut self, key: i64) -> Result<Option<Arc<Decoded>>, StoreError> {
        match self.day.kind {
            Kind::Rows => rows::body(self.day, self.connection, key, &mut self.bodies),
            Kind::Solid => solid_read::body(self.day, self.connection, &mut self.parts, key),
        }
    }

    /// The last row of the object at or below `to`.
    pub(super) fn last_position(&mut self, object: i64, to: i64) -> Result<Option<i64>, StoreError> {
        Ok(self.positions(object, (1, to), Order::Descending, 1)?.first().copied())
    }

    pub(super) fn object(&mut self, id: i64) -> Result<Arc<ObjectRow>, StoreError> {
        if let Some(known) = self.objects.get(&id) {
            return Ok(Arc::clone(known));
        }
        let found = objects::get(self.connection, id).or_fail(&self.day.place, "failed to read an object")?;
        let object = Arc::new(found.ok_or_else(|| self.day.place.damaged(format!("object {id} is not there")))?);
        if self.objects.len() >= OBJECTS_KEPT {
            self.objects.clear();
        }
        self.objects.insert(id, Arc::clone(&object));
        Ok(object)
    }

    /// Objects of this identity; an empty uid stands for every incarnation.
    pub(super) fn find(&mut self, wanted: &ObjectId) -> Result<Vec<ObjectRow>, StoreError> {
        let step = "failed to find an object";
        if !wanted.uid.is_empty() {
            let mut found = objects::by_uid(self.connection, wanted.uid.as_str()).or_fail(&self.day.place, step)?;
            found.retain(|object| object.name == wanted.name && self.names.class(object.class).is_some_and(|class| class.holds(wanted)));
            return Ok(found);
        }
        let mut found = Vec::new();
        for (id, class) in self.names.classes() {
            if class.holds(wanted) {
                found.extend(objects::named(self.connection, &self.names, id, wanted.name.as_str()).or_fail(&self.day.place, step)?);
            }
        }
        Ok(found)
    }

    /// The change in a row with its body, when there is a change.
    pub(super) fn change_at(&mut self, key: i64, detail: BodyDetail) -> Result<Option<Change>, StoreError> {
        match self.entry(key)? {
            Some(Entry { object, content: Content::Change(facts) }) => self.change(key, object, &facts, detail).map(Some),
            _ => Ok(None),
        }
    }

    /// A change as the model has it.
    pub(super) fn change(&mut self, key: i64, object: i64, facts: &Facts, detail: BodyDetail) -> Result<Change, StoreError> {
        let row = self.object(object)?;
        let damaged = || self.day.place.damaged(format!("row {key} names what is not there"));
        let identity = row.identity(&self.names).ok_or_else(damaged)?;
        let class = self.names.class(facts.class).ok_or_else(damaged)?;
        let manager = match facts.manager {
            Some(id) => Some(self.names.manager(id).ok_or_else(damaged)?.clone()),
            None => None,
        };
        let mut change = Change {
            seq: Seq(facts.base_seq.unwrap_or_else(|| self.day.seq(key))),
            recorded_at: facts.recorded_at,
            event_time: facts.event_time,
            verb: facts.verb,
            origin: facts.origin,
            gap: facts.gap,
            object: identity,
            version: class.of.version.clone(),
            resource: class.of.resource.clone(),
            resource_version: facts.resource_version.to_string().into(),
            generation: facts.generation,
            manager,
            regarding: effective_regarding(facts, &row),
            body: None,
        };
        if detail != BodyDetail::None {
            change.body = self.stripped(key)?.map(|body| full_body(&body, &change));
        }
        Ok(change)
    }

    /// The record in a row.
    pub(super) fn record(&mut self, key: i64, entry: &Entry, detail: BodyDetail) -> Result<Record, StoreError> {
        match &entry.content {
            Content::Change(facts) => self.change(key, entry.object, facts, detail).map(Record::Change),
            Content::Mark(mark) => Ok(Record::Mark(mark.clone())),
        }
    }
}

/// What the change regards.
pub(super) fn effective_regarding(facts: &Facts, object: &ObjectRow) -> Option<Uid> {
    match &facts.regarding {
        Regarding::AsObject => object.regarding.clone(),
        Regarding::Other(other) => other.as_deref().map(Uid::from),
    }
}

/// The body as it was given, from its compressed form and the rest of the change.
pub(super) fn full_body(body: &Decoded, change: &Change) -> Arc<[u8]> {
    restore(&body.stripped, body.literal, &known(change)).into()
}

/// What a body need not repeat.
pub(super) fn known(change: &Change) -> Known<'_> {
    Known {
        resource_version: change.resource_version.as_str(),
        uid: change.object.uid.as_str(),
        name: change.object.name.as_str(),
        event_time: change.event_time,
        regarding: change.regarding.as_ref().map(Uid::as_str),
    }
}

/// The span of a day without the records from a position on.
pub(super) fn span_below(day: &Day, span: Span, first: u64) -> Result<Option<Span>, StoreError> {
    let connection = day.borrow()?;
    let mut view = View::new(day, &connection)?;
    let mut last = None;
    view.scan((day.room, day.key(first) - 1), Order::Descending, &mut |key, entry| {
        last = Some((day.seq(key), super::recover::time(&entry)));
        ControlFlow::Break(())
    })?;
    Ok(last.map(|(last_seq, last_at)| Span { last_seq, last_at, ..span }))
}
