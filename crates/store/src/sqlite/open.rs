//! Opening a journal to write: what the directory holds becomes a writer.
//!
//! Invariant: nothing is changed in a directory that another process writes, or that a newer program wrote.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use proreus_model::JournalId;

use super::day::Idle;
use super::fault::{OrFail, Place};
use super::identity::{Identity, WatermarkFile};
use super::lock::DirectoryLock;
use super::recover::{self, OpenReport};
use super::writer::Writer;
use super::{OpenOptions, SqliteJournal, follow, import};
use crate::journal::StoreError;

impl SqliteJournal {
    /// Opens a journal to write and read. `Locked` when another process writes it, `NotWritable`, `Newer`; damaged days are set aside and
    /// told in the report.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        if !options.create && !dir.is_dir() {
            return Err(StoreError::NoJournal { dir: dir.display().to_string() });
        }
        Self::open_locked(DirectoryLock::acquire(dir)?, options)
    }

    /// Opens a journal whose lock the caller holds already, having waited for it.
    pub fn open_locked(lock: DirectoryLock, options: &OpenOptions) -> Result<Self, StoreError> {
        import::refuse_unfinished(lock.dir())?;
        Self::open_marked(lock, options)
    }

    /// The same whether or not an import is going on: for the import itself.
    pub(super) fn open_marked(lock: DirectoryLock, options: &OpenOptions) -> Result<Self, StoreError> {
        let dir = lock.dir().to_owned();
        let place = Place::new(&dir, "");
        let idle = Arc::new(Idle::default());
        let listing = recover::list(&dir)?;
        let (days, broken) = recover::open_days(&dir, &listing, &idle, false)?;
        let (identity, identity_rebuilt) = recover::identity(&dir, &days)?;
        let created = identity.is_none() && listing.days.is_empty();
        if created && !options.create {
            return Err(StoreError::NoJournal { dir: dir.display().to_string() });
        }
        recover::clean(&dir, &listing)?;
        let mut report = OpenReport { created, identity_rebuilt, ..OpenReport::default() };
        for (date, kind, reason) in &broken {
            report.damaged.push(recover::set_aside(&dir, *date, *kind, reason)?);
        }
        report.took_back = recover::settle_spill(&days)?;
        let known = identity.is_some();
        let mut identity = match identity {
            Some(identity) => identity,
            None => Identity::new(new_id(&place, options)?.as_str().to_owned(), options.first_seq.0.max(1)),
        };
        let id = identity.journal.parse().map_err(|_| place.engine("failed to open", "journal.json holds no journal id"))?;
        let newest = days.iter().filter_map(|day| day.span()).next_back();
        let last_seq = newest.map_or(identity.first - 1, |span| span.last_seq);
        report.lost_records = recover::lost(&dir, last_seq);
        let newest_date = days.iter().filter(|day| day.span().is_some()).map(|day| day.date).next_back();
        let newest_broken = broken.iter().any(|(date, ..)| newest_date.is_none_or(|newest| *date >= newest));
        // Whatever was given out before a loss must not be given again.
        let loss = report.lost_records > 0 || newest_broken;
        let next_seq = if loss { identity.reserved.max(last_seq + report.lost_records) + 1 } else { last_seq + 1 };
        identity.reserved = identity.reserved.max(last_seq);
        if !known || identity_rebuilt {
            identity.write(&dir).or_fail(&place, "failed to write journal.json")?;
        }
        let watermark_file = WatermarkFile::open(&dir).or_fail(&place, "failed to open the watermark file")?;
        let writer = Writer {
            place,
            identity,
            days,
            last_seq,
            last_at: newest.map(|span| span.last_at),
            next_seq,
            open: None,
            watermark_file,
            idle,
            memory: options.memory_bytes,
            most_pages: options.most_pages.clone(),
            dir: dir.clone(),
            _lock: lock,
        };
        let published = RwLock::new(Arc::new(writer.published()));
        let writer = Some(Mutex::new(writer));
        Ok(Self { id, dir, report, published, writer, follower: None, tending: Mutex::default() })
    }

    /// Opens a journal to read only, while another process may write it. Every question sees what the writer had committed by then.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        import::refuse_unfinished(dir)?;
        let (follower, published, id, report) = follow::Follower::open(dir)?;
        let published = RwLock::new(Arc::new(published));
        Ok(Self { id, dir: dir.to_owned(), report, published, writer: None, follower: Some(follower), tending: Mutex::default() })
    }
}

fn new_id(place: &Place, options: &OpenOptions) -> Result<JournalId, StoreError> {
    if let Some(id) = &options.id {
        return Ok(id.clone());
    }
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| std::io::Read::read_exact(&mut source, &mut bytes));
    read.or_fail(place, "failed to make a journal id")?;
    Ok(JournalId::from_bytes(bytes))
}
