//! The secret of the Sentinel services without the keys that they ask one another for.
//!
//! Pure. Only the names of the keys are known here, never a value: that two lists contain one another cannot be judged.

use proreus_observe::KindRef;

use super::joins::{self, unknown};
use crate::check::{Check, Severity, Subject, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "mcp-sentinel-keys",
    title: "The Sentinel secret lacks API keys",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "run the platform's setup again, which writes the missing keys, then restart the Sentinel deployments",
    kinds: &[KindRef::SECRET],
    reasons: &["SentinelKeysMissing"],
    examine,
    ..Check::BASE
};

/// The namespace of Sentinel.
const SENTINEL: &str = "mcp-sentinel";
/// The keys; a secret with any of them is meant.
const KEYS: [&str; 4] = ["API_KEYS", "ADMIN_API_KEYS", "INGEST_API_KEYS", "UI_API_KEY"];

/// Looks at one Secret.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    if subject.object.id.namespace.as_str() != SENTINEL {
        return Ok(Vec::new());
    }
    let secret = subject.known()?;
    let Some(data) = secret.map("/data")? else { return unknown("which keys it has was not recorded") };
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !data.contains_key(key)).collect();
    if missing.is_empty() || missing.len() == KEYS.len() || joins::is_going(secret)? {
        return Ok(Vec::new());
    }
    let text = format!("the secret has no {}", missing.join(", "));
    Ok(vec![subject.finding("SentinelKeysMissing", text, secret.recorded_at)])
}
