//! Answers as people read them: a listing of changes, a timeline, a list of objects, changed fields.
//!
//! Wire types in, cells and lines out. No question is asked here and nothing is decided: what stands in the answer is shown, shortened to
//! the terminal where that is needed.

pub(crate) mod diagnosis;
pub(crate) mod event;
pub(crate) mod fields;
pub(crate) mod listing;
pub(crate) mod objects;
pub(crate) mod timeline;

use std::collections::BTreeMap;

use proreus_api::{Change, Origin, Verb};

use crate::terminal::fit::clean;
use crate::terminal::paint::Ink;

/// What is said besides the change itself.
pub(crate) struct Names {
    /// Configured names of clusters by id.
    aliases: BTreeMap<String, String>,
    /// Whether there is more than one cluster, so that each must be named.
    pub(crate) several: bool,
}

impl Names {
    /// From the clusters of an answer's source.
    pub(crate) fn of(clusters: Vec<proreus_api::Cluster>) -> Self {
        let several = clusters.len() > 1;
        let aliases = clusters.into_iter().filter_map(|cluster| Some((cluster.id, cluster.name?))).collect();
        Self { aliases, several }
    }

    /// What people call the cluster: its configured name, else its id.
    pub(crate) fn cluster(&self, id: &str) -> String {
        clean(self.aliases.get(id).map_or(id, String::as_str))
    }
}

/// `namespace/name`, or the name alone in the cluster scope.
pub(crate) fn place(namespace: &str, name: &str) -> String {
    match namespace.is_empty() {
        true => clean(name),
        false => clean(&format!("{namespace}/{name}")),
    }
}

/// The word and the ink of a verb.
pub(crate) fn verb(verb: Verb) -> (&'static str, Ink) {
    match verb {
        Verb::Create => ("create", Ink::Added),
        Verb::Update => ("update", Ink::Changed),
        Verb::Delete => ("delete", Ink::Removed),
    }
}

/// What a person must know of how the change became known; `None` when a watch told it, as nearly always.
pub(crate) fn origin_note(change: &Change) -> Option<&'static str> {
    match (change.origin, change.verb) {
        (Origin::Watch, _) => None,
        (Origin::Snapshot, _) => Some("was there when recording began"),
        (Origin::Relist, Verb::Create) => Some("came while nobody watched"),
        (Origin::Relist, Verb::Update) => Some("changed while nobody watched"),
        (Origin::Relist, Verb::Delete) => Some("went while nobody watched"),
        (Origin::Gap, _) => Some("versions before this one were dropped"),
    }
}
