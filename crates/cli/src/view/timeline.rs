//! The timeline of `history`: a headline a change, its fields below it, the Events about the object in between.

use std::io::{self, Write};

use jiff::Timestamp;
use proreus_api::{Change, Verb};

use super::event::{event_words, is_event};
use super::fields::{Extent, field_lines};
use super::{Names, origin_note, place, verb};
use crate::terminal::fit::{Cut, clean, pad, shorten, width, wrap};
use crate::terminal::paint::{Ink, Paint};
use crate::terminal::times::{absolute, ago, day, of_day};

/// Cells of `2h05m ago` and its like.
const AGO: usize = 10;
/// Cells of the verb column: `create`, `update`, `delete`, `event`.
const WORD: usize = 6;
/// Cells of a position such as `#12345`.
const SEQ: usize = 6;
/// Cells of a headline before what is said: the time of day, and the columns above with two cells behind each.
const BEFORE_REST: usize = 8 + 2 + AGO + 2 + SEQ + 2 + WORD + 2;
/// Where fields and notes begin.
const INDENT: usize = 10;

/// Writes a timeline change by change; what it remembers is the last day and the last incarnation.
pub(crate) struct Timeline<'a> {
    paint: Paint,
    extent: Extent,
    now: Timestamp,
    names: &'a Names,
    day: Option<String>,
    uid: Option<String>,
}

impl<'a> Timeline<'a> {
    /// A timeline for an output.
    pub(crate) fn new(paint: Paint, extent: Extent, now: Timestamp, names: &'a Names) -> Self {
        Self { paint, extent, now, names, day: None, uid: None }
    }

    /// The next change, of the object itself or of an Event about it.
    pub(crate) fn change(&mut self, out: &mut dyn Write, change: &Change, own: bool) -> io::Result<()> {
        if own && self.uid.as_ref() != Some(&change.uid) {
            self.title(out, change)?;
        }
        let day = day(change.recorded_at);
        if self.day.as_ref() != Some(&day) {
            writeln!(out, "{}", self.paint.text(Ink::Faint, &format!("── {day} UTC ──")))?;
            self.day = Some(day);
        }
        match (own, event_words(change)) {
            (false, Some(_)) => self.event(out, change),
            (false, None) if is_event(change) => self.headline(out, change, "event", Ink::Mark, &clean(&change.name)),
            _ => self.own(out, change),
        }
    }

    /// Names the object; told before the Events that came before its first change, too.
    pub(crate) fn title(&mut self, out: &mut dyn Write, change: &Change) -> io::Result<()> {
        let again = self.uid.replace(change.uid.clone()).is_some();
        let api = if change.group.is_empty() { clean(&change.version) } else { clean(&format!("{}/{}", change.group, change.version)) };
        let mut facts = vec![api, format!("uid {}", clean(&change.uid))];
        if self.names.several {
            facts.push(format!("cluster {}", self.names.cluster(&change.cluster)));
        }
        if again {
            writeln!(out, "{}", self.paint.text(Ink::Warning, "another object of the same name:"))?;
        }
        let name = format!("{} {}", clean(&change.kind), place(&change.namespace, &change.name));
        writeln!(out, "{}  {}", self.paint.text(Ink::Strong, &name), self.paint.text(Ink::Faint, &facts.join(" · ")))
    }

    fn own(&self, out: &mut dyn Write, change: &Change) -> io::Result<()> {
        let (word, ink) = verb(change.verb);
        let by = change.manager.as_deref().filter(|_| change.verb != Verb::Delete);
        self.headline(out, change, word, ink, &by.map_or_else(String::new, |manager| format!("by {}", clean(manager))))?;
        if let Some(note) = origin_note(change) {
            let between = change.gap.as_ref().map(|gap| format!(", between {} and {}", absolute(gap.from), absolute(gap.to)));
            let ink = if matches!(change.origin, proreus_api::Origin::Snapshot) { Ink::Faint } else { Ink::Warning };
            let text = format!("{note}{}", between.unwrap_or_default());
            writeln!(out, "{}{}", " ".repeat(INDENT), self.paint.text(ink, &text))?;
        }
        if change.verb == Verb::Update && change.changed.is_empty() {
            writeln!(out, "{}{}", " ".repeat(INDENT), self.paint.text(Ink::Faint, "no field that is kept differs"))?;
        }
        for line in field_lines(&change.changed, self.paint, self.extent, INDENT) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn event(&self, out: &mut dyn Write, change: &Change) -> io::Result<()> {
        let words = event_words(change).unwrap_or_default();
        let ink = if words.warning { Ink::Warning } else { Ink::Mark };
        let who = if words.reporter.is_empty() { String::new() } else { format!(" ({})", words.reporter) };
        let message = format!("{}{who}", words.message);
        let beside = format!("{}: {message}", words.headline());
        let room = self.extent.room.unwrap_or(usize::MAX);
        if BEFORE_REST + width(&beside) <= room {
            return self.headline(out, change, "event", ink, &beside);
        }
        self.headline(out, change, "event", ink, &words.headline())?;
        for line in wrap(&message, room.saturating_sub(INDENT)) {
            writeln!(out, "{}{}", " ".repeat(INDENT), self.paint.text(ink, &line))?;
        }
        Ok(())
    }

    /// `08:03:11  1h57m ago  #57    update  by kubectl`.
    fn headline(&self, out: &mut dyn Write, change: &Change, word: &str, ink: Ink, rest: &str) -> io::Result<()> {
        let rest = match self.extent.room {
            Some(room) => shorten(rest, room.saturating_sub(BEFORE_REST), Cut::End),
            None => rest.to_owned(),
        };
        let rest_ink = if word == "event" { ink } else { Ink::Plain };
        let line = format!(
            "{}  {}  {}  {}  {}",
            self.paint.text(Ink::Strong, &of_day(change.recorded_at)),
            self.paint.text(Ink::Faint, &pad(&ago(change.recorded_at, self.now), AGO)),
            self.paint.text(Ink::Faint, &pad(&format!("#{}", change.seq), SEQ)),
            self.paint.text(ink, &if rest.is_empty() { word.to_owned() } else { pad(word, WORD) }),
            self.paint.text(rest_ink, &rest),
        );
        writeln!(out, "{}", line.trim_end())
    }
}
