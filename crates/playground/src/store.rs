//! The objects, one revision counter over all of them, and a bounded history of what changed.
//!
//! Knows nothing of kinds or rules: what may be written is decided before `commit`. Every commit raises the revision by one and is one
//! history entry; what the history no longer holds is gone, as after a compaction.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

use crate::tree;

/// One version of one object, never changed after it was made.
#[derive(Debug)]
pub(crate) struct Object {
    value: Value,
    revision: u64,
    bytes: OnceLock<Bytes>,
}

impl Object {
    /// Wraps a version; `revision` is written into its metadata.
    pub(crate) fn new(mut value: Value, revision: u64) -> Self {
        tree::put(&mut value, &["metadata", "resourceVersion"], revision.to_string());
        Self { value, revision, bytes: OnceLock::new() }
    }

    /// The object as JSON.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The revision that made this version.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The object as JSON text, made once.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.get_or_init(|| Bytes::from(self.value.to_string())).clone()
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        tree::text(&self.value, "/metadata/name")
    }

    /// `metadata.namespace`, `""` when cluster-scoped.
    pub(crate) fn namespace(&self) -> &str {
        tree::text(&self.value, "/metadata/namespace")
    }

    /// `metadata.uid`.
    pub(crate) fn uid(&self) -> &str {
        tree::text(&self.value, "/metadata/uid")
    }

    /// True once somebody asked for its deletion.
    pub(crate) fn is_terminating(&self) -> bool {
        !tree::text(&self.value, "/metadata/deletionTimestamp").is_empty()
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    Added,
    Modified,
    Deleted,
}

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) revision: u64,
    pub(crate) table: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) happening: Happening,
    /// The new version; of a deletion the last state, stamped with the revision of the deletion.
    pub(crate) object: Arc<Object>,
    pub(crate) previous: Option<Arc<Object>>,
}

type Table = BTreeMap<Arc<str>, Arc<Object>>;

/// The objects of one cluster.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    tables: BTreeMap<Arc<str>, Table>,
    history: VecDeque<Entry>,
    history_limit: usize,
    /// Revisions up to and including this one cannot be asked for.
    compacted: u64,
}

/// Key of an object in its table; sorts as the real server's keys do.
pub(crate) fn key_of(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

impl Store {
    /// An empty store that remembers at most `history_limit` commits.
    pub(crate) fn new(history_limit: usize) -> Self {
        Self { revision: 1, tables: BTreeMap::new(), history: VecDeque::new(), history_limit: history_limit.max(1), compacted: 0 }
    }

    /// Revision of the newest commit.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest revision that is no longer part of the history.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The object under a key now.
    pub(crate) fn get(&self, table: &str, key: &str) -> Option<&Arc<Object>> {
        self.tables.get(table)?.get(key)
    }

    /// The objects of a table now, those of one namespace only unless it is `""`.
    pub(crate) fn scan<'a>(&'a self, table: &str, namespace: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let (from, to) = namespace_bounds(namespace);
        self.tables
            .get(table)
            .into_iter()
            .flat_map(move |table| table.range::<str, _>((from.as_ref_str(), to.as_ref_str())).map(|(_, object)| object))
    }

    /// How many objects a table holds.
    pub(crate) fn len(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, BTreeMap::len)
    }

    /// Writes a version (or the end, with `None`) under a key. Returns the version that was written, or the last one for an end.
    pub(crate) fn commit(&mut self, table: &Arc<str>, key: &str, new: Option<Value>) -> Option<Arc<Object>> {
        let key: Arc<str> = Arc::from(key);
        let objects = self.tables.entry(table.clone()).or_default();
        let previous = objects.get(&key).cloned();
        let revision = self.revision + 1;
        let (happening, object) = match (new, &previous) {
            (Some(value), None) => (Happening::Added, Arc::new(Object::new(value, revision))),
            (Some(value), Some(_)) => (Happening::Modified, Arc::new(Object::new(value, revision))),
            (None, Some(last)) => (Happening::Deleted, Arc::new(Object::new(last.value().clone(), revision))),
            (None, None) => return None,
        };
        match happening {
            Happening::Added | Happening::Modified => objects.insert(key.clone(), object.clone()),
            Happening::Deleted => objects.remove(&key),
        };
        self.revision = revision;
        self.history.push_back(Entry { revision, table: table.clone(), key, happening, object: object.clone(), previous });
        while self.history.len() > self.history_limit {
            self.forget_oldest();
        }
        Some(object)
    }

    fn forget_oldest(&mut self) {
        if let Some(gone) = self.history.pop_front() {
            self.compacted = gone.revision;
        }
    }

    /// Forgets the whole history, as a compaction up to now does.
    pub(crate) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.revision;
    }

    /// The commits after a revision, oldest first; `None` when some of them are forgotten.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Entry>> {
        if revision < self.compacted {
            return None;
        }
        let from = self.history.partition_point(|entry| entry.revision <= revision);
        Some(self.history.range(from..))
    }

    /// The objects of a table as they were at a revision, by key; `None` when that is forgotten.
    pub(crate) fn at(&self, table: &str, revision: u64) -> Option<BTreeMap<Arc<str>, Arc<Object>>> {
        if revision < self.compacted {
            return None;
        }
        let mut objects = self.tables.get(table).cloned().unwrap_or_default();
        for entry in self.history.iter().rev().take_while(|entry| entry.revision > revision).filter(|entry| &*entry.table == table) {
            match &entry.previous {
                Some(previous) => objects.insert(entry.key.clone(), previous.clone()),
                None => objects.remove(&entry.key),
            };
        }
        Some(objects)
    }

    /// Every object of every table.
    pub(crate) fn everything(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Object>)> {
        self.tables.iter().flat_map(|(table, objects)| objects.values().map(move |object| (table, object)))
    }
}

/// Ends of the key range of a namespace.
enum Edge {
    Open,
    At(String),
}

impl Edge {
    fn as_ref_str(&self) -> Bound<&str> {
        match self {
            Self::Open => Bound::Unbounded,
            Self::At(key) => Bound::Excluded(key),
        }
    }
}

fn namespace_bounds(namespace: &str) -> (Edge, Edge) {
    if namespace.is_empty() {
        return (Edge::Open, Edge::Open);
    }
    // '0' follows '/', so the range holds exactly the keys that begin with "namespace/".
    (Edge::At(format!("{namespace}/")), Edge::At(format!("{namespace}0")))
}
