//! The recorder as a whole: one writer, one loop a cluster, a handle to watch and end them.
//!
//! Starts and ends things; decides nothing. Invariant: after `shutdown` everything that was taken in is durable or said not to be.

use std::sync::Arc;
use std::time::Duration;

use proreus_model::{Clock, Filter, Mark, MarkKind, Order, Record, Seq, SeqRange, WatchScope};
use proreus_store::{BodyDetail, Journal, ReadQuery, WriterEpoch};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::RecordError;
use crate::appender::Appender;
use crate::board::{Board, BoardSnapshot};
use crate::cluster::{ClusterLoop, Shared};
use crate::cluster_api::ClusterApi;
use crate::connect::ClusterSource;
use crate::queue::{Entry, Queue};
use crate::redact::Redactor;
use crate::selection::Selection;
use crate::settings::RecorderSettings;
use crate::worker::Worker;
use crate::writer::Writer;

/// How long the loops of the clusters may take to end; the binary as a whole has ten seconds.
const LOOPS_END_WITHIN: Duration = Duration::from_secs(3);

/// Where the writer appends.
const WRITER_THREAD: &str = "proreus-writer";

/// What a recorder works with.
pub struct RecorderInputs {
    /// Where records go.
    pub journal: Arc<dyn Journal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Takes secrets out.
    pub redactor: Redactor,
    /// What to record.
    pub clusters: Vec<ClusterSource>,
    /// How.
    pub settings: RecorderSettings,
}

/// A running recorder. Dropping it ends recording without waiting.
pub struct RecorderHandle {
    board: Arc<Board>,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    watermark: watch::Receiver<Seq>,
    settings: watch::Sender<Arc<RecorderSettings>>,
    cancel: CancellationToken,
    ended: CancellationToken,
    key_id: String,
    loops: Vec<JoinHandle<()>>,
    writer: JoinHandle<Result<(), RecordError>>,
}

/// Starts recording.
pub struct Recorder;

impl Recorder {
    /// Takes over as the journal's writer and starts a loop for each cluster. Returns at once; clusters that cannot be reached are tried
    /// for ever.
    ///
    /// # Errors
    /// The journal cannot be read or has another writer.
    pub async fn start(inputs: RecorderInputs) -> Result<RecorderHandle, RecordError> {
        let RecorderInputs { journal, clock, redactor, clusters, settings } = inputs;
        let key_id = redactor.key_id().to_owned();
        let (epoch, former) = take_over(&journal).await?;
        let (watermark_out, watermark) = watch::channel(journal.watermark());
        let queue = Arc::new(Queue::new(settings.queue_bytes));
        let board = Arc::new(Board::default());
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        let worker = Worker::start(WRITER_THREAD).map_err(RecordError::Task)?;
        let writer = Writer {
            worker,
            journal: journal.clone(),
            epoch,
            clock: clock.clone(),
            queue: queue.clone(),
            board: board.clone(),
            watermark: watermark_out,
            closing: cancel.clone(),
        };
        let writer = tokio::spawn({
            let ended = ended.clone();
            async move {
                let _says_so_however_it_ends = ended.drop_guard();
                writer.run().await
            }
        });
        // Before any cluster's marks, so that these stand under the configuration they were made under.
        if let Some(mark) = configuration_mark(&settings, &key_id, former.as_ref(), &*clock) {
            let _nothing_can_be_recorded_any_more = queue.push(Entry::mark(mark)).await;
        }
        let lists_anew = former.as_ref().is_some_and(|former| former.selection != selection_print(&settings.selection));
        let (settings_out, settings_in) = watch::channel(Arc::new(settings.clone()));
        let shared = Arc::new(Shared {
            journal,
            clock: clock.clone(),
            queue: queue.clone(),
            board: board.clone(),
            redactor,
            lists: Arc::new(Semaphore::new(settings.concurrent_lists.max(1))),
            recording: std::sync::Mutex::default(),
            lists_anew,
        });
        let handle = RecorderHandle {
            board: board.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            watermark,
            settings: settings_out,
            cancel: cancel.clone(),
            ended,
            key_id,
            loops: clusters
                .into_iter()
                .map(|source| {
                    board.cluster(&source.alias, clock.now(), |_| {});
                    let cluster = ClusterLoop {
                        alias: source.alias,
                        api: ClusterApi::new(source.client),
                        shared: shared.clone(),
                        settings: settings_in.clone(),
                        cancel: cancel.clone(),
                    };
                    tokio::spawn(cluster.run())
                })
                .collect(),
            writer,
        };
        Ok(handle)
    }
}

impl RecorderHandle {
    /// How everything is.
    pub fn board(&self) -> BoardSnapshot {
        let mut snapshot = self.board.snapshot();
        let (entries, bytes) = self.queue.depth();
        snapshot.writer.queue_entries = entries as u64;
        snapshot.writer.queue_bytes = bytes as u64;
        snapshot
    }

    /// A live view of the board for those who keep asking.
    pub fn live_board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// The way in for records of Proreus itself.
    pub fn appender(&self) -> Appender {
        Appender::new(self.queue.clone(), self.clock.clone())
    }

    /// The last durable position, as it moves.
    pub fn watermark(&self) -> watch::Receiver<Seq> {
        self.watermark.clone()
    }

    /// Puts another selection or noise policy in force. Other settings stay as they were at the start.
    pub async fn reconfigure(&self, settings: RecorderSettings) {
        let former = self.settings.borrow().clone();
        if *former == settings {
            return;
        }
        let former = InForce::of(&former, &self.key_id);
        if let Some(mark) = configuration_mark(&settings, &self.key_id, Some(&former), &*self.clock) {
            let _nothing_can_be_recorded_any_more = self.queue.push(Entry::mark(mark)).await;
        }
        self.settings.send_replace(Arc::new(settings));
    }

    /// Resolves when nothing can be recorded any more; `shutdown` then says why.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The signal behind `ended`, for those who cannot hold the handle while they wait.
    pub fn ended_token(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Waits until everything taken in so far is durable.
    pub async fn flush(&self) {
        let _nothing_can_be_recorded_any_more = self.queue.flush().await;
    }

    /// Ends all watches, writes what is taken in, and ends.
    ///
    /// # Errors
    /// What was taken in could not be written.
    pub async fn shutdown(mut self) -> Result<(), RecordError> {
        self.cancel.cancel();
        for running in std::mem::take(&mut self.loops) {
            match tokio::time::timeout(LOOPS_END_WITHIN, running).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(error = %error, "the loop of a cluster ended unexpectedly"),
                Err(_elapsed) => tracing::warn!("the loop of a cluster takes too long to end"),
            }
        }
        self.queue.close();
        (&mut self.writer).await.map_err(|error| RecordError::Task(error.to_string()))?
    }
}

impl Drop for RecorderHandle {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.queue.close();
    }
}

/// Becomes the writer and reads which configuration was in force.
async fn take_over(journal: &Arc<dyn Journal>) -> Result<(WriterEpoch, Option<InForce>), RecordError> {
    let journal = journal.clone();
    let taking = tokio::task::spawn_blocking(move || {
        let failed = |step| move |source| RecordError::Journal { step, source };
        let epoch = journal.begin_epoch().map_err(failed("take over as the writer"))?;
        let former = configuration_in_force(&*journal).map_err(failed("read the configuration that was in force"))?;
        Ok((epoch, former))
    });
    taking.await.map_err(|error| RecordError::Task(error.to_string()))?
}

/// What a configuration mark says of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InForce {
    selection: String,
    noise: String,
    key_id: String,
}

impl InForce {
    fn of(settings: &RecorderSettings, key_id: &str) -> Self {
        Self { selection: selection_print(&settings.selection), noise: print(&settings.noise), key_id: key_id.to_owned() }
    }
}

/// A fingerprint of what decides which objects of a watched type are seen; the types themselves may come and go without a new list.
fn selection_print(selection: &Selection) -> String {
    print(&(&selection.include_namespaces, &selection.exclude_namespaces, &selection.label_selectors))
}

fn print(value: &impl std::fmt::Debug) -> String {
    Sha256::digest(format!("{value:?}")).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The newest configuration mark.
fn configuration_in_force(journal: &dyn Journal) -> Result<Option<InForce>, proreus_store::StoreError> {
    let query = ReadQuery {
        range: SeqRange { first: Seq(0), last: journal.watermark() },
        filter: Filter { mark_kinds: vec![MarkKind::ConfigChanged], ..Filter::marks() },
        after: None,
        order: Order::Descending,
        limit: 1,
        detail: BodyDetail::None,
    };
    let page = journal.read(&query)?;
    Ok(page.records.into_iter().next().and_then(|recorded| match recorded.record {
        Record::Mark(mark) => {
            let text = |key: &str| mark.detail.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
            Some(InForce { selection: text("selection")?, noise: text("noise")?, key_id: text("redactionKeyId")? })
        }
        Record::Change(_) => None,
    }))
}

/// The mark that tells of a new configuration, `None` if it is the former one.
fn configuration_mark(settings: &RecorderSettings, key_id: &str, former: Option<&InForce>, clock: &dyn Clock) -> Option<Mark> {
    let now = InForce::of(settings, key_id);
    let reason = match former {
        None => "first configuration of this journal",
        Some(former) if *former == now => return None,
        Some(former) if former.key_id != now.key_id => {
            tracing::warn!(
                former = former.key_id,
                now = now.key_id,
                "the redaction key was replaced, so secret values look changed once; hint: put the former key file back if you have it"
            );
            "the redaction key was replaced: tags from before cannot be compared with later ones"
        }
        Some(_) => "the configuration changed",
    };
    Some(Mark {
        seq: Seq(0),
        recorded_at: clock.now(),
        kind: MarkKind::ConfigChanged,
        scope: WatchScope::default(),
        reason: reason.to_owned(),
        detail: serde_json::json!({
            "selection": now.selection,
            "noise": now.noise,
            "redactionKeyId": now.key_id,
            "noisePolicy": settings.noise.enabled,
        }),
    })
}
