//! Moments as the API writes them.

use jiff::{Timestamp, tz::TimeZone};

/// Whole seconds, as `metav1.Time`.
pub(crate) fn seconds(moment: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", &moment.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// Microseconds, as `metav1.MicroTime`.
pub(crate) fn micros(moment: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%6fZ", &moment.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// Nanoseconds, as log lines have them.
pub(crate) fn nanos(moment: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%9fZ", &moment.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// Reads either form.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A time span as tables show it: `45s`, `3m20s`, `12m`, `5h3m`, `2d4h`, `12d`.
pub(crate) fn human(seconds: i64) -> String {
    let (s, m, h, d) = (seconds, seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if s < -1 => "<invalid>".to_owned(),
        () if s < 0 => "0s".to_owned(),
        () if s < 120 => format!("{s}s"),
        () if m < 10 => with_rest(m, "m", s % 60, "s"),
        () if m < 180 => format!("{m}m"),
        () if h < 8 => with_rest(h, "h", m % 60, "m"),
        () if h < 48 => format!("{h}h"),
        () if h < 24 * 8 => with_rest(d, "d", h % 24, "h"),
        () if d < 365 * 2 => format!("{d}d"),
        () if d < 365 * 8 => with_rest(d / 365, "y", d % 365, "d"),
        () => format!("{}y", d / 365),
    }
}

fn with_rest(whole: i64, unit: &str, rest: i64, rest_unit: &str) -> String {
    if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
}
