//! Forgetting whole days, and figures of those that are kept.
//!
//! Invariant: a day goes only when the next one holds the last state of everything that was alive then.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::SqliteJournal;
use super::day::{Day, Kind, lock, start_of};
use super::fault::OrFail;
use super::identity::sync_dir;
use super::open_day::Tally;
use super::published::Published;
use super::recover;
use super::writer::remove_file;
use crate::journal::{Retained, RetentionPolicy, SegmentState, SegmentSummary, StoreError};
use proreus_model::{Seq, SeqRange};

/// Whether the day was over more than `age` before `now`.
fn ended_longer_ago(day: jiff::civil::Date, age: SignedDuration, now: Timestamp) -> bool {
    let ended = day.tomorrow().map(start_of);
    ended.is_ok_and(|ended| now.duration_since(ended) > age)
}

impl SqliteJournal {
    pub(super) fn remove_days(&self, policy: &RetentionPolicy, now: Timestamp) -> Result<Retained, StoreError> {
        let mut writer = lock(self.writer()?);
        let mut retained = Retained::default();
        let too_old = |day| policy.max_age.is_some_and(|age| ended_longer_ago(day, age, now));
        for file in recover::list(&self.dir)?.set_aside {
            if file.day.parse().is_ok_and(too_old) {
                retained.freed_bytes += super::day::stored_bytes(&file.path);
                remove_file(&file.path).or_fail(&writer.place, "failed to remove a damaged day")?;
            }
        }
        let mut held: u64 = writer.days.iter().map(|day| day.stored_bytes()).sum();
        while let [oldest, next, ..] = writer.days.as_slice() {
            let too_large = policy.max_bytes.is_some_and(|limit| held > limit);
            // The open day stays, and so does what its base is still made from.
            if next.span().is_none() || !next.has_whole_base() || !(too_old(oldest.date) || too_large) {
                break;
            }
            let day = writer.days.remove(0);
            // Readers that hold the old view go on reading from what they have open.
            self.publish(&writer);
            let freed = day.stored_bytes();
            day.close_idle();
            remove_file(&day.path).or_fail(&day.place, "failed to remove a day")?;
            tracing::info!(day = %day.date, freed, "removed a day");
            held = held.saturating_sub(freed);
            retained.freed_bytes += freed;
            retained.removed.push(day.date.to_string());
        }
        sync_dir(&self.dir).or_fail(&writer.place, "failed to remove a day")?;
        Ok(retained)
    }

    pub(super) fn summaries(&self, published: &Published) -> Result<Vec<SegmentSummary>, StoreError> {
        let mut segments = Vec::new();
        for (index, day) in published.days.iter().enumerate() {
            segments.extend(summary(published, day, index + 1 == published.days.len())?);
        }
        let listing = recover::list(&self.dir)?;
        let unread = self.report.damaged.iter().filter(|file| file.path.exists());
        for file in listing.set_aside.iter().chain(unread.filter(|file| !listing.set_aside.iter().any(|known| known.path == file.path))) {
            segments.push(SegmentSummary {
                day: file.day.clone(),
                state: SegmentState::Damaged,
                changes: 0,
                objects: 0,
                raw_bytes: 0,
                stored_bytes: super::day::stored_bytes(&file.path),
                range: None,
                times: None,
            });
        }
        segments.sort_by(|left, right| left.day.cmp(&right.day));
        Ok(segments)
    }
}

fn summary(published: &Published, day: &Arc<Day>, is_newest: bool) -> Result<Option<SegmentSummary>, StoreError> {
    let Some(span) = day.span().filter(|span| span.first_seq <= published.watermark) else { return Ok(None) };
    let tally = tally(day)?;
    Ok(Some(SegmentSummary {
        day: day.date.to_string(),
        state: match day.kind {
            Kind::Solid => SegmentState::Compacted,
            Kind::Rows if is_newest => SegmentState::Open,
            Kind::Rows => SegmentState::Closed,
        },
        changes: tally.changes,
        objects: tally.objects,
        raw_bytes: tally.raw_bytes,
        stored_bytes: day.stored_bytes(),
        range: Some(SeqRange { first: Seq(span.first_seq), last: Seq(span.last_seq.min(published.watermark)) }),
        times: Some((span.first_at, span.last_at)),
    }))
}

fn tally(day: &Day) -> Result<Tally, StoreError> {
    let connection = day.borrow()?;
    Tally::read(&connection).or_fail(&day.place, "failed to read figures")
}
