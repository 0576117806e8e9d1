//! Every question about the past, answered from a journal.
//!
//! Access is a predicate pushed into the query, before limit, count and cursor. All methods are synchronous and read at one watermark;
//! async callers go through a blocking thread.

mod audit;
mod before;
mod changes;
mod figures;
mod incidents;
mod monitoring;
mod objects;
mod range;
mod selection;
mod state_cursor;
mod view;

use std::sync::Arc;

use arc_swap::ArcSwap;
use proreus_model::{ClusterId, Cursor, Filter, MarkKind, Order, Record, Seq, SeqRange};
use proreus_store::{BodyDetail, Journal, ReadQuery};

pub use audit::{AUDIT_USER, AuditAnswer, AuditObjectAnswer, AuditQuestion};
pub use before::BeforeQuestion;
pub use changes::{ChangesAnswer, ChangesQuestion, MarksAnswer, MarksQuestion, RecordsAnswer};
pub use figures::{StoreFigures, StoreSizes};
pub use incidents::{IncidentNews, IncidentView, IncidentsAnswer, IncidentsQuestion};
pub use monitoring::{
    CauseClass, Monitoring, Outline, Phase, PhaseOptions, Progress, RootKind, Severity, StateWord, Target, Told, UpdateSource,
};
pub use objects::{DiffAnswer, HistoryQuestion, ObjectAnswer, ObjectQuestion, ObjectRef, StateAnswer, StateQuestion};
pub use selection::{Selection, group_of};
pub use state_cursor::StateCursor;
pub use view::{ChangeView, RecordView, parse_body};

use crate::AppError;

/// Most items of one page: bounds the memory of an answer to some tens of megabytes of full objects.
pub const MAX_PAGE_LIMIT: usize = 1_000;
/// Bytes of objects and fields of one page, after which it ends early with a cursor: 1,000 objects of 3 MB would not fit into memory.
/// A single item may be larger and then makes a page of its own.
pub const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items of a page when the caller names no limit.
pub const DEFAULT_PAGE_LIMIT: usize = 100;

/// Asks one journal. Cheap to clone.
#[derive(Clone)]
pub struct Questions {
    journal: Arc<dyn Journal>,
    aliases: Arc<ArcSwap<Vec<(String, ClusterId)>>>,
}

impl Questions {
    /// Questions to `journal`.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, aliases: Arc::new(ArcSwap::from_pointee(Vec::new())) }
    }

    /// The journal behind the questions.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Sets the configured names of clusters; the last connection of a name wins.
    pub fn set_aliases(&self, aliases: Vec<(String, ClusterId)>) {
        self.aliases.store(Arc::new(aliases));
    }

    /// Configured names and what they stand for: those of this process, else those that the journal's own marks tell.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn aliases(&self) -> Result<Vec<(String, ClusterId)>, AppError> {
        let live = self.aliases.load_full();
        if !live.is_empty() {
            return Ok(live.to_vec());
        }
        let mut found: Vec<(String, ClusterId)> = Vec::new();
        let query = ReadQuery {
            // From the oldest there is: position 1 is gone after the first day that retention took.
            range: SeqRange { first: Seq(0), last: self.journal.watermark() },
            filter: Filter { mark_kinds: vec![MarkKind::WatchStarted], ..Filter::marks() },
            after: None,
            order: Order::Descending,
            limit: MAX_PAGE_LIMIT,
            detail: BodyDetail::None,
        };
        for recorded in self.journal.read(&query)?.records {
            if let Record::Mark(mark) = recorded.record
                && let Some(alias) = mark.detail.get("alias").and_then(serde_json::Value::as_str)
                && !found.iter().any(|(known, _)| known == alias)
            {
                found.push((alias.to_owned(), mark.scope.cluster));
            }
        }
        Ok(found)
    }

    /// A cluster by its id or its configured name. A name that nobody knows is taken as an id, so that it matches nothing.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn cluster(&self, word: &str) -> Result<ClusterId, AppError> {
        let alias = self.aliases()?.into_iter().find(|(alias, _)| alias == word);
        Ok(alias.map_or_else(|| ClusterId::from(word), |(_, cluster)| cluster))
    }

    /// The cursor that stands at `seq` in this journal.
    pub fn cursor_at(&self, seq: Seq) -> Cursor {
        Cursor { journal: self.journal.id(), seq }
    }
}
