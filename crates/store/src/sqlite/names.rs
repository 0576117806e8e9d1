//! The interned words of a day file: resource types, classes (a type in a namespace) and field managers.
//!
//! Ids are positions in these tables, from 1, and never change within a file. Invariant: whatever a record in the file refers to is
//! either here or the file is damaged; lookups return `None` then.

use std::collections::HashMap;
use std::sync::Arc;

use proreus_model::{ApiVersion, ClusterId, Group, Kind, Manager, Namespace, ObjectId, Resource};
use rusqlite::{Connection, params};

use super::schema::sum;

/// A resource type as some record was seen in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TypeName {
    pub(super) cluster: ClusterId,
    pub(super) group: Group,
    pub(super) version: ApiVersion,
    pub(super) kind: Kind,
    pub(super) resource: Resource,
}

impl TypeName {
    fn sum(&self, id: usize) -> i64 {
        let words = [self.cluster.as_str(), self.group.as_str(), self.version.as_str(), self.kind.as_str(), self.resource.as_str()];
        sum(id as i64, &words.map(str::as_bytes))
    }
}

fn class_sum(id: usize, of: usize, namespace: &str) -> i64 {
    sum(id as i64, &[&(of as u64).to_le_bytes(), namespace.as_bytes()])
}

/// Fails as damage when something read is not what was written.
fn intact(holds: bool) -> rusqlite::Result<()> {
    if holds { Ok(()) } else { Err(rusqlite::Error::QueryReturnedNoRows) }
}

/// A type in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    pub(super) of: Arc<TypeName>,
    pub(super) namespace: Namespace,
}

impl Class {
    /// Whether objects of the class are Events of either API.
    pub(super) fn is_event(&self) -> bool {
        self.of.kind.as_str() == "Event" && matches!(self.of.group.as_str(), "" | "events.k8s.io")
    }

    /// Whether the object, apart from name and uid, is of this class or of one that differs in API version only.
    pub(super) fn holds(&self, object: &ObjectId) -> bool {
        self.of.cluster == object.cluster
            && self.of.group == object.group
            && self.of.kind == object.kind
            && self.namespace == object.namespace
    }

    /// Whether both stand for the same cluster, group, kind and namespace.
    pub(super) fn same_identity(&self, other: &Self) -> bool {
        let (left, right) = (&self.of, &other.of);
        left.cluster == right.cluster && left.group == right.group && left.kind == right.kind && self.namespace == other.namespace
    }
}

/// All interned words of a file, as far as they have been loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    types: Vec<Arc<TypeName>>,
    classes: Vec<Class>,
    managers: Vec<Manager>,
}

impl Names {
    pub(super) fn class(&self, id: u32) -> Option<&Class> {
        self.classes.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    pub(super) fn manager(&self, id: u32) -> Option<&Manager> {
        self.managers.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    /// Classes with their ids.
    pub(super) fn classes(&self) -> impl Iterator<Item = (u32, &Class)> {
        (1..).zip(&self.classes)
    }

    /// Managers with their ids.
    pub(super) fn managers(&self) -> impl Iterator<Item = (u32, &Manager)> {
        (1..).zip(&self.managers)
    }

    /// How much is loaded: types, classes, managers.
    fn loaded(&self) -> (usize, usize, usize) {
        (self.types.len(), self.classes.len(), self.managers.len())
    }

    /// Whether the file has more than is loaded.
    pub(super) fn is_behind(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let count = "SELECT (SELECT max(id) FROM types), (SELECT max(id) FROM classes), (SELECT max(id) FROM managers)";
        let in_file = connection.prepare_cached(count)?.query_row([], |row| {
            let id = |index| row.get::<_, Option<usize>>(index).map(Option::unwrap_or_default);
            Ok((id(0)?, id(1)?, id(2)?))
        })?;
        Ok(in_file != self.loaded())
    }

    /// Loads what the file has beyond what is loaded.
    pub(super) fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare_cached("SELECT cluster, api_group, version, kind, resource, sum FROM types WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.types.len()])?;
        while let Some(row) = rows.next()? {
            let word = |index| row.get::<_, String>(index);
            let of = TypeName {
                cluster: word(0)?.into(),
                group: word(1)?.into(),
                version: word(2)?.into(),
                kind: word(3)?.into(),
                resource: word(4)?.into(),
            };
            intact(of.sum(self.types.len() + 1) == row.get::<_, i64>(5)?)?;
            self.types.push(Arc::new(of));
        }
        let mut statement = connection.prepare_cached("SELECT type, namespace, sum FROM classes WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.classes.len()])?;
        while let Some(row) = rows.next()? {
            let id: usize = row.get(0)?;
            let of = id.checked_sub(1).and_then(|index| self.types.get(index)).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let namespace: String = row.get(1)?;
            intact(class_sum(self.classes.len() + 1, id, &namespace) == row.get::<_, i64>(2)?)?;
            self.classes.push(Class { of: Arc::clone(of), namespace: namespace.into() });
        }
        let mut statement = connection.prepare_cached("SELECT name, sum FROM managers WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.managers.len()])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            intact(sum(self.managers.len() as i64 + 1, &[name.as_bytes()]) == row.get::<_, i64>(1)?)?;
            self.managers.push(name.into());
        }
        Ok(())
    }
}

/// The writer's side: finds ids of words and adds new ones to the file.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) names: Names,
    types: HashMap<TypeName, u32>,
    classes: HashMap<(u32, Namespace), u32>,
    managers: HashMap<Manager, u32>,
    /// For each class the first one of the same cluster, group, kind and namespace.
    identities: Vec<u32>,
}

impl Interner {
    /// Everything that the file has.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut interner = Self::default();
        interner.names.load(connection)?;
        for (id, of) in (1..).zip(&interner.names.types) {
            interner.types.insert(of.as_ref().clone(), id);
        }
        for (id, manager) in (1..).zip(&interner.names.managers) {
            interner.managers.insert(manager.clone(), id);
        }
        for (id, class) in interner.names.classes.clone().iter().zip(1..).map(|(class, id)| (id, class)) {
            let of = interner.types.get(class.of.as_ref()).copied().unwrap_or_default();
            interner.classes.insert((of, class.namespace.clone()), id);
            interner.push_identity(class, id);
        }
        Ok(interner)
    }

    fn push_identity(&mut self, class: &Class, id: u32) {
        let first = self.names.classes().find(|(other, known)| *other < id && known.same_identity(class));
        self.identities.push(first.map_or(id, |(first, _)| first));
    }

    /// The first class of the same cluster, group, kind and namespace.
    pub(super) fn identity(&self, class: u32) -> u32 {
        let index = usize::try_from(class).unwrap_or_default().checked_sub(1);
        index.and_then(|index| self.identities.get(index)).copied().unwrap_or(class)
    }

    /// Id of the class of a change, added if it is new.
    pub(super) fn class(&mut self, connection: &Connection, of: TypeName, namespace: &Namespace) -> rusqlite::Result<u32> {
        let of_id = match self.types.get(&of) {
            Some(id) => *id,
            None => self.add_type(connection, of)?,
        };
        let key = (of_id, namespace.clone());
        if let Some(id) = self.classes.get(&key) {
            return Ok(*id);
        }
        let id = self.names.classes.len() as u32 + 1;
        connection.prepare_cached("INSERT INTO classes VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            id,
            of_id,
            namespace.as_str(),
            class_sum(id as usize, of_id as usize, namespace.as_str())
        ])?;
        let of = self.names.types.get(of_id as usize - 1).cloned().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let class = Class { of, namespace: namespace.clone() };
        self.names.classes.push(class.clone());
        self.classes.insert(key, id);
        self.push_identity(&class, id);
        Ok(id)
    }

    fn add_type(&mut self, connection: &Connection, of: TypeName) -> rusqlite::Result<u32> {
        let id = self.names.types.len() as u32 + 1;
        connection.prepare_cached("INSERT INTO types VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            id,
            of.cluster.as_str(),
            of.group.as_str(),
            of.version.as_str(),
            of.kind.as_str(),
            of.resource.as_str(),
            of.sum(id as usize)
        ])?;
        self.names.types.push(Arc::new(of.clone()));
        self.types.insert(of, id);
        Ok(id)
    }

    /// Id of a manager, added if it is new.
    pub(super) fn manager(&mut self, connection: &Connection, manager: &Manager) -> rusqlite::Result<u32> {
        if let Some(id) = self.managers.get(manager) {
            return Ok(*id);
        }
        let id = self.names.managers.len() as u32 + 1;
        connection.prepare_cached("INSERT INTO managers VALUES (?1, ?2, ?3)")?.execute(params![
            id,
            manager.as_str(),
            sum(i64::from(id), &[manager.as_str().as_bytes()])
        ])?;
        self.names.managers.push(manager.clone());
        self.managers.insert(manager.clone(), id);
        Ok(id)
    }
}
