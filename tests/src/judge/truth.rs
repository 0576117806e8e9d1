//! What there was to record: the lives of objects, each with its versions.

use std::collections::BTreeMap;

use proreus_testkit::{Version, Witness};

/// One version of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueVersion {
    /// etcd's revision, which is the version's `resourceVersion`.
    pub revision: u64,
    /// Whether it is the end.
    pub deleted: bool,
}

/// One incarnation of an object, from its creation to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its uid.
    pub uid: String,
    /// For people: the resource in etcd, namespace and name.
    pub path: String,
    /// API group of the stored version; `""` for Events of both APIs, as they are recorded.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Oldest first; never empty.
    pub versions: Vec<TrueVersion>,
}

impl Life {
    /// Whether it is an Event, whose end is no change.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.kind == "Event" && self.group.is_empty()
    }

    /// The last version.
    #[must_use]
    pub fn last(&self) -> TrueVersion {
        self.versions.last().copied().unwrap_or(TrueVersion { revision: 0, deleted: false })
    }

    /// The first version's revision.
    #[must_use]
    pub fn born(&self) -> u64 {
        self.versions.first().map_or(0, |version| version.revision)
    }
}

/// Who knows what there was.
pub trait Truth {
    /// Every life.
    fn lives(&self) -> &[Life];

    /// The stored JSON of a version of a life, by their places; `None` for an end.
    fn body(&self, life: usize, version: usize) -> Option<Vec<u8>>;
}

/// The truth as etcd tells it.
pub struct WitnessTruth<'w> {
    witness: &'w Witness,
    lives: Vec<Life>,
    versions: Vec<Vec<Version>>,
}

impl<'w> WitnessTruth<'w> {
    /// Everything that the witness has seen so far.
    #[must_use]
    pub fn of(witness: &'w Witness) -> Self {
        let mut found: BTreeMap<String, (Life, Vec<Version>)> = BTreeMap::new();
        for (path, versions) in witness.histories() {
            // What has no uid is no object: leases of API servers, ranges of addresses.
            for version in versions.into_iter().filter(|version| !version.uid.is_empty()) {
                let (life, of_life) = found.entry(version.uid.clone()).or_insert_with(|| {
                    let group = version.api_version.rsplit_once('/').map_or("", |(group, _)| group);
                    let is_event = version.kind == "Event";
                    let life = Life {
                        uid: version.uid.clone(),
                        path: format!("{} {}/{}", path.resource, path.namespace, path.name),
                        group: if is_event { String::new() } else { group.to_owned() },
                        kind: version.kind.clone(),
                        versions: Vec::new(),
                    };
                    (life, Vec::new())
                });
                life.versions.push(TrueVersion { revision: version.mod_revision, deleted: version.deleted });
                of_life.push(version);
            }
        }
        let (lives, versions) = found.into_values().unzip();
        Self { witness, lives, versions }
    }
}

impl Truth for WitnessTruth<'_> {
    fn lives(&self) -> &[Life] {
        &self.lives
    }

    fn body(&self, life: usize, version: usize) -> Option<Vec<u8>> {
        let version = self.versions.get(life)?.get(version)?;
        self.witness.value(version).ok().flatten()
    }
}
