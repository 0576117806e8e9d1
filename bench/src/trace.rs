//! A trace: raw watch lines as an API server delivered them, and the changes that a recorder makes of them.
//!
//! Not the recorder: no resume, no relist, no policy; every line but bookmarks becomes a change. Invariant: changes and lines have the
//! same index.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use proreus_model::{Change, ObjectId, Origin, Seq, Uid, Verb};
use serde::Deserialize;
use serde_json::Value;

use crate::canonical;

/// First bytes of a zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The type of the line that marks an invented trace.
pub(crate) const GENERATED: &str = "GENERATED";

/// One cluster: the trace is of one API server.
const CLUSTER: &str = "6f1d2c34-0000-4000-8000-000000000001";

/// A trace in memory.
pub(crate) struct Trace {
    /// The lines as they came, bookmarks left out.
    pub(crate) lines: Vec<Vec<u8>>,
    /// What they say.
    pub(crate) changes: Vec<Change>,
    /// Whether a program made it up.
    pub(crate) is_generated: bool,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    ts: Option<Timestamp>,
    #[serde(rename = "type")]
    event: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    object: Value,
}

/// Turns lines into changes; remembers which uids it has seen.
#[derive(Default)]
pub(crate) struct Reader {
    known: HashSet<Uid>,
}

impl Trace {
    /// Reads a file of lines, plain or compressed.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        crate::tell(&format!("reading `{}`", path.display()));
        let mut trace = Self { lines: Vec::new(), changes: Vec::new(), is_generated: false };
        let mut reader = Reader::default();
        for (index, line) in open(path)?.split(b'\n').enumerate() {
            let line = line.with_context(|| format!("failed to read line {}", index + 1))?;
            if line.is_empty() {
                continue;
            }
            match reader.line(&line).with_context(|| format!("line {} is no watch line", index + 1))? {
                Seen::Change(change) => {
                    trace.changes.push(*change);
                    trace.lines.push(line);
                }
                Seen::Bookmark => {}
                Seen::Generated => trace.is_generated = true,
            }
        }
        if trace.changes.is_empty() {
            bail!("`{}` holds no change", path.display());
        }
        Ok(trace)
    }

    /// Bytes of the canonical objects.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.changes.iter().map(raw_bytes).sum()
    }
}

/// Bytes of the canonical object of a change.
pub(crate) fn raw_bytes(change: &Change) -> u64 {
    change.body.as_ref().map_or(0, |body| body.len() as u64)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let opened = || File::open(path).with_context(|| format!("failed to open `{}`", path.display()));
    let mut magic = [0; 4];
    let is_zstd = opened()?.read_exact(&mut magic).is_ok() && magic == ZSTD_MAGIC;
    if !is_zstd {
        return Ok(Box::new(BufReader::new(opened()?)));
    }
    let mut decoder = zstd::Decoder::new(opened()?)?;
    // `zstd --long=31` is how such traces are kept.
    decoder.window_log_max(31)?;
    Ok(Box::new(BufReader::new(decoder)))
}

/// What a line was.
pub(crate) enum Seen {
    Change(Box<Change>),
    Bookmark,
    Generated,
}

impl Reader {
    /// Reads one line.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<Seen> {
        let line: Line = serde_json::from_slice(line)?;
        let verb = match line.event.as_str() {
            "ADDED" | "MODIFIED" => Verb::Update,
            "DELETED" => Verb::Delete,
            "BOOKMARK" => return Ok(Seen::Bookmark),
            GENERATED => return Ok(Seen::Generated),
            other => bail!("`type` is `{other}`, allowed are ADDED, MODIFIED, DELETED, BOOKMARK"),
        };
        let recorded_at = line.ts.context("`ts` is missing")?;
        let object = canonical::Object::of(line.object)?;
        let uid = Uid::from(object.uid.as_str());
        let verb = match verb {
            Verb::Delete => {
                self.known.remove(&uid);
                Verb::Delete
            }
            Verb::Create | Verb::Update if self.known.insert(uid.clone()) => Verb::Create,
            Verb::Create | Verb::Update => Verb::Update,
        };
        Ok(Seen::Change(Box::new(Change {
            seq: Seq(0),
            recorded_at,
            event_time: object.event_time,
            verb,
            origin: Origin::Watch,
            gap: None,
            object: ObjectId {
                cluster: CLUSTER.into(),
                group: object.group.into(),
                kind: object.kind.into(),
                namespace: object.namespace.into(),
                name: object.name.into(),
                uid,
            },
            version: object.version.into(),
            resource: plural(&line.resource).into(),
            resource_version: object.resource_version.into(),
            generation: object.generation,
            manager: object.manager.map(Into::into),
            regarding: object.regarding.map(Into::into),
            body: Some(Arc::from(object.body)),
        })))
    }
}

/// The plural in what a line calls its resource: `pods`, `apps/v1/deployments` or `deployments.apps`.
fn plural(resource: &str) -> &str {
    let last = resource.rsplit('/').next().unwrap_or(resource);
    last.split('.').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tells_creates_from_updates_by_uid() {
        let mut reader = Reader::default();
        let mut verb = |event: &str, uid: &str| {
            let line = format!(
                r#"{{"ts":"2026-11-20T10:00:00Z","type":"{event}","resource":"pods","object":{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"a","uid":"{uid}"}}}}}}"#
            );
            match reader.line(line.as_bytes()).unwrap() {
                Seen::Change(change) => Some(change.verb),
                Seen::Bookmark | Seen::Generated => None,
            }
        };
        let told = [verb("ADDED", "1"), verb("MODIFIED", "1"), verb("MODIFIED", "2"), verb("DELETED", "1"), verb("ADDED", "1")];
        assert_eq!(told, [Verb::Create, Verb::Update, Verb::Create, Verb::Delete, Verb::Create].map(Some));
        assert_eq!(verb("BOOKMARK", ""), None);
    }

    #[test]
    fn finds_the_plural_however_the_resource_is_written() {
        for text in ["deployments", "apps/v1/deployments", "deployments.apps", "deployments.v1.apps"] {
            assert_eq!(plural(text), "deployments", "{text}");
        }
    }
}
