//! Moments as scenario files write them.
//!
//! Pure. An offset is taken from the start of the scenario; a time with a date is taken as it is.

use jiff::{SignedDuration, Timestamp};

/// Units of an offset, longest name first so that `ms` is not read as `m`.
const UNITS: [(&str, i64); 6] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("", 1_000)];

/// What may be written, for messages.
pub(crate) const FORMS: &str = "an offset from the start such as +90s, +2m30s or -1h, or an RFC 3339 time such as 2026-03-02T09:01:30Z";

/// Reads `+90s`, `2m30s`, `-1h`, `90`: numbers with units, summed, under one sign.
pub fn offset_of(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(..letters)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.checked_mul(*size)?)?;
        rest = rest.get(letters..)?;
    }
    Some(SignedDuration::from_millis(sign * millis))
}

/// An offset that is written with its sign, as inside objects and expectations, where other texts may look like durations.
pub(crate) fn signed_offset_of(text: &str) -> Option<SignedDuration> {
    text.starts_with(['+', '-']).then(|| offset_of(text)).flatten()
}

/// A moment in either form.
pub(crate) fn moment(text: &str, start: Timestamp) -> Option<Timestamp> {
    match offset_of(text) {
        Some(offset) => start.checked_add(offset).ok(),
        None => text.trim().parse().ok(),
    }
}

/// The moment as the API writes it: whole seconds where it is whole.
pub(crate) fn text(moment: Timestamp) -> String {
    moment.to_string()
}

/// The moment as a scenario would write it.
pub(crate) fn as_offset(moment: Timestamp, start: Timestamp) -> String {
    let millis = moment.duration_since(start).as_millis();
    let sign = if millis < 0 { '-' } else { '+' };
    let millis = millis.unsigned_abs();
    match millis % 1_000 {
        0 => format!("{sign}{}s", millis / 1_000),
        _ => format!("{sign}{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_in_every_form_and_refuses_the_rest() {
        for (text, seconds) in
            [("+90s", Some(90)), ("2m30s", Some(150)), ("-1h", Some(-3600)), ("45", Some(45)), ("+1d2h", Some(93_600)), ("1500ms", Some(1))]
        {
            assert_eq!(offset_of(text).map(|offset| offset.as_secs()), seconds, "{text}");
        }
        for text in ["", "+", "soon", "10x", "2026-03-02T09:00:00Z", "99999999999999999999s"] {
            assert_eq!(offset_of(text), None, "{text}");
        }
    }
}
