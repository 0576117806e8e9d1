//! Bodies without what is stored beside them: identity, version and time of a change stand in its header, so their copies in the JSON
//! become one byte each before compression.
//!
//! Not JSON-aware on purpose: a replacement is textual and reversible for any bytes. Invariant: `restore(strip(body)) == body`; a body
//! that already holds a placeholder byte (no JSON does: control characters are escaped there) is kept as it is and marked literal.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memmem;

const VERSION: u8 = 1;
const UID: u8 = 2;
const NAME: u8 = 3;
const STEM: u8 = 4;
const TIME: u8 = 5;
const REGARDING: u8 = 6;
/// Followed by a count and so many bytes: twice as many lower-case hexadecimal digits.
const DIGITS: u8 = 7;

/// Shorter runs of hexadecimal digits gain less than they cost. Container and image ids have 64.
const FEWEST_DIGITS: usize = 16;

/// Shorter names are replaced only as whole strings: `a` would match everywhere and break up better matches.
const SHORTEST_BARE_NAME: usize = 8;

/// What is known of a change without its body.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    pub(crate) resource_version: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) name: &'a str,
    pub(crate) event_time: Option<Timestamp>,
    pub(crate) regarding: Option<&'a str>,
}

/// A body as it is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stripped {
    pub(crate) bytes: Vec<u8>,
    /// Nothing was replaced because a placeholder byte occurs in the body.
    pub(crate) literal: bool,
}

/// Replaces what is known by placeholders.
pub(crate) fn strip(body: &[u8], known: &Known<'_>) -> Stripped {
    // Without an early end, so that the compiler can look at many bytes at once.
    if body.iter().fold(false, |found, byte| found | (byte.wrapping_sub(VERSION) < DIGITS)) {
        return Stripped { bytes: body.to_vec(), literal: true };
    }
    let mut bytes = Cow::Borrowed(body);
    for (code, text) in texts(known) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            bytes = replace_all(bytes, text.as_bytes(), &[code]);
        }
    }
    Stripped { bytes: pack_digits(&bytes), literal: false }
}

/// Packs long runs of hexadecimal digits: coded one by one, each would cost a byte for half a byte of news.
fn pack_digits(text: &[u8]) -> Vec<u8> {
    let is_digit = |at: usize| text.get(at).is_some_and(|byte| nibble(*byte).is_some());
    let mut out = Vec::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at + FEWEST_DIGITS <= text.len() {
        // Every run that is long enough has a digit at each so many bytes: most of the text is never looked at.
        let probe = at + FEWEST_DIGITS - 1;
        let Some(start) = (at..=probe).rev().take_while(|index| is_digit(*index)).last() else {
            at = probe + 1;
            continue;
        };
        let most = start + 2 * usize::from(u8::MAX);
        let end = (probe + 1..most).find(|index| !is_digit(*index)).unwrap_or(most);
        let count = (end - start) & !1;
        if count < FEWEST_DIGITS {
            at = end;
            continue;
        }
        out.extend_from_slice(text.get(copied..start).unwrap_or_default());
        out.extend([DIGITS, (count / 2) as u8]);
        for pair in text.get(start..start + count).unwrap_or_default().as_chunks::<2>().0 {
            out.push(nibble(pair[0]).unwrap_or_default() << 4 | nibble(pair[1]).unwrap_or_default());
        }
        (copied, at) = (start + count, start + count);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    out
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Text before a placeholder, its code, the bytes packed with it, text after it.
type Split<'a> = (&'a [u8], u8, &'a [u8], &'a [u8]);

/// Splits at the next placeholder.
fn next_placeholder(stripped: &[u8]) -> Option<Split<'_>> {
    let at = stripped.iter().position(|byte| (VERSION..=DIGITS).contains(byte))?;
    let (before, from) = stripped.split_at(at);
    let (code, after) = from.split_first()?;
    if *code != DIGITS {
        return Some((before, *code, &[], after));
    }
    let (count, after) = after.split_first()?;
    let (packed, after) = after.split_at_checked(usize::from(*count))?;
    Some((before, DIGITS, packed, after))
}

/// Puts back what `strip` replaced.
pub(crate) fn restore(stripped: &[u8], literal: bool, known: &Known<'_>) -> Vec<u8> {
    if literal {
        return stripped.to_vec();
    }
    let texts = texts(known);
    let mut out = Vec::with_capacity(stripped.len() + 256);
    let mut rest = stripped;
    while let Some((before, code, packed, after)) = next_placeholder(rest) {
        out.extend_from_slice(before);
        if code == DIGITS {
            for byte in packed {
                out.extend([byte >> 4, byte & 15].map(|nibble| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
            }
        } else {
            let text = texts.iter().find(|(known, _)| *known == code).and_then(|(_, text)| text.as_deref());
            out.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Puts back the time only: a later version of the object still holds that text, and matches it.
pub(crate) fn restore_time(stripped: Vec<u8>, literal: bool, event_time: Option<Timestamp>) -> Vec<u8> {
    let Some(time) = event_time.filter(|_| !literal && memchr::memchr(TIME, &stripped).is_some()) else { return stripped };
    let text = quoted_time(time);
    let mut out = Vec::with_capacity(stripped.len() + 128);
    let mut rest = stripped.as_slice();
    while let Some((_, code, _, after)) = next_placeholder(rest) {
        let consumed = rest.len() - after.len();
        let until = if code == TIME { consumed - 1 } else { consumed };
        out.extend_from_slice(rest.get(..until).unwrap_or_default());
        if code == TIME {
            out.extend_from_slice(text.as_bytes());
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Placeholder and text, in the order of replacement: a longer text that contains another comes first.
fn texts(known: &Known<'_>) -> [(u8, Option<String>); 6] {
    let quoted = |text: &str| format!("\"{text}\"");
    let stem = known.regarding.and_then(|_| known.name.rsplit_once('.')).map(|(stem, _)| stem);
    [
        (VERSION, plain(known.resource_version).map(quoted)),
        (UID, plain(known.uid).map(quoted)),
        (REGARDING, known.regarding.and_then(plain).map(quoted)),
        (TIME, known.event_time.map(quoted_time)),
        (NAME, plain(known.name).map(bare_or_quoted)),
        (STEM, stem.and_then(plain).map(bare_or_quoted)),
    ]
}

/// A text whose JSON form is itself and that holds no placeholder.
fn plain(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte >= 0x20)).then_some(text)
}

fn bare_or_quoted(name: &str) -> String {
    if name.len() < SHORTEST_BARE_NAME { format!("\"{name}\"") } else { name.to_owned() }
}

/// As Kubernetes prints it: whole seconds, or six digits where the time has a fraction.
fn quoted_time(time: Timestamp) -> String {
    if time.subsec_nanosecond() == 0 { format!("\"{time}\"") } else { format!("\"{time:.6}\"") }
}

fn replace_all<'a>(text: Cow<'a, [u8]>, from: &[u8], to: &[u8]) -> Cow<'a, [u8]> {
    let mut found = memmem::find_iter(&text, from).peekable();
    if found.peek().is_none() {
        drop(found);
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + to.len());
    let mut copied = 0;
    for at in found {
        out.extend_from_slice(text.get(copied..at).unwrap_or_default());
        out.extend_from_slice(to);
        copied = at + from.len();
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn event() -> Known<'static> {
        Known {
            resource_version: "4711",
            uid: "6f3a1c9e-0000-4000-8000-000000000001",
            name: "web-7d9c5-abcde.17f3a2b4c5d6e7f8",
            event_time: Some("2026-11-21T10:30:00Z".parse().unwrap()),
            regarding: Some("6f3a1c9e-0000-4000-8000-000000000002"),
        }
    }

    #[test]
    fn takes_out_everything_that_the_header_knows() {
        let body = br#"{"firstTimestamp":"2026-11-21T10:30:00Z","involvedObject":{"name":"web-7d9c5-abcde","uid":"6f3a1c9e-0000-4000-8000-000000000002"},"metadata":{"name":"web-7d9c5-abcde.17f3a2b4c5d6e7f8","resourceVersion":"4711","uid":"6f3a1c9e-0000-4000-8000-000000000001"}}"#;
        let stripped = strip(body, &event());
        let expected = "{\"firstTimestamp\":\u{5},\"involvedObject\":{\"name\":\"\u{4}\",\"uid\":\u{6}},\"metadata\":{\"name\":\"\u{3}\",\"resourceVersion\":\u{1},\"uid\":\u{2}}}";
        assert_eq!(String::from_utf8(stripped.bytes.clone()).unwrap(), expected);
        assert_eq!(restore(&stripped.bytes, false, &event()), body);
    }

    #[test]
    fn packs_long_runs_of_hexadecimal_digits() {
        let body = br#"{"containerID":"containerd://0123456789abcdef0123456789abcdeff"}"#;
        let stripped = strip(body, &Known::default());
        assert_eq!(stripped.bytes.len(), body.len() - 32 + 2 + 16);
        assert_eq!(restore(&stripped.bytes, false, &Known::default()), body);
    }

    #[test]
    fn puts_a_time_back_without_touching_packed_digits() {
        let time = event().event_time;
        let body = br#"{"id":"05050505050505050505","time":"2026-11-21T10:30:00Z"}"#;
        let stripped = strip(body, &Known { event_time: time, ..Known::default() });
        let with_time = restore_time(stripped.bytes.clone(), false, time);
        assert!(with_time.len() > stripped.bytes.len());
        assert_eq!(restore(&with_time, false, &Known::default()), body);
    }

    #[test]
    fn keeps_a_body_with_placeholder_bytes_as_it_is() {
        let body = b"\"4711\"\x01\x06";
        let stripped = strip(body, &event());
        assert_eq!((stripped.bytes.as_slice(), stripped.literal), (&body[..], true));
        assert_eq!(restore(&stripped.bytes, true, &event()), body);
    }

    proptest! {
        #[test]
        fn gives_back_any_bytes(
            parts in prop::collection::vec(prop_oneof![
                Just(b"\"4711\"".to_vec()), Just(b"web-7d9c5-abcde".to_vec()), Just(b".17f3a2b4c5d6e7f8".to_vec()),
                Just(b"\"2026-11-21T10:30:00Z\"".to_vec()), Just(b"0123456789abcdef0".to_vec()), "[0-9a-f]{10,40}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..6),
            ], 0..40)
        ) {
            let body = parts.concat();
            let stripped = strip(&body, &event());
            prop_assert_eq!(restore(&stripped.bytes, stripped.literal, &event()), body);
        }
    }
}
