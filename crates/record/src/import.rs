//! Imports a file of watch events (`watch-jsonl`) into a journal: `{ts, type, resource, object}` a line.
//!
//! Goes through the same intake, redaction, noise policy and verdicts as a live watch; only the time comes from the file. Synchronous.
//! Invariant: a line either becomes what a live watch would have made of it, or is counted as bad with its number and reason.

use std::collections::BTreeMap;
use std::io::BufRead;

use jiff::Timestamp;
use proreus_model::{ClusterId, Group, ObjectId, Origin, Record, Resource, ResourceType, Uid, Verb};
use proreus_store::{Batch, Journal, StoreError, WriterEpoch};

use crate::RecordError;
use crate::authorship::Touched;
use crate::cutter::MAX_LINE_BYTES;
use crate::intake::{Circumstance, Intake, Observed};
use crate::json::{self, MAX_DEPTH, Node};
use crate::known::{Ending, Known, Seen, Slot, Verdict};
use crate::noise::NoisePolicy;
use crate::redact::Redactor;

/// Records a batch: large enough that commits do not matter, small enough to hold in memory.
const BATCH_RECORDS: usize = 1024;

/// Bytes a batch: large objects make smaller batches.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Bad lines that are reported one by one; all are counted.
const REPORTED_LINES: usize = 20;

/// How a file is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The cluster under whose identity the changes are recorded.
    pub cluster: ClusterId,
    /// Which updates say nothing new.
    pub noise: NoisePolicy,
    /// Takes secrets out.
    pub redactor: Redactor,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Lines read.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Changes that are durable.
    pub changes: u64,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Lines read, empty ones not counted.
    pub lines: u64,
    /// Changes recorded.
    pub changes: u64,
    /// Updates that said nothing new, and ends of Events.
    pub noise: u64,
    /// Versions that were in the journal already.
    pub repeated: u64,
    /// Bookmarks.
    pub bookmarks: u64,
    /// Lines that could not be used.
    pub bad: u64,
    /// The first of these: line number from 1, and why.
    pub bad_lines: Vec<(u64, String)>,
}

/// Imports everything that `reader` gives. `progress` is called after each batch.
///
/// # Errors
/// The file cannot be read, the journal refuses, or there were lines and all of them are bad.
pub fn import_watch_jsonl(
    mut reader: impl BufRead,
    journal: &dyn Journal,
    options: &ImportOptions,
    mut progress: impl FnMut(ImportProgress),
) -> Result<ImportReport, RecordError> {
    let epoch = journal.begin_epoch().map_err(|source| RecordError::Journal { step: "take over as the writer", source })?;
    let mut import =
        Import { journal, epoch, options, types: BTreeMap::new(), batch: Batch::default(), held: 0, report: ImportReport::default() };
    let mut at = ImportProgress::default();
    let mut line = Vec::new();
    while let Some(kept) =
        read_line(&mut reader, &mut line).map_err(|error| RecordError::ImportRead { line: at.lines, reason: error.to_string() })?
    {
        at.lines += 1;
        at.bytes += kept.bytes;
        if kept.is_whole && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        import.report.lines += 1;
        let taken = if kept.is_whole { import.take(&line) } else { Err(Trouble::Line(format!("longer than {MAX_LINE_BYTES} bytes"))) };
        match taken {
            Ok(()) => {}
            Err(Trouble::Line(reason)) => import.bad(at.lines, reason),
            Err(Trouble::Journal(source)) => return Err(RecordError::Append(source)),
        }
        if import.batch.records.len() >= BATCH_RECORDS || import.held >= BATCH_BYTES {
            import.commit()?;
            progress(ImportProgress { changes: import.report.changes, ..at });
        }
    }
    import.commit()?;
    progress(ImportProgress { changes: import.report.changes, ..at });
    let report = import.report;
    match report.bad_lines.first() {
        Some((line, reason)) if report.bad == report.lines => {
            Err(RecordError::ImportUseless { lines: report.lines, line: *line, reason: reason.clone() })
        }
        _ => Ok(report),
    }
}

/// Why a line was not taken.
enum Trouble {
    Line(String),
    Journal(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Journal(error)
    }
}

struct ReadLine {
    bytes: u64,
    is_whole: bool,
}

/// Reads a line into `line`, of an overlong one only the beginning. `None` at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<ReadLine>> {
    line.clear();
    let mut read = ReadLine { bytes: 0, is_whole: true };
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((read.bytes > 0).then_some(read));
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        if line.len() + part.len() > MAX_LINE_BYTES {
            read.is_whole = false;
        } else if read.is_whole {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        read.bytes += used as u64;
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(read));
        }
    }
}

struct Import<'i> {
    journal: &'i dyn Journal,
    epoch: WriterEpoch,
    options: &'i ImportOptions,
    types: BTreeMap<(Group, Resource), (Intake, Known)>,
    batch: Batch,
    held: usize,
    report: ImportReport,
}

impl Import<'_> {
    fn take(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let refuse = |reason: &str| Trouble::Line(reason.to_owned());
        let mut entry = json::parse(line, MAX_DEPTH + 1).map_err(|error| Trouble::Line(error.to_string()))?;
        let event = entry.text_at(&["type"]).unwrap_or_default().to_owned();
        match event.as_str() {
            "ADDED" | "MODIFIED" | "DELETED" => {}
            "BOOKMARK" => {
                self.report.bookmarks += 1;
                return Ok(());
            }
            "" => return Err(refuse("no `type`")),
            other => return Err(Trouble::Line(format!("type `{other}` is not one of ADDED, MODIFIED, DELETED, BOOKMARK"))),
        }
        let at = entry.get("ts").and_then(time).ok_or(refuse("no `ts` that is a time"))?;
        let resource = entry.text_at(&["resource"]).map(plural).filter(|name| !name.is_empty()).ok_or(refuse("no `resource`"))?;
        let object = entry.remove("object").ok_or(refuse("no `object`"))?;
        let resource_type = type_of(&object, resource).ok_or(refuse("the object has no `apiVersion` or `kind`"))?;
        let (intake, mut known) = self.of_type(resource_type)?;
        let outcome = match intake.observe(object) {
            Ok(observed) if event == "DELETED" => self.end(&intake, &mut known, &observed, at),
            Ok(observed) => self.see(&intake, &mut known, &observed, at),
            Err(refusal) => Err(Trouble::Line(refusal.to_string())),
        };
        let scope = intake.scope();
        self.types.insert((scope.group, scope.resource), (intake, known));
        outcome
    }

    /// Takes the type's state out, made from the journal if need be.
    fn of_type(&mut self, resource_type: ResourceType) -> Result<(Intake, Known), StoreError> {
        if let Some(found) = self.types.remove(&(resource_type.group.clone(), resource_type.resource.clone())) {
            return Ok(found);
        }
        let intake = Intake::new(self.options.cluster.clone(), resource_type, self.options.redactor.clone(), &self.options.noise);
        let mut known = Known::new(intake.drops_noise());
        for head in self.journal.heads(&intake.scope())? {
            known.remember(Slot::of(&head.object.namespace, &head.object.name), &head.object.uid, &head.resource_version);
        }
        Ok((intake, known))
    }

    fn see(&mut self, intake: &Intake, known: &mut Known, observed: &Observed, at: Timestamp) -> Result<(), Trouble> {
        loop {
            let seen = Seen {
                slot: observed.slot,
                uid: &observed.metadata.uid,
                version: &observed.metadata.resource_version,
                print: observed.print,
            };
            let (verb, touched) = match known.see(&seen) {
                Verdict::Recorded => {
                    self.report.repeated += 1;
                    return Ok(());
                }
                Verdict::Noise => {
                    self.report.noise += 1;
                    return Ok(());
                }
                Verdict::New => (Verb::Create, Touched::AllButStatus),
                Verdict::Changed { touched, .. } => (Verb::Update, touched),
                Verdict::NeedsContent => {
                    let recorded = self.journal.state(&intake.object_id(observed), self.journal.watermark())?;
                    known.learn(observed.slot, recorded.and_then(|change| change.body).and_then(|body| intake.print_of_recorded(&body)));
                    continue;
                }
                Verdict::Replaced => {
                    self.end_former(intake, observed, at)?;
                    continue;
                }
            };
            self.add(intake, observed, (verb, touched), at);
            return Ok(());
        }
    }

    fn end(&mut self, intake: &Intake, known: &mut Known, observed: &Observed, at: Timestamp) -> Result<(), Trouble> {
        if intake.is_event() {
            known.forget(observed.slot);
            self.report.noise += 1;
        } else if known.ending(observed.slot, &observed.metadata.uid) == Ending::Past {
            self.report.repeated += 1;
        } else {
            known.forget(observed.slot);
            self.add(intake, observed, (Verb::Delete, Touched::Unknown), at);
        }
        Ok(())
    }

    fn end_former(&mut self, intake: &Intake, observed: &Observed, at: Timestamp) -> Result<(), Trouble> {
        if intake.is_event() {
            return Ok(());
        }
        self.append()?;
        let former = ObjectId { uid: Uid::default(), ..intake.object_id(observed) };
        if let Some(head) = self.journal.head(&former)?.filter(|head| head.object.uid != observed.metadata.uid) {
            let gap = proreus_model::Gap { from: head.recorded_at.min(at), to: at };
            self.batch.records.push(Record::Change(intake.synthetic_delete(&head, gap)));
        }
        Ok(())
    }

    fn add(&mut self, intake: &Intake, observed: &Observed, (verb, touched): (Verb, Touched), at: Timestamp) {
        self.held += observed.body.len();
        let how = Circumstance { verb, origin: Origin::Watch, gap: None, touched, at };
        self.batch.records.push(Record::Change(intake.change(observed, how)));
    }

    fn bad(&mut self, line: u64, reason: String) {
        self.report.bad += 1;
        if self.report.bad_lines.len() < REPORTED_LINES {
            self.report.bad_lines.push((line, reason));
        }
    }

    fn append(&mut self) -> Result<(), StoreError> {
        self.held = 0;
        let batch = std::mem::take(&mut self.batch);
        if !batch.records.is_empty() {
            self.journal.append(self.epoch, &batch)?;
            self.report.changes += batch.records.len() as u64;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), RecordError> {
        self.append().map_err(RecordError::Append)
    }
}

/// A time as RFC 3339 text or as seconds since 1970, with a fraction if need be.
fn time(node: &Node<'_>) -> Option<Timestamp> {
    match node {
        Node::Text(text) => text.parse().ok(),
        Node::Number(number) => {
            let (seconds, fraction) = number.split_once('.').unwrap_or((number, ""));
            let nanos: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
            Timestamp::new(seconds.parse().ok()?, nanos.parse().ok()?).ok()
        }
        Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
    }
}

/// The plural out of `deployments`, `deployments.apps` or `apps/v1/deployments`.
fn plural(resource: &str) -> Resource {
    let last = resource.rsplit('/').next().unwrap_or_default();
    last.split('.').next().unwrap_or_default().to_ascii_lowercase().into()
}

fn type_of(object: &Node<'_>, resource: Resource) -> Option<ResourceType> {
    let (group, version) = object.text_at(&["apiVersion"]).map(|text| text.split_once('/').unwrap_or(("", text)))?;
    let kind = object.text_at(&["kind"]).filter(|kind| !kind.is_empty())?;
    let namespaced = object.text_at(&["metadata", "namespace"]).is_some_and(|namespace| !namespace.is_empty());
    Some(ResourceType { group: group.into(), version: version.into(), kind: kind.into(), resource, namespaced })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use proreus_model::{Filter, Order, Seq, SeqRange};
    use proreus_store::{BodyDetail, MemoryJournal, ReadQuery};
    use zeroize::Zeroizing;

    use super::*;
    use crate::redact::RedactionSettings;
    use crate::redaction_key::{KEY_BYTES, RedactionKey};

    fn import(journal: &MemoryJournal, noise: NoisePolicy, text: &str) -> Result<ImportReport, RecordError> {
        let key = RedactionKey::from_bytes(Zeroizing::new([1; KEY_BYTES]));
        let redactor = Redactor::new(Arc::new(key), RedactionSettings::default());
        let options = ImportOptions { cluster: "imported".into(), noise, redactor };
        import_watch_jsonl(text.as_bytes(), journal, &options, |_| {})
    }

    fn line(second: u32, event: &str, name: &str, uid: &str, version: u32, spec: u32) -> String {
        format!(
            "{{\"ts\":\"2026-11-21T10:00:{second:02}Z\",\"type\":\"{event}\",\"resource\":\"nodes\",\"object\":{{\"apiVersion\":\"v1\",\"kind\":\"Node\",\
             \"metadata\":{{\"name\":\"{name}\",\"uid\":\"{uid}\",\"resourceVersion\":\"{version}\"}},\"spec\":{spec},\
             \"status\":{{\"conditions\":[{{\"lastHeartbeatTime\":{second}}}]}}}}}}\n"
        )
    }

    fn said(journal: &MemoryJournal) -> Vec<String> {
        let query = ReadQuery {
            range: SeqRange { first: Seq(1), last: journal.watermark() },
            filter: Filter::changes(),
            after: None,
            order: Order::Ascending,
            limit: 1000,
            detail: BodyDetail::None,
        };
        journal
            .read(&query)
            .unwrap()
            .records
            .into_iter()
            .filter_map(|recorded| match recorded.record {
                Record::Change(change) => {
                    Some(format!("{} {} {}@{}", change.recorded_at, change.verb.as_str(), change.object.uid, change.resource_version))
                }
                Record::Mark(_) => None,
            })
            .collect()
    }

    #[test]
    fn verbs_and_noise_are_as_live_and_the_time_is_that_of_the_line() {
        let journal = MemoryJournal::new();
        let text = line(1, "ADDED", "n", "u", 1, 1)
            + &line(2, "MODIFIED", "n", "u", 2, 1)
            + &line(3, "MODIFIED", "n", "u", 3, 2)
            + "{\"type\":\"BOOKMARK\"}\n\n"
            + &line(4, "DELETED", "n", "u", 4, 2)
            + &line(5, "MODIFIED", "late", "v", 5, 2);
        let report = import(&journal, NoisePolicy::default(), &text).unwrap();
        assert_eq!(
            said(&journal),
            [
                "2026-11-21T10:00:01Z create u@1",
                "2026-11-21T10:00:03Z update u@3",
                "2026-11-21T10:00:04Z delete u@4",
                "2026-11-21T10:00:05Z create v@5"
            ]
        );
        assert_eq!(report, ImportReport { lines: 6, changes: 4, noise: 1, bookmarks: 1, ..ImportReport::default() });
    }

    #[test]
    fn keeps_every_line_without_the_noise_policy() {
        let journal = MemoryJournal::new();
        let text = line(1, "ADDED", "n", "u", 1, 1) + &line(2, "MODIFIED", "n", "u", 2, 1);
        assert_eq!(import(&journal, NoisePolicy::disabled(), &text).unwrap().changes, 2);
    }

    #[test]
    fn the_same_name_with_another_uid_ends_the_former_object() {
        let journal = MemoryJournal::new();
        let text = line(1, "ADDED", "n", "u", 1, 1) + &line(2, "ADDED", "n", "v", 2, 1);
        import(&journal, NoisePolicy::default(), &text).unwrap();
        assert_eq!(
            said(&journal),
            ["2026-11-21T10:00:01Z create u@1", "2026-11-21T10:00:02Z delete u@1", "2026-11-21T10:00:02Z create v@2"]
        );
    }

    #[test]
    fn bad_lines_are_counted_with_their_number_and_reason_and_the_others_imported() {
        let journal = MemoryJournal::new();
        let text = "not json\n".to_owned()
            + &line(1, "ADDED", "n", "u", 1, 1)
            + "{\"ts\":1.5,\"type\":\"PATCHED\"}\n{\"type\":\"ADDED\",\"resource\":\"x\",\"object\":{}}\n\
               {\"ts\":1.5,\"type\":\"ADDED\",\"resource\":\"x\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"X\"}}\n";
        let report = import(&journal, NoisePolicy::default(), &text).unwrap();
        assert_eq!((report.changes, report.bad), (1, 4));
        let reasons: Vec<String> = report.bad_lines.iter().map(|(line, reason)| format!("{line}: {reason}")).collect();
        assert_eq!(
            reasons,
            [
                "1: invalid JSON at byte 0: a value",
                "3: type `PATCHED` is not one of ADDED, MODIFIED, DELETED, BOOKMARK",
                "4: no `ts` that is a time",
                "5: it has no metadata.uid",
            ]
        );
    }

    #[test]
    fn fails_only_when_all_lines_are_bad() {
        let journal = MemoryJournal::new();
        assert!(matches!(import(&journal, NoisePolicy::default(), "x\ny\n"), Err(RecordError::ImportUseless { lines: 2, line: 1, .. })));
        assert_eq!(import(&journal, NoisePolicy::default(), "").unwrap(), ImportReport::default());
    }

    #[test]
    fn reads_times_as_text_and_as_seconds() {
        let node = |text: &'static str| json::parse(text.as_bytes(), 2).unwrap();
        assert_eq!(time(&node("1.5")).unwrap().to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(time(&node("\"2026-11-21T10:00:00Z\"")).unwrap().to_string(), "2026-11-21T10:00:00Z");
        assert_eq!(time(&node("true")), None);
    }

    #[test]
    fn reads_the_plural_however_the_resource_is_written() {
        assert_eq!(
            ["pods", "deployments.apps", "apps/v1/deployments"].map(|text| plural(text).to_string()),
            ["pods", "deployments", "deployments"]
        );
    }
}
