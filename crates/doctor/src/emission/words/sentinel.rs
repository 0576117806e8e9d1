//! What Sentinel's intake gets: its own envelope around the incident.
//!
//! Pure. The intake (mcp-runtime, `services/ingest`) takes `timestamp`, `source`, `event_type` and `payload`, refuses a request without one
//! of the last three, and keeps the payload as it is.

use serde_json::{Value, json};

use super::super::notice::{Notice, REPORTER};
use super::{Setting, incident};

/// The body for the intake.
pub fn sentinel(notice: &Notice, setting: &Setting) -> Value {
    let mut payload = incident(notice, setting);
    payload.insert("idempotencyKey".to_owned(), Value::String(notice.key.clone()));
    json!({
        "timestamp": notice.incident.happened_at().to_string(),
        "source": REPORTER,
        "event_type": notice.occasion.as_str(),
        "payload": payload,
    })
}
