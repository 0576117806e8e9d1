//! Which field manager made a change: read from `managedFields`, where the newest entry counts. Pure.
//!
//! Not an identity, and never called a user. The times have whole seconds, and the API server sorts entries of one second by name, so
//! their order says nothing. Invariant: of entries of one second the one counts that may write what really changed: a change of `status`
//! alone is not the doing of who applied the object, and a change beside it is not the kubelet's.

use std::cmp::Reverse;

use jiff::Timestamp;
use proreus_model::Manager;

use crate::json::Node;

/// Which part of an object differs from the version before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Nothing is known of it: both parts, or the version before is not at hand.
    Unknown,
    /// `status` and nothing else.
    StatusOnly,
    /// Anything but `status`; a new object as well, for it is made whole.
    AllButStatus,
}

/// An entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManagedEntry {
    pub(crate) at: Timestamp,
    pub(crate) manager: Manager,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

/// The entries of the newest second, in the order in which they stand.
pub(crate) fn newest_entries(object: &Node<'_>) -> Vec<ManagedEntry> {
    let entries = object.get("metadata").and_then(|metadata| metadata.get("managedFields")).map(Node::items).unwrap_or_default();
    let timed = |entry: &Node<'_>| entry.text_at(&["time"])?.parse::<Timestamp>().ok();
    let Some(newest) = entries.iter().filter_map(timed).max() else { return Vec::new() };
    entries
        .iter()
        .filter(|entry| timed(entry) == Some(newest))
        .filter_map(|entry| {
            let subresource = entry.text_at(&["subresource"]).unwrap_or_default().to_owned();
            Some(ManagedEntry { at: newest, manager: entry.text_at(&["manager"])?.into(), subresource })
        })
        .collect()
}

/// The one of the newest entries that made a change. Of equals the last one, which is as good as any.
pub(crate) fn author(newest: &[ManagedEntry], touched: Touched) -> Option<&ManagedEntry> {
    newest.iter().enumerate().min_by_key(|(index, entry)| (distance(&entry.subresource, touched), Reverse(*index))).map(|(_, entry)| entry)
}

/// How unlikely it is that a write to a subresource changed this part.
fn distance(subresource: &str, touched: Touched) -> u8 {
    match (touched, subresource) {
        (Touched::Unknown, _) | (Touched::StatusOnly, "status") | (Touched::AllButStatus, "") => 0,
        // Such as `approval` and `resize`, which write conditions, and `scale` and `binding`, which write the spec.
        (Touched::StatusOnly, other) if !other.is_empty() => 1,
        (Touched::AllButStatus, other) if other != "status" => 1,
        (Touched::StatusOnly | Touched::AllButStatus, _) => 2,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::json::{self, MAX_DEPTH};

    /// The author among entries `manager/second[/subresource]`.
    fn by(entries: &str, touched: Touched) -> String {
        let entries: Vec<serde_json::Value> = entries
            .split_whitespace()
            .map(|entry| {
                let words: Vec<&str> = entry.split('/').collect();
                let time = format!("2026-11-21T10:00:{}Z", words[1]);
                match words.get(2) {
                    Some(subresource) => serde_json::json!({"manager": words[0], "time": time, "subresource": subresource}),
                    None => serde_json::json!({"manager": words[0], "time": time}),
                }
            })
            .collect();
        let text = serde_json::json!({"metadata": {"managedFields": entries}}).to_string();
        let object = json::parse(text.as_bytes(), MAX_DEPTH).unwrap();
        author(&newest_entries(&object), touched).map(|entry| entry.manager.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_newest_entry_counts_whatever_was_touched() {
        for touched in [Touched::Unknown, Touched::StatusOnly, Touched::AllButStatus] {
            assert_eq!(by("kubectl/05 kubelet/09/status helm/01", touched), "kubelet");
            assert_eq!(by("kubelet/05/status kubectl/09", touched), "kubectl");
        }
    }

    #[test]
    fn a_change_of_status_in_the_second_of_an_apply_is_not_said_to_be_by_kubectl() {
        assert_eq!(by("kubelet/05/status kubectl/05", Touched::StatusOnly), "kubelet");
        assert_eq!(by("kubectl/05 kubelet/05/status", Touched::StatusOnly), "kubelet");
        assert_eq!(by("approver/05/approval kubectl/05", Touched::StatusOnly), "approver");
    }

    #[test]
    fn an_apply_in_the_second_of_a_change_of_status_is_said_to_be_by_kubectl() {
        assert_eq!(by("kubectl/05 kubelet/05/status", Touched::AllButStatus), "kubectl");
        assert_eq!(by("hpa/05/scale kubelet/05/status", Touched::AllButStatus), "hpa");
    }

    #[test]
    fn where_nobody_may_write_that_part_the_newest_entry_counts() {
        assert_eq!(by("operator/05", Touched::StatusOnly), "operator");
        assert_eq!(by("kubelet/05/status", Touched::AllButStatus), "kubelet");
        assert_eq!(by("a/05 b/05", Touched::Unknown), "b");
    }

    #[test]
    fn entries_without_a_time_or_a_manager_say_nothing() {
        let object =
            json::parse(br#"{"metadata":{"managedFields":[{"manager":"a"},{"time":"2026-11-21T10:00:05Z"},7]}}"#, MAX_DEPTH).unwrap();
        assert_eq!(newest_entries(&object), []);
        assert_eq!(newest_entries(&json::parse(b"{}", MAX_DEPTH).unwrap()), []);
    }
}
