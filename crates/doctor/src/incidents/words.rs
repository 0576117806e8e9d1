//! Words of the program that come back from a kept state: ids of checks, reasons, classes.
//!
//! Pure. A word that the program itself holds is found; any other one is kept for good, which is bounded by how many there may be.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serializer};

use crate::checks::CHECKS;

/// A word that lives as long as the program.
pub(super) type Word = &'static str;

/// Words that are kept although no check lists them: the program has a few dozen classes and reasons of groups, and what comes back was
/// written by this program.
const KEPT_LIMIT: usize = 1_024;

/// Longest word that is kept.
const WORD_LIMIT: usize = 100;

static KEPT: Mutex<BTreeSet<Word>> = Mutex::new(BTreeSet::new());

/// The word with this text; `None` for what can be no word of the program.
pub(super) fn word(text: &str) -> Option<Word> {
    let listed = CHECKS.iter().flat_map(|check| std::iter::once(&check.id).chain(check.reasons));
    if let Some(found) = listed.copied().find(|known| *known == text) {
        return Some(found);
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = kept.get(text) {
        return Some(found);
    }
    if kept.len() >= KEPT_LIMIT || text.len() > WORD_LIMIT {
        return None;
    }
    let fresh: Word = Box::leak(text.to_owned().into_boxed_str());
    kept.insert(fresh);
    Some(fresh)
}

/// For serde.
pub(super) fn serialize<S: Serializer>(word: &Word, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word)
}

/// For serde.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    let text = String::deserialize(deserializer)?;
    word(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no word of this program")))
}

/// For words that may be left out.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Word;

    pub(in crate::incidents) fn serialize<S: Serializer>(word: &Option<Word>, serializer: S) -> Result<S::Ok, S::Error> {
        word.serialize(serializer)
    }

    pub(in crate::incidents) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        super::word(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no word of this program")))
    }
}
