//! Reads the records of incidents out of the journal. Blocking.

use std::collections::BTreeMap;
use std::sync::Arc;

use proreus_doctor::emission::{IncidentRecord, Position};
use proreus_model::{ClusterId, Filter, ObjectId, Order, Record, Seq, SeqRange};
use proreus_store::{BodyDetail, ConsumerCursor, Journal, ReadQuery, StoreError};

/// Records read at a time: an incident has some kilobytes.
const PAGE: usize = 200;

/// Where the group of what Proreus did is named for reading.
const GROUP: &str = "proreus.dev";
/// Their resource type.
const RESOURCE: &str = "incidents";
/// Their kind.
const KIND: &str = "Incident";

/// The records of incidents, of one cluster or all.
#[derive(Clone)]
pub(super) struct Feed {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) cluster: Option<ClusterId>,
}

/// A stretch of the journal, read.
pub(super) struct Stretch {
    pub(super) records: Vec<Arc<IncidentRecord>>,
    /// Everything up to here was read.
    pub(super) until: Seq,
    pub(super) more: bool,
}

impl Feed {
    fn filter(&self) -> Filter {
        Filter {
            clusters: self.cluster.iter().cloned().collect(),
            groups: vec![GROUP.into()],
            resources: vec![RESOURCE.into()],
            ..Filter::changes()
        }
    }

    /// The journal's name, for keys.
    pub(super) fn journal_id(&self) -> String {
        self.journal.id().to_string()
    }

    /// How far a consumer has come.
    pub(super) fn cursor(&self, consumer: &str) -> Result<Option<ConsumerCursor>, StoreError> {
        self.journal.cursor(consumer)
    }

    /// The newest record of every incident there is, as of now.
    pub(super) fn standing(&self) -> Result<Stretch, StoreError> {
        let until = self.journal.watermark();
        let mut records = Vec::new();
        let mut after: Option<ObjectId> = None;
        loop {
            let page = self.journal.objects(until, &self.filter(), after.as_ref(), PAGE, BodyDetail::Body)?;
            after = page.objects.last().map(|change| change.object.clone());
            records.extend(page.objects.iter().filter_map(read));
            if !page.more || after.is_none() {
                break;
            }
        }
        records.sort_by_key(|record: &Arc<IncidentRecord>| record.seq);
        Ok(Stretch { records, until, more: false })
    }

    /// A page of what came after a position.
    pub(super) fn after(&self, seq: Seq) -> Result<Stretch, StoreError> {
        let last = self.journal.watermark();
        let query = ReadQuery {
            range: SeqRange { first: Seq(seq.0.saturating_add(1)), last },
            filter: self.filter(),
            after: None,
            order: Order::Ascending,
            limit: PAGE,
            detail: BodyDetail::Body,
        };
        if query.range.first > last {
            return Ok(Stretch { records: Vec::new(), until: seq, more: false });
        }
        let page = self.journal.read(&query)?;
        let read_to = page.records.last().map(|recorded| recorded.record.seq());
        let until = if page.more { read_to.unwrap_or(seq) } else { last };
        let changes = page.records.iter().filter_map(|recorded| match &recorded.record {
            Record::Change(change) => read(change),
            Record::Mark(_) => None,
        });
        Ok(Stretch { records: changes.collect(), until, more: page.more })
    }

    /// The last record of an incident in a stretch that begins after `seq`; for the news.
    pub(super) fn newest_after(&self, seq: Seq) -> Result<Option<Seq>, StoreError> {
        let query = ReadQuery {
            range: SeqRange { first: Seq(seq.0.saturating_add(1)), last: self.journal.watermark() },
            filter: self.filter(),
            after: None,
            order: Order::Descending,
            limit: 1,
            detail: BodyDetail::None,
        };
        if query.range.first > query.range.last {
            return Ok(None);
        }
        Ok(self.journal.read(&query)?.records.first().map(|recorded| recorded.record.seq()))
    }

    /// The records at these positions, as far as they are still there.
    pub(super) fn at(&self, positions: &[Position]) -> Result<BTreeMap<(String, Seq), Arc<IncidentRecord>>, StoreError> {
        let mut found = BTreeMap::new();
        for position in positions {
            let object = ObjectId {
                cluster: position.cluster.clone(),
                group: GROUP.into(),
                kind: KIND.into(),
                namespace: position.namespace.as_str().into(),
                name: position.id.as_str().into(),
                uid: position.id.as_str().into(),
            };
            let change = match self.journal.state(&object, position.seq) {
                Ok(change) => change,
                Err(StoreError::Gone { .. }) => self.journal.state(&object, self.journal.watermark())?,
                Err(error) => return Err(error),
            };
            if let Some(record) = change.as_ref().and_then(read) {
                // What retention took is told by what stands now.
                found.insert((position.id.clone(), position.seq), record);
            }
        }
        Ok(found)
    }
}

fn read(change: &proreus_model::Change) -> Option<Arc<IncidentRecord>> {
    match IncidentRecord::read(change) {
        Ok(record) => record.map(Arc::new),
        Err(error) => {
            tracing::error!(%error, "the record of an incident is told to nobody");
            None
        }
    }
}
