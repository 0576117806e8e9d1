//! Cuts a byte stream into objects as it arrives: the items of a list, the lines of a watch.
//!
//! Neither parses what it cuts; a piece is handed on as soon as its last byte is here, so that a list of any length costs the memory of
//! one object. Invariant: a piece never holds more than the limit; what is longer is read to its end and reported by its length only.

use bytes::Bytes;

/// The largest object that is recorded. etcd refuses more than 1.5 MB unless configured otherwise; twice that covers those who did.
pub const MAX_OBJECT_BYTES: usize = 3 * 1024 * 1024;

/// The largest watch line: an object and its envelope.
pub(crate) const MAX_LINE_BYTES: usize = MAX_OBJECT_BYTES + 4096;

/// The largest `metadata` of a list: a resourceVersion and a continue token, which holds a start key.
const MAX_LIST_METADATA_BYTES: usize = 64 * 1024;

/// A piece cut from a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The bytes of one object or line.
    Whole(Vec<u8>),
    /// An object or line beyond the limit, skipped.
    TooLarge {
        /// How long it was.
        bytes: usize,
    },
}

/// Cuts lines.
#[derive(Debug)]
pub(crate) struct LineCutter {
    chunk: Bytes,
    line: Vec<u8>,
    skipped: usize,
    limit: usize,
}

impl LineCutter {
    pub(crate) fn new(limit: usize) -> Self {
        Self { chunk: Bytes::new(), line: Vec::new(), skipped: 0, limit }
    }

    /// Gives the next bytes of the stream. The former ones must be used up.
    pub(crate) fn feed(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The next whole line without its end, `None` when more bytes are needed. Empty lines are left out.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        while !self.chunk.is_empty() {
            let end = self.chunk.iter().position(|&byte| byte == b'\n');
            let part = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
            if self.skipped > 0 || self.line.len() + part.len() > self.limit {
                self.skipped += self.line.len() + part.len();
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(&part);
            }
            end?;
            let _newline = self.chunk.split_to(1);
            if self.skipped > 0 {
                return Some(Piece::TooLarge { bytes: std::mem::take(&mut self.skipped) });
            }
            let line = std::mem::take(&mut self.line);
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Piece::Whole(line));
            }
        }
        None
    }

    /// Whether the stream ended inside a line.
    pub(crate) fn is_inside(&self) -> bool {
        self.skipped > 0 || !self.line.iter().all(u8::is_ascii_whitespace)
    }
}

/// Why bytes are not a Kubernetes list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    #[error("the list is not a JSON object with items at byte {offset}")]
    NotAList { offset: usize },
    #[error("the list ended early after {bytes} bytes")]
    Truncated { bytes: usize },
    #[error("the list's metadata is larger than {MAX_LIST_METADATA_BYTES} bytes")]
    Metadata,
}

/// Cuts the items out of a list.
#[derive(Debug)]
pub(crate) struct ListCutter {
    chunk: Bytes,
    offset: usize,
    place: Place,
    depth: usize,
    in_string: bool,
    escaped: bool,
    piece: Vec<u8>,
    skipped: usize,
    key: Vec<u8>,
    metadata: Vec<u8>,
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the list's `{`.
    Start,
    /// Before a key of the list or its `}`.
    BeforeKey,
    /// In a key.
    Key,
    /// Between a key and its value.
    Colon,
    /// In a value other than `items`.
    Value,
    /// Between items.
    Items,
    /// In an item.
    Item,
    /// After the list's `}`.
    End,
}

impl ListCutter {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            offset: 0,
            place: Place::Start,
            depth: 0,
            in_string: false,
            escaped: false,
            piece: Vec::new(),
            skipped: 0,
            key: Vec::new(),
            metadata: Vec::new(),
            limit,
        }
    }

    /// Gives the next bytes of the stream. The former ones must be used up.
    pub(crate) fn feed(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The next item, `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, ListError> {
        let chunk = std::mem::take(&mut self.chunk);
        let mut used = 0;
        while let Some(&byte) = chunk.get(used) {
            if self.place == Place::Item {
                let (taken, whole) = self.item_end(chunk.get(used..).unwrap_or_default());
                self.keep(chunk.get(used..used + taken).unwrap_or_default());
                used += taken;
                self.offset += taken;
                if whole {
                    self.place = Place::Items;
                    self.chunk = chunk.slice(used..);
                    return Ok(Some(self.take_piece()));
                }
                continue;
            }
            if self.step(byte)? {
                used += 1;
                self.offset += 1;
            }
        }
        Ok(None)
    }

    /// The raw `metadata` of the list, once all of it was read.
    pub(crate) fn finish(self) -> Result<Vec<u8>, ListError> {
        if self.place == Place::End { Ok(self.metadata) } else { Err(ListError::Truncated { bytes: self.offset }) }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipped > 0 || self.piece.len() + bytes.len() > self.limit {
            self.skipped += self.piece.len() + bytes.len();
            self.piece = Vec::new();
        } else {
            self.piece.extend_from_slice(bytes);
        }
    }

    fn take_piece(&mut self) -> Piece {
        match std::mem::take(&mut self.skipped) {
            0 => Piece::Whole(std::mem::take(&mut self.piece)),
            bytes => Piece::TooLarge { bytes },
        }
    }

    /// How many of the bytes belong to the item at hand, and whether it ends with them.
    fn item_end(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.scan(byte) && self.depth == 0 {
                return (index + 1, true);
            }
        }
        (bytes.len(), false)
    }

    /// Follows strings and brackets; true when a bracket closed.
    fn scan(&mut self, byte: u8) -> bool {
        if self.in_string {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return true;
            }
            _ => {}
        }
        false
    }

    /// Takes one byte outside of an item; false if the byte is to be looked at again in the new place.
    fn step(&mut self, byte: u8) -> Result<bool, ListError> {
        let space = byte.is_ascii_whitespace();
        match (self.place, byte) {
            (Place::Value, _) => return self.value(byte),
            (Place::Key, b'"') => self.place = Place::Colon,
            (Place::Key, _) => self.key.push(byte),
            (Place::Start | Place::BeforeKey | Place::Colon | Place::Items | Place::End, _) if space => {}
            (Place::Start, b'{') => self.place = Place::BeforeKey,
            (Place::BeforeKey, b'"') => {
                self.key.clear();
                self.place = Place::Key;
            }
            (Place::BeforeKey, b',') | (Place::Colon, b':') | (Place::Items, b',') => {}
            (Place::BeforeKey, b'}') => self.place = Place::End,
            (Place::Colon, b'[') if self.key == b"items" => self.place = Place::Items,
            (Place::Colon, _) => {
                self.place = Place::Value;
                self.metadata.truncate(if self.key == b"metadata" { 0 } else { self.metadata.len() });
                return Ok(false);
            }
            (Place::Items, b']') => self.place = Place::BeforeKey,
            (Place::Items, b'{') => {
                self.place = Place::Item;
                return Ok(false);
            }
            (Place::Start | Place::BeforeKey | Place::Items | Place::Item | Place::End, _) => {
                return Err(ListError::NotAList { offset: self.offset });
            }
        }
        Ok(true)
    }

    fn value(&mut self, byte: u8) -> Result<bool, ListError> {
        if self.depth == 0 && !self.in_string && matches!(byte, b',' | b'}') {
            self.place = Place::BeforeKey;
            return Ok(false);
        }
        let _closed = self.scan(byte);
        if self.key == b"metadata" {
            if self.metadata.len() >= MAX_LIST_METADATA_BYTES {
                return Err(ListError::Metadata);
            }
            self.metadata.push(byte);
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cut_list(text: &str, chunk_len: usize, limit: usize) -> Result<(Vec<String>, String), ListError> {
        let mut cutter = ListCutter::new(limit);
        let mut items = Vec::new();
        for chunk in text.as_bytes().chunks(chunk_len) {
            cutter.feed(Bytes::copy_from_slice(chunk));
            while let Some(piece) = cutter.next()? {
                items.push(match piece {
                    Piece::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                    Piece::TooLarge { bytes } => format!("too large: {bytes}"),
                });
            }
        }
        Ok((items, String::from_utf8(cutter.finish()?).unwrap()))
    }

    #[test]
    fn cuts_the_same_items_however_the_bytes_arrive() {
        let text = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"a}]\"b"},
            "items":[{"a":"}{\\\""}, {"b":[{},[1,{"c":"]"}]]},{}]}"#;
        for chunk_len in [1, 2, 3, 7, 64, 4096] {
            let (items, metadata) = cut_list(text, chunk_len, 100).unwrap();
            assert_eq!(items, [r#"{"a":"}{\\\""}"#, r#"{"b":[{},[1,{"c":"]"}]]}"#, "{}"]);
            assert_eq!(metadata, r#"{"resourceVersion":"7","continue":"a}]\"b"}"#);
        }
    }

    #[test]
    fn finds_metadata_behind_the_items_as_custom_resources_have_it() {
        let (items, metadata) =
            cut_list(r#"{"apiVersion":"x/v1","items":[{"x":1}],"kind":"L","metadata":{"resourceVersion":"9"}}"#, 5, 100).unwrap();
        assert_eq!((items.len(), metadata.as_str()), (1, r#"{"resourceVersion":"9"}"#));
    }

    #[test]
    fn takes_null_items_for_an_empty_list() {
        assert_eq!(cut_list(r#"{"items":null,"metadata":{}}"#, 3, 100).unwrap(), (vec![], "{}".to_owned()));
    }

    #[test]
    fn skips_what_is_too_large_and_goes_on_behind_it() {
        let text = format!(r#"{{"items":[{{"a":"{}"}},{{"b":1}}]}}"#, "x".repeat(50));
        for chunk_len in [1, 16, 4096] {
            let (items, _) = cut_list(&text, chunk_len, 20).unwrap();
            assert_eq!(items, ["too large: 58", r#"{"b":1}"#]);
        }
    }

    #[test]
    fn tells_a_truncated_list_from_an_empty_one() {
        assert_eq!(cut_list(r#"{"items":[{"a":1},"#, 64, 100), Err(ListError::Truncated { bytes: 18 }));
        assert_eq!(cut_list("<html>", 64, 100), Err(ListError::NotAList { offset: 0 }));
        assert_eq!(cut_list(r#"{"items":[1]}"#, 64, 100), Err(ListError::NotAList { offset: 10 }));
    }

    fn cut_lines(text: &str, chunk_len: usize, limit: usize) -> (Vec<String>, bool) {
        let mut cutter = LineCutter::new(limit);
        let mut lines = Vec::new();
        for chunk in text.as_bytes().chunks(chunk_len) {
            cutter.feed(Bytes::copy_from_slice(chunk));
            while let Some(piece) = cutter.next() {
                lines.push(match piece {
                    Piece::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                    Piece::TooLarge { bytes } => format!("too large: {bytes}"),
                });
            }
        }
        (lines, cutter.is_inside())
    }

    #[test]
    fn cuts_the_same_lines_however_the_bytes_arrive() {
        for chunk_len in [1, 2, 5, 100] {
            assert_eq!(cut_lines("ab\n\n \r\ncd\n", chunk_len, 10), (vec!["ab".to_owned(), "cd".to_owned()], false));
        }
    }

    #[test]
    fn knows_that_a_line_was_cut_off() {
        assert_eq!(cut_lines("ab\ncd", 100, 10), (vec!["ab".to_owned()], true));
    }

    #[test]
    fn skips_a_line_that_is_too_long() {
        for chunk_len in [1, 4, 100] {
            assert_eq!(cut_lines("aaaaaaaaaaaa\nb\n", chunk_len, 10), (vec!["too large: 12".to_owned(), "b".to_owned()], false));
        }
    }
}
