//! Why a use case could not be served, in words for the person who asked.

use proreus_model::Cursor;
use proreus_store::StoreError;

/// One variant a way of failing; the interfaces turn it into exit codes and status codes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A parameter of the question is not of an allowed form.
    #[error("`{name}` is `{found}`")]
    BadParameter {
        /// The parameter as the caller spells it.
        name: &'static str,
        /// What was given.
        found: String,
        /// What may be given, as a hint.
        allowed: String,
    },
    /// There is nothing by that name (or the caller may not read it).
    #[error("{what} not found")]
    NotFound {
        /// What was looked for.
        what: String,
        /// What to try next.
        hint: String,
    },
    /// The cursor belongs to another journal or its position is no longer kept.
    #[error("the cursor can no longer be continued")]
    CursorGone {
        /// Where the journal now begins, `None` when it is empty.
        oldest: Option<Cursor>,
    },
    /// More at once than is allowed.
    #[error("{what}")]
    TooMany {
        /// Which limit, in words.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The caller may not have that, though they may know of it.
    #[error("{what}")]
    Forbidden {
        /// What they may not.
        what: String,
        /// What would let them.
        hint: String,
    },
    /// A cluster had to be asked, and gave no answer.
    #[error("{what}")]
    Cluster {
        /// What it did not give, and why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The journal failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppError {
    /// Whether the input was refused (as against: we failed).
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::BadParameter { .. } | Self::NotFound { .. } | Self::CursorGone { .. } | Self::TooMany { .. } | Self::Forbidden { .. } => {
                true
            }
            Self::Cluster { .. } => false,
            Self::Store(error) => matches!(error, StoreError::NoJournal { .. } | StoreError::Newer { .. } | StoreError::Gone { .. }),
        }
    }

    /// Whether what was asked for had been kept and was removed by retention.
    pub fn is_no_longer_kept(&self) -> bool {
        matches!(self, Self::CursorGone { .. } | Self::Store(StoreError::Gone { .. }))
    }

    /// What the person can do next, one sentence without a full stop.
    pub fn hint(&self) -> String {
        match self {
            Self::BadParameter { allowed, .. } => allowed.clone(),
            Self::NotFound { hint, .. } | Self::TooMany { hint, .. } | Self::Forbidden { hint, .. } | Self::Cluster { hint, .. } => {
                hint.clone()
            }
            Self::CursorGone { oldest: Some(oldest) } => format!("start again from the oldest cursor, {oldest}"),
            Self::CursorGone { oldest: None } => "start again without a cursor".to_owned(),
            Self::Store(error) => store_hint(error),
        }
    }
}

/// An error with its cause, which says what to do about it.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

pub(crate) fn store_hint(error: &StoreError) -> String {
    match error {
        StoreError::Locked { .. } => "wait for the other process to end, or give another --data-dir".to_owned(),
        StoreError::Newer { .. } => "use the newer program that wrote it; nothing was changed".to_owned(),
        StoreError::NotWritable { .. } => "check the owner and mode of the directory, or give another --data-dir".to_owned(),
        StoreError::NoJournal { .. } => "run `proreus serve` or `proreus demo --data-dir DIR` to make one".to_owned(),
        StoreError::Full { .. } => "free space, enlarge the volume, or lower maxDiskBytes".to_owned(),
        StoreError::Fenced { .. } => "another writer took over; restart this one".to_owned(),
        StoreError::Damaged { .. } => "run `proreus store verify` to see what is damaged; the other days are still served".to_owned(),
        StoreError::Gone { .. } => "ask for a later time; raise retentionDays or maxDiskBytes to keep more".to_owned(),
        _ => "see the log for the step that failed, then try again".to_owned(),
    }
}
