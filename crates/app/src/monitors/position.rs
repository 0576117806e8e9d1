//! Where an update of a monitor stands: after a record of the journal, and as the how-manieth since that record.
//!
//! Pure. An update is caused by a record, or by time that passes after one. Both are the same in every replay of the journal, so the position
//! is the update's identity: whoever comes back with one sees what follows it, each update once.

use std::fmt;
use std::str::FromStr;

use proreus_model::{Cursor, CursorError, JournalId, Seq};

/// A place in the log of updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Last record that says anything of a provisioning before the update.
    pub seq: Seq,
    /// Which of the updates that follow from that record and from the time after it, from 1; 0 stands before all of them.
    pub ordinal: u32,
}

/// A position in one journal: opaque to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorCursor {
    /// The journal it belongs to.
    pub journal: JournalId,
    /// The last update that was given out.
    pub position: Position,
}

impl fmt::Display for MonitorCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}.{:x}", self.journal, self.position.seq.0, self.position.ordinal)
    }
}

impl FromStr for MonitorCursor {
    type Err = CursorError;

    /// Reads what `Display` printed. A cursor of changes stands after everything that follows from its record.
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let Some((cursor, ordinal)) = text.split_once('.') else {
            let Cursor { journal, seq } = text.parse()?;
            return Ok(Self { journal, position: Position { seq, ordinal: u32::MAX } });
        };
        let canonical = !ordinal.is_empty() && ordinal.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let ordinal = u32::from_str_radix(ordinal, 16).ok().filter(|_| canonical).ok_or(CursorError::Malformed)?;
        let Cursor { journal, seq } = cursor.parse()?;
        Ok(Self { journal, position: Position { seq, ordinal } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_printed_and_nothing_else() {
        let cursor = MonitorCursor { journal: JournalId::from_bytes([0xab; 16]), position: Position { seq: Seq(123_456), ordinal: 17 } };
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        let journal = cursor.journal.as_str();
        for text in ["", ".", "1.2", &format!("{journal}-1."), &format!("{journal}-1.+2"), &format!("{journal}-1.2.3")] {
            assert_eq!(text.parse::<MonitorCursor>(), Err(CursorError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_cursor_of_changes_stands_after_all_that_follows_from_its_record() {
        let journal = JournalId::from_bytes([1; 16]);
        let read: MonitorCursor = format!("{journal}-5").parse().expect("cursor");
        assert!(read.position > Position { seq: Seq(5), ordinal: 9 } && read.position < Position { seq: Seq(6), ordinal: 0 });
    }
}
