//! JSON as Kubernetes sends it: parsed by borrowing, printed in one canonical form.
//!
//! Not a general JSON library: it keeps numbers as their source text, sorts keys, and refuses what nests too deep, because both the
//! journal's deltas and its hashes need the same bytes for the same object. A `Node` lives as long as one object is looked at.
//!
//! Invariants: parsing never panics and never recurses deeper than the limit; `parse(print(node)) == node`.

mod parse;
mod print;

use std::borrow::Cow;

pub(crate) use parse::parse;

/// Deepest nesting that is recorded. Kubernetes' own decoder stops far later, but no real object comes near, and readers of the journal
/// (serde_json's default) stop at 128.
pub const MAX_DEPTH: usize = 128;

/// A value that borrows its text from the bytes it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it was written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object, sorted by key, each key once.
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Why bytes are not JSON that we record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit that was passed.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {offset}")]
    NotUtf8 {
        /// First byte that is not valid.
        offset: usize,
    },
    /// Not JSON.
    #[error("invalid JSON at byte {offset}: {what}")]
    Syntax {
        /// Where.
        offset: usize,
        /// What was expected.
        what: &'static str,
    },
}

impl<'a> Node<'a> {
    /// The member `key` of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        let Node::Map(members) = self else { return None };
        members.binary_search_by(|(name, _)| (**name).cmp(key)).ok().and_then(|at| members.get(at)).map(|(_, node)| node)
    }

    /// The member `key` of a map, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node<'a>> {
        let Node::Map(members) = self else { return None };
        let at = members.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        members.get_mut(at).map(|(_, node)| node)
    }

    /// The text at a path of keys.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(self, |node, key| node.get(key))?.as_text()
    }

    /// The text, if this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The integer, if this is one that fits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Node::Number(text) => text.parse().ok(),
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The members, if this is a map.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match self {
            Node::Map(members) => members,
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::List(_) => &[],
        }
    }

    /// The items, if this is a list.
    pub(crate) fn items(&self) -> &[Node<'a>] {
        match self {
            Node::List(items) => items,
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) | Node::Map(_) => &[],
        }
    }

    /// Takes the member `key` out of a map.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Node<'a>> {
        let Node::Map(members) = self else { return None };
        let at = members.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(members.remove(at).1)
    }

    /// Sets the member `key` of a map, in its place of the order.
    pub(crate) fn set(&mut self, key: impl Into<Cow<'a, str>>, node: Node<'a>) {
        let key = key.into();
        let Node::Map(members) = self else { return };
        match members.binary_search_by(|(name, _)| name.cmp(&key)) {
            Ok(at) => {
                if let Some(member) = members.get_mut(at) {
                    member.1 = node;
                }
            }
            Err(at) => members.insert(at, (key, node)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(given: &str, canonical: &str) {
        let node = parse(given.as_bytes(), MAX_DEPTH).unwrap();
        let mut out = Vec::new();
        node.print(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), canonical);
    }

    #[test]
    fn sorts_keys_and_keeps_the_text_of_numbers() {
        check(
            r#" {"b": 1.50, "a": [1e3, -0, 18446744073709551616], "ab": {"z":null,"y":true}} "#,
            r#"{"a":[1e3,-0,18446744073709551616],"ab":{"y":true,"z":null},"b":1.50}"#,
        );
    }

    #[test]
    fn prints_one_form_whatever_the_escapes_were() {
        check(r#"{"k":"\u003ca\u003e \/ \ud83d\ude00 \u0001 é \"\\"}"#, "{\"k\":\"<a> / 😀 \\u0001 é \\\"\\\\\"}");
    }

    #[test]
    fn half_of_a_surrogate_pair_becomes_the_replacement_character() {
        check(r#"["\ud800", "\udc00x", "\ud800\u0041"]"#, "[\"\u{fffd}\",\"\u{fffd}x\",\"\u{fffd}A\"]");
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        check(r#"{"b":0,"a":1,"a":2,"a":3}"#, r#"{"a":3,"b":0}"#);
    }

    #[test]
    fn refuses_nesting_beyond_the_limit_and_takes_it_at_the_limit() {
        let at = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(at(128).as_bytes(), MAX_DEPTH).is_ok());
        assert_eq!(parse(at(129).as_bytes(), MAX_DEPTH), Err(JsonError::TooDeep { limit: 128 }));
        let deep = at(1_000_000);
        assert_eq!(parse(deep.as_bytes(), MAX_DEPTH), Err(JsonError::TooDeep { limit: 128 }));
    }

    #[test]
    fn refuses_what_is_not_json_and_says_where() {
        for (given, offset) in [
            ("", 0),
            ("{", 1),
            ("{\"a\"}", 4),
            ("[1,]", 3),
            ("01", 1),
            ("1.", 2),
            ("\"a", 2),
            ("nul", 0),
            ("{} x", 3),
            ("\"\\q\"", 3),
            ("\"\\u12\"", 3),
        ] {
            assert!(
                matches!(parse(given.as_bytes(), MAX_DEPTH), Err(JsonError::Syntax { offset: at, .. }) if at == offset),
                "{given:?} gave {:?}",
                parse(given.as_bytes(), MAX_DEPTH)
            );
        }
        assert_eq!(parse(b"\"a\xff\"", MAX_DEPTH), Err(JsonError::NotUtf8 { offset: 2 }));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_printing_is_stable(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            if let Ok(node) = parse(&bytes, MAX_DEPTH) {
                let mut once = Vec::new();
                node.print(&mut once);
                proptest::prop_assert_eq!(parse(&once, MAX_DEPTH), Ok(node));
            }
        }
    }
}
