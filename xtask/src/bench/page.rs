//! The page of figures: everything between its two marks is the last report, the rest is written by people.
//!
//! Invariant: a page without both marks, in order, is left as it is.

use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- figures: begin; `cargo xtask bench --write` replaces what follows -->\n";
const END: &str = "<!-- figures: end -->";

/// Whether the page has a place for figures.
pub(super) fn check(page: &Path) -> Result<()> {
    put(page, "").map(|_| ())
}

/// Puts the figures in their place.
pub(super) fn write(page: &Path, figures: &str) -> Result<()> {
    let text = put(page, figures)?;
    std::fs::write(page, text).with_context(|| format!("failed to write `{}`", page.display()))
}

fn put(page: &Path, figures: &str) -> Result<String> {
    let text = std::fs::read_to_string(page).with_context(|| format!("failed to read `{}`", page.display()))?;
    replaced(&text, figures)
        .with_context(|| format!("`{}` has no place for figures\nhint: give it these two lines:\n{BEGIN}{END}", page.display()))
}

fn replaced(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replaced};

    #[test]
    fn replaces_what_is_between_the_marks_and_nothing_else() {
        let page = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        let wanted = format!("above\n{BEGIN}\n| new |\n\n{END}\nbelow\n");
        assert_eq!(replaced(&page, "| new |\n").as_deref(), Some(wanted.as_str()));
        assert_eq!(replaced(&wanted, "| new |\n").as_deref(), Some(wanted.as_str()));
    }

    #[test]
    fn refuses_a_page_without_both_marks_in_order() {
        for page in ["text".to_owned(), format!("{END}\n{BEGIN}"), BEGIN.to_owned()] {
            assert_eq!(replaced(&page, "new"), None, "{page}");
        }
    }
}
