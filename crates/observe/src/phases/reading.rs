//! Reading single fields of an object's JSON by pointer. What is missing or of another type reads as empty: objects come from outside.

use jiff::Timestamp;
use serde_json::Value;

/// Text at a pointer, `""` when there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The first of several pointers that holds a text that is not empty.
pub(super) fn first_text<'a>(value: &'a Value, pointers: &[&str]) -> &'a str {
    pointers.iter().map(|pointer| text(value, pointer)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// Whole number at a pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// Boolean at a pointer.
pub(super) fn flag(value: &Value, pointer: &str) -> Option<bool> {
    value.pointer(pointer).and_then(Value::as_bool)
}

/// The list at a pointer, empty when there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// RFC 3339 time at a pointer.
pub(super) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).parse().ok()
}

/// The first line of a text, cut to `max` characters with an ellipsis.
pub(super) fn first_line(text: &str, max: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= max {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
