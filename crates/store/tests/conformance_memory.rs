//! The conformance suite over the in-memory model itself: the suite and its oracle say the same.

use proreus_store::MemoryJournal;
use proreus_store::conformance::Workbench;
use proreus_store::stream::Exporting;

struct InMemory(MemoryJournal);

impl Workbench for InMemory {
    fn journal(&self) -> &dyn Exporting {
        &self.0
    }

    fn reopen(&mut self) {
        self.0 = self.0.clone();
    }

    fn settle(&mut self) {}
}

proreus_store::conformance_tests!(|| Box::new(InMemory(MemoryJournal::new())));

#[test]
fn survives_being_carried() {
    proreus_store::conformance::survives_being_carried(|model| {
        let mut stream = Vec::new();
        proreus_store::stream::export(model, &mut stream, &mut |_, _| ()).expect("the model can be exported");
        let (journal, _) = proreus_store::stream::import(&stream[..], MemoryJournal::import, &mut |_, _| ()).expect("and imported");
        Box::new(InMemory(journal))
    });
}
