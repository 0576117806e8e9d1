//! Who listens, and how many: a place is taken when a subscription begins and left when it is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ClientKey;
use crate::AppError;

/// Counts subscriptions.
pub(super) struct Slots {
    per_client: usize,
    in_all: usize,
    taken: Mutex<BTreeMap<ClientKey, usize>>,
}

/// A place, left when it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    client: ClientKey,
}

impl Slots {
    pub(super) fn new(per_client: usize, in_all: usize) -> Self {
        Self { per_client, in_all, taken: Mutex::new(BTreeMap::new()) }
    }

    /// Takes a place for a client; counted and taken in one step.
    pub(super) fn take(self: &Arc<Self>, client: &ClientKey) -> Result<Slot, AppError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.in_all {
            return Err(AppError::TooMany {
                what: format!("server subscription limit exceeded (max: {})", self.in_all),
                hint: "try again later, or read the log of the monitor by cursor".to_owned(),
            });
        }
        let own = taken.entry(client.clone()).or_default();
        if *own >= self.per_client {
            return Err(AppError::TooMany {
                what: format!("per-client subscription limit exceeded (max: {})", self.per_client),
                hint: "end a subscription that is no longer needed, or read the log of the monitor by cursor".to_owned(),
            });
        }
        *own += 1;
        Ok(Slot { slots: Arc::clone(self), client: client.clone() })
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_the_one_too_many_and_frees_a_place_when_it_is_left() {
        let slots = Arc::new(Slots::new(2, 3));
        let (one, other) = (ClientKey("one".to_owned()), ClientKey("other".to_owned()));
        let held = (slots.take(&one).expect("first"), slots.take(&one).expect("second"));
        let refused = slots.take(&one).map(|_| ()).expect_err("third of one client");
        assert_eq!(refused.to_string(), "per-client subscription limit exceeded (max: 2)");
        let third = slots.take(&other).expect("another client");
        let refused = slots.take(&other).map(|_| ()).expect_err("fourth in all");
        assert_eq!(refused.to_string(), "server subscription limit exceeded (max: 3)");
        drop(held);
        assert_eq!(slots.taken(), 1);
        assert!(slots.take(&one).is_ok());
        drop(third);
    }
}
