//! Times as people read them. Pure: `now` is an argument; everything is UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How times are shown in tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TimeStyle {
    /// `3m12s ago`.
    #[default]
    Relative,
    /// `2026-11-21 08:03:11Z`.
    Absolute,
    /// `2026-11-21T08:03:11.123Z`, as in JSON.
    Iso,
}

/// A time in a style.
pub(crate) fn show(time: Timestamp, now: Timestamp, style: TimeStyle) -> String {
    match style {
        TimeStyle::Relative => ago(time, now),
        TimeStyle::Absolute => absolute(time),
        TimeStyle::Iso => time.to_string(),
    }
}

/// A time in a style, for a column whose head says that relative times are past: `3m12s`.
pub(crate) fn show_in_column(time: Timestamp, now: Timestamp, style: TimeStyle) -> String {
    match style {
        TimeStyle::Relative if time > now => ago(time, now),
        TimeStyle::Relative => between(time, now),
        TimeStyle::Absolute | TimeStyle::Iso => show(time, now, style),
    }
}

/// How long ago, `just now` below a second, `in 5s` for a time that is still to come.
pub(crate) fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(time.as_second());
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        _ => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// Time between two moments, such as an age; nothing below zero.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> String {
    span(to.as_second().saturating_sub(from.as_second()).max(0).unsigned_abs())
}

/// `2026-11-21 08:03:11Z`.
pub(crate) fn absolute(time: Timestamp) -> String {
    format!("{}Z", time.strftime("%Y-%m-%d %H:%M:%S"))
}

/// `08:03:11`, the hour of the day in UTC.
pub(crate) fn of_day(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// `Saturday 2026-11-21`.
pub(crate) fn day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%A %Y-%m-%d").to_string()
}

/// At most two units, and one where the second would say little: `45s`, `3m12s`, `59m`, `2h05m`, `3d4h`, `12d`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..600 if seconds.is_multiple_of(60) => format!("{minutes}m"),
        60..600 => format!("{minutes}m{:02}s", seconds % 60),
        600..3_600 => format!("{minutes}m"),
        3_600..86_400 if minutes.is_multiple_of(60) => format!("{hours}h"),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        86_400..864_000 if hours.is_multiple_of(24) => format!("{days}d"),
        86_400..864_000 => format!("{days}d{}h", hours % 24),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_long_ago_in_at_most_two_units() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("time");
        let cases = [
            ("2026-11-21T12:00:00Z", "just now"),
            ("2026-11-21T11:59:15Z", "45s ago"),
            ("2026-11-21T11:56:48Z", "3m12s ago"),
            ("2026-11-21T11:57:00Z", "3m ago"),
            ("2026-11-21T11:01:01Z", "58m ago"),
            ("2026-11-21T09:55:00Z", "2h05m ago"),
            ("2026-11-18T08:00:00Z", "3d4h ago"),
            ("2026-11-01T00:00:00Z", "20d ago"),
            ("2026-11-21T12:00:05Z", "in 5s"),
        ];
        for (time, expected) in cases {
            assert_eq!(ago(time.parse().expect("time"), now), expected);
        }
    }

    #[test]
    fn tells_absolute_times_in_utc() {
        let time: Timestamp = "2026-11-21T23:59:59.123456789+02:00".parse().expect("time");
        assert_eq!(absolute(time), "2026-11-21 21:59:59Z");
        assert_eq!(day(time), "Saturday 2026-11-21");
        assert_eq!(show(time, time, TimeStyle::Iso), "2026-11-21T21:59:59.123456789Z");
    }
}
