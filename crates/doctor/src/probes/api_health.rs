//! Whether the API server says of itself that it lives and is ready, with the parts of it that do not.
//!
//! Pure.

use jiff::Timestamp;
use proreus_observe::KindRef;

use super::{ANSWER_WITHIN, Action, Outcome, Probe, Scene, object};
use crate::check::{Check, Mode, Severity, Undecided, Verdict};
use crate::finding::Finding;

/// The API server is no object of its own API.
const API_SERVER: KindRef = KindRef { group: "", kind: "APIServer", resource: "" };

/// The definition.
pub const CHECK: Check = Check {
    id: "api-health",
    title: "The API server says that a part of it is not healthy",
    severity: Severity::Critical,
    remediation: "look at the API server's own log for the parts that are named; etcd is reached first of all",
    kinds: &[API_SERVER],
    mode: Mode::Active,
    reasons: &["ApiServerUnhealthy"],
    ..Check::BASE
};

pub(super) fn plan(scene: &Scene<'_>) -> Vec<Probe> {
    let ask = |path: &str| Probe {
        check: CHECK.id,
        about: object(scene.cluster, API_SERVER, "", path),
        says: format!("ask the API server for /{path}"),
        action: Action::Ask { path: format!("/{path}?verbose") },
        within: ANSWER_WITHIN,
    };
    vec![ask("livez"), ask("readyz")]
}

pub(super) fn judge(probe: &Probe, outcome: &Outcome, now: Timestamp) -> Verdict {
    let path = &probe.about.name;
    match outcome {
        Outcome::Answered { status: 200, .. } => Ok(Vec::new()),
        Outcome::Answered { status: 401 | 403, .. } => Err(Undecided::Skipped(format!("/{path} may not be read"))),
        Outcome::Answered { status, body } => {
            let failing: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("[-]")?.split_whitespace().next()).collect();
            let parts = if failing.is_empty() { String::new() } else { format!(": {}", failing.join(", ")) };
            let message = format!("/{path} answers {status}{parts}");
            Ok(vec![Finding::of_probe(&CHECK, probe, "ApiServerUnhealthy", message, now)])
        }
        Outcome::Silent { reason } => Err(Undecided::Unknown(format!("/{path} gave no answer: {reason}"))),
        Outcome::Seen { .. } | Outcome::NotDone { .. } => Err(Undecided::Unknown("no answer to judge".to_owned())),
    }
}
