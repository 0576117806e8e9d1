//! Words of arguments: lists with commas, times, limits. As forgiving as REST, no more.
//!
//! Pure.

use jiff::Timestamp;
use proreus_app::parse_moment;
use proreus_app::questions::{ChangesQuestion, MAX_PAGE_LIMIT, Selection};
use proreus_model::{Cursor, Order, Verb};

use super::refusal::Refusal;

/// Items of a page when none is asked for: what fits into an answer of names and fields.
pub(crate) const DEFAULT_LIMIT: u64 = 50;
/// Alternatives of one argument, as many as one parameter of REST may have.
const MAX_ALTERNATIVES: usize = 100;

/// `a,b , c` as three.
pub(crate) fn many(name: &str, text: Option<&str>) -> Result<Vec<String>, Refusal> {
    let words: Vec<String> =
        text.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.len() > MAX_ALTERNATIVES {
        return Err(Refusal::argument(
            format!("`{name}` has {} entries", words.len()),
            format!("give at most {MAX_ALTERNATIVES}, or ask without it"),
        ));
    }
    Ok(words)
}

/// A limit within what one page may hold.
pub(crate) fn limit(given: Option<u64>) -> Result<usize, Refusal> {
    let given = given.unwrap_or(DEFAULT_LIMIT);
    match usize::try_from(given).ok().filter(|limit| (1..=MAX_PAGE_LIMIT).contains(limit)) {
        Some(limit) => Ok(limit),
        None => Err(Refusal::argument(format!("`limit` is `{given}`"), format!("give a whole number from 1 to {MAX_PAGE_LIMIT}"))),
    }
}

/// A time in any of the forms that REST takes.
pub(crate) fn time(name: &'static str, text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| parse_moment(name, text, now)).transpose().map_err(Refusal::from)
}

/// A cursor of changes.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Refusal> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse::<Cursor>()
            .map_err(|error| Refusal::argument(format!("`cursor` is `{text}`"), format!("{error}; pass back a nextCursor as it is")))
    })
    .transpose()
}

/// Stands before the place in a list that is made anew for every page.
const OFFSET_MARK: &str = "after-";

/// How many items of a list that is made anew for every page a cursor stands behind.
pub(crate) fn offset(text: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(0) };
    let offset = text.strip_prefix(OFFSET_MARK).and_then(|offset| offset.parse().ok());
    offset.ok_or_else(|| {
        Refusal::argument(format!("`cursor` is `{text}`"), "pass back a nextCursor of this tool as it is, with the same arguments")
    })
}

/// The cursor behind so many items.
pub(crate) fn after(offset: usize) -> String {
    format!("{OFFSET_MARK}{offset}")
}

/// Verbs by their names.
pub(crate) fn verbs(text: Option<&str>) -> Result<Vec<Verb>, Refusal> {
    let known = [Verb::Create, Verb::Update, Verb::Delete];
    let named = |word: String| {
        known
            .into_iter()
            .find(|verb| verb.as_str() == word)
            .ok_or_else(|| Refusal::argument(format!("`verb` is `{word}`"), "give create, update or delete, several with commas"))
    };
    many("verb", text)?.into_iter().map(named).collect()
}

/// `asc` or `desc`.
pub(crate) fn order(text: Option<&str>, default: Order) -> Result<Order, Refusal> {
    match text {
        None | Some("") => Ok(default),
        Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        Some(other) => Err(Refusal::argument(format!("`order` is `{other}`"), "give asc or desc")),
    }
}

/// What narrows a question, as words.
#[derive(Default)]
pub(crate) struct Narrowing<'a> {
    pub(crate) cluster: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) uid: Option<&'a str>,
    pub(crate) verb: Option<&'a str>,
    pub(crate) manager: Option<&'a str>,
}

impl Narrowing<'_> {
    /// As a selection.
    pub(crate) fn selection(&self) -> Result<Selection, Refusal> {
        Ok(Selection {
            clusters: many("cluster", self.cluster)?,
            namespaces: many("namespace", self.namespace)?,
            kinds: many("kind", self.kind)?,
            names: many("name", self.name)?,
            uids: many("uid", self.uid)?,
            verbs: verbs(self.verb)?,
            managers: many("manager", self.manager)?,
            ..Selection::default()
        })
    }
}

/// Which page, as words.
#[derive(Default)]
pub(crate) struct Paging<'a> {
    pub(crate) since: Option<&'a str>,
    pub(crate) until: Option<&'a str>,
    pub(crate) cursor: Option<&'a str>,
    pub(crate) order: Option<&'a str>,
    pub(crate) limit: Option<u64>,
    pub(crate) full: bool,
}

impl Paging<'_> {
    /// As a page of changes whose filter is still to come. Newest first unless said otherwise: a model reads the first page.
    pub(crate) fn page(&self, now: Timestamp) -> Result<ChangesQuestion, Refusal> {
        Ok(ChangesQuestion {
            since: time("since", self.since, now)?,
            until: time("until", self.until, now)?,
            cursor: cursor(self.cursor)?,
            order: order(self.order, Order::Descending)?,
            limit: limit(self.limit)?,
            full: self.full,
            ..ChangesQuestion::default()
        })
    }
}
