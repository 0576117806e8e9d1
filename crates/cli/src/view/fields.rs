//! Changed fields as a diff: `~ path: before → after`, `+`, `-`; texts of several lines line by line.

use proreus_api::{FieldChange, FieldOp};
use serde_json::Value;

use crate::terminal::fit::{Cut, clean, shorten, shorten_pair, width};
use crate::terminal::paint::{Ink, Paint};

/// Fields of one change shown before the rest is only counted: more than a screen's worth hides what comes after.
pub(crate) const MAX_FIELDS: usize = 12;
/// Changed lines of one text shown on each side.
const MAX_TEXT_LINES: usize = 8;

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Cells of a line; `None` shortens nothing.
    pub(crate) room: Option<usize>,
    /// Every field, not only the first ones.
    pub(crate) all: bool,
}

/// The fields as lines without an end, each indented by `indent` cells.
pub(crate) fn field_lines(fields: &[FieldChange], paint: Paint, extent: Extent, indent: usize) -> Vec<String> {
    let margin = " ".repeat(indent);
    let room = extent.room.map(|room| room.saturating_sub(indent).max(20));
    // What moved only because something beside it did is left out, unless there is nothing else.
    let (noted, telling): (Vec<&FieldChange>, Vec<&FieldChange>) = fields.iter().partition(|field| is_noted_time(&field.path));
    let (listed, noted) = match (extent.all, telling.is_empty()) {
        (true, _) => (fields.iter().collect(), 0),
        (false, true) => (noted, 0),
        (false, false) => (telling, noted.len()),
    };
    let shown = if extent.all { listed.len() } else { MAX_FIELDS.min(listed.len()) };
    let mut lines = Vec::new();
    for field in listed.iter().take(shown) {
        lines.extend(one_field(field, paint, room).into_iter().map(|line| format!("{margin}{line}")));
    }
    if listed.len() > shown {
        let rest = listed.len() - shown + noted;
        let text = format!("… and {rest} more field{} (--full shows them)", if rest == 1 { "" } else { "s" });
        lines.push(format!("{margin}{}", paint.text(Ink::Faint, &text)));
    }
    lines
}

fn one_field(field: &FieldChange, paint: Paint, room: Option<usize>) -> Vec<String> {
    let path = clean(&field.path);
    if let (Some(Value::String(before)), Some(Value::String(after))) = (&field.before, &field.after)
        && (before.contains('\n') || after.contains('\n'))
    {
        return text_lines(&path, before, after, paint, room);
    }
    let (sign, ink) = sign(field.op);
    let values = |most: Option<usize>| values(field, paint, most);
    let head = format!("{} {}", paint.text(ink, sign), paint.text(Ink::Path, &path));
    let Some(room) = room else { return vec![format!("{head}: {}", values(None))] };
    let beside = room.saturating_sub(width(&path) + 4);
    let whole = width(&values_plain(field));
    if whole <= beside || beside >= room / 2 {
        return vec![format!("{head}: {}", values(Some(beside)))];
    }
    // No room beside the path: the values get a line of their own.
    let path = shorten(&path, room.saturating_sub(3), Cut::Middle);
    vec![format!("{} {}:", paint.text(ink, sign), paint.text(Ink::Path, &path)), format!("    {}", values(Some(room.saturating_sub(4))))]
}

fn sign(op: FieldOp) -> (&'static str, Ink) {
    match op {
        FieldOp::Add => ("+", Ink::Added),
        FieldOp::Remove => ("-", Ink::Removed),
        FieldOp::Replace => ("~", Ink::Changed),
    }
}

fn values_plain(field: &FieldChange) -> String {
    values(field, Paint::default(), None)
}

/// `before → after`, or the one there is, in at most `most` cells.
fn values(field: &FieldChange, paint: Paint, most: Option<usize>) -> String {
    const ARROW: &str = " → ";
    let (before, after) = (field.before.as_ref().map(value_text), field.after.as_ref().map(value_text));
    match (before, after) {
        (Some(before), Some(after)) => {
            let (before, after) = match most {
                Some(most) => shorten_pair(&before, &after, most.saturating_sub(width(ARROW))),
                None => (before, after),
            };
            format!("{}{}{}", paint.text(Ink::Removed, &before), paint.text(Ink::Faint, ARROW), paint.text(Ink::Added, &after))
        }
        (Some(before), None) => paint.text(Ink::Removed, &within(&before, most)),
        (None, Some(after)) => paint.text(Ink::Added, &within(&after, most)),
        (None, None) => String::new(),
    }
}

fn within(text: &str, most: Option<usize>) -> String {
    most.map_or_else(|| text.to_owned(), |most| shorten(text, most, Cut::End))
}

/// A value as compact JSON, cleaned for a terminal.
pub(crate) fn value_text(value: &Value) -> String {
    clean(&value.to_string())
}

/// What differs between two texts of several lines.
struct TextLines<'a> {
    /// Number of the first line that differs.
    first: usize,
    /// Lines that were there.
    total: usize,
    gone: Vec<&'a str>,
    come: Vec<&'a str>,
}

impl<'a> TextLines<'a> {
    /// Without what is the same before and behind: no search for the smallest difference, which a person does not need.
    fn of(before: &'a str, after: &'a str) -> Self {
        let (mut old, mut new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        let total = old.len();
        let head = old.iter().zip(&new).take_while(|(left, right)| left == right).count();
        let (mut gone, mut come) = (old.split_off(head), new.split_off(head));
        let tail = gone.iter().rev().zip(come.iter().rev()).take_while(|(left, right)| left == right).count();
        gone.truncate(gone.len() - tail);
        come.truncate(come.len() - tail);
        Self { first: head + 1, total, gone, come }
    }
}

/// Two texts of several lines: the lines that differ, without what is the same before and behind them.
fn text_lines(path: &str, before: &str, after: &str, paint: Paint, room: Option<usize>) -> Vec<String> {
    let TextLines { first, total, gone, come } = TextLines::of(before, after);
    let whole = room.is_none();
    let mut lines = vec![format!(
        "{} {}: {}",
        paint.text(Ink::Changed, "~"),
        paint.text(Ink::Path, path),
        paint.text(Ink::Faint, &format!("text of {total} lines, from line {first}"))
    )];
    for (sign, ink, side) in [("-", Ink::Removed, &gone), ("+", Ink::Added, &come)] {
        let shown = if whole { side.len() } else { MAX_TEXT_LINES };
        let shown_lines = side.iter().take(shown).map(|line| within(&clean(line), room.map(|room| room.saturating_sub(6))));
        lines.extend(shown_lines.map(|line| format!("    {}", paint.text(ink, &format!("{sign} {line}")))));
        if side.len() > shown {
            lines.push(format!("    {}", paint.text(Ink::Faint, &format!("{sign} … {} more lines", side.len() - shown))));
        }
    }
    lines
}

/// The most telling field in one line, and how many more there are: `spec.replicas: 1 → 3 (+2)`.
pub(crate) fn summary(fields: &[FieldChange], most: usize) -> String {
    let Some(telling) = fields.iter().min_by_key(|field| rank(field)) else { return String::new() };
    let more = if fields.len() > 1 { format!(" (+{})", fields.len() - 1) } else { String::new() };
    // Half for where, half for what.
    let path = path_tail(&clean(&telling.path), (most / 2).max(24));
    if let (Some(Value::String(before)), Some(Value::String(after))) = (&telling.before, &telling.after)
        && (before.contains('\n') || after.contains('\n'))
    {
        let lines = TextLines::of(before, after);
        return format!("{path}: −{} +{} lines{more}", lines.gone.len(), lines.come.len());
    }
    let room = most.saturating_sub(width(&path) + 2 + width(&more)).max(16);
    let text = match telling.op {
        FieldOp::Add => format!("+{path}: {}", values(telling, Paint::default(), Some(room.saturating_sub(1)))),
        FieldOp::Remove => format!("-{path}: {}", values(telling, Paint::default(), Some(room.saturating_sub(1)))),
        FieldOp::Replace => format!("{path}: {}", values(telling, Paint::default(), Some(room))),
    };
    text + &more
}

/// What people want says more than what the cluster noted down in passing; the lower, the more telling.
fn rank(field: &FieldChange) -> u8 {
    let path = field.path.as_str();
    let ends = |words: &[&str]| words.iter().any(|word| path.ends_with(word));
    let of_container = path.contains("containerStatuses") || path.contains("ContainerStatuses");
    let shape = [&field.before, &field.after].into_iter().flatten().any(|value| value.is_object() || value.is_array());
    match path {
        _ if is_noted_time(path) || ends(&["observedGeneration", "containerID", "resourceVersion"]) => 8,
        _ if path.starts_with("metadata.deletion") => 0,
        _ if path.starts_with("spec") => 1,
        _ if ends(&["[type=Ready].status", "[type=Available].status"]) => 2,
        _ if ends(&["phase", "restartCount"]) || (of_container && ends(&[".reason", ".exitCode"])) => 2,
        _ if path.starts_with("status") && shape => 5,
        _ if ends(&[".status", "Replicas", "replicas"]) => 3,
        _ if path.starts_with("status") && ends(&[".message"]) => 6,
        _ if path.starts_with("status") => 4,
        _ if path.starts_with("metadata") => 7,
        _ => 3,
    }
}

/// Times that move whenever something beside them does.
fn is_noted_time(path: &str) -> bool {
    ["lastTransitionTime", "lastProbeTime", "lastHeartbeatTime", "lastUpdateTime"].iter().any(|word| path.ends_with(word))
}

/// The last segments of a path that fit: `…containers[name=web].image`.
fn path_tail(path: &str, most: usize) -> String {
    if width(path) <= most {
        return path.to_owned();
    }
    let starts = path.char_indices().filter(|(_, letter)| *letter == '.').map(|(at, _)| at + 1);
    let fitting = starts.filter_map(|at| path.get(at..)).find(|tail| width(tail) < most);
    fitting.map_or_else(|| shorten(path, most, Cut::Middle), |tail| format!("…{tail}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replaced(path: &str, before: Value, after: Value) -> FieldChange {
        FieldChange { path: path.to_owned(), op: FieldOp::Replace, before: Some(before), after: Some(after) }
    }

    fn check(fields: &[FieldChange], room: Option<usize>, all: bool, expected: &[&str]) {
        let lines = field_lines(fields, Paint::default(), Extent { room, all }, 2);
        assert_eq!(lines, expected);
        for line in &lines {
            assert!(room.is_none_or(|room| width(line) <= room), "{line}");
        }
    }

    #[test]
    fn shows_what_was_and_what_is() {
        let added = FieldChange { path: "metadata.labels.a".into(), op: FieldOp::Add, before: None, after: Some(json!("b")) };
        let removed = FieldChange { path: "spec.paused".into(), op: FieldOp::Remove, before: Some(json!(true)), after: None };
        check(
            &[replaced("spec.containers[name=web].image", json!("shop:1"), json!("shop:2")), added, removed],
            None,
            false,
            &["  ~ spec.containers[name=web].image: \"shop:1\" → \"shop:2\"", "  + metadata.labels.a: \"b\"", "  - spec.paused: true"],
        );
    }

    #[test]
    fn a_value_without_room_beside_its_path_gets_its_own_line() {
        check(
            &[replaced(
                "spec.template.spec.containers[name=web].image",
                json!("registry.example.com/team/shop:1"),
                json!("registry.example.com/team/shop:2"),
            )],
            Some(60),
            false,
            &["  ~ spec.template.spec.containers[name=web].image:", "      \"…xample.com/team/shop:1\" → \"…xample.com/team/shop:2\""],
        );
    }

    #[test]
    fn a_text_is_compared_line_by_line() {
        check(
            &[replaced("data[\"app.conf\"]", json!("a = 1\nb = 2\nc = 3\n"), json!("a = 1\nb = 20\nx = 9\nc = 3\n"))],
            Some(60),
            false,
            &["  ~ data[\"app.conf\"]: text of 3 lines, from line 2", "      - b = 2", "      + b = 20", "      + x = 9"],
        );
    }

    #[test]
    fn counts_the_fields_that_a_screen_has_no_room_for() {
        let many: Vec<FieldChange> = (0..14).map(|index| replaced(&format!("spec.f{index}"), json!(1), json!(2))).collect();
        let lines = field_lines(&many, Paint::default(), Extent { room: None, all: false }, 0);
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (13, Some("… and 2 more fields (--full shows them)")));
        assert_eq!(field_lines(&many, Paint::default(), Extent { room: None, all: true }, 0).len(), 14);
    }

    #[test]
    fn times_that_move_with_something_else_are_left_out() {
        let time = replaced("status.conditions[type=Ready].lastTransitionTime", json!("a"), json!("b"));
        let status = replaced("status.conditions[type=Ready].status", json!("True"), json!("False"));
        check(&[time.clone(), status], None, false, &["  ~ status.conditions[type=Ready].status: \"True\" → \"False\""]);
        check(&[time], None, false, &["  ~ status.conditions[type=Ready].lastTransitionTime: \"a\" → \"b\""]);
    }

    #[test]
    fn the_summary_prefers_what_people_want_to_what_the_cluster_noted() {
        let fields = [
            replaced("metadata.annotations.x", json!(1), json!(2)),
            replaced("spec.template.spec.containers[name=web].resources.limits.memory", json!("1Gi"), json!("2Gi")),
            replaced("status.observedGeneration", json!(1), json!(2)),
        ];
        assert_eq!(summary(&fields, 96), "…containers[name=web].resources.limits.memory: \"1Gi\" → \"2Gi\" (+2)");
        assert_eq!(summary(&[], 80), "");
    }

    #[test]
    fn lets_no_escape_of_the_cluster_through() {
        let fields = [replaced("spec.\u{1b}[2Jx", json!("\u{1b}[31m\u{202e}"), json!("a"))];
        let lines = field_lines(&fields, Paint::default(), Extent { room: None, all: true }, 0).concat() + &summary(&fields, 80);
        assert!(!lines.contains(['\u{1b}', '\u{202e}']), "{lines:?}");
    }
}
