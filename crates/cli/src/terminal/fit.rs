//! Text within a width: cleaning, measuring, shortening. Widths are terminal cells, not characters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for text that was left out.
const ELLIPSIS: char = '…';
/// Equal characters kept before the first difference, so that the eye finds its place.
const CONTEXT: usize = 12;

/// Where to cut a text that is too wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Keep the beginning.
    #[default]
    End,
    /// Keep both ends: for names, whose random tails tell them apart.
    Middle,
}

/// The text without anything that a terminal would act on: control characters and the marks that reorder text.
pub(crate) fn clean(text: &str) -> String {
    let acts =
        |letter: char| letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    if !text.chars().any(acts) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => cleaned.push('⏎'),
            '\t' => cleaned.push(' '),
            letter if acts(letter) => cleaned.push('\u{fffd}'),
            letter => cleaned.push(letter),
        }
    }
    cleaned
}

/// Cells the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text, shortened to at most `most` cells where it is wider.
pub(crate) fn shorten(text: &str, most: usize, cut: Cut) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(1);
    match (cut, most) {
        (_, 0) => String::new(),
        (Cut::End, _) => format!("{}{ELLIPSIS}", head(text, room)),
        (Cut::Middle, _) => format!("{}{ELLIPSIS}{}", head(text, room.div_ceil(2)), tail(text, room / 2)),
    }
}

/// Two texts in `most` cells together, shortened so that what differs stays visible.
pub(crate) fn shorten_pair(before: &str, after: &str, most: usize) -> (String, String) {
    let (wide_before, wide_after) = (width(before), width(after));
    if wide_before + wide_after <= most {
        return (before.to_owned(), after.to_owned());
    }
    let half = most / 2;
    // A short side leaves its room to the other.
    let room_before = if wide_after < half { most - wide_after } else { half.min(wide_before) };
    let room_after = most.saturating_sub(room_before.min(wide_before));
    let same = before.chars().zip(after.chars()).take_while(|(left, right)| left == right).count();
    let lacking = |text: &str, room: usize| (width(text) + 2).saturating_sub(room);
    let context = CONTEXT.min(room_before.min(room_after) / 3);
    let skip = same.saturating_sub(context).min(lacking(before, room_before).max(lacking(after, room_after)));
    let from = |text: &str, room: usize| {
        if width(text) <= room || skip < 2 {
            return shorten(text, room, Cut::End);
        }
        let rest: String = text.chars().skip(skip).collect();
        let quote = if text.starts_with('"') { "\"" } else { "" };
        shorten(&format!("{quote}{ELLIPSIS}{rest}"), room, Cut::End)
    };
    (from(before, room_before), from(after, room_after))
}

/// The text in lines of at most `most` cells, broken between words; a word that is too wide for a line is cut.
pub(crate) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, most, Cut::Middle)),
        }
    }
    lines
}

/// The text filled up with spaces to `to` cells.
pub(crate) fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.char_indices() {
        used += letter.width().unwrap_or(0);
        if used > room {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.char_indices().rev() {
        used += letter.width().unwrap_or(0);
        if used > room {
            return text.get(at + letter.len_utf8()..).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_nothing_through_that_a_terminal_would_act_on() {
        assert_eq!(clean("a\u{1b}[31mb\u{7}\nc\td\u{202e}e\u{9b}1m"), "a\u{fffd}[31mb\u{fffd}⏎c d\u{fffd}e\u{fffd}1m");
        assert_eq!(clean("naïve 名前 🚢"), "naïve 名前 🚢");
    }

    #[test]
    fn never_takes_more_cells_than_it_was_given() {
        for text in ["shop-web-7c9d8f-x2x4k", "名前名前名前名前", "e\u{301}e\u{301}e\u{301}", "🚢🚢🚢🚢", ""] {
            for most in 0..30 {
                for cut in [Cut::End, Cut::Middle] {
                    let short = shorten(text, most, cut);
                    assert!(width(&short) <= most, "{text} {most} {short}");
                }
            }
        }
    }

    #[test]
    fn keeps_the_tail_that_tells_names_apart() {
        assert_eq!(shorten("shop-web-7c9d8f5b6-x2x4k", 13, Cut::Middle), "shop-w…-x2x4k");
        assert_eq!(shorten("a long sentence", 8, Cut::End), "a long …");
    }

    #[test]
    fn keeps_what_differs_in_sight() {
        let (before, after) = shorten_pair(
            "\"registry.example.com/very/long/path/to/the/shop:1\"",
            "\"registry.example.com/very/long/path/to/the/shop:2\"",
            50,
        );
        assert_eq!((before.as_str(), after.as_str()), ("\"…ong/path/to/the/shop:1\"", "\"…ong/path/to/the/shop:2\""));
        assert_eq!(shorten_pair("1", "2", 50), ("1".to_owned(), "2".to_owned()));
    }

    #[test]
    fn breaks_lines_between_words() {
        assert_eq!(wrap("Back-off restarting failed container", 20), ["Back-off restarting", "failed container"]);
        assert_eq!(wrap("registry.example.com/team/shop not found", 12), ["regist…/shop", "not found"]);
        assert_eq!(wrap("", 12), [""]);
    }

    #[test]
    fn a_short_side_leaves_its_room_to_the_other() {
        let (before, after) = shorten_pair("null", "{\"a\":\"bcdefghijklmnopqrstuvwxyz\"}", 24);
        assert_eq!((before.as_str(), after.as_str()), ("null", "{\"a\":\"bcdefghijklmn…"));
    }
}
