//! What an outbox keeps over a restart, beside its cursor: which incidents were told, what waits, how often it was tried.
//!
//! Pure. The incidents themselves are not kept twice: positions name their records in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::{ClusterId, Seq};
use serde::{Deserialize, Serialize};

use super::notice::{Gist, IncidentRecord, Occasion};
use super::outbox::{Entry, Outbox, Waiting};
use super::rules::EndpointRules;
use crate::check::Severity;

/// The form of what is kept.
const VERSION: u32 = 1;

/// Why what was kept cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It does not read.
    #[error("the kept state does not read: {0}")]
    Malformed(String),
    /// Written by a newer version.
    #[error("the kept state has version {0}, this program reads {VERSION}")]
    Newer(u32),
}

/// Where a record of an incident is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The incident.
    pub id: String,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The namespace of its object.
    pub namespace: String,
    /// Position of the record.
    pub seq: Seq,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    version: u32,
    incidents: Vec<KeptEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptEntry {
    id: String,
    cluster: ClusterId,
    namespace: String,
    seq: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster_name: Option<String>,
    gist: Gist,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told_at: Option<Timestamp>,
    told_open: u64,
    told_resolved: u64,
    waiting: Vec<KeptWaiting>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptWaiting {
    seq: Seq,
    occasion: Occasion,
    told: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    formerly: Option<Severity>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_failed_at: Option<Timestamp>,
    due: Timestamp,
    since: Timestamp,
}

fn read(bytes: &[u8]) -> Result<Kept, KeptError> {
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| KeptError::Malformed(error.to_string()))?;
    if kept.version > VERSION { Err(KeptError::Newer(kept.version)) } else { Ok(kept) }
}

impl Outbox {
    /// What to keep. What is on its way counts as waiting: whether it arrived is not known yet.
    pub fn keep(&self) -> Vec<u8> {
        let waiting = |waiting: &Waiting| KeptWaiting {
            seq: waiting.record.seq,
            occasion: waiting.occasion,
            told: waiting.told,
            formerly: waiting.formerly,
            attempts: waiting.attempts,
            first_failed_at: waiting.first_failed_at,
            due: waiting.due,
            since: waiting.since,
        };
        let entry = |entry: &Entry| KeptEntry {
            id: entry.latest.id.clone(),
            cluster: entry.latest.cluster.clone(),
            namespace: entry.latest.namespace.clone(),
            seq: entry.latest.seq,
            cluster_name: entry.cluster_name.clone(),
            gist: entry.gist.clone(),
            told_at: entry.told_at,
            told_open: entry.told_open,
            told_resolved: entry.told_resolved,
            waiting: entry.waiting.iter().map(waiting).collect(),
        };
        let kept = Kept { version: VERSION, incidents: self.incidents.values().map(entry).collect() };
        serde_json::to_vec(&kept).expect("plain words and numbers are JSON")
    }

    /// The records that `restore` needs.
    ///
    /// # Errors
    /// When what was kept cannot be used.
    pub fn wanted(bytes: &[u8]) -> Result<Vec<Position>, KeptError> {
        let mut wanted = Vec::new();
        for entry in read(bytes)?.incidents {
            let seqs = entry.waiting.iter().map(|waiting| waiting.seq).chain([entry.seq]);
            let position = |seq| Position { id: entry.id.clone(), cluster: entry.cluster.clone(), namespace: entry.namespace.clone(), seq };
            wanted.extend(seqs.map(position));
        }
        wanted.sort();
        wanted.dedup();
        Ok(wanted)
    }

    /// The outbox as it was kept. What is about records that are no longer there is left out; how many notices that are comes beside it.
    ///
    /// # Errors
    /// When what was kept cannot be used.
    pub fn restore(
        journal: &str,
        consumer: &str,
        rules: EndpointRules,
        bytes: &[u8],
        records: &BTreeMap<(String, Seq), Arc<IncidentRecord>>,
    ) -> Result<(Self, usize), KeptError> {
        let keeps_alive = rules.keeps_alive;
        let mut outbox = Self::new(journal, consumer, rules);
        let mut lost = 0;
        for kept in read(bytes)?.incidents {
            let Some(latest) = records.get(&(kept.id.clone(), kept.seq)) else {
                lost += kept.waiting.len();
                continue;
            };
            let mut entry = Entry::new(latest, kept.cluster_name.as_deref());
            entry.gist = kept.gist;
            // The receiver may have forgotten while we were away.
            entry.told_at = kept.told_at.filter(|_| !keeps_alive);
            (entry.told_open, entry.told_resolved) = (kept.told_open, kept.told_resolved);
            for waiting in kept.waiting {
                let Some(record) = records.get(&(kept.id.clone(), waiting.seq)) else {
                    lost += 1;
                    continue;
                };
                entry.waiting.push_back(Waiting {
                    occasion: waiting.occasion,
                    record: Arc::clone(record),
                    told: waiting.told,
                    formerly: waiting.formerly,
                    attempts: waiting.attempts,
                    first_failed_at: waiting.first_failed_at,
                    due: waiting.due,
                    since: waiting.since,
                });
            }
            outbox.count(entry.waiting.len());
            outbox.admit(entry);
        }
        Ok((outbox, lost))
    }
}
