//! What can go wrong in recording. One variant a failed step; the source's own text is the reason, never repeated.

use proreus_store::StoreError;

/// A failed step of recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The redaction key cannot be had.
    #[error("redaction key file `{path}`: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal cannot be read.
    #[error("failed to {step}")]
    Journal {
        /// What we were doing.
        step: &'static str,
        /// What the journal said.
        #[source]
        source: StoreError,
    },
    /// The journal refuses appends for good; recording has ended.
    #[error("recording ended: failed to append")]
    Append(#[source] StoreError),
    /// Recording has ended, so that nothing can be appended.
    #[error("recording has ended")]
    Ended,
    /// One append is to be larger than any may be.
    #[error("an append of {found} {what} at once, allowed are {limit}")]
    TooMuch {
        /// How much.
        found: usize,
        /// Of what.
        what: &'static str,
        /// How much may be.
        limit: usize,
    },
    /// A setting makes no sense.
    #[error("setting `{key}`: {reason}")]
    Setting {
        /// Path of the key.
        key: String,
        /// What was found and what is allowed.
        reason: String,
    },
    /// A file to import cannot be read.
    #[error("failed to read the import after line {line}: {reason}")]
    ImportRead {
        /// Last line that was read.
        line: u64,
        /// What the system said.
        reason: String,
    },
    /// Nothing of an import could be used.
    #[error("none of the {lines} lines could be imported; line {line}: {reason}")]
    ImportUseless {
        /// How many lines there were.
        lines: u64,
        /// The first bad one.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A task of ours ended by a panic.
    #[error("a recording task ended unexpectedly: {0}")]
    Task(String),
}
