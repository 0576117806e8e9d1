//! Moments as people write them: a time, a date, or how long ago.
//!
//! Pure: `now` is an argument.

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use proreus_model::Seq;

use crate::AppError;

/// What a person may write for a moment; the text of every hint about one.
pub(crate) const MOMENT_FORMS: &str =
    "write RFC 3339 with a zone (2026-11-21T08:00:00Z), a UTC date (2026-11-21), or how long ago (90s, 15m, 2h, 7d)";

/// A point in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// The last record.
    #[default]
    Now,
    /// The last record at or before this time.
    At(Timestamp),
    /// Just after this position.
    After(Seq),
}

/// Reads a moment; `name` is the parameter it came from.
pub fn parse_moment(name: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, AppError> {
    let bad = || AppError::BadParameter { name, found: text.to_owned(), allowed: MOMENT_FORMS.to_owned() };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-11-21".len()
    {
        return date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| bad());
    }
    let ago = parse_ago(text).ok_or_else(bad)?;
    now.checked_sub(ago).map_err(|_| bad())
}

/// `90s`, `15m`, `2h`, `7d`: digits and one unit.
fn parse_ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).and_then(|total| SignedDuration::try_from(total.seconds()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("time");
        let found = parse_moment("since", text, now).ok().map(|time| time.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn reads_times_dates_and_durations() {
        check("2026-11-20T01:02:03.5+02:00", Some("2026-11-19T23:02:03.5Z"));
        check("2026-11-20", Some("2026-11-20T00:00:00Z"));
        check("90s", Some("2026-11-21T11:58:30Z"));
        check("2h", Some("2026-11-21T10:00:00Z"));
        check("7d", Some("2026-11-14T12:00:00Z"));
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for text in ["", "10", "h", "-2h", "2w", "tomorrow", "2026-11-20T01:02:03", "99999999999999999d", "2ö"] {
            check(text, None);
        }
    }
}
