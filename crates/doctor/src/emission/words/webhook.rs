//! What a webhook gets: the incident as REST gives it, with the occasion beside it.
//!
//! Pure.

use serde_json::Value;

use super::super::notice::Notice;
use super::{Setting, incident};

/// The body for a webhook.
pub fn webhook(notice: &Notice, setting: &Setting) -> Value {
    let mut body = incident(notice, setting);
    body.insert("event".to_owned(), Value::String(notice.occasion.as_str().to_owned()));
    Value::Object(body)
}
