//! Opening a directory: which files are days, which are damaged, where the journal ends.
//!
//! Reads a few pages of each file whatever its size. Invariant: nothing is written before every file was found to be of a version that
//! this program knows; what cannot be read is renamed, told, and in nobody's way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use proreus_model::Order;
use rusqlite::Connection;

use super::day::{BESIDE, Day, Idle, Kind, Span, beside};
use super::fault::{OrFail, Place};
use super::identity::{Found, Identity, WatermarkFile, supported};
use super::open_day::Tally;
use super::rows::{Content, Entry};
use super::schema;
use super::view::View;
use super::writer::remove_file;
use crate::journal::{BodyDetail, StoreError};

/// Ending of files that were set aside, before a number.
const DAMAGED: &str = ".damaged-";

/// Names tried for one damaged file: one a repair, and nobody repairs a day a thousand times.
const MOST_DAMAGED: u32 = 1_000;

/// A file that cannot be read as the day it claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// The day, `YYYY-MM-DD`.
    pub day: String,
    /// Its path, after it was set aside where that was possible.
    pub path: PathBuf,
    /// What does not hold.
    pub reason: String,
}

/// What opening a journal found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The directory held no journal before.
    pub created: bool,
    /// Files that were found damaged now.
    pub damaged: Vec<DamagedFile>,
    /// Records that had been acknowledged and are gone with a damaged file or log. Zero when it is not known how many.
    pub lost_records: u64,
    /// `journal.json` was missing or broken and was made anew.
    pub identity_rebuilt: bool,
    /// An append that was not acknowledged lay on two days and was taken back.
    pub took_back: bool,
}

/// What is in a directory.
pub(super) struct Listing {
    pub(super) days: BTreeMap<Date, Kind>,
    /// Row files of days that also have a rewritten file: a crash came between making the one and removing the other.
    pub(super) superseded: Vec<PathBuf>,
    /// Files that were being made.
    pub(super) unfinished: Vec<PathBuf>,
    /// Files set aside by earlier runs.
    pub(super) set_aside: Vec<DamagedFile>,
}

/// Lists a directory.
pub(super) fn list(dir: &Path) -> Result<Listing, StoreError> {
    let place = Place::new(dir, "");
    let step = "failed to list the data directory";
    let mut listing = Listing { days: BTreeMap::new(), superseded: Vec::new(), unfinished: Vec::new(), set_aside: Vec::new() };
    for found in fs::read_dir(dir).or_fail(&place, step)? {
        let path = found.or_fail(&place, step)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some((date, kind)) = Kind::parse(name) {
            let other = listing.days.insert(date, kind);
            if other.is_some() {
                listing.days.insert(date, Kind::Solid);
                listing.superseded.push(Kind::Rows.path(dir, date));
            }
        } else if BESIDE.iter().any(|ending| name.ends_with(ending)) {
            continue;
        } else if let Some((of, _)) = name.split_once(DAMAGED) {
            let day = Kind::parse(of).map_or_else(|| of.to_owned(), |(date, _)| date.to_string());
            listing.set_aside.push(DamagedFile { day, path, reason: "set aside earlier".to_owned() });
        } else if name.ends_with(".new") {
            listing.unfinished.push(path);
        }
    }
    Ok(listing)
}

/// Opens a day to read from and finds its span, checking as much as a few pages tell.
pub(super) fn open_day(dir: &Path, date: Date, kind: Kind, idle: &Arc<Idle>, untouched: bool) -> Result<Day, StoreError> {
    let day = Day::open(dir, date, kind, Arc::clone(idle), untouched)?;
    {
        let connection = day.borrow()?;
        // SQLite believes the header until it reads a page that is not there.
        let claimed: u64 = connection
            .query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| row.get(0))
            .or_fail(&day.place, "failed to open")?;
        let held = fs::metadata(&day.path).or_fail(&day.place, "failed to open")?.len();
        let log = fs::metadata(beside(&day.path, "-wal")).map_or(0, |log| log.len());
        if claimed > held && log == 0 {
            return Err(day.place.damaged(format!("the file ends at {held} bytes, {claimed} were written")));
        }
        Tally::read(&connection).or_fail(&day.place, "failed to open")?;
    }
    day.set_span(find_span(&day)?);
    Ok(day)
}

/// Positions and times of a file's records, `None` when it has none.
pub(super) fn find_span(day: &Day) -> Result<Option<Span>, StoreError> {
    let connection = day.borrow()?;
    let mut view = View::new(day, &connection)?;
    let mut edge = |order| {
        let mut found = None;
        view.scan((day.room, i64::MAX), order, &mut |key, entry: Entry| {
            found = Some((day.seq(key), time(&entry)));
            std::ops::ControlFlow::Break(())
        })?;
        Ok::<_, StoreError>(found)
    };
    let Some(((first_seq, first_at), (last_seq, last_at))) = edge(Order::Ascending)?.zip(edge(Order::Descending)?) else {
        return Ok(None);
    };
    Ok(Some(Span { first_seq, last_seq, first_at, last_at }))
}

/// The last position in a file.
pub(super) fn last_seq(day: &Day) -> Result<Option<u64>, StoreError> {
    let connection = day.borrow()?;
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(p) FROM records")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .or_fail(&day.place, "failed to look for new records")?;
    Ok(last.filter(|key| *key >= day.room).map(|key| day.seq(key)))
}

/// When a record was recorded.
pub(super) fn time(entry: &Entry) -> jiff::Timestamp {
    match &entry.content {
        Content::Change(facts) => facts.recorded_at,
        Content::Mark(mark) => mark.recorded_at,
    }
}

/// An append over several days that did not come to its end: positions of its first and last record.
pub(super) fn spill(day: &Day) -> Result<Option<(u64, u64)>, StoreError> {
    let connection = day.borrow()?;
    let number = |key| schema::number(&connection, key).or_fail(&day.place, "failed to open");
    let spill = number("spill_first")?.zip(number("spill_last")?);
    Ok(spill.and_then(|(first, last)| Some((u64::try_from(first).ok()?, u64::try_from(last).ok()?))))
}

/// Renames a damaged file, with what lies beside it, so that nothing meets it again.
pub(super) fn set_aside(dir: &Path, date: Date, kind: Kind, reason: &str) -> Result<DamagedFile, StoreError> {
    let place = Place::new(dir, &date.to_string());
    let path = kind.path(dir, date);
    let free = (1..MOST_DAMAGED).map(|number| beside(&path, &format!("{DAMAGED}{number}"))).find(|to| !to.exists());
    let to = free.ok_or_else(|| place.engine("failed to set a damaged file aside", "too many were set aside before"))?;
    for ending in BESIDE {
        let (from, to) = (beside(&path, ending), beside(&to, ending));
        if from.exists() {
            fs::rename(from, to).or_fail(&place, "failed to set a damaged file aside")?;
        }
    }
    fs::rename(&path, &to).or_fail(&place, "failed to set a damaged file aside")?;
    tracing::error!(day = %date, file = %to.display(), reason, "set a damaged day aside");
    Ok(DamagedFile { day: date.to_string(), path: to, reason: reason.to_owned() })
}

/// A file that cannot be read, and what is wrong with it.
pub(super) type Broken = (Date, Kind, String);

/// Days that can be read, and files that cannot, named with what is wrong. Fails on a file of a newer version.
pub(super) fn open_days(
    dir: &Path,
    listing: &Listing,
    idle: &Arc<Idle>,
    untouched: bool,
) -> Result<(Vec<Arc<Day>>, Vec<Broken>), StoreError> {
    let (mut days, mut damaged) = (Vec::new(), Vec::new());
    for (date, kind) in &listing.days {
        match open_day(dir, *date, *kind, idle, untouched) {
            Ok(day) => days.push(Arc::new(day)),
            Err(StoreError::Damaged { reason, .. }) => damaged.push((*date, *kind, reason)),
            Err(error) => return Err(error),
        }
    }
    Ok((days, damaged))
}

/// The journal's identity from its file, or from a day.
pub(super) fn identity(dir: &Path, days: &[Arc<Day>]) -> Result<(Option<Identity>, bool), StoreError> {
    let place = Place::new(dir, "");
    match Identity::read(dir).or_fail(&place, "failed to read journal.json")? {
        Found::Whole(identity) => return Ok((Some(identity), false)),
        Found::Newer(found) => {
            return Err(StoreError::Newer { file: "journal.json".to_owned(), found, supported: supported() });
        }
        Found::Missing | Found::Broken => {}
    }
    for day in days.iter().rev() {
        let connection = day.borrow()?;
        if let Some(journal) = schema::text(&connection, "journal").or_fail(&day.place, "failed to open")? {
            return Ok((Some(Identity::new(journal, 1)), true));
        }
    }
    Ok((None, false))
}

/// Removes what a crash left half-made.
pub(super) fn clean(dir: &Path, listing: &Listing) -> Result<(), StoreError> {
    for path in listing.unfinished.iter().chain(&listing.superseded) {
        remove_file(path).or_fail(&Place::new(dir, ""), "failed to remove what a crash left")?;
    }
    Ok(())
}

/// Takes back an append that reached some of its days only. Returns whether there was one.
pub(super) fn settle_spill(days: &[Arc<Day>]) -> Result<bool, StoreError> {
    let end = days.iter().filter_map(|day| day.span()).map(|span| span.last_seq).max().unwrap_or_default();
    let mut from = None;
    for day in days.iter().filter(|day| day.kind == Kind::Rows) {
        if let Some((first, last)) = spill(day)?.filter(|(_, last)| *last > end) {
            from = Some(from.map_or(first, |known: u64| known.min(first)));
            tracing::warn!(first, last, "took back an append that was never acknowledged");
        }
    }
    let Some(first) = from else { return Ok(false) };
    for day in days.iter() {
        if day.span().is_some_and(|span| span.last_seq >= first) {
            super::writer::remove_from(day, first)?;
            day.set_span(find_span(day)?);
        }
    }
    Ok(true)
}

/// Takes the rows from `key` on out of the file's figures.
pub(super) fn recount_without(day: &Day, connection: &Connection, key: i64) -> Result<(), StoreError> {
    let mut tally = Tally::read(connection).or_fail(&day.place, "failed to count")?;
    let mut view = View::new(day, connection)?;
    let mut going = Vec::new();
    view.scan((key, i64::MAX), Order::Ascending, &mut |key, entry| {
        going.push((key, entry));
        std::ops::ControlFlow::Continue(())
    })?;
    let mut objects = std::collections::BTreeSet::new();
    for (at, entry) in going {
        let Content::Change(facts) = &entry.content else { continue };
        let body = view.change(at, entry.object, facts, BodyDetail::Body)?.body;
        tally.changes = tally.changes.saturating_sub(1);
        tally.raw_bytes = tally.raw_bytes.saturating_sub(body.map_or(0, |body| body.len() as u64));
        if objects.insert(entry.object) && view.positions(entry.object, (day.room, key - 1), Order::Ascending, 1)?.is_empty() {
            tally.objects = tally.objects.saturating_sub(1);
        }
    }
    tally.write(connection).or_fail(&day.place, "failed to count")
}

/// How much was lost: what the last process had acknowledged beyond what is there.
pub(super) fn lost(dir: &Path, end: u64) -> u64 {
    WatermarkFile::read(dir).saturating_sub(end)
}
