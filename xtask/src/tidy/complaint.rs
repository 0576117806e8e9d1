//! One broken rule, in words for the person who broke it: where, what, and what to do.

use std::fmt;

/// Where a rule is broken, how, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Path from the repository's root.
    pub(crate) path: String,
    /// Line, from 1, where one line is to blame.
    pub(crate) line: Option<usize>,
    /// What is wrong: lower case, no full stop.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Complaint {
    /// About a file as a whole.
    pub(crate) fn of_file(path: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into(), hint: hint.into() }
    }

    /// About one line.
    pub(crate) fn of_line(path: &str, line: usize, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of_file(path, what, hint) }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\n  hint: {}", self.what, self.hint)
    }
}

/// What was said, without the hints, for tests.
#[cfg(test)]
pub(crate) fn said(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(|complaint| complaint.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}
