//! What an answer means for whoever has to decide whether to try again.
//!
//! Pure.

use std::time::Duration;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// It wants to be left alone for a time.
    Busy {
        /// For how long, where it says so.
        retry_after: Option<Duration>,
        /// What it said.
        reason: String,
    },
    /// No answer, or one that says that it is in trouble.
    Failed {
        /// What happened.
        reason: String,
    },
    /// It refuses us, whatever we send: a wrong path, a wrong or missing secret.
    Refused {
        /// What it said.
        reason: String,
    },
    /// It refuses what we sent.
    Rejected {
        /// What it said.
        reason: String,
    },
}

impl Answer {
    /// Why it was not taken; `None` where it was.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Taken => None,
            Self::Busy { reason, .. } | Self::Failed { reason } | Self::Refused { reason } | Self::Rejected { reason } => Some(reason),
        }
    }

    /// Sorts a status; `reason` says it in words.
    pub(crate) fn of_status(status: u16, retry_after: Option<Duration>, reason: String) -> Self {
        match status {
            200..=299 => Self::Taken,
            429 | 503 => Self::Busy { retry_after, reason },
            // Redirects are not followed: what is behind them was not named by the configuration.
            300..=399 | 401 | 403 | 404 | 405 | 407 | 410 => Self::Refused { reason },
            408 | 425 => Self::Failed { reason },
            400..=499 => Self::Rejected { reason },
            _ => Self::Failed { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_answers_by_who_can_change_them() {
        let of = |status| Answer::of_status(status, None, String::new());
        let reason = String::new;
        for status in [200, 202, 204] {
            assert_eq!(of(status), Answer::Taken);
        }
        for status in [301, 307, 401, 403, 404, 410] {
            assert_eq!(of(status), Answer::Refused { reason: reason() }, "{status}");
        }
        for status in [400, 413, 415, 422] {
            assert_eq!(of(status), Answer::Rejected { reason: reason() }, "{status}");
        }
        for status in [100, 408, 500, 502, 504, 599] {
            assert_eq!(of(status), Answer::Failed { reason: reason() }, "{status}");
        }
        for status in [429, 503] {
            assert_eq!(of(status), Answer::Busy { retry_after: None, reason: reason() }, "{status}");
        }
    }
}
