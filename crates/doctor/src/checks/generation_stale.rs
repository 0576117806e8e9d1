//! Objects whose controller does not look at their newest specification.
//!
//! Pure.

use proreus_observe::KindRef;

use super::reading;
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "generation-stale",
    title: "A controller does not take up a new specification",
    severity: Severity::Warning,
    grace_seconds: 600,
    remediation: "the controller of this kind does not work: look at the controller manager (or the operator), its leader lease and its log",
    kinds: &[KindRef::DEPLOYMENT, KindRef::REPLICA_SET, KindRef::STATEFUL_SET, KindRef::DAEMON_SET],
    reasons: &["GenerationStale"],
    examine,
    ..Check::BASE
};

/// Looks at one object.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    let Some(generation) = object.int("/metadata/generation")? else { return Ok(Vec::new()) };
    let observed = object.int("/status/observedGeneration")?.unwrap_or(0);
    if observed >= generation {
        return Ok(Vec::new());
    }
    let text = match observed {
        0 => "its controller has never looked at it".to_owned(),
        observed => format!("its controller has seen generation {observed}, and the newest is {generation}"),
    };
    // The deletion of a whole tree keeps controllers from looking, on purpose.
    if object.deletion_at().is_some() {
        return Ok(Vec::new());
    }
    let since = reading::fact_since(subject, "generation");
    Ok(vec![subject.finding("GenerationStale", text, since)])
}
