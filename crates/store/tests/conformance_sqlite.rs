//! The conformance suite over the SQLite engine.

use std::time::Duration;

use proreus_store::conformance::Workbench;
use proreus_store::stream::{Exporting, Header, export, import};
use proreus_store::{OpenOptions, SqliteJournal};

struct OnDisk {
    dir: tempfile::TempDir,
    journal: Option<SqliteJournal>,
}

impl OnDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let journal = Some(open(dir.path()));
        Self { dir, journal }
    }
}

fn open(dir: &std::path::Path) -> SqliteJournal {
    SqliteJournal::open(dir, &OpenOptions::default()).expect("the journal opens")
}

impl Workbench for OnDisk {
    fn journal(&self) -> &dyn Exporting {
        self.journal.as_ref().expect("the journal is open")
    }

    fn reopen(&mut self) {
        self.journal = None;
        self.journal = Some(open(self.dir.path()));
    }

    fn settle(&mut self) {
        let journal = self.journal.as_ref().expect("the journal is open");
        while journal.tend(Duration::from_secs(60)).expect("background work is done").more {}
    }
}

proreus_store::conformance_tests!(|| Box::new(OnDisk::new()));

#[test]
fn survives_being_carried() {
    proreus_store::conformance::survives_being_carried(|model| {
        let mut stream = Vec::new();
        export(model, &mut stream, &mut |_, _| ()).expect("the model can be exported");
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let begin = |header: &Header| SqliteJournal::import(dir.path(), header);
        let (journal, _) = import(&stream[..], begin, &mut |_, _| ()).expect("what was exported can be imported");
        Box::new(OnDisk { dir, journal: Some(journal) })
    });
}
