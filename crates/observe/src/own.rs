//! What Proreus itself wrote into a cluster, and how it is told from what others wrote.
//!
//! Pure. What we found is no evidence that we were right: a check that believed our own Event would keep its own incident open.

use crate::document::Node;

/// By this name Proreus reports, in both of the APIs of Events.
const OURSELVES: &str = "proreus";

/// Whether an Event was written by Proreus.
pub(crate) fn is_own_event(event: Node<'_>) -> bool {
    let writers = ["/reportingComponent", "/reportingController", "/source/component", "/deprecatedSource/component"];
    writers.iter().any(|path| event.pointer(path).and_then(Node::as_str) == Some(OURSELVES))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Document;

    fn is_own_event(event: &Value) -> bool {
        super::is_own_event(Document::of(event).root())
    }

    #[test]
    fn knows_our_events_in_both_apis_and_no_others() {
        assert!(is_own_event(&json!({ "reportingComponent": "proreus", "source": { "component": "proreus" } })));
        assert!(is_own_event(&json!({ "reportingController": "proreus", "deprecatedSource": {} })));
        assert!(!is_own_event(&json!({ "reportingComponent": "kubelet", "message": "proreus" })));
        assert!(!is_own_event(&json!({ "source": { "component": "proreus-operator" } })));
        assert!(!is_own_event(&Value::Null));
    }
}
