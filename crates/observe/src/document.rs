//! JSON objects held by the ten thousand: one allocation each, hardly larger than their text, read where they lie.
//!
//! Pure. A parsed tree takes several times the memory of its text, and a watch over a cluster holds every object of it. Numbers stay as
//! they were written. Invariant: what `Document::of` wrote is well-formed, so that reading never fails; whoever finds a broken length
//! reads nothing there rather than panicking.

mod words;

use serde_json::{Map, Number, Value};

/// A JSON value, written into one piece of memory.
///
/// A value is a tag and what belongs to it: of a number and a text the text; of a list the length of what follows, how many entries there
/// are, and the entries; of a map the length of what follows, and the entries, each with its key before it. Keys are in order. A text is a
/// byte of 128 or more, which stands for a word, or its length and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(Box<[u8]>);

/// A value within a document.
#[derive(Clone, Copy)]
pub struct Node<'a>(&'a [u8]);

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as it was written.
    Number(&'a str),
    /// Text.
    Text(&'a str),
    /// A list.
    List(List<'a>),
    /// A map.
    Fields(Fields<'a>),
}

/// The entries of a list.
#[derive(Clone, Copy, Default)]
pub struct List<'a> {
    count: usize,
    rest: &'a [u8],
}

/// The entries of a map.
#[derive(Clone, Copy, Default)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LIST: u8 = 5;
const FIELDS: u8 = 6;

/// The bit that makes a byte a word; below it is the word's place.
const WORD: u8 = 0x80;
/// The byte before the length of a text that is not short.
const LONG: u8 = 0x7f;
/// Bits of a length that one byte carries; the highest bit says that another byte follows.
const LENGTH_BITS: u32 = 7;

impl Document {
    /// Writes a value.
    pub fn of(value: &Value) -> Self {
        let mut out = Vec::new();
        write(value, &mut out);
        Self(out.into_boxed_slice())
    }

    /// The value.
    pub fn root(&self) -> Node<'_> {
        Node(&self.0)
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(flag) => out.push(if *flag { TRUE } else { FALSE }),
        Value::Number(number) => {
            out.push(NUMBER);
            write_text(number.as_str(), out);
        }
        Value::String(text) => {
            out.push(TEXT);
            write_text(text, out);
        }
        Value::Array(items) => {
            let mut inner = Vec::new();
            write_length(items.len(), &mut inner);
            items.iter().for_each(|item| write(item, &mut inner));
            write_nested(LIST, &inner, out);
        }
        Value::Object(map) => {
            let mut inner = Vec::new();
            for (key, value) in map {
                write_text(key, &mut inner);
                write(value, &mut inner);
            }
            write_nested(FIELDS, &inner, out);
        }
    }
}

fn write_nested(tag: u8, inner: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_length(inner.len(), out);
    out.extend_from_slice(inner);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    match (words::place(text), u8::try_from(text.len())) {
        (Some(place), _) => return out.push(WORD | place),
        (None, Ok(short)) if short < LONG => out.push(short),
        (None, _) => {
            out.push(LONG);
            write_length(text.len(), out);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 1 << LENGTH_BITS {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= LENGTH_BITS;
    }
    out.push(length as u8);
}

fn take_length(bytes: &mut &[u8]) -> usize {
    let (mut length, mut shift) = (0, 0);
    while let Some((first, rest)) = bytes.split_first() {
        *bytes = rest;
        length |= usize::from(first & 0x7f) << shift;
        shift += LENGTH_BITS;
        if first & 0x80 == 0 || shift >= usize::BITS {
            break;
        }
    }
    length
}

/// The next so many bytes, by their length before them.
fn take_piece<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = take_length(bytes);
    let (piece, rest) = bytes.split_at_checked(length).unwrap_or_default();
    *bytes = rest;
    piece
}

/// The next text, as its bytes.
fn take_letters<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let Some((first, rest)) = bytes.split_first() else { return &[] };
    match *first {
        word if word & WORD != 0 => {
            *bytes = rest;
            words::at(word & !WORD).as_bytes()
        }
        LONG => {
            *bytes = rest;
            take_piece(bytes)
        }
        // A short length is written as any other.
        _ => take_piece(bytes),
    }
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> &'a str {
    str::from_utf8(take_letters(bytes)).unwrap_or_default()
}

fn take_node<'a>(bytes: &mut &'a [u8]) -> Node<'a> {
    let whole = *bytes;
    let Some((tag, rest)) = whole.split_first() else { return Node::NULL };
    *bytes = rest;
    match *tag {
        NUMBER | TEXT => _ = take_letters(bytes),
        LIST | FIELDS => _ = take_piece(bytes),
        _ => {}
    }
    Node(whole.get(..whole.len() - bytes.len()).unwrap_or_default())
}

impl<'a> Node<'a> {
    /// `null`.
    pub const NULL: Node<'static> = Node(&[NULL]);

    /// What it is.
    pub fn shape(self) -> Shape<'a> {
        let Some((tag, mut rest)) = self.0.split_first() else { return Shape::Null };
        match *tag {
            FALSE => Shape::Bool(false),
            TRUE => Shape::Bool(true),
            NUMBER => Shape::Number(take_text(&mut rest)),
            TEXT => Shape::Text(take_text(&mut rest)),
            LIST => {
                let mut inner = take_piece(&mut rest);
                Shape::List(List { count: take_length(&mut inner), rest: inner })
            }
            FIELDS => Shape::Fields(Fields { rest: take_piece(&mut rest) }),
            _ => Shape::Null,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        !matches!(self.0.first().copied(), Some(FALSE | TRUE | NUMBER | TEXT | LIST | FIELDS))
    }

    /// Whether it is a map.
    pub fn is_object(self) -> bool {
        self.0.first() == Some(&FIELDS)
    }

    /// Its text, where it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self.shape() {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its boolean, where it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.shape() {
            Shape::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// Its number, where it is a whole one.
    pub fn as_i64(self) -> Option<i64> {
        match self.shape() {
            Shape::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Its entries, where it is a list.
    pub fn as_array(self) -> Option<List<'a>> {
        match self.shape() {
            Shape::List(list) => Some(list),
            _ => None,
        }
    }

    /// Its entries, where it is a map.
    pub fn as_object(self) -> Option<Fields<'a>> {
        match self.shape() {
            Shape::Fields(fields) => Some(fields),
            _ => None,
        }
    }

    /// What a map has at a key.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.as_object()?.get(key)
    }

    /// What stands at a JSON pointer, through maps and lists.
    pub fn pointer(self, path: &str) -> Option<Node<'a>> {
        let mut here = self;
        for step in steps(path) {
            here = match here.shape() {
                Shape::Fields(fields) => fields.get(&unescape(step))?,
                Shape::List(list) => list.iter().nth(step.parse().ok()?)?,
                _ => return None,
            };
        }
        Some(here)
    }

    /// As a tree of its own.
    pub fn to_value(self) -> Value {
        match self.shape() {
            Shape::Null => Value::Null,
            Shape::Bool(flag) => Value::Bool(flag),
            Shape::Number(text) => text.parse::<Number>().map_or(Value::Null, Value::Number),
            Shape::Text(text) => Value::String(text.to_owned()),
            Shape::List(list) => Value::Array(list.iter().map(Node::to_value).collect()),
            Shape::Fields(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.to_owned(), value.to_value())).collect::<Map<_, _>>())
            }
        }
    }
}

/// The steps of a JSON pointer, which is empty or begins with its sign. Checks follow millions of short ones a second, for which this is faster than a search in text.
pub(crate) fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path.strip_prefix('/');
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().position(|byte| byte == b'/');
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// A step of a JSON pointer, as the key that it means.
pub(crate) fn unescape(step: &str) -> std::borrow::Cow<'_, str> {
    if step.as_bytes().contains(&b'~') { step.replace("~1", "/").replace("~0", "~").into() } else { step.into() }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Node<'_> {
    /// As JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_value().fmt(f)
    }
}

impl<'a> List<'a> {
    /// How many entries there are.
    pub fn len(self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The first entry.
    pub fn first(self) -> Option<Node<'a>> {
        self.iter().next()
    }

    /// The entries in their order.
    pub fn iter(self) -> impl Iterator<Item = Node<'a>> + Clone {
        self.into_iter()
    }
}

/// Walks through the entries of a list.
#[derive(Clone)]
pub struct Items<'a>(List<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.0.rest.is_empty() {
            return None;
        }
        Some(take_node(&mut self.0.rest))
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Node<'a>;
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        Items(self)
    }
}

impl PartialEq for List<'_> {
    /// Equal where every byte is: keys are in order, and a number is what was written.
    fn eq(&self, other: &Self) -> bool {
        self.rest == other.rest
    }
}

impl std::fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Fields<'a> {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// What stands at a key.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        let (mut rest, first) = (self.rest, key.as_bytes().first());
        while !rest.is_empty() {
            let here = take_letters(&mut rest);
            // Most keys differ in their first letter.
            match here.first().cmp(&first).then_with(|| here.cmp(key.as_bytes())) {
                std::cmp::Ordering::Less => _ = take_node(&mut rest),
                std::cmp::Ordering::Equal => return Some(take_node(&mut rest)),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }

    /// Whether there is such a key.
    pub fn contains_key(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The entries, in the order of their keys.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Node<'a>)> + Clone {
        self.into_iter()
    }

    /// The keys in their order.
    pub fn keys(self) -> impl Iterator<Item = &'a str> + Clone {
        self.into_iter().map(|(key, _)| key)
    }
}

/// Walks through the entries of a map.
#[derive(Clone)]
pub struct Entries<'a>(Fields<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<(&'a str, Node<'a>)> {
        if self.0.rest.is_empty() {
            return None;
        }
        let key = take_text(&mut self.0.rest);
        Some((key, take_node(&mut self.0.rest)))
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (&'a str, Node<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        Entries(self)
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
