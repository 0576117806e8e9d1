//! The places that the journal knows of, kept until there may be others.
//!
//! Invariant: while the set is the same the same `Arc` is given, so that whoever decided by it can tell at once that nothing was added.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use proreus_store::{Journal, Place, StoreError};

use super::Denied;

/// The places of one journal.
#[derive(Clone)]
pub struct KnownPlaces {
    journal: Arc<dyn Journal>,
    held: Arc<Mutex<Option<Held>>>,
}

struct Held {
    generation: u64,
    places: Arc<BTreeSet<Place>>,
}

impl KnownPlaces {
    /// The places of `journal`.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, held: Arc::default() }
    }

    /// The places as they are now.
    pub(super) async fn now(&self) -> Result<Arc<BTreeSet<Place>>, Denied> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || this.look()).await {
            Ok(Ok(places)) => Ok(places),
            Ok(Err(error)) => {
                tracing::error!(%error, "nobody with limited access can be let in: the journal does not tell what it knows of");
                Err(Denied::Unavailable)
            }
            Err(_) => Err(Denied::Unavailable),
        }
    }

    fn look(&self) -> Result<Arc<BTreeSet<Place>>, StoreError> {
        // Asked before the places, so that what comes between the two moves the generation once more.
        let generation = self.journal.places_generation()?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| held.generation == generation) {
            return Ok(held.places.clone());
        }
        let found = self.journal.places()?;
        let places = match held.take() {
            Some(former) if *former.places == found => former.places,
            Some(_) | None => Arc::new(found),
        };
        *held = Some(Held { generation, places: places.clone() });
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proreus_store::MemoryJournal;

    #[tokio::test]
    async fn gives_the_same_set_while_nothing_was_added() {
        let places = KnownPlaces::new(Arc::new(MemoryJournal::new()));
        let first = places.now().await.expect("known");
        assert!(first.is_empty());
        assert!(Arc::ptr_eq(&first, &places.now().await.expect("known")));
    }
}
