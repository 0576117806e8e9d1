//! Cursors: opaque to callers, `(journal id, seq)` inside, with an object key behind it for pages of objects.

use std::fmt;
use std::str::FromStr;

use crate::Seq;

/// Identity of one journal: 128 random bits as 32 hex digits, made when the journal is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JournalId(String);

/// Why a text is no cursor or no journal id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not of the form that we give out.
    #[error("not a cursor of this program; pass back a nextCursor exactly as it was given")]
    Malformed,
}

impl JournalId {
    /// From 16 random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JournalId {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let valid = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Self(text.to_owned())) } else { Err(CursorError::Malformed) }
    }
}

/// A position in one journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The journal it belongs to.
    pub journal: JournalId,
    /// The last position that was given out.
    pub seq: Seq,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.journal, self.seq.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (journal, seq) = text.split_once('-').ok_or(CursorError::Malformed)?;
        let canonical = !seq.is_empty() && seq.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !canonical {
            return Err(CursorError::Malformed);
        }
        let seq = u64::from_str_radix(seq, 16).map_err(|_| CursorError::Malformed)?;
        Ok(Self { journal: journal.parse()?, seq: Seq(seq) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_printed() {
        let cursor = Cursor { journal: JournalId::from_bytes([0xab; 16]), seq: Seq(123_456) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn refuses_what_it_never_printed() {
        for text in [
            "",
            "-",
            "12",
            "abababababababababababababababab-",
            "abababababababababababababababab-+1",
            "ABABABABABABABABABABABABABABABAB-1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError::Malformed), "{text}");
        }
    }
}
