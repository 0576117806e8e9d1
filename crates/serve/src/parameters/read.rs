//! Reading a query string. Strict for our own endpoints: an unknown name, an empty value or a second one where one is meant is an error that
//! names the parameter. Lenient for the older service's two, which ignored what they did not know.

use jiff::Timestamp;
use proreus_app::questions::{ChangesQuestion, DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Selection};
use proreus_app::{AppError, parse_moment};
use proreus_model::{Cursor, Order, Origin, Verb};
use utoipa::IntoParams;

use crate::failure::Failure;
use crate::limits::{MAX_ALTERNATIVES, MAX_QUERY_BYTES};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads a query whose names must all be in the endpoint's table.
    pub(crate) fn strict<T: IntoParams>(query: Option<&str>) -> Result<Self, Failure> {
        let found = Self::lenient(query)?;
        let known: Vec<String> = T::into_params(|| None).into_iter().map(|parameter| parameter.name).collect();
        match found.pairs.iter().find(|(name, _)| !known.contains(name)) {
            None => Ok(found),
            Some((name, _)) => {
                let allowed =
                    if known.is_empty() { "this endpoint has no parameters".to_owned() } else { format!("known: {}", known.join(", ")) };
                Err(Failure::bad_parameter(name, format!("`{name}` is not a parameter of this endpoint"), allowed))
            }
        }
    }

    /// Reads a query whatever its names.
    pub(crate) fn lenient(query: Option<&str>) -> Result<Self, Failure> {
        let query = query.unwrap_or_default();
        if query.len() > MAX_QUERY_BYTES {
            let detail = format!("the query has {} bytes", query.len());
            return Err(Failure::bad_parameter("query", detail, format!("ask for less at once; {MAX_QUERY_BYTES} bytes are read")));
        }
        let pairs = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned()));
        Ok(Self { pairs: pairs.collect() })
    }

    /// The first value, as the older service read it: an empty one is none.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The one value.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Failure> {
        let mut values = self.pairs.iter().filter(|(of, _)| of == name).map(|(_, value)| value.as_str());
        let value = values.next();
        if values.next().is_some() {
            return Err(Failure::bad_parameter(name, format!("`{name}` is given twice"), "give it once"));
        }
        match value {
            Some("") => Err(Failure::bad_parameter(name, format!("`{name}` is empty"), "leave it out, or give a value")),
            value => Ok(value),
        }
    }

    /// The alternatives: repeated, or separated by commas.
    pub(crate) fn many(&self, name: &'static str) -> Result<Vec<String>, Failure> {
        let values = self.pairs.iter().filter(|(of, _)| of == name).flat_map(|(_, value)| value.split(','));
        let values: Vec<String> = values.map(str::to_owned).collect();
        if values.iter().any(String::is_empty) {
            return Err(Failure::bad_parameter(name, format!("`{name}` has an empty value"), "leave it out, or give values"));
        }
        if values.len() > MAX_ALTERNATIVES {
            let detail = format!("`{name}` has {} values", values.len());
            return Err(Failure::bad_parameter(name, detail, format!("give at most {MAX_ALTERNATIVES}")));
        }
        Ok(values)
    }

    /// The alternatives, each one of `choices`.
    pub(crate) fn choices<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<Vec<T>, Failure> {
        self.many(name)?.iter().map(|word| choose(name, word, choices)).collect()
    }

    /// `true` or `false`; false when it is left out.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Failure> {
        let word = self.one(name)?.unwrap_or("false");
        choose(name, word, &[("true", true), ("false", false)])
    }

    /// A time.
    pub(crate) fn time(&self, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        Ok(self.one(name)?.map(|text| parse_moment(name, text, now)).transpose()?)
    }

    /// A cursor of a list of changes or marks.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, Failure> {
        self.one("cursor")?.map(|text| parse_cursor("cursor", text)).transpose()
    }

    /// The size of a page.
    pub(crate) fn limit(&self) -> Result<usize, Failure> {
        self.limit_of(DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT)
    }

    /// The size of a page that has bounds of its own.
    pub(crate) fn limit_of(&self, default: usize, most: usize) -> Result<usize, Failure> {
        let Some(text) = self.one("limit")? else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit) && text.bytes().all(|byte| byte.is_ascii_digit()));
        limit
            .ok_or_else(|| Failure::bad_parameter("limit", format!("`limit` is `{text}`"), format!("give a whole number from 1 to {most}")))
    }

    /// Whole seconds; whether they are in range is for whom they are meant.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let seconds = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        seconds.map(Some).ok_or_else(|| Failure::bad_parameter(name, format!("`{name}` is `{text}`"), "give whole seconds"))
    }

    /// The direction of a page.
    pub(crate) fn order(&self) -> Result<Order, Failure> {
        let word = self.one("order")?.unwrap_or("asc");
        choose("order", word, &[("asc", Order::Ascending), ("desc", Order::Descending)])
    }

    /// Range, page and order of a question for changes; its filter is set apart.
    pub(crate) fn page(&self, now: Timestamp) -> Result<ChangesQuestion, Failure> {
        Ok(ChangesQuestion {
            since: self.time("since", now)?,
            until: self.time("until", now)?,
            cursor: self.cursor()?,
            order: self.order()?,
            limit: self.limit()?,
            full: self.flag("full")?,
            ..ChangesQuestion::default()
        })
    }

    /// Everything that narrows a question for changes or objects.
    pub(crate) fn selection(&self) -> Result<Selection, Failure> {
        let verbs = [Verb::Create, Verb::Update, Verb::Delete].map(|verb| (verb.as_str(), verb));
        let origins = [Origin::Watch, Origin::Snapshot, Origin::Relist, Origin::Gap].map(|origin| (origin.as_str(), origin));
        Ok(Selection {
            clusters: self.many("cluster")?,
            namespaces: self.many("namespace")?,
            groups: self.many("group")?,
            kinds: self.many("kind")?,
            resources: self.many("resource")?,
            names: self.many("name")?,
            uids: self.many("uid")?,
            verbs: self.choices("verb", &verbs)?,
            origins: self.choices("origin", &origins)?,
            managers: self.many("manager")?,
        })
    }

    /// A position in the journal.
    pub(crate) fn seq(&self, name: &'static str) -> Result<proreus_model::Seq, Failure> {
        let allowed = "give the seq of a change, a whole number from 1";
        let Some(text) = self.one(name)? else {
            return Err(Failure::bad_parameter(name, format!("`{name}` is missing"), allowed));
        };
        let seq = text.parse().ok().filter(|seq: &u64| *seq > 0 && text.bytes().all(|byte| byte.is_ascii_digit()));
        seq.map(proreus_model::Seq).ok_or_else(|| Failure::bad_parameter(name, format!("`{name}` is `{text}`"), allowed))
    }

    /// The same query with another cursor, for a link to the next page.
    pub(crate) fn with_cursor(&self, cursor: &str) -> String {
        let kept = self.pairs.iter().filter(|(name, _)| name != "cursor");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair("cursor", cursor);
        query.finish()
    }
}

/// Reads a cursor; `name` is where it stood.
pub(crate) fn parse_cursor(name: &str, text: &str) -> Result<Cursor, Failure> {
    text.parse()
        .map_err(|error: proreus_model::CursorError| Failure::bad_parameter(name, format!("`{name}` is `{text}`"), error.to_string()))
}

fn choose<T: Copy>(name: &'static str, word: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
    let found = choices.iter().find(|(of, _)| *of == word).map(|(_, choice)| *choice);
    found.ok_or_else(|| {
        let allowed: Vec<&str> = choices.iter().map(|(of, _)| *of).collect();
        AppError::BadParameter { name, found: word.to_owned(), allowed: format!("give one of {}", allowed.join(", ")) }.into()
    })
}
