//! From what SQLite and the system say to what a caller can act on.
//!
//! Not a second error enum: `StoreError` is the only one. Invariant: a full disk, damage and a directory that cannot be written are told
//! apart from everything else wherever they surface.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::journal::StoreError;

/// Where something failed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dir: Arc<str>,
    pub(super) segment: Arc<str>,
}

impl Place {
    pub(super) fn new(dir: &Path, segment: &str) -> Self {
        Self { dir: dir.display().to_string().into(), segment: segment.into() }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged { segment: self.segment.to_string(), reason: reason.into() }
    }

    /// The error for a failed SQL step, such as `failed to append`.
    pub(super) fn sql(&self, step: &str, error: &rusqlite::Error) -> StoreError {
        let dir = || self.dir.to_string();
        match error {
            rusqlite::Error::SqliteFailure(code, message) => match code.code {
                ErrorCode::DiskFull => StoreError::Full { dir: dir() },
                // The shared-memory file of the log could not grow: the same full disk, met in another place.
                _ if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full { dir: dir() },
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => self.damaged(message.clone().unwrap_or_else(|| code.to_string())),
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::NotWritable { dir: dir(), reason: error.to_string() },
                _ => self.engine(step, error.to_string()),
            },
            // A value of a type that we never write.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => self.damaged(error.to_string()),
            _ => self.engine(step, error.to_string()),
        }
    }

    /// The error for a failed step on a file.
    pub(super) fn io(&self, step: &str, error: &io::Error) -> StoreError {
        let dir = self.dir.to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { dir },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::NotWritable { dir, reason: error.to_string() }
            }
            _ => self.engine(step, error.to_string()),
        }
    }

    pub(super) fn engine(&self, step: &str, reason: impl Into<String>) -> StoreError {
        let step = if self.segment.is_empty() { step.to_owned() } else { format!("{step} in segment {}", self.segment) };
        StoreError::Engine { step, reason: reason.into() }
    }
}

/// `or_fail` on results of SQL and file steps.
pub(super) trait OrFail<T> {
    /// The value, or the error with its place and step.
    fn or_fail(self, place: &Place, step: &str) -> Result<T, StoreError>;
}

impl<T> OrFail<T> for rusqlite::Result<T> {
    fn or_fail(self, place: &Place, step: &str) -> Result<T, StoreError> {
        self.map_err(|error| place.sql(step, &error))
    }
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self, place: &Place, step: &str) -> Result<T, StoreError> {
        self.map_err(|error| place.io(step, &error))
    }
}
