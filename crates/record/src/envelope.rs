//! What a watch line says and what an object says of itself.
//!
//! Reads the envelope and `metadata`; never the rest of an object. Invariant: what comes out was said by the API server, nothing is
//! guessed; an object without uid or name is refused, because it could not be told from another.

use jiff::Timestamp;
use proreus_model::{Name, Namespace, ResourceVersion, Uid};

use crate::authorship::{self, ManagedEntry};
use crate::json::{self, JsonError, MAX_DEPTH, Node};

/// The kinds of watch events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
    /// A type that we do not know, by its text.
    Unknown(String),
}

/// One line of a watch stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchLine<'a> {
    pub(crate) event: EventType,
    pub(crate) object: Node<'a>,
}

/// What a `Status` object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApiStatus {
    /// HTTP status code, 0 when absent.
    pub(crate) code: u16,
    /// Machine-readable reason, such as `Expired`.
    pub(crate) reason: String,
    /// Text for people.
    pub(crate) message: String,
    /// `details.retryAfterSeconds`.
    pub(crate) retry_after_seconds: Option<u64>,
}

/// `metadata` of an object, as far as we use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) uid: Uid,
    pub(crate) name: Name,
    pub(crate) namespace: Namespace,
    pub(crate) resource_version: ResourceVersion,
    pub(crate) generation: Option<i64>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) deleted: Option<Timestamp>,
    /// The newest entries of `managedFields`: one, or several of one second.
    pub(crate) managed: Vec<ManagedEntry>,
}

/// Parses a line of a watch stream.
pub(crate) fn watch_line(line: &[u8]) -> Result<WatchLine<'_>, JsonError> {
    // The envelope itself is one level.
    let mut node = json::parse(line, MAX_DEPTH + 1)?;
    let object = node.remove("object").ok_or(JsonError::Syntax { offset: 0, what: "a watch event with an object" })?;
    let event = match node.text_at(&["type"]) {
        Some("ADDED") => EventType::Added,
        Some("MODIFIED") => EventType::Modified,
        Some("DELETED") => EventType::Deleted,
        Some("BOOKMARK") => EventType::Bookmark,
        Some("ERROR") => EventType::Error,
        Some(other) => EventType::Unknown(other.chars().take(64).collect()),
        None => return Err(JsonError::Syntax { offset: 0, what: "a watch event with a type" }),
    };
    Ok(WatchLine { event, object })
}

/// Whether a bookmark ends the initial events of a streaming list.
pub(crate) fn ends_initial_events(bookmark: &Node<'_>) -> bool {
    bookmark.text_at(&["metadata", "annotations", "k8s.io/initial-events-end"]) == Some("true")
}

/// `metadata.resourceVersion`, if it is there.
pub(crate) fn resource_version(object: &Node<'_>) -> Option<ResourceVersion> {
    object.text_at(&["metadata", "resourceVersion"]).filter(|text| !text.is_empty()).map(ResourceVersion::from)
}

/// Reads a `Status` object.
pub(crate) fn api_status(object: &Node<'_>) -> ApiStatus {
    let text = |path: &[&str]| object.text_at(path).unwrap_or_default().chars().take(500).collect();
    let number = |node: Option<&Node<'_>>| node.and_then(Node::as_i64).and_then(|value| u64::try_from(value).ok());
    ApiStatus {
        code: number(object.get("code")).and_then(|code| u16::try_from(code).ok()).unwrap_or_default(),
        reason: text(&["reason"]),
        message: text(&["message"]),
        retry_after_seconds: number(object.get("details").and_then(|details| details.get("retryAfterSeconds"))),
    }
}

/// Reads `metadata`.
///
/// # Errors
/// Names the field that is missing: `metadata.uid` or `metadata.name`.
pub(crate) fn metadata(object: &Node<'_>) -> Result<Metadata, &'static str> {
    let text = |field: &str| object.text_at(&["metadata", field]).filter(|text| !text.is_empty());
    let time = |field: &str| text(field).and_then(|text| text.parse().ok());
    Ok(Metadata {
        uid: text("uid").ok_or("metadata.uid")?.into(),
        name: text("name").ok_or("metadata.name")?.into(),
        namespace: text("namespace").unwrap_or_default().into(),
        resource_version: text("resourceVersion").unwrap_or_default().into(),
        generation: object.get("metadata").and_then(|metadata| metadata.get("generation")).and_then(Node::as_i64),
        created: time("creationTimestamp"),
        deleted: time("deletionTimestamp"),
        managed: authorship::newest_entries(object),
    })
}

/// The uid of the object that an Event speaks of, in either API's shape.
pub(crate) fn regarding(event: &Node<'_>) -> Option<Uid> {
    event.text_at(&["involvedObject", "uid"]).or_else(|| event.text_at(&["regarding", "uid"])).filter(|uid| !uid.is_empty()).map(Uid::from)
}

/// The newest time an Event names, in either API's shape.
pub(crate) fn event_occurred(event: &Node<'_>) -> Option<Timestamp> {
    const TIMES: [&[&str]; 4] = [&["series", "lastObservedTime"], &["lastTimestamp"], &["deprecatedLastTimestamp"], &["eventTime"]];
    TIMES.iter().filter_map(|path| event.text_at(path)?.parse().ok()).max()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_type_and_metadata_of_a_line() {
        let line = br#"{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"web","namespace":"shop","uid":"u1","resourceVersion":"12",
            "generation":3,"creationTimestamp":"2026-11-21T10:00:00Z","managedFields":[
            {"manager":"kubelet","time":"2026-11-21T10:00:09Z"},{"manager":"kubectl","time":"2026-11-21T10:00:05Z"},{"manager":"bare"}]}}}"#;
        let parsed = watch_line(line).unwrap();
        assert_eq!(parsed.event, EventType::Modified);
        let metadata = metadata(&parsed.object).unwrap();
        assert_eq!(
            format!("{metadata:?}"),
            "Metadata { uid: \"u1\", name: \"web\", namespace: \"shop\", resource_version: \"12\", generation: Some(3), \
             created: Some(2026-11-21T10:00:00Z), deleted: None, managed: [ManagedEntry { at: 2026-11-21T10:00:09Z, manager: \"kubelet\", subresource: \"\" }] }"
        );
    }

    #[test]
    fn names_the_field_without_which_an_object_has_no_identity() {
        let refuse = |text: &str| metadata(&json::parse(text.as_bytes(), MAX_DEPTH).unwrap()).unwrap_err();
        assert_eq!(refuse(r#"{"metadata":{"name":"a","uid":""}}"#), "metadata.uid");
        assert_eq!(refuse(r#"{"metadata":{"uid":"a"}}"#), "metadata.name");
        assert_eq!(refuse(r#"{"metadata":[1]}"#), "metadata.uid");
    }

    #[test]
    fn a_line_without_type_or_object_is_no_event() {
        assert!(watch_line(br#"{"object":{}}"#).is_err());
        assert!(watch_line(br#"{"type":"ADDED"}"#).is_err());
        assert!(watch_line(b"[]").is_err());
        assert_eq!(watch_line(br#"{"type":"NEW","object":{}}"#).unwrap().event, EventType::Unknown("NEW".to_owned()));
    }

    #[test]
    fn reads_the_status_of_an_error() {
        let line = watch_line(
            br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old","details":{"retryAfterSeconds":3}}}"#,
        )
        .unwrap();
        let status = api_status(&line.object);
        assert_eq!((status.code, status.reason.as_str(), status.retry_after_seconds), (410, "Expired", Some(3)));
    }

    #[test]
    fn knows_the_object_and_the_time_of_events_of_both_apis() {
        for text in [
            r#"{"involvedObject":{"uid":"p"},"lastTimestamp":"2026-11-21T10:00:00Z","eventTime":null}"#,
            r#"{"regarding":{"uid":"p"},"eventTime":"2026-11-21T09:00:00Z","series":{"lastObservedTime":"2026-11-21T10:00:00.000000Z"}}"#,
        ] {
            let event = json::parse(text.as_bytes(), MAX_DEPTH).unwrap();
            assert_eq!(regarding(&event), Some("p".into()));
            assert_eq!(event_occurred(&event), Some("2026-11-21T10:00:00Z".parse().unwrap()));
        }
    }
}
