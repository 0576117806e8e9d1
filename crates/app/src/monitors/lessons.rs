//! What finished deployments took, kept beyond the records from which it was learned: as the state of a consumer of the journal.
//!
//! Each lesson keeps the place at which it was learned, so that a reader who folds the same records again does not learn it twice.

use proreus_model::Seq;
use proreus_observe::phases::Lesson;
use proreus_store::{ConsumerCursor, Journal, StoreError};
use serde::{Deserialize, Serialize};

use super::position::Position;
use crate::AppError;

/// Name of the consumer whose state the lessons are.
const CONSUMER: &str = "monitors";
/// Lessons kept, newest first to stay: as many as the fold remembers.
const KEPT_LIMIT: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Kept {
    seq: Seq,
    ordinal: u32,
    lesson: Lesson,
}

/// The lessons that were kept. A state that cannot be read is none: what it says is learned again.
pub(crate) fn kept(journal: &dyn Journal) -> Result<Vec<(Position, Lesson)>, AppError> {
    let cursor = match journal.cursor(CONSUMER) {
        Ok(Some(cursor)) => cursor,
        Ok(None) => return Ok(Vec::new()),
        Err(StoreError::Damaged { reason, .. }) => {
            tracing::warn!(reason, "what was learned of provisioning is learned again");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let kept: Vec<Kept> = serde_json::from_slice(&cursor.state).unwrap_or_default();
    Ok(kept.into_iter().map(|kept| (Position { seq: kept.seq, ordinal: kept.ordinal }, kept.lesson)).collect())
}

/// The consumer's position with the lessons as its state.
pub(super) fn cursor(lessons: &[(Position, Lesson)]) -> ConsumerCursor {
    let newest = lessons.iter().skip(lessons.len().saturating_sub(KEPT_LIMIT));
    let kept: Vec<Kept> =
        newest.map(|(position, lesson)| Kept { seq: position.seq, ordinal: position.ordinal, lesson: lesson.clone() }).collect();
    let seq = lessons.last().map_or(Seq(0), |(position, _)| position.seq);
    ConsumerCursor { consumer: CONSUMER.to_owned(), seq, state: serde_json::to_vec(&kept).unwrap_or_default() }
}
