//! JSON as Kubernetes sends it: parsed by borrowing, printed in one canonical form.
//!
//! Not a general JSON library: it keeps numbers as their source text, sorts keys, and refuses what nests too deep, because both the
//! journal's deltas and its hashes need the same bytes for the same object. A `Node` lives as long as one object is looked at.
//!
//! Invariants: parsing never panics and never recurses deeper than the limit; `parse(print(node)) == node`.

use std::borrow::Cow;

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

/// Parses one value that may nest `max_depth` levels and is followed by white space only.
pub(crate) fn parse(bytes: &[u8], max_depth: usize) -> Result<Node<'_>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 { offset: error.valid_up_to() })?;
    let mut parser = Parser { text, at: 0, depth: 0, max_depth };
    parser.skip_space();
    let node = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() { Err(parser.expected("end of value")) } else { Ok(node) }
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

    /// Appends the canonical form.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            Node::Number(text) => out.extend_from_slice(text.as_bytes()),
            Node::Text(text) => print_text(text, out),
            Node::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.print(out);
                }
                out.push(b']');
            }
            Node::Map(members) => {
                out.push(b'{');
                for (index, (key, node)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    print_text(key, out);
                    out.push(b':');
                    node.print(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends a quoted string with the fewest escapes.
pub(crate) fn print_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f => b"\\u00",
            _ => continue,
        };
        out.extend_from_slice(bytes.get(start..index).unwrap_or_default());
        out.extend_from_slice(escape);
        if escape.len() == 4 {
            out.extend(HEX.get(usize::from(byte >> 4)));
            out.extend(HEX.get(usize::from(byte & 15)));
        }
        start = index + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { offset: self.at, what }
    }

    fn value(&mut self) -> Result<Node<'a>, JsonError> {
        match self.peek() {
            Some(b'{') => self.nested(Self::map),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Node::Text),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Node::Number),
            Some(_) | None => Err(self.expected("a value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Node<'a>, JsonError>) -> Result<Node<'a>, JsonError> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(JsonError::TooDeep { limit: self.max_depth });
        }
        self.at += 1;
        self.skip_space();
        let node = read(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn list(&mut self) -> Result<Node<'a>, JsonError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::List(items));
        }
        loop {
            self.skip_space();
            items.push(self.value()?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Node::List(items));
                }
                Some(_) | None => return Err(self.expected("`,` or `]`")),
            }
        }
    }

    fn map(&mut self) -> Result<Node<'a>, JsonError> {
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Map(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key"));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("`:`"));
            }
            self.at += 1;
            self.skip_space();
            let node = self.value()?;
            members.push((key, node));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Node::Map(sorted(members)));
                }
                Some(_) | None => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    fn word(&mut self, word: &'static str, node: Node<'a>) -> Result<Node<'a>, JsonError> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            Ok(node)
        } else {
            Err(self.expected("a value"))
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.expected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(JsonError::Syntax { offset: start, what: "a number" })
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<String> = None;
        let mut clean_from = start;
        loop {
            match self.peek() {
                None => return Err(self.expected("a closing quote")),
                Some(b'"') => {
                    let rest = self.text.get(clean_from..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(match unescaped {
                        None => Cow::Borrowed(rest),
                        Some(text) => Cow::Owned(text + rest),
                    });
                }
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(self.text.get(clean_from..self.at).unwrap_or_default());
                    self.at += 1;
                    let character = self.escape()?;
                    unescaped.get_or_insert_default().push(character);
                    clean_from = self.at;
                }
                Some(0..=0x1f) => return Err(self.expected("no bare control character")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self.peek().ok_or(self.expected("an escape"))?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(self.expected("a known escape")),
        })
    }

    /// A `\u` escape, or a pair of them. Half of a pair becomes U+FFFD, as in Go's decoder.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let back = self.at;
        self.at += 2;
        let second = self.hex4()?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = back;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or(self.expected("four hex digits"))?;
        self.at += 4;
        Ok(code)
    }
}

/// Sorts by key; of a key given twice the last one counts, as in Go's decoder.
fn sorted<'a>(mut members: Vec<(Cow<'a, str>, Node<'a>)>) -> Vec<(Cow<'a, str>, Node<'a>)> {
    if members.windows(2).all(|pair| matches!(pair, [a, b] if a.0 < b.0)) {
        return members;
    }
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(&mut later.1, &mut kept.1);
        }
        same
    });
    members
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
