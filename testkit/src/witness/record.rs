//! What the witness has seen, by object.
//!
//! It is told keys and values in the order of their revisions, some twice, and keeps each once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use super::{ObjectPath, Version};

/// Every version of every object so far.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) histories: BTreeMap<ObjectPath, Vec<Version>>,
    /// The identity of each key that ever was: a deletion carries none, and one may be told twice.
    paths: BTreeMap<String, ObjectPath>,
    values: File,
    values_len: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Envelope {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    namespace: String,
    name: String,
    uid: String,
}

impl Record {
    /// An empty one that keeps values in `values`.
    pub(super) fn new(values: File) -> Self {
        Self { histories: BTreeMap::new(), paths: BTreeMap::new(), values, values_len: 0 }
    }

    /// The key below `/registry/` got a value.
    pub(super) fn put(&mut self, below: &str, revision: u64, value: &[u8]) -> io::Result<()> {
        // What is no JSON object (none is known under JSON storage) has no identity but its key.
        let envelope: Envelope = serde_json::from_slice(value).unwrap_or_default();
        let path = self.paths.entry(below.to_owned()).or_insert_with(|| object_path(below, &envelope.metadata));
        let history = self.histories.entry(path.clone()).or_default();
        if history.last().is_some_and(|last| last.mod_revision >= revision) {
            return Ok(());
        }
        self.values.seek(SeekFrom::Start(self.values_len))?;
        self.values.write_all(value)?;
        let place = (self.values_len, value.len());
        self.values_len += value.len() as u64;
        history.push(Version {
            mod_revision: revision,
            uid: envelope.metadata.uid,
            api_version: envelope.api_version,
            kind: envelope.kind,
            deleted: false,
            value: Some(place),
        });
        Ok(())
    }

    /// The key below `/registry/` went.
    pub(super) fn delete(&mut self, below: &str, revision: u64) {
        let path = self.paths.entry(below.to_owned()).or_insert_with(|| object_path(below, &Metadata::default()));
        let history = self.histories.entry(path.clone()).or_default();
        let Version { mod_revision, uid, api_version, kind, .. } = history.last().cloned().unwrap_or_default();
        if mod_revision < revision {
            history.push(Version { mod_revision: revision, uid, api_version, kind, deleted: true, value: None });
        }
    }

    /// The stored bytes of a version; `None` for a deletion.
    pub(super) fn value(&self, version: &Version) -> io::Result<Option<Vec<u8>>> {
        let Some((offset, len)) = version.value else {
            return Ok(None);
        };
        let mut bytes = vec![0; len];
        self.values.read_exact_at(&mut bytes, offset)?;
        Ok(Some(bytes))
    }
}

/// Which object a key below `/registry/` holds. The key alone does not tell where the resource
/// ends and the namespace begins; the stored object's own metadata does.
fn object_path(below: &str, metadata: &Metadata) -> ObjectPath {
    let Metadata { namespace, name, .. } = metadata;
    let tail = if namespace.is_empty() { format!("/{name}") } else { format!("/{namespace}/{name}") };
    if let (false, Some(resource)) = (name.is_empty(), below.strip_suffix(&tail)) {
        return ObjectPath { resource: resource.to_owned(), namespace: namespace.clone(), name: name.clone() };
    }
    // Leases of API servers, ranges of addresses and the like: the last word is the name.
    let (resource, name) = below.rsplit_once('/').unwrap_or(("", below));
    ObjectPath { resource: resource.to_owned(), namespace: String::new(), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keeps_a_version_once_though_a_resumed_stream_tells_it_again() {
        let mut record = Record::new(tempfile::tempfile().unwrap());
        let pod = br#"{"kind":"Pod","metadata":{"namespace":"shop","name":"web","uid":"a"}}"#;
        for _ in 0..2 {
            record.put("pods/shop/web", 8, pod).unwrap();
            record.delete("pods/shop/web", 9);
            record.delete("pods/shop/web", 9);
        }
        let [(_, versions)] = record.histories.iter().collect::<Vec<_>>()[..] else {
            unreachable!("one key is one object");
        };
        let told: Vec<_> = versions.iter().map(|v| (v.mod_revision, v.uid.as_str())).collect();
        assert_eq!(told, [(8, "a"), (9, "a")]);
        assert_eq!(record.value(&versions[0]).unwrap().unwrap(), pod);
        assert_eq!(record.value(&versions[1]).unwrap(), None);
    }

    #[test]
    fn tells_resource_from_namespace_by_the_objects_own_metadata() {
        let check = |below: &str, namespace: &str, name: &str, expected: [&str; 3]| {
            let metadata = Metadata { namespace: namespace.into(), name: name.into(), uid: String::new() };
            let path = object_path(below, &metadata);
            assert_eq!([path.resource.as_str(), &path.namespace, &path.name], expected);
        };
        check("services/specs/shop/web", "shop", "web", ["services/specs", "shop", "web"]);
        check("minions/node-1", "", "node-1", ["minions", "", "node-1"]);
        check("shop.example/orders/shop/1", "shop", "1", ["shop.example/orders", "shop", "1"]);
        check("ranges/serviceips", "", "", ["ranges", "", "serviceips"]);
    }
}
