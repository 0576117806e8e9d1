//! The file with what came out in the place of what was expected.
//!
//! Pure. Only `expect:` blocks that differ are written anew, with the fields that were named before; everything else stays as it was, to
//! the byte.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::file::{Scenario, Section};
use crate::judge::{Part, Verdict};
use crate::time;

/// Fields that are written of an entry when nothing says which.
fn usual_fields(section: Section) -> &'static [&'static str] {
    match section {
        Section::Findings => &["severity", "namespace", "kind", "name", "reason", "check", "message"],
        Section::Incidents => &["state", "severity", "namespace", "kind", "name", "reason", "openedAt", "resolvedAt"],
        Section::Updates => &["timestamp", "phase", "progress", "severity", "message"],
        Section::Requests => &[],
    }
}

/// The text of the file as it would have to be; the same text when nothing differs.
pub fn rewrite(text: &str, scenario: &Scenario, verdict: &Verdict) -> String {
    let differing: BTreeSet<usize> = verdict.parts.iter().filter(|part| !part.differences.is_empty()).map(|part| part.document).collect();
    let mut documents = split(text);
    for (index, document) in documents.iter_mut().enumerate() {
        let number = index + 1;
        if differing.contains(&number) {
            *document = with_block(document, &block(number, scenario, verdict));
        }
    }
    let mut out = documents.concat();
    if !verdict.parts.iter().any(|part| part.expected.is_some()) {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str("---\n");
        out.push_str(&block(0, scenario, verdict));
    }
    out
}

/// The documents with their separators, so that joined they are the text again. One that holds nothing is no document of its own.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let is_separator = line.trim_end() == "---" || line.starts_with("--- ");
        let has_content = documents
            .last()
            .is_some_and(|last| last.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#') && line != "---"));
        if is_separator && has_content {
            documents.push(String::new());
        }
        if let Some(last) = documents.last_mut() {
            last.push_str(line);
        }
    }
    documents
}

/// The document with its `expect:` block replaced.
fn with_block(document: &str, block: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in document.split_inclusive('\n') {
        if line.starts_with("expect:") {
            inside = true;
            out.push_str(block);
            continue;
        }
        let begins_key = !line.starts_with([' ', '\t', '-', '#', '\n', '\r']) || line.starts_with("---");
        inside = inside && !begins_key;
        if !inside {
            out.push_str(line);
        }
    }
    out
}

/// The `expect:` block of one document.
fn block(document: usize, scenario: &Scenario, verdict: &Verdict) -> String {
    let mut out = "expect:".to_owned();
    let groups: Vec<Vec<&Part>> = match document {
        0 => vec![verdict.parts.iter().filter(|part| !part.actual.is_empty() || part.section == Section::Findings).collect()],
        number => {
            let of_document = scenario.expectations.iter().filter(|expectation| expectation.document == number);
            let moments = of_document.map(|expectation| expectation.at);
            let of = |at: Option<jiff::Timestamp>| {
                let at = at.unwrap_or(scenario.end());
                verdict.parts.iter().filter(move |part| part.document == number && part.at == at).collect()
            };
            moments.map(of).collect()
        }
    };
    let several = groups.len() > 1;
    out.push('\n');
    for parts in groups {
        for (index, part) in parts.into_iter().enumerate() {
            let lead = match (several, index) {
                (true, 0) => format!("- at: {}\n  ", time::as_offset(part.at, verdict.start)),
                _ => "  ".to_owned(),
            };
            section(&lead, part, &mut out);
        }
    }
    out
}

fn section(lead: &str, part: &Part, out: &mut String) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{lead}{}:", part.section);
    if part.actual.is_empty() {
        out.push_str(" []\n");
        return;
    }
    out.push('\n');
    let named = named_fields(part);
    for entry in &part.actual {
        let _ = writeln!(out, "  - {}", flow(&select(entry, &named)));
    }
}

/// The fields that the expectation named; the usual ones where it named none.
fn named_fields(part: &Part) -> Vec<String> {
    let entries = part.expected.as_ref().and_then(Value::as_array);
    let mut named: Vec<String> = Vec::new();
    for key in entries.into_iter().flatten().filter_map(Value::as_object).flat_map(|entry| entry.keys()) {
        if !named.contains(key) {
            named.push(key.clone());
        }
    }
    match named.is_empty() {
        true => usual_fields(part.section).iter().map(|field| (*field).to_owned()).collect(),
        false => named,
    }
}

fn select(entry: &Value, fields: &[String]) -> Vec<(String, Value)> {
    let Some(map) = entry.as_object() else { return Vec::new() };
    match fields.is_empty() {
        true => map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        false => fields.iter().filter_map(|field| Some((field.clone(), map.get(field)?.clone()))).collect(),
    }
}

fn flow(fields: &[(String, Value)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}: {}", plain(value))).collect();
    format!("{{{}}}", fields.join(", "))
}

/// A value in flow style: words bare, everything else as JSON, which YAML reads.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if is_word(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_word(text: &str) -> bool {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    const MEANT_OTHERWISE: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "y"];
    is_name && begins && !MEANT_OTHERWISE.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::file::Scenario;

    #[test]
    fn replaces_what_differs_and_nothing_else() {
        let text = "# a story\nguarantee: x\n---\nat: +5s # soon\nexpect:\n  findings:\n  - {name: a}\n---\nnote: end\nat: +9s\n";
        let scenario = Scenario::parse(text).expect("scenario");
        let part = Part {
            document: 2,
            at: scenario.start,
            section: Section::Findings,
            expected: Some(json!([{"name": "a"}])),
            actual: vec![json!({"name": "b c", "kind": "Pod"})],
            differences: vec!["x".to_owned()],
        };
        let at = scenario.expectations.first().and_then(|expectation| expectation.at).expect("moment");
        let verdict = Verdict { guarantee: String::new(), start: scenario.start, parts: vec![Part { at, ..part }] };
        assert_eq!(
            rewrite(text, &scenario, &verdict),
            "# a story\nguarantee: x\n---\nat: +5s # soon\nexpect:\n  findings:\n  - {name: \"b c\"}\n---\nnote: end\nat: +9s\n"
        );
    }
}
