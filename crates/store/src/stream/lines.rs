//! The lines of a stream: records as JSON, and back.
//!
//! Invariant: a body comes back to the byte. One that is a single line of JSON stands in the line as it is; any other one is base64.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use proreus_model::{
    ApiVersion, Change, ClusterId, Gap, Group, Kind, Manager, Mark, MarkKind, Name, Namespace, ObjectId, Origin, Resource, ResourceVersion,
    Seq, Uid, Verb, WatchScope,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::journal::{Checkpoint, ConsumerCursor};

/// The first line, as far as every version of the format shares it.
#[derive(Serialize, Deserialize)]
pub(super) struct FormatLine {
    pub(super) format: String,
    pub(super) version: u32,
}

/// The first line of version 1.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HeaderLine {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) journal: String,
    pub(super) watermark: Seq,
    pub(super) oldest: Option<OldestLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OldestLine {
    pub(super) seq: Seq,
    pub(super) recorded_at: Timestamp,
}

/// Every line after the first: an object with one key that says what it is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line<'a> {
    #[serde(borrow)]
    Base(ChangeLine<'a>),
    #[serde(borrow)]
    Change(ChangeLine<'a>),
    Mark(MarkLine),
    Checkpoint(CheckpointLine),
    Cursor(CursorLine),
    End(EndLine),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangeLine<'a> {
    seq: Seq,
    recorded_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_time: Option<Timestamp>,
    cluster: ClusterId,
    verb: Verb,
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
    group: Group,
    version: ApiVersion,
    kind: Kind,
    resource: Resource,
    namespace: Namespace,
    name: Name,
    uid: Uid,
    resource_version: ResourceVersion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manager: Option<Manager>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regarding: Option<Uid>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    object_base64: Option<Cow<'a, str>>,
}

/// The body as one line of JSON, if that is what it is.
fn json_line(body: &[u8]) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    // Parsing takes white space off the ends, and white space within may be a line break.
    (raw.get().len() == body.len() && !body.contains(&b'\n')).then_some(raw)
}

impl<'a> ChangeLine<'a> {
    pub(super) fn of(change: &'a Change) -> Self {
        let body = change.body.as_deref();
        let object = body.and_then(json_line);
        let object_base64 = body.filter(|_| object.is_none()).map(|body| Cow::Owned(STANDARD.encode(body)));
        let ObjectId { cluster, group, kind, namespace, name, uid } = change.object.clone();
        Self {
            seq: change.seq,
            recorded_at: change.recorded_at,
            event_time: change.event_time,
            cluster,
            verb: change.verb,
            origin: change.origin,
            gap: change.gap,
            group,
            version: change.version.clone(),
            kind,
            resource: change.resource.clone(),
            namespace,
            name,
            uid,
            resource_version: change.resource_version.clone(),
            generation: change.generation,
            manager: change.manager.clone(),
            regarding: change.regarding.clone(),
            object,
            object_base64,
        }
    }

    /// The change, or what does not hold.
    pub(super) fn into_change(self) -> Result<Change, String> {
        let body: Option<Arc<[u8]>> = match (self.object, self.object_base64) {
            (Some(_), Some(_)) => return Err("a change has its object twice".to_owned()),
            (Some(object), None) => Some(Arc::from(object.get().as_bytes())),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|error| format!("objectBase64 does not decode: {error}"))?;
                Some(Arc::from(bytes))
            }
            (None, None) => None,
        };
        Ok(Change {
            seq: self.seq,
            recorded_at: self.recorded_at,
            event_time: self.event_time,
            verb: self.verb,
            origin: self.origin,
            gap: self.gap,
            object: ObjectId {
                cluster: self.cluster,
                group: self.group,
                kind: self.kind,
                namespace: self.namespace,
                name: self.name,
                uid: self.uid,
            },
            version: self.version,
            resource: self.resource,
            resource_version: self.resource_version,
            generation: self.generation,
            manager: self.manager,
            regarding: self.regarding,
            body,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MarkLine {
    seq: Seq,
    recorded_at: Timestamp,
    kind: MarkKind,
    scope: WatchScope,
    reason: String,
    detail: serde_json::Value,
}

impl MarkLine {
    pub(super) fn of(mark: &Mark) -> Self {
        let Mark { seq, recorded_at, kind, scope, reason, detail } = mark.clone();
        Self { seq, recorded_at, kind, scope, reason, detail }
    }

    pub(super) fn into_mark(self) -> Mark {
        let Self { seq, recorded_at, kind, scope, reason, detail } = self;
        Mark { seq, recorded_at, kind, scope, reason, detail }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CheckpointLine {
    scope: WatchScope,
    resource_version: Option<ResourceVersion>,
    at: Timestamp,
}

impl CheckpointLine {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { scope, resource_version, at } = checkpoint.clone();
        Self { scope, resource_version, at }
    }

    pub(super) fn into_checkpoint(self) -> Checkpoint {
        let Self { scope, resource_version, at } = self;
        Checkpoint { scope, resource_version, at }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CursorLine {
    consumer: String,
    seq: Seq,
    state_base64: String,
}

impl CursorLine {
    pub(super) fn of(cursor: &ConsumerCursor) -> Self {
        Self { consumer: cursor.consumer.clone(), seq: cursor.seq, state_base64: STANDARD.encode(&cursor.state) }
    }

    pub(super) fn into_cursor(self) -> Result<ConsumerCursor, String> {
        let state = STANDARD.decode(&self.state_base64).map_err(|error| format!("stateBase64 does not decode: {error}"))?;
        Ok(ConsumerCursor { consumer: self.consumer, seq: self.seq, state })
    }
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) bases: u64,
    pub(super) records: u64,
    pub(super) checkpoints: u64,
    pub(super) cursors: u64,
    /// Of every byte of every line before this one, line ends included, in hex.
    pub(super) sha256: String,
}

/// A digest as the trailer has it.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn takes_only_single_lines_of_json_as_they_are() {
        for (body, as_it_is) in [
            (r#"{"a":1.0e5,"b":[ 1 ]}"#, true),
            ("null", true),
            (" {}", false),
            ("{}\n", false),
            ("{\"a\":\n1}", false),
            ("{", false),
            ("", false),
        ] {
            assert_eq!(json_line(body.as_bytes()).is_some(), as_it_is, "{body:?}");
        }
        assert!(json_line(&[b'"', 0xff, b'"']).is_none(), "not UTF-8");
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(json_line(deep.as_bytes()).is_some(), "nested deeper than a tree of values could be");
    }

    #[test]
    fn refuses_a_change_with_two_bodies() {
        let text = r#"{"base":{"seq":1,"recordedAt":"2026-11-20T10:00:00Z","cluster":"c","verb":"create","origin":"watch","group":"","version":"v1",
            "kind":"Pod","resource":"pods","namespace":"","name":"a","uid":"1","resourceVersion":"1","object":{},"objectBase64":"e30="}}"#;
        let Line::Base(line) = serde_json::from_str(text).unwrap() else { unreachable!("the line says base") };
        assert_eq!(line.into_change().unwrap_err(), "a change has its object twice");
    }
}
