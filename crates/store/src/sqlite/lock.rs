//! One writer a directory: a lock that the system drops with the process.
//!
//! Readers take no lock. Invariant: while a `DirectoryLock` lives, no other process holds one of the same directory.

use std::fs::{File, OpenOptions as FileOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::{OrFail, Place};
use crate::journal::StoreError;

const LOCK: &str = "lock";

/// Between two tries while waiting: soon enough for a restart, rare enough to cost nothing.
const WAIT: Duration = Duration::from_millis(200);

/// The right to write to a directory.
#[derive(Debug)]
pub struct DirectoryLock {
    dir: PathBuf,
    file: File,
}

impl DirectoryLock {
    /// Takes the lock, making the directory if it is not there. `Locked` when another process has it, `NotWritable` when the directory
    /// cannot be written.
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        let place = Place::new(dir, "");
        let unwritable = |error: std::io::Error| StoreError::NotWritable { dir: dir.display().to_string(), reason: error.to_string() };
        std::fs::create_dir_all(dir).map_err(unwritable)?;
        let open = FileOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(LOCK));
        let mut file = open.map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { dir: dir.display().to_string() }),
            Err(TryLockError::Error(error)) => return Err(place.io("failed to lock the data directory", &error)),
        }
        // The number is for people who wonder who has it; the lock does not depend on it.
        let told = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        told.or_fail(&place, "failed to write the lock file")?;
        Ok(Self { dir: dir.to_owned(), file })
    }

    /// Takes the lock, waiting for it. Before each wait `waiting` is told the process that seems to hold it, and may give up: then
    /// `Locked` is returned.
    pub fn wait(dir: &Path, mut waiting: impl FnMut(Option<u32>) -> ControlFlow<()>) -> Result<Self, StoreError> {
        loop {
            match Self::acquire(dir) {
                Err(StoreError::Locked { dir: locked }) => {
                    if waiting(holder(dir)).is_break() {
                        return Err(StoreError::Locked { dir: locked });
                    }
                    pause();
                }
                other => return other,
            }
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing would do; a copy of the descriptor in a child process would hold the lock on.
        drop(self.file.unlock());
    }
}

#[expect(clippy::disallowed_methods, reason = "who blocks on the lock itself cannot give up, and the system tells of it in no other way")]
fn pause() {
    std::thread::sleep(WAIT);
}

fn holder(dir: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(dir.join(LOCK)).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
