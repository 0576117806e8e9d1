//! The in-memory journal as the source and the target of a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proreus_model::{Change, Record};

use super::{Held, MemoryJournal};
use crate::journal::StoreError;
use crate::stream::{Exporting, Header, Importing, Positions};

impl Exporting for MemoryJournal {
    fn positions(&self) -> Result<Positions, StoreError> {
        let held = self.held();
        Ok(Positions {
            watermark: held.watermark,
            checkpoints: held.checkpoints.values().cloned().collect(),
            cursors: held.cursors.values().cloned().collect(),
        })
    }
}

/// A journal in memory that is being read from a stream.
#[derive(Debug)]
pub struct MemoryImport {
    header: Header,
    held: Held,
}

impl MemoryJournal {
    /// Begins an import; the header comes from the stream.
    pub fn import(header: &Header) -> Result<MemoryImport, StoreError> {
        Ok(MemoryImport { header: header.clone(), held: Held::default() })
    }
}

impl Importing for MemoryImport {
    type Journal = MemoryJournal;

    fn base(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.held.base.extend(changes.into_iter().map(|change| (change.object.clone(), change)));
        Ok(())
    }

    fn records(&mut self, records: Vec<Record>) -> Result<(), StoreError> {
        for record in records {
            let seq = record.seq();
            if let Record::Change(change) = &record {
                self.held.versions.entry(change.object.clone()).or_default().push(seq);
            }
            self.held.last_recorded_at = Some(record.recorded_at());
            self.held.records.insert(seq, record);
        }
        Ok(())
    }

    fn finish(mut self, positions: Positions) -> Result<MemoryJournal, StoreError> {
        self.held.watermark = self.header.watermark;
        let checkpoints = positions.checkpoints.into_iter().map(|checkpoint| (checkpoint.scope.clone(), checkpoint));
        self.held.checkpoints = checkpoints.collect::<BTreeMap<_, _>>();
        self.held.cursors = positions.cursors.into_iter().map(|cursor| (cursor.consumer.clone(), cursor)).collect();
        Ok(MemoryJournal { id: self.header.journal, held: Arc::new(Mutex::new(self.held)) })
    }
}
