//! The conformance suite over the SQLite engine, in a directory of its own for each guarantee.

use proreus_store::conformance::Workbench;
use proreus_store::stream::Exporting;
use proreus_store::{OpenOptions, SqliteJournal};

/// A journal that is closed before it is opened again: one process writes a directory.
struct OnDisk {
    journal: Option<SqliteJournal>,
    dir: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mut bench = Self { journal: None, dir };
        bench.open();
        bench
    }

    fn open(&mut self) {
        self.journal = None;
        self.journal = Some(SqliteJournal::open(self.dir.path(), &OpenOptions::default()).expect("the journal opens"));
    }
}

impl Workbench for OnDisk {
    fn journal(&self) -> &dyn Exporting {
        self.journal.as_ref().expect("the journal is open between two calls")
    }

    fn reopen(&mut self) {
        self.open();
    }

    fn settle(&mut self) {}
}

proreus_store::conformance_tests!(|| Box::new(OnDisk::new()));
