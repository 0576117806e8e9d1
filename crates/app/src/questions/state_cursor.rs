//! The cursor of a page of objects: it pins the moment, so that all pages of one state are of one moment, and carries the last object.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proreus_model::{Cursor, CursorError, ObjectId};

/// Longest text read as a cursor: the names of an object are a few hundred bytes each at most.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Where a page of objects ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCursor {
    /// The moment.
    pub at: Cursor,
    /// The last object that was given out.
    pub after: ObjectId,
}

impl fmt::Display for StateCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = serde_json::to_vec(&self.after).map_err(|_| fmt::Error)?;
        write!(f, "{}.{}", self.at, URL_SAFE_NO_PAD.encode(object))
    }
}

impl FromStr for StateCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(CursorError::Malformed);
        }
        let (at, object) = text.split_once('.').ok_or(CursorError::Malformed)?;
        let object = URL_SAFE_NO_PAD.decode(object).map_err(|_| CursorError::Malformed)?;
        let after = serde_json::from_slice(&object).map_err(|_| CursorError::Malformed)?;
        Ok(Self { at: at.parse()?, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proreus_model::{JournalId, Seq};

    #[test]
    fn reads_back_what_it_printed() {
        let after = ObjectId { name: "näme \" with, odd/letters".into(), ..example() };
        let cursor = StateCursor { at: Cursor { journal: JournalId::from_bytes([7; 16]), seq: Seq(9) }, after };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn refuses_what_it_never_printed() {
        let of_changes = Cursor { journal: JournalId::from_bytes([7; 16]), seq: Seq(9) }.to_string();
        for text in ["", ".", &of_changes, &format!("{of_changes}."), &format!("{of_changes}.e30"), &format!("{of_changes}.%%")] {
            assert_eq!(text.parse::<StateCursor>(), Err(CursorError::Malformed), "{text}");
        }
    }

    fn example() -> ObjectId {
        ObjectId {
            cluster: "c".into(),
            group: "".into(),
            kind: "Pod".into(),
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u".into(),
        }
    }
}
