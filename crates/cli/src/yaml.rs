//! JSON as YAML for people: block style, text unquoted where that is safe, several lines as a literal block.
//!
//! Written here and not by a serialiser because numbers must keep their source text (`1.10` stays `1.10`), which only JSON's own tree
//! knows. Invariant: reading the output as YAML 1.2 gives the value back.

use serde_json::Value;

/// Words that a YAML reader, old or new, would take for something other than text.
const WORDS: [&str; 13] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ".nan", ".inf", "-.inf"];

/// The value as YAML, with a line feed at its end.
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => write_fields(fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_items(items, 0, &mut out),
        other => {
            out.push_str(&scalar(other, 0));
            out.push('\n');
        }
    }
    out
}

fn write_fields(fields: &serde_json::Map<String, Value>, depth: usize, out: &mut String) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&text(key));
        out.push(':');
        write_value(value, depth, out);
    }
}

fn write_items(items: &[Value], depth: usize, out: &mut String) {
    for item in items {
        if out.is_empty() || out.ends_with('\n') {
            out.push_str(&"  ".repeat(depth));
        }
        out.push('-');
        match item {
            Value::Object(fields) if !fields.is_empty() => {
                out.push(' ');
                write_fields(fields, depth + 1, out);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push(' ');
                write_items(inner, depth + 1, out);
            }
            other => {
                out.push(' ');
                out.push_str(&scalar(other, depth + 1));
                out.push('\n');
            }
        }
    }
}

/// What stands behind `key:`.
fn write_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write_fields(fields, depth + 1, out);
        }
        // As kubectl does: the items of a list stand under their key, not further in.
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write_items(items, depth, out);
        }
        other => {
            out.push(' ');
            out.push_str(&scalar(other, depth + 1));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(claim) => claim.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(of) if is_block(of) => block(of, depth),
        Value::String(of) => text(of),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// Whether a literal block gives the text back: printable lines, no indentation or blank line that would be read otherwise.
fn is_block(of: &str) -> bool {
    let plain_start = !of.starts_with([' ', '\t', '\n']);
    let printable = of.chars().all(|letter| letter == '\n' || letter == '\t' || is_printable(letter));
    of.trim_end_matches('\n').contains('\n') && plain_start && printable && !of.lines().any(|line| line.ends_with([' ', '\t']))
}

fn block(of: &str, depth: usize) -> String {
    let body = of.trim_end_matches('\n');
    let feeds = of.len() - body.len();
    let chomp = match feeds {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let indent = "  ".repeat(depth);
    let mut out = format!("|{chomp}");
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&indent);
            out.push_str(line);
        }
    }
    out.push_str(&"\n".repeat(feeds.saturating_sub(1)));
    out
}

/// Text, quoted where a reader would take it for something else.
fn text(of: &str) -> String {
    if is_plain(of) {
        return of.to_owned();
    }
    let mut out = String::from("\"");
    for letter in of.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if is_printable(letter) => out.push(letter),
            letter if (letter as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", letter as u32)),
            letter if (letter as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => out.push_str(&format!("\\U{:08x}", letter as u32)),
        }
    }
    out.push('"');
    out
}

fn is_plain(of: &str) -> bool {
    let safe_start = of.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '_'));
    let safe = of.chars().all(|letter| {
        letter.is_ascii_alphanumeric() || " _-./:,=+()$;<>^@'\"|~".contains(letter) || (letter as u32 >= 0xa0 && is_printable(letter))
    });
    let ambiguous = of.contains(": ") || of.contains(" #") || of.ends_with([':', ' ']) || of.contains('\u{feff}');
    safe_start && safe && !ambiguous && !WORDS.iter().any(|word| of.eq_ignore_ascii_case(word))
}

/// Neither a control character nor one that reorders text or breaks a line: those are written as escapes, also for the terminal's sake.
fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_as_kubectl_prints_it() {
        let value = json!({
            "apiVersion": "v1",
            "data": {"app.conf": "a = 1\nb = 2\n", "empty": "", "port": "8080"},
            "metadata": {"labels": {}, "name": "shop", "ownerReferences": [{"kind": "A", "uid": "u"}], "args": ["-c", "true", []]},
            "list": [[1, 2], {"a": {"b": null}}],
        });
        let expected = "apiVersion: v1\ndata:\n  app.conf: |\n    a = 1\n    b = 2\n  empty: \"\"\n  port: \"8080\"\nlist:\n- - 1\n  - 2\n- a:\n    b: null\n\
                        metadata:\n  args:\n  - \"-c\"\n  - \"true\"\n  - []\n  labels: {}\n  name: shop\n  ownerReferences:\n  - kind: A\n    uid: u\n";
        assert_eq!(to_yaml(&value), expected);
    }

    #[test]
    fn gives_every_text_back_to_a_reader() {
        let texts = [
            "",
            " ",
            "a",
            "true",
            "No",
            "0x1f",
            "1e3",
            "1.10",
            "2026-11-21",
            "12:30:00",
            "a: b",
            "a #b",
            "#a",
            "a:",
            "- a",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "a\nb",
            "a\nb\n",
            "a\n\n",
            "a\nb\n\n\n",
            "\na",
            " a\nb",
            "a \nb",
            "a\n b",
            "a\tb",
            "a\r\nb",
            "\u{1b}[31m",
            "\u{85}",
            "\u{2028}",
            "'a'",
            "\"a\"",
            "a'b",
            "{a}",
            "[a]",
            "a, b",
            "名前",
            "e\u{301}",
            "🚢",
            "\u{feff}a",
            "---",
            "...",
            "a|b",
            "|",
            ">",
            "?",
            "? a",
            "=",
            "<<",
            "null",
            "~",
            "a\\b",
            "a\u{0}b",
            "y",
            "/a/b",
        ];
        for text in texts {
            for value in [json!(text), json!({ "k": text }), json!({"k": {"l": [text, {"m": text}]}}), json!({ text: 1 })] {
                let yaml = to_yaml(&value);
                let back: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{text:?}: {error}\n{yaml}"));
                assert_eq!(back, value, "{text:?}\n{yaml}");
            }
        }
    }

    #[test]
    fn numbers_keep_their_source_text() {
        let value: Value = serde_json::from_str(r#"{"a":1.10,"b":12345678901234567890123}"#).expect("json");
        assert_eq!(to_yaml(&value), "a: 1.10\nb: 12345678901234567890123\n");
    }
}
