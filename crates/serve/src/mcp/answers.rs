//! The size of an answer: a summary first, then as many items as a model can take in, and a cursor for the rest.
//!
//! Pure. Invariant: what goes out as one tool result is never longer than `ANSWER_CHARS`, whatever the journal holds.

use serde_json::{Value, json};

use super::rpc::JsonObject;

/// Longest answer of a tool, or text of a resource: what agents take before they cut or refuse (25,000 characters, some 7,000 tokens).
pub(crate) const ANSWER_CHARS: usize = 25_000;
/// Characters around the items: the frame of the result, the names of the fields, the cursor.
const FRAME_CHARS: usize = 1_200;
/// Longest summary; it may name objects, and their names are not ours.
const SUMMARY_CHARS: usize = 1_500;

/// How far values are shortened, step by step, until an item fits: characters of a text, entries of a list, fields of a map.
const SHORTENING: [(usize, usize, usize); 4] = [(2_000, 200, 400), (500, 60, 120), (120, 15, 60), (60, 5, 40)];
/// Depth below which the last step of the shortening keeps nothing.
const LAST_DEPTH: usize = 6;

/// Where the page goes on behind the item of that index.
type CursorAfter = Box<dyn Fn(usize) -> Option<String> + Send>;

/// What a tool says.
pub(crate) struct Answer {
    summary: String,
    fields: JsonObject,
    list: Option<List>,
}

struct List {
    name: &'static str,
    items: Vec<Value>,
    next: Option<String>,
    after: CursorAfter,
}

impl Answer {
    /// One thing, as `result`.
    pub(crate) fn one(summary: impl Into<String>, result: Value) -> Self {
        Self::new(summary).with("result", result)
    }

    /// A summary alone.
    pub(crate) fn new(summary: impl Into<String>) -> Self {
        Self { summary: clipped(&summary.into(), SUMMARY_CHARS), fields: JsonObject::new(), list: None }
    }

    /// With a further field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// With a list that may be cut. `next` is where the page as a whole goes on, `after` where it goes on when it is cut behind an item.
    #[must_use]
    pub(crate) fn list(
        mut self,
        name: &'static str,
        items: Vec<Value>,
        next: Option<String>,
        after: impl Fn(usize) -> Option<String> + Send + 'static,
    ) -> Self {
        self.list = Some(List { name, items, next, after: Box::new(after) });
        self
    }

    /// With the part of a list behind `offset` items; the list is made anew for every page.
    #[must_use]
    pub(crate) fn list_from(self, name: &'static str, items: Vec<Value>, offset: usize) -> Self {
        let items: Vec<Value> = items.into_iter().skip(offset).collect();
        self.list(name, items, None, move |index| Some(super::words::after(offset + index + 1)))
    }

    /// The structured answer, which fits twice (as structure and as text) into `room` characters.
    pub(crate) fn fit(self, room: usize) -> Value {
        let mut left = room.saturating_sub(FRAME_CHARS).saturating_sub(cost(&Value::String(self.summary.clone())));
        let mut body = JsonObject::new();
        let mut shortened = false;
        body.insert("summary".to_owned(), Value::String(self.summary));
        for (name, value) in self.fields {
            // What stands beside a list must leave it room.
            let share = if self.list.is_some() { left / 2 } else { left };
            let (value, cut) = shorten(value, share);
            left = left.saturating_sub(cost(&value) + name.len() * 2);
            shortened |= cut;
            body.insert(name, value);
        }
        if let Some(list) = self.list {
            shortened |= list.settle(&mut body, left);
        }
        if shortened {
            body.insert("shortened".to_owned(), Value::Bool(true));
        }
        Value::Object(body)
    }

    /// The result of the tool: structured, and the same as text for clients that know no structure.
    pub(crate) fn into_result(self) -> Value {
        let body = self.fit(ANSWER_CHARS);
        json!({"content": [{"type": "text", "text": summary_first(&body)}], "structuredContent": body, "isError": false})
    }

    /// The text of a resource, which goes out once.
    pub(crate) fn into_text(self) -> String {
        // As text alone it costs no more than half of what `fit` reckons with, so it fits with room to spare.
        summary_first(&self.fit(ANSWER_CHARS + ANSWER_CHARS / 2))
    }
}

impl List {
    /// Takes in as many items as there is room for; says whether any was shortened.
    fn settle(self, body: &mut JsonObject, mut left: usize) -> bool {
        let (total, mut kept, mut any_shortened) = (self.items.len(), Vec::new(), false);
        for item in self.items {
            let mut needed = cost(&item);
            if needed > left && kept.is_empty() {
                // An item that does not fit by itself is shown in part rather than not at all: no cursor would ever lead past it.
                let (item, _) = shorten(item, left);
                needed = cost(&item);
                any_shortened = true;
                left = left.saturating_sub(needed);
                kept.push(item);
                continue;
            }
            if needed > left {
                break;
            }
            left -= needed;
            kept.push(item);
        }
        let next = if kept.len() < total { kept.len().checked_sub(1).and_then(|last| (self.after)(last)) } else { self.next };
        if kept.len() < total
            && let Some(Value::String(summary)) = body.get_mut("summary")
        {
            let rest = if next.is_some() { "nextCursor leads to the rest" } else { "narrow the question for the rest" };
            summary.push_str(&format!(" The first {} of {total} are here; {rest}.", kept.len()));
        }
        body.insert(self.name.to_owned(), Value::Array(kept));
        body.insert("nextCursor".to_owned(), next.map_or(Value::Null, Value::String));
        any_shortened
    }
}

/// The text of an answer. JSON knows no order of fields, but whoever reads it does: the summary comes first.
fn summary_first(body: &Value) -> String {
    let Some(fields) = body.as_object() else { return body.to_string() };
    let rest = fields.iter().filter(|(name, _)| *name != "summary");
    let rest: String = rest.map(|(name, value)| format!(",{}:{value}", Value::String(name.clone()))).collect();
    format!("{{\"summary\":{}{rest}}}", fields.get("summary").unwrap_or(&Value::Null))
}

/// Characters of a value when it goes out as structure and, quoted, as text.
pub(crate) fn cost(value: &Value) -> usize {
    let plain = value.to_string();
    let quoted = plain.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    plain.len() * 2 + quoted + 2
}

/// The value, shortened until it costs no more than `room`; says whether it was.
fn shorten(value: Value, room: usize) -> (Value, bool) {
    if cost(&value) <= room {
        return (value, false);
    }
    let mut shorter = value;
    for (texts, entries, fields) in SHORTENING {
        clip(&mut shorter, texts, entries, fields);
        if cost(&shorter) <= room {
            return (shorter, true);
        }
    }
    prune(&mut shorter, LAST_DEPTH);
    if cost(&shorter) <= room {
        return (shorter, true);
    }
    let what = match &shorter {
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        _ => Value::Null,
    };
    (what, true)
}

fn clip(value: &mut Value, texts: usize, entries: usize, fields: usize) {
    match value {
        Value::String(text) => {
            if text.len() > texts {
                *text = clipped(text, texts);
            }
        }
        Value::Array(items) => {
            items.truncate(entries);
            items.iter_mut().for_each(|item| clip(item, texts, entries, fields));
        }
        Value::Object(map) => {
            let beyond: Vec<String> = map.keys().skip(fields).cloned().collect();
            for name in beyond {
                map.remove(&name);
            }
            map.values_mut().for_each(|value| clip(value, texts, entries, fields));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn prune(value: &mut Value, depth: usize) {
    match value {
        Value::Array(items) if depth == 0 => items.clear(),
        Value::Object(map) if depth == 0 => map.clear(),
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, depth - 1)),
        Value::Object(map) => map.values_mut().for_each(|value| prune(value, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A text of at most about `most` characters that says how much there was.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}… ({} characters)", text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(result: &Value) -> usize {
        result.to_string().chars().count()
    }

    fn listing(items: Vec<Value>) -> Answer {
        Answer::new("Changes.").list("items", items, None, |index| Some(format!("after-{index}")))
    }

    #[test]
    fn a_result_is_never_longer_than_the_limit() {
        let of = |count: usize, item: Value| chars(&listing(vec![item; count]).into_result());
        let nasty = json!({"a": "\"\\\"\\".repeat(4_000), "b": {"c": vec!["x".repeat(90); 50]}});
        let wide: JsonObject = (0..9_000).map(|index| (format!("key-{index}"), json!(index))).collect();
        for (count, item) in [(1_000, json!({"name": "web"})), (40, nasty.clone()), (1, nasty), (3, Value::Object(wide))] {
            let length = of(count, item);
            assert!(length <= ANSWER_CHARS, "{length}");
        }
        let one = Answer::one("One.", json!({"text": "ü\"".repeat(60_000)})).into_result();
        assert!(chars(&one) <= ANSWER_CHARS);
    }

    #[test]
    fn what_is_cut_goes_on_behind_the_last_item_that_is_here() {
        let items: Vec<Value> = (0..500).map(|seq| json!({"seq": seq, "text": "x".repeat(200)})).collect();
        let body = listing(items).fit(ANSWER_CHARS);
        let kept = body["items"].as_array().map_or(0, Vec::len);
        assert!(kept > 10 && kept < 500);
        assert_eq!(body["nextCursor"], json!(format!("after-{}", kept - 1)));
        assert!(body["summary"].as_str().is_some_and(|text| text.contains(&format!("first {kept} of 500"))));
    }

    #[test]
    fn an_item_that_does_not_fit_by_itself_is_shown_in_part() {
        let body = listing(vec![json!({"name": "big", "text": "x".repeat(100_000)}), json!({"name": "next"})]).fit(ANSWER_CHARS);
        assert!(summary_first(&body).starts_with("{\"summary\":\"Changes."));
        assert_eq!(body["items"][0]["name"], "big");
        assert_eq!(body["shortened"], true);
    }
}
