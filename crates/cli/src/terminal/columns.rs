//! Aligned columns for listings that may never end: the first rows settle the widths, later ones keep to them, memory stays bounded.

use std::io::{self, Write};

use super::fit::{Cut, pad, shorten, width};
use super::paint::{Ink, Paint};

/// Rows looked at before the widths are settled: several screens, so that what a person sees at once is aligned.
pub(crate) const SETTLING_ROWS: usize = 200;
/// Cells between two columns.
const GUTTER: usize = 2;
/// The last column, which says the most, is left two fifths of the terminal where it has use for them.
const LAST_SHARE: (usize, usize) = (2, 5);

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) head: &'static str,
    /// Cells below which it is not shrunk; `usize::MAX` for a column that is never shrunk.
    pub(crate) least: usize,
    /// Cells that it takes at most on a terminal.
    pub(crate) most: usize,
    /// Where its text is cut.
    pub(crate) cut: Cut,
    /// Figures stand to the right.
    pub(crate) right: bool,
}

impl Column {
    /// A column that is shown whole.
    pub(crate) const fn whole(head: &'static str) -> Self {
        Self { head, least: usize::MAX, most: usize::MAX, cut: Cut::End, right: false }
    }

    /// A column of figures.
    pub(crate) const fn figures(head: &'static str) -> Self {
        Self { head, least: usize::MAX, most: usize::MAX, cut: Cut::End, right: true }
    }

    /// A column that is shrunk to `least` cells where there is no room.
    pub(crate) const fn shrinking(head: &'static str, least: usize, cut: Cut) -> Self {
        Self { head, least, most: usize::MAX, cut, right: false }
    }

    /// The same column, but never wider than `most` on a terminal.
    pub(crate) const fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

/// One cell: text, already cleaned, in one ink or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    ink: Ink,
}

impl Cell {
    /// Plain text.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ink: Ink::Plain }
    }

    /// Text in an ink.
    pub(crate) fn inked(ink: Ink, text: impl Into<String>) -> Self {
        Self { text: text.into(), ink }
    }
}

/// Writes rows in aligned columns.
pub(crate) struct Columns {
    columns: Vec<Column>,
    paint: Paint,
    /// Cells of the terminal; `None` leaves every text whole.
    room: Option<usize>,
    waiting: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
}

impl Columns {
    /// Columns for an output.
    pub(crate) fn new(columns: &[Column], paint: Paint, room: Option<usize>) -> Self {
        Self { columns: columns.to_vec(), paint, room, waiting: Vec::new(), widths: None }
    }

    /// Adds a row; it is written once the widths are settled.
    pub(crate) fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        if let Some(widths) = &self.widths {
            return self.write_row(out, widths, &cells);
        }
        self.waiting.push(cells);
        if self.waiting.len() >= SETTLING_ROWS { self.settle(out) } else { Ok(()) }
    }

    /// Writes what waits; a follower calls it when nothing more is to be had for now.
    pub(crate) fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.widths.is_some() || self.waiting.is_empty() {
            return Ok(());
        }
        let widths = self.fitted();
        let heads: Vec<Cell> = self.columns.iter().map(|column| Cell::inked(Ink::Faint, column.head)).collect();
        self.write_row(out, &widths, &heads)?;
        for row in std::mem::take(&mut self.waiting) {
            self.write_row(out, &widths, &row)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    /// Natural widths, shrunk where the terminal has no room for them.
    fn fitted(&self) -> Vec<usize> {
        let natural = |index: usize, column: &Column| {
            let cells = self.waiting.iter().filter_map(|row| row.get(index)).map(|cell| width(&cell.text));
            let natural = cells.max().unwrap_or(0).max(width(column.head));
            if self.room.is_some() { natural.min(column.most) } else { natural }
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(|(index, column)| natural(index, column)).collect();
        let Some(room) = self.room else { return widths };
        let Some((last, others)) = widths.split_last_mut() else { return widths };
        let for_others = room.saturating_sub(others.len() * GUTTER).saturating_sub((*last).min(room * LAST_SHARE.0 / LAST_SHARE.1));
        let mut excess = others.iter().sum::<usize>().saturating_sub(for_others);
        // The widest gives first, cell by cell, so that narrow columns stay whole.
        while excess > 0 {
            let shrinkable = others.iter_mut().zip(&self.columns).filter(|(width, column)| **width > column.least);
            let Some((widest, _)) = shrinkable.max_by_key(|(width, _)| **width) else { break };
            *widest -= 1;
            excess -= 1;
        }
        let left = room.saturating_sub(others.iter().sum::<usize>() + others.len() * GUTTER).max(1);
        // Figures stand beside their neighbours; text may grow into what is left.
        *last = if self.columns.last().is_some_and(|column| column.right) { left.min(*last) } else { left };
        widths
    }

    fn write_row(&self, out: &mut dyn Write, widths: &[usize], cells: &[Cell]) -> io::Result<()> {
        let mut line = String::new();
        let count = self.columns.len();
        for (index, ((column, width_of), cell)) in self.columns.iter().zip(widths).zip(cells).enumerate() {
            let text = match self.room {
                Some(_) => shorten(&cell.text, *width_of, column.cut),
                None => cell.text.clone(),
            };
            let fill = " ".repeat(width_of.saturating_sub(width(&text)));
            let painted = self.paint.text(cell.ink, &text);
            match (column.right, index + 1 == count) {
                (true, last) => line.push_str(&format!("{fill}{painted}{}", if last { "" } else { "  " })),
                (false, true) => line.push_str(&painted),
                (false, false) => line.push_str(&format!("{painted}{fill}{}", pad("", GUTTER))),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: [Column; 4] =
        [Column::figures("SEQ"), Column::whole("VERB"), Column::shrinking("NAME", 9, Cut::Middle), Column::shrinking("WHAT", 8, Cut::End)];

    fn check(room: Option<usize>, rows: &[[&str; 4]], expected: &[&str]) {
        let mut columns = Columns::new(&HEADS, Paint::default(), room);
        let mut out = Vec::new();
        for row in rows {
            columns.row(&mut out, row.iter().map(|text| Cell::plain(*text)).collect()).expect("write");
        }
        columns.settle(&mut out).expect("write");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        for line in text.lines() {
            assert!(room.is_none_or(|room| width(line) <= room), "{line}");
        }
    }

    #[test]
    fn aligns_by_cells_not_by_characters() {
        check(
            None,
            &[
                ["7", "create", "名前", "x"],
                ["12", "update", "naïve", "a much longer text than any terminal would show in one line of its own"],
            ],
            &[
                "SEQ  VERB    NAME   WHAT",
                "  7  create  名前   x",
                " 12  update  naïve  a much longer text than any terminal would show in one line of its own",
            ],
        );
    }

    #[test]
    fn fits_a_narrow_terminal_by_shrinking_the_widest_first() {
        check(
            Some(50),
            &[["7", "create", "shop-web-7c9d8f5b6-x2x4k", "spec.replicas: 1 → 3 and many more fields"]],
            &["SEQ  VERB    NAME             WHAT", "  7  create  shop-we…6-x2x4k  spec.replicas: 1 → …"],
        );
    }

    #[test]
    fn writes_nothing_for_nothing() {
        check(Some(80), &[], &[]);
    }

    #[test]
    fn keeps_its_widths_once_they_are_settled() {
        let mut columns = Columns::new(&HEADS, Paint::default(), Some(60));
        let mut out = Vec::new();
        columns.row(&mut out, ["1", "create", "web", "x"].map(Cell::plain).to_vec()).expect("write");
        columns.settle(&mut out).expect("write");
        columns.row(&mut out, ["2", "create", "a-longer-name", "y"].map(Cell::plain).to_vec()).expect("write");
        assert_eq!(String::from_utf8(out).expect("text"), "SEQ  VERB    NAME  WHAT\n  1  create  web   x\n  2  create  a-…e  y\n");
    }
}
