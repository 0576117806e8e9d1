//! The conformance suite over the in-memory model itself: the suite and its oracle say the same.

use proreus_store::conformance::Workbench;
use proreus_store::{Journal, MemoryJournal};

struct InMemory(MemoryJournal);

impl Workbench for InMemory {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    fn reopen(&mut self) {
        self.0 = self.0.clone();
    }

    fn settle(&mut self) {}
}

proreus_store::conformance_tests!(|| Box::new(InMemory(MemoryJournal::new())));
