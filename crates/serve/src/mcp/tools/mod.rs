//! The tools: what each is called, what it takes and gives, and the one method of the application that it asks.
//!
//! All of them read. Invariant: all tools are in the first page of `tools/list`, each with a schema of its answer.

mod audit;
mod before;
mod history;
mod judging;
mod k0rdent;
mod logs;
mod monitors;

use std::sync::LazyLock;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::answers::Answer;
use super::asker::Asker;
use super::refusal::Refusal;
use super::rpc::JsonObject;

pub(crate) use history::to_json;
#[cfg(test)]
pub(crate) use k0rdent::absent_names;
pub(crate) use k0rdent::{absent, event_json, events_of};
pub(crate) use logs::{log_place, portions, tail as log_tail};
pub(crate) use monitors::{cursor as monitor_cursor, progress_log};

/// An answer under way.
pub(crate) type Running = BoxFuture<'static, Result<Answer, Refusal>>;

/// One tool.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// What clients call it by.
    pub(crate) name: &'static str,
    /// What people are shown.
    pub(crate) title: &'static str,
    /// What a model reads to choose it.
    pub(crate) description: &'static str,
    /// Schema of the arguments.
    pub(crate) input: fn() -> JsonObject,
    /// Schema of the answer.
    pub(crate) output: fn() -> JsonObject,
    /// Runs it.
    pub(crate) run: fn(Asker, JsonObject) -> Running,
}

impl Entry {
    fn listed(&self) -> Value {
        json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": (self.input)(),
            "outputSchema": (self.output)(),
            "annotations": {"title": self.title, "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false},
        })
    }
}

/// Every tool.
pub(crate) fn entries() -> Vec<Entry> {
    [history::ENTRIES, before::ENTRIES, judging::ENTRIES, monitors::ENTRIES, audit::ENTRIES, k0rdent::ENTRIES].concat()
}

/// Every tool as `tools/list` shows it, made once.
pub(crate) fn listed() -> &'static [Value] {
    static LISTED: LazyLock<Vec<Value>> = LazyLock::new(|| entries().iter().map(Entry::listed).collect());
    &LISTED
}

/// The tool of that name.
pub(crate) fn named(name: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_name_of_its_own_and_schemas_of_objects() {
        let entries = entries();
        for (index, entry) in entries.iter().enumerate() {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            assert!(entry.name.len() <= 64 && entry.name.bytes().all(fits), "{}", entry.name);
            assert!(entries.iter().skip(index + 1).all(|other| other.name != entry.name), "{}", entry.name);
            for schema in [(entry.input)(), (entry.output)()] {
                assert_eq!(schema.get("type").and_then(serde_json::Value::as_str), Some("object"), "{}", entry.name);
            }
            assert!(entry.description.len() > 40 && entry.description.len() < 700, "{}", entry.name);
        }
    }
}
