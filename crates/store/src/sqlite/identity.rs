//! What a journal is, beside its days: its id, the writer's epoch, and how far positions may have been given.
//!
//! `journal.json` is durable and replaced as a whole, but on a full disk, where it is overwritten in place; `watermark` is overwritten in place and survives the process, not the machine: it
//! only tells whether a log lost its tail. Invariant: no position above `reserved` was ever given to anybody.

use std::fs::{self, File, OpenOptions as FileOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Version of `journal.json`.
const FORMAT: u32 = 1;

/// Positions reserved at once: one more durable write of a small file for each so many records.
pub(super) const RESERVE: u64 = 1 << 16;

const IDENTITY: &str = "journal.json";
const WATERMARK: &str = "watermark";

/// Contents of `journal.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) format: u32,
    pub(super) journal: String,
    pub(super) epoch: u64,
    pub(super) reserved: u64,
    /// The first position that was given: 1, or more in a restored journal.
    pub(super) first: u64,
}

/// What was found of it.
#[derive(Debug)]
pub(super) enum Found {
    Whole(Identity),
    /// Not there.
    Missing,
    /// Not readable: what it said is lost.
    Broken,
    /// Of a newer program.
    Newer(u32),
}

impl Identity {
    pub(super) fn new(journal: String, first: u64) -> Self {
        Self { format: FORMAT, journal, epoch: 0, reserved: 0, first }
    }

    pub(super) fn read(dir: &Path) -> io::Result<Found> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bytes = match fs::read(dir.join(IDENTITY)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Format>(&bytes) {
            Ok(Format { format }) if format > FORMAT => Ok(Found::Newer(format)),
            Ok(_) => Ok(serde_json::from_slice(&bytes).map_or(Found::Broken, Found::Whole)),
            Err(_) => Ok(Found::Broken),
        }
    }

    /// Replaces the file; durable on return. On a full disk its own bytes are overwritten, which takes no room: a journal must open there,
    /// because it still answers. A crash in the middle of that leaves a broken file, and the next start makes it anew from the days.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        match self.replace(dir) {
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => self.overwrite(dir),
            other => other,
        }
    }

    fn overwrite(&self, dir: &Path) -> io::Result<()> {
        // What was begun takes room, or stands for nothing.
        let _ = fs::remove_file(dir.join("journal.json.new"));
        let file = FileOptions::new().write(true).open(dir.join(IDENTITY))?;
        let mut text = serde_json::to_string(self)?;
        let held = usize::try_from(file.metadata()?.len()).unwrap_or_default();
        text.extend(std::iter::repeat_n(' ', held.saturating_sub(text.len() + 1)));
        text.push('\n');
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()
    }

    fn replace(&self, dir: &Path) -> io::Result<()> {
        let fresh = dir.join("journal.json.new");
        let mut file = File::create(&fresh)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(fresh, dir.join(IDENTITY))?;
        sync_dir(dir)
    }
}

/// The version of `journal.json` that this program writes and reads up to.
pub(super) fn supported() -> u32 {
    FORMAT
}

/// Makes names in the directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The last position that was acknowledged, as far as the system remembers.
#[derive(Debug)]
pub(super) struct WatermarkFile(File);

impl WatermarkFile {
    /// Opens it for writing.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        FileOptions::new().write(true).create(true).truncate(false).open(dir.join(WATERMARK)).map(Self)
    }

    /// Overwrites the position.
    pub(super) fn set(&self, seq: u64) -> io::Result<()> {
        self.0.write_all_at(format!("{seq:020}\n").as_bytes(), 0)
    }

    /// The position in the file of a directory, 0 when there is none to be read.
    pub(super) fn read(dir: &Path) -> u64 {
        let mut text = String::new();
        let read = File::open(dir.join(WATERMARK)).and_then(|file| file.take(64).read_to_string(&mut text));
        read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or_default()
    }
}
