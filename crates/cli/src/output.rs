//! Machine formats: a listing is written item by item, so that a million of them need the memory of one.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::yaml::to_yaml;

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value; a listing is one array.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// YAML; a listing is one document an item.
    Yaml,
}

impl Format {
    /// Whether a program reads it as JSON.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

/// Writes the items of a listing in a machine format.
pub(crate) struct Listing {
    format: Format,
    written: u64,
}

impl Listing {
    /// A listing in `format`; a table is written by `terminal::columns` instead and comes out as JSON lines here.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, written: 0 }
    }

    /// One item.
    pub(crate) fn item(&mut self, out: &mut dyn Write, item: &impl Serialize) -> io::Result<()> {
        match (self.format, self.written) {
            (Format::Json, 0) => write!(out, "[\n{}", to_json(item)?)?,
            (Format::Json, _) => write!(out, ",\n{}", to_json(item)?)?,
            (Format::Jsonl | Format::Table, _) => writeln!(out, "{}", to_json(item)?)?,
            (Format::Yaml, _) => write!(out, "---\n{}", to_yaml(&to_value(item)?))?,
        }
        self.written += 1;
        Ok(())
    }

    /// Closes what an array opened.
    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        match (self.format, self.written) {
            (Format::Json, 0) => writeln!(out, "[]"),
            (Format::Json, _) => writeln!(out, "\n]"),
            (Format::Jsonl | Format::Table | Format::Yaml, _) => Ok(()),
        }
    }
}

/// One value that is no listing, with its fields in their own order where JSON is asked for.
pub(crate) fn write_one(out: &mut dyn Write, format: Format, value: &impl Serialize) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(value).map_err(io::Error::other)?),
        Format::Jsonl => writeln!(out, "{}", to_json(value)?),
        Format::Yaml | Format::Table => write!(out, "{}", to_yaml(&to_value(value)?)),
    }
}

fn to_json(value: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::other)
}

/// The tree; through the text, because a tree built directly would not take the raw JSON of an object apart.
fn to_value(value: &impl Serialize) -> io::Result<serde_json::Value> {
    proreus_api::read_json(to_json(value)?.as_bytes()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(format: Format, items: &[serde_json::Value]) -> String {
        let mut out = Vec::new();
        let mut listing = Listing::new(format);
        for item in items {
            listing.item(&mut out, item).expect("write");
        }
        listing.finish(&mut out).expect("write");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_listing_in_json_is_one_array_whatever_it_holds() {
        assert_eq!(listed(Format::Json, &[]), "[]\n");
        assert_eq!(listed(Format::Json, &[json!({"a": 1})]), "[\n{\"a\":1}\n]\n");
        assert_eq!(listed(Format::Json, &[json!({"a": 1}), json!({"a": 2})]), "[\n{\"a\":1},\n{\"a\":2}\n]\n");
    }

    #[test]
    fn lines_and_documents_stand_alone() {
        assert_eq!(listed(Format::Jsonl, &[json!({"a": 1}), json!({"a": 2})]), "{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(listed(Format::Yaml, &[json!({"a": 1}), json!({"a": 2})]), "---\na: 1\n---\na: 2\n");
        assert_eq!(listed(Format::Jsonl, &[]), "");
    }
}
