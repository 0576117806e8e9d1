//! How a diagnosis looks: for people, grouped by what it is wrong with; for pipelines, as JUnit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::Timestamp;
use proreus_api::{DoctorReport, IncidentFinding, UnsettledFinding};

use crate::terminal::fit::{Cut, clean, shorten, width, wrap};
use crate::terminal::paint::{Ink, Paint};
use crate::terminal::times::{between, of_day};
use crate::verbs::doctor::ink;

/// Objects named of a group that has more.
const NAMED_LIMIT: usize = 3;
/// Cells by which what belongs to a group is moved to the right.
const INDENT: usize = 10;

/// A page for people.
pub(crate) struct Page<'a> {
    /// Where it goes.
    pub(crate) out: &'a mut dyn Write,
    /// With which colours.
    pub(crate) paint: Paint,
    /// Cells of a line.
    pub(crate) columns: usize,
    /// The moment that was judged.
    pub(crate) now: Timestamp,
}

/// Findings of one owner with one reason: what a person acts on at once.
struct Group<'a> {
    findings: Vec<&'a IncidentFinding>,
}

/// What makes findings one group.
fn together(finding: &IncidentFinding) -> (&str, &str, &str, &str, &str) {
    (&finding.cluster, &finding.namespace, &finding.owner.kind, &finding.owner.name, &finding.reason)
}

impl Page<'_> {
    /// Every finding, worst first.
    pub(crate) fn findings(&mut self, findings: &[IncidentFinding]) -> io::Result<()> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut known = BTreeMap::new();
        for finding in findings {
            let index = *known.entry(together(finding)).or_insert(groups.len());
            match groups.get_mut(index) {
                Some(group) => group.findings.push(finding),
                None => groups.push(Group { findings: vec![finding] }),
            }
        }
        for (index, group) in groups.iter().enumerate() {
            if index > 0 {
                writeln!(self.out)?;
            }
            self.group(group)?;
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>) -> io::Result<()> {
        let Some(first) = group.findings.first() else { return Ok(()) };
        let word = format!("{:<INDENT$}", first.severity.as_str().to_uppercase());
        let since = group.findings.iter().map(|finding| finding.since).min().unwrap_or(first.since);
        let when = format!("for {}, since {}", between(since, self.now), of_day(since));
        let owner = place(&first.namespace, &first.owner.name);
        let kind = clean(&first.owner.kind);
        let room = self.columns.saturating_sub(INDENT + width(&kind) + 1 + width(&when) + 2);
        let name = shorten(&owner, room.max(8), Cut::Middle);
        let used = INDENT + width(&kind) + 1 + width(&name) + width(&when);
        let gap = " ".repeat(self.columns.saturating_sub(used).max(2));
        let (head, what) = (self.paint.text(ink(first.severity), &word), self.paint.text(Ink::Kind, &kind));
        let (name, when) = (self.paint.text(Ink::Strong, &name), self.paint.text(Ink::Faint, &when));
        writeln!(self.out, "{head}{what} {name}{gap}{when}")?;
        self.lines(Ink::Strong, "", &format!("{}{}", first.reason, objects(group)))?;
        self.lines(Ink::Plain, "", &first.message)?;
        self.lines(Ink::Added, "→ ", &first.remediation)?;
        let stale = if first.stale { ", as it was last seen: nobody looks at this kind any more" } else { "" };
        let evidence: Vec<String> = first.evidence.iter().map(|seq| format!("#{seq}")).collect();
        // What was seen in a cluster itself has no record that shows it.
        let shown = if evidence.is_empty() { String::new() } else { format!(", shown by {}", evidence.join(" ")) };
        self.lines(Ink::Faint, "", &format!("check {}{shown}{stale}", first.check))
    }

    /// Text below the head of a group, in as many lines as it needs.
    fn lines(&mut self, ink: Ink, lead: &str, text: &str) -> io::Result<()> {
        let room = self.columns.saturating_sub(INDENT + width(lead)).max(20);
        for (index, line) in wrap(&clean(text), room).iter().enumerate() {
            let lead = if index == 0 { lead.to_owned() } else { " ".repeat(width(lead)) };
            writeln!(self.out, "{:INDENT$}{lead}{}", "", self.paint.text(ink, line))?;
        }
        Ok(())
    }

    /// Findings that are no news, one line each, with what happens next and when.
    pub(crate) fn aside<'f>(
        &mut self,
        title: &str,
        findings: impl Iterator<Item = (&'f IncidentFinding, Option<(&'static str, Timestamp)>)>,
    ) -> io::Result<()> {
        for (index, (finding, next)) in findings.enumerate() {
            if index == 0 {
                writeln!(self.out, "\n{}", self.paint.text(Ink::Strong, title))?;
            }
            let told = next.map(|(what, at)| format!(" ({what} in {})", between(self.now, at))).unwrap_or_default();
            let place = place(&finding.namespace, &finding.name);
            let text = format!("{} {} {place}: {}{told}", finding.reason, finding.kind, finding.message);
            writeln!(self.out, "{}", self.paint.text(Ink::Faint, &shorten(&clean(&text), self.columns, Cut::End)))?;
        }
        Ok(())
    }

    /// What could not be decided, by reason.
    pub(crate) fn unsettled(&mut self, unsettled: &[UnsettledFinding]) -> io::Result<()> {
        for (state, title) in [("unknown", "Unknown"), ("skipped", "Skipped")] {
            let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
            for one in unsettled.iter().filter(|one| one.state == state) {
                let object = one.name.as_ref().map(|name| place(one.namespace.as_deref().unwrap_or_default(), name));
                let about = object.map(|place| format!("{} {place}: ", one.kind)).unwrap_or_default();
                let reason = format!("{about}{}", one.reason);
                match reasons.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, checks)) => checks.push(&one.check),
                    None => reasons.push((reason, vec![&one.check])),
                }
            }
            if reasons.is_empty() {
                continue;
            }
            writeln!(self.out, "\n{}", self.paint.text(Ink::Strong, title))?;
            for (reason, checks) in reasons {
                let text = format!("{reason} ({})", checks.join(", "));
                writeln!(self.out, "{}", self.paint.text(Ink::Faint, &shorten(&clean(&text), self.columns, Cut::End)))?;
            }
        }
        Ok(())
    }
}

/// ` on Pod web-1, container web, and 2 more`; nothing where the owner itself is meant.
fn objects(group: &Group<'_>) -> String {
    let is_owner = |finding: &IncidentFinding| finding.kind == finding.owner.kind && finding.name == finding.owner.name;
    let others: Vec<&&IncidentFinding> = group.findings.iter().filter(|finding| !is_owner(finding)).collect();
    let part = |finding: &IncidentFinding| finding.part.as_ref().map(|part| format!(" ({part})")).unwrap_or_default();
    let named: Vec<String> = others.iter().take(NAMED_LIMIT).map(|finding| format!("{}{}", finding.name, part(finding))).collect();
    let Some(first) = others.first() else {
        return group.findings.first().and_then(|finding| finding.class.as_ref()).map(|class| format!(" ({class})")).unwrap_or_default();
    };
    let more = others.len() - named.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let class = first.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
    format!("{class} on {} {}{rest}", first.kind, named.join(", "))
}

/// `namespace/name`, or the name alone.
fn place(namespace: &str, name: &str) -> String {
    match namespace.is_empty() {
        true => clean(name),
        false => clean(&format!("{namespace}/{name}")),
    }
}

/// JUnit XML as its strictest schema wants it: a suite of checks, for each check one case with at most one failure that tells of every
/// finding.
pub(crate) fn junit(report: &DoctorReport, place: &str) -> String {
    let skipped = |id: &str| report.unsettled.iter().find(|one| one.check == id && one.name.is_none());
    let of = |id: &str| report.findings.iter().filter(|finding| finding.check == id).collect::<Vec<_>>();
    let failures = report.checks.keys().filter(|id| !of(id).is_empty()).count();
    let skips = report.checks.keys().filter(|id| of(id).is_empty() && skipped(id).is_some()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail. The schema's times have neither a fraction nor a zone; it is UTC.
    let _ = writeln!(
        out,
        "<testsuite name=\"proreus doctor\" timestamp=\"{}\" hostname=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skips}\" time=\"0\">\n  <properties/>",
        report.at.strftime("%Y-%m-%dT%H:%M:%S"),
        escaped(place),
        report.checks.len(),
    );
    for id in report.checks.keys() {
        let (findings, head) = (of(id), format!("  <testcase classname=\"doctor\" name=\"{id}\" time=\"0\""));
        let _ = match (findings.first(), skipped(id)) {
            (Some(worst), _) => writeln!(
                out,
                "{head}>\n    <failure type=\"{}\" message=\"{}\">{}</failure>\n  </testcase>",
                worst.severity.as_str(),
                escaped(&headline(&findings)),
                findings.iter().map(|finding| escaped(&told(finding))).collect::<Vec<_>>().join("\n")
            ),
            (None, Some(skipped)) => {
                writeln!(out, "{head}>\n    <skipped message=\"{}\"/>\n  </testcase>", escaped(&skipped.reason))
            }
            (None, None) => writeln!(out, "{head}/>"),
        };
    }
    out.push_str("  <system-out/>\n  <system-err/>\n</testsuite>\n");
    out
}

/// `ImagePullBackOff: Pod shop/web-1, and 2 more`.
fn headline(findings: &[&IncidentFinding]) -> String {
    let Some(first) = findings.first() else { return String::new() };
    let more = if findings.len() > 1 { format!(", and {} more", findings.len() - 1) } else { String::new() };
    format!("{}: {} {}{more}", first.reason, first.kind, place(&first.namespace, &first.name))
}

/// A finding on a line.
fn told(finding: &IncidentFinding) -> String {
    let (severity, kind, message, remedy) = (finding.severity.as_str(), &finding.kind, &finding.message, &finding.remediation);
    format!("{severity} {} {kind} {}: {message}. {remedy}", finding.reason, place(&finding.namespace, &finding.name))
}

/// Text within XML; characters that XML cannot hold are shown as such.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
