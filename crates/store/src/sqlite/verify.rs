//! Reading everything, to find what does not hold before a question does.
//!
//! Changes nothing. Invariant: damage of one day never hides that of another, and never ends the check.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use proreus_model::Record;
use rusqlite::Connection;

use super::SqliteJournal;
use super::day::{Day, Kind};
use super::fault::OrFail;
use super::identity::WatermarkFile;
use super::open_day::Tally;
use super::published::Published;
use super::recover::{self, DamagedFile};
use super::rows::Content;
use super::schema;
use super::times;
use super::view::View;
use crate::journal::{BodyDetail, SegmentState, StoreError};

/// Lines of damage told of one day: whoever has more needs no list.
const MOST_LINES: usize = 20;

/// Rows between two reports of progress.
const ROWS_A_REPORT: i64 = 1_000;

/// What was found of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentVerdict {
    /// UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// Condition.
    pub state: SegmentState,
    /// Records that were read.
    pub records: u64,
    /// Bodies that were decoded, those of the base included.
    pub bodies: u64,
    /// What does not hold, one line each, at most twenty; empty when all does.
    pub damage: Vec<String>,
}

impl SqliteJournal {
    /// Reads every record and decodes every body. `progress` is told rows done and rows in all.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<SegmentVerdict>, StoreError> {
        // Asked first: what is acknowledged from here on is not missed below.
        let acknowledged = WatermarkFile::read(&self.dir);
        let now = self.now()?;
        let total: u64 = now.days.iter().filter_map(|day| day.span()).map(|span| span.last_seq - span.first_seq + 1).sum();
        let mut done = 0;
        let mut verdicts = Vec::new();
        for summary in self.summaries(&now)? {
            let mut verdict = SegmentVerdict { day: summary.day.clone(), state: summary.state, records: 0, bodies: 0, damage: Vec::new() };
            if summary.state == SegmentState::Damaged {
                verdict.damage = self.told_of(&summary.day)?;
            } else if let Some(day) = now.days.iter().find(|day| day.date.to_string() == summary.day) {
                let mut check = Check { verdict: &mut verdict, raw_bytes: 0, changes: 0, last_at: Timestamp::MIN };
                if let Err(error) = check.day(&now, day, &mut |rows| progress(done + rows, total)) {
                    verdict.damage.push(error.to_string());
                }
                done += verdict.records;
            }
            verdicts.push(verdict);
        }
        if let Some(newest) = verdicts.last_mut().filter(|_| acknowledged > now.watermark) {
            newest.damage.push(format!("positions {} to {acknowledged} were acknowledged and are gone", now.watermark + 1));
        }
        progress(total, total);
        Ok(verdicts)
    }

    /// What is known of the files of a day that could not be read.
    fn told_of(&self, day: &str) -> Result<Vec<String>, StoreError> {
        let set_aside = recover::list(&self.dir)?.set_aside;
        let name = |file: &DamagedFile| file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let told: Vec<&DamagedFile> = self.report.damaged.iter().filter(|file| file.day == day && file.path.exists()).collect();
        let earlier = set_aside.iter().filter(|file| file.day == day && !told.iter().any(|known| known.path == file.path));
        let told = told.iter().map(|file| format!("{} cannot be read: {}", name(file), file.reason));
        Ok(told.chain(earlier.map(|file| format!("{} could not be read and was set aside", name(file)))).collect())
    }
}

/// The check of one day.
struct Check<'a> {
    verdict: &'a mut SegmentVerdict,
    raw_bytes: u64,
    changes: u64,
    last_at: Timestamp,
}

impl Check<'_> {
    fn tell(&mut self, line: String) {
        let lines = &mut self.verdict.damage;
        if lines.len() < MOST_LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }

    fn day(&mut self, now: &Published, day: &Arc<Day>, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let connection = day.borrow()?;
        self.pages(day, &connection)?;
        match times::damaged_positions(&connection) {
            Ok(lines) => lines.into_iter().for_each(|line| self.tell(line)),
            Err(error) => self.tell(error.to_string()),
        }
        let mut view = View::new(day, &connection)?;
        let base = schema::number(&connection, "base_rows").or_fail(&day.place, "failed to verify")?.unwrap_or_default();
        for key in 1..=base {
            self.row(&mut view, key, true);
        }
        let Some(span) = day.span() else { return Ok(()) };
        let last = span.last_seq.min(now.watermark);
        let counted = counted_to(day, &connection, day.key(last))?;
        let mut seq = span.first_seq;
        while seq <= last {
            // A loss left these positions out, and told so.
            if let Some(first) = day.after_hole(seq - 1) {
                seq = first;
            }
            self.row(&mut view, day.key(seq), false);
            if seq.is_multiple_of(ROWS_A_REPORT as u64) {
                progress(self.verdict.records);
            }
            seq += 1;
        }
        let differs = |tally: &Tally| (tally.changes, tally.raw_bytes) != (self.changes, self.raw_bytes);
        if let Some(tally) = counted.filter(|tally| self.verdict.damage.is_empty() && differs(tally)) {
            self.tell(format!(
                "{} changes of {} bytes are there, {} of {} were counted",
                self.changes, self.raw_bytes, tally.changes, tally.raw_bytes
            ));
        }
        Ok(())
    }

    /// What SQLite itself finds: pages, order, indexes.
    fn pages(&mut self, day: &Day, connection: &Connection) -> Result<(), StoreError> {
        let step = "failed to verify";
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST_LINES})")).or_fail(&day.place, step)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).and_then(Iterator::collect::<rusqlite::Result<BTreeSet<_>>>);
        match lines {
            Ok(lines) => lines.into_iter().filter(|line| line != "ok").for_each(|line| self.tell(line)),
            Err(error) => self.tell(error.to_string()),
        }
        Ok(())
    }

    fn row(&mut self, view: &mut View<'_>, key: i64, is_base: bool) {
        let read = view.entry(key).and_then(|entry| match entry {
            Some(entry) => view.record(key, &entry, BodyDetail::Body).map(|record| Some((entry, record))),
            None => Ok(None),
        });
        let (entry, record) = match read {
            Ok(Some(found)) => found,
            Ok(None) => return self.tell(format!("position {} is not there", view.day.seq(key))),
            Err(StoreError::Damaged { reason, .. }) => return self.tell(reason),
            Err(error) => return self.tell(error.to_string()),
        };
        let body = match &record {
            Record::Change(change) => change.body.as_ref().map(|body| body.len() as u64),
            Record::Mark(_) => None,
        };
        self.verdict.bodies += u64::from(body.is_some());
        if is_base {
            return;
        }
        self.verdict.records += 1;
        self.raw_bytes += body.unwrap_or_default();
        self.changes += u64::from(matches!(entry.content, Content::Change(_)));
        if record.recorded_at() < self.last_at {
            self.tell(format!("position {} is earlier than the one before it", record.seq()));
        }
        self.last_at = self.last_at.max(record.recorded_at());
        match view.positions(entry.object, (key, key), proreus_model::Order::Ascending, 1) {
            Ok(found) if found == [key] => {}
            Ok(_) => self.tell(format!("position {} is not found by its object", record.seq())),
            Err(error) => self.tell(error.to_string()),
        }
    }
}

/// The figures of a day, if they are of the records up to a position: a writer may have gone on since.
fn counted_to(day: &Day, connection: &Connection, key: i64) -> Result<Option<Tally>, StoreError> {
    let step = "failed to verify";
    if day.kind == Kind::Solid {
        return Tally::read(connection).map(Some).or_fail(&day.place, step);
    }
    // In one transaction, so that both are of one moment.
    let moment = connection.unchecked_transaction().or_fail(&day.place, step)?;
    let newest: Option<i64> = moment.query_row("SELECT max(p) FROM records", [], |row| row.get(0)).or_fail(&day.place, step)?;
    let tally = Tally::read(&moment).or_fail(&day.place, step)?;
    moment.finish().or_fail(&day.place, step)?;
    Ok((newest == Some(key)).then_some(tally))
}
