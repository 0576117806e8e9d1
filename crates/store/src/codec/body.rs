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
    if body.iter().any(|byte| (VERSION..=REGARDING).contains(byte)) {
        return Stripped { bytes: body.to_vec(), literal: true };
    }
    let mut bytes = Cow::Borrowed(body);
    for (code, text) in texts(known) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            bytes = replace_all(bytes, text.as_bytes(), &[code]);
        }
    }
    Stripped { bytes: bytes.into_owned(), literal: false }
}

/// Puts back what `strip` replaced.
pub(crate) fn restore(stripped: &[u8], literal: bool, known: &Known<'_>) -> Vec<u8> {
    if literal {
        return stripped.to_vec();
    }
    let texts = texts(known);
    let mut out = Vec::with_capacity(stripped.len() + 256);
    let mut rest = stripped;
    while let Some(at) = rest.iter().position(|byte| (VERSION..=REGARDING).contains(byte)) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        if let Some((code, after)) = from.split_first() {
            let text = texts.iter().find(|(known, _)| known == code).and_then(|(_, text)| text.as_deref());
            out.extend_from_slice(text.unwrap_or_default().as_bytes());
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Puts back the time only: a later version of the object still holds that text, and matches it.
pub(crate) fn restore_time(stripped: Vec<u8>, literal: bool, event_time: Option<Timestamp>) -> Vec<u8> {
    match event_time {
        Some(time) if !literal && memchr::memchr(TIME, &stripped).is_some() => {
            replace_all(Cow::Owned(stripped), &[TIME], quoted_time(time).as_bytes()).into_owned()
        }
        _ => stripped,
    }
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
                Just(b"\"2026-11-21T10:30:00Z\"".to_vec()), prop::collection::vec(any::<u8>(), 0..6),
            ], 0..40)
        ) {
            let body = parts.concat();
            let stripped = strip(&body, &event());
            prop_assert_eq!(restore(&stripped.bytes, stripped.literal, &event()), body);
        }
    }
}
