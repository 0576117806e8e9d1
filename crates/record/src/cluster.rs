//! The loop of one configured cluster: find out which cluster it is, what it serves, and keep a watch running for each chosen type.
//!
//! Never ends but when told to: a cluster that is unreachable or forbids everything is asked again for ever, and said so. Invariants: a
//! type that went from discovery is stopped, not deleted; a group of which discovery says nothing certain keeps its watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proreus_model::{Clock, ClusterId, Group, Mark, MarkKind, Resource, Seq, WatchScope};
use proreus_store::Journal;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff;
use crate::board::Board;
use crate::cluster_api::{ApiError, ClusterApi};
use crate::discovery::Discovered;
use crate::identity::{self, Identity};
use crate::intake::Intake;
use crate::ledger::{Ledger, LedgerParts};
use crate::queue::{Entry, Queue};
use crate::redact::Redactor;
use crate::removed::RemovedTypes;
use crate::scope_watch::{ScopeWatch, WatchEnd};
use crate::selection::{self, Chosen};
use crate::served;
use crate::settings::RecorderSettings;

/// Definitions change in bursts: a chart installs ten of them. Waiting this long for the rest still notices within seconds.
const DEFINITIONS_SETTLE: Duration = Duration::from_millis(700);

/// A definition is served a moment after it is told as changed; asked again this long after, in case the first answer was too early.
const DEFINITIONS_AGAIN: Duration = Duration::from_secs(4);

/// Wait before the journal is asked again after it did not answer.
const JOURNAL_RETRY: Duration = Duration::from_secs(2);

/// What all clusters of a recorder share.
pub(crate) struct Shared {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) board: Arc<Board>,
    pub(crate) redactor: Redactor,
    pub(crate) lists: Arc<Semaphore>,
    /// Which alias records which cluster, so that two aliases of one cluster do not record everything twice.
    pub(crate) recording: Mutex<BTreeMap<ClusterId, String>>,
    /// The selection is not the one under which the stored positions were taken: everything is listed once.
    pub(crate) lists_anew: bool,
}

/// The loop of one cluster.
pub(crate) struct ClusterLoop {
    pub(crate) alias: String,
    pub(crate) api: ClusterApi,
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: watch::Receiver<Arc<RecorderSettings>>,
    pub(crate) cancel: CancellationToken,
}

struct Running {
    chosen: Chosen,
    settings: Arc<RecorderSettings>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// The watches of one identity.
struct Watches {
    identity: Arc<Identity>,
    running: BTreeMap<(Group, Resource), Running>,
    /// Told when the served types may be others than before.
    types_changed: Arc<Notify>,
    removed: RemovedTypes,
}

/// Why the watches of an identity ended.
enum Outcome {
    Cancelled,
    OtherCluster,
}

impl ClusterLoop {
    /// Runs until it is told to end.
    pub(crate) async fn run(mut self) {
        let cancel = self.cancel.clone();
        loop {
            let identity = tokio::select! {
                () = cancel.cancelled() => return,
                identity = self.identify() => Arc::new(identity),
            };
            let outcome = self.record(identity.clone()).await;
            self.shared.recording.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity.cluster);
            if matches!(outcome, Outcome::Cancelled) {
                return;
            }
        }
    }

    /// Asks until the cluster tells who it is.
    async fn identify(&self) -> Identity {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let reason = match identity::ask(&self.api).await {
                Ok(cluster) => match self.claim(&cluster) {
                    None => return Identity::new(cluster, self.api.clone()),
                    Some(other) => format!("it is the cluster that `{other}` records already; hint: remove one of the two contexts"),
                },
                Err(error) => explain(&error, "get", "namespaces/kube-system"),
            };
            tracing::warn!(context = self.alias, attempt, reason, "a cluster cannot be recorded yet, trying again");
            self.shared.board.cluster(&self.alias, self.shared.clock.now(), |status| {
                status.is_connected = false;
                status.reason.clone_from(&reason);
            });
            tokio::time::sleep(backoff::delay(attempt, rand::random())).await;
        }
    }

    /// Takes a cluster for this alias; gives the other alias that has it.
    fn claim(&self, cluster: &ClusterId) -> Option<String> {
        let mut recording = self.shared.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = recording.entry(cluster.clone()).or_insert_with(|| self.alias.clone());
        if *holder == self.alias { None } else { Some(holder.clone()) }
    }

    async fn record(&mut self, identity: Arc<Identity>) -> Outcome {
        let server_version = served::server_version(&self.api).await;
        tracing::info!(context = self.alias, cluster = %identity.cluster, version = server_version, "recording a cluster");
        self.shared.board.cluster(&self.alias, self.shared.clock.now(), |status| {
            status.cluster = Some(identity.cluster.clone());
            status.server_version = Some(server_version.clone());
        });
        let detail = serde_json::json!({ "alias": self.alias, "serverVersion": server_version });
        self.mark(&identity, WatchScope::default(), MarkKind::WatchStarted, "recording of the cluster began", detail).await;
        let mut watches = Watches {
            identity: identity.clone(),
            running: BTreeMap::new(),
            types_changed: Arc::new(Notify::new()),
            removed: RemovedTypes::default(),
        };
        let outcome = self.keep(&mut watches).await;
        for (_, running) in std::mem::take(&mut watches.running) {
            running.end().await;
        }
        let reason = match outcome {
            Outcome::Cancelled => "shutdown",
            Outcome::OtherCluster => "the context leads to another cluster now",
        };
        self.shared.board.cluster(&self.alias, self.shared.clock.now(), |status| {
            status.is_connected = false;
            reason.clone_into(&mut status.reason);
        });
        self.mark(&identity, WatchScope::default(), MarkKind::Stopped, reason, serde_json::Value::Null).await;
        outcome
    }

    /// Keeps the watches in step with what is served and what is wanted.
    async fn keep(&mut self, watches: &mut Watches) -> Outcome {
        let cancel = self.cancel.clone();
        let mut attempt = 0;
        let mut asks_again = false;
        loop {
            let settings = self.settings.borrow_and_update().clone();
            let found = tokio::select! {
                () = cancel.cancelled() => return Outcome::Cancelled,
                () = watches.identity.changed.cancelled() => return Outcome::OtherCluster,
                found = self.discover(&settings) => found,
            };
            let wait = match found {
                Ok((discovered, custom)) => {
                    attempt = 0;
                    self.adjust(watches, &discovered, &custom, &settings).await;
                    let cluster = WatchScope { cluster: watches.identity.cluster.clone(), ..WatchScope::default() };
                    watches.removed.settle(&self.shared, &self.api, &cluster, &discovered).await;
                    if std::mem::take(&mut asks_again) { DEFINITIONS_AGAIN } else { settings.discovery_interval }
                }
                Err(error) => {
                    attempt += 1;
                    self.tell_discovery_failed(&error);
                    if let Ok(false) = watches.identity.holds().await {
                        return Outcome::OtherCluster;
                    }
                    backoff::delay(attempt, rand::random())
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return Outcome::Cancelled,
                () = watches.identity.changed.cancelled() => return Outcome::OtherCluster,
                () = tokio::time::sleep(wait) => {}
                () = watches.types_changed.notified() => {
                    tokio::time::sleep(DEFINITIONS_SETTLE).await;
                    asks_again = true;
                }
                changed = self.settings.changed() => if changed.is_err() { return Outcome::Cancelled },
            }
        }
    }

    fn tell_discovery_failed(&self, error: &ApiError) {
        let reason = explain(error, "get", "/api and /apis");
        tracing::warn!(context = self.alias, reason, "the served types cannot be read, present watches go on");
        self.shared.board.cluster(&self.alias, self.shared.clock.now(), |status| {
            status.is_connected = false;
            status.reason = reason;
        });
    }

    /// Starts and stops watches so that they are the chosen ones.
    async fn adjust(
        &self,
        watches: &mut Watches,
        discovered: &Discovered,
        custom: &BTreeSet<(Group, Resource)>,
        settings: &Arc<RecorderSettings>,
    ) {
        let wanted = selection::choose(&discovered.types, &settings.selection, custom);
        let everything = selection::choose(&discovered.types, &crate::Selection::default(), custom);
        let unwanted: Vec<_> =
            watches.running.keys().filter(|key| !wanted.contains_key(*key) && !discovered.uncertain.contains(&key.0)).cloned().collect();
        for key in unwanted {
            let Some(running) = watches.running.remove(&key) else { continue };
            running.end().await;
            let is_served = everything.contains_key(&key) || discovered.types.iter().any(|of| of.group == key.0 && of.resource == key.1);
            let reason = if is_served { "excluded by the configuration" } else { "the cluster does not serve the type any more" };
            tracing::info!(context = self.alias, group = %key.0, resource = %key.1, reason, "a watch ended");
            let scope = WatchScope { cluster: ClusterId::default(), group: key.0, resource: key.1 };
            self.mark(&watches.identity, scope.clone(), MarkKind::Stopped, reason, serde_json::Value::Null).await;
            self.shared.board.tell_stopped(
                &WatchScope { cluster: watches.identity.cluster.clone(), ..scope },
                reason,
                self.shared.clock.now(),
            );
        }
        let custom = self.custom_among(&wanted, watches, custom).await;
        for (key, chosen) in wanted {
            let former = watches.running.get(&key);
            let has_new_selection = former.is_some_and(|former| {
                former.chosen.label_selector != chosen.label_selector || former.chosen.namespaces != chosen.namespaces
            });
            if former.is_some_and(|former| former.chosen == chosen && former.settings.noise == settings.noise && !former.task.is_finished())
            {
                continue;
            }
            let is_first = former.is_none();
            if let Some(former) = watches.running.remove(&key) {
                former.end().await;
            }
            let lists_anew = has_new_selection || (is_first && self.shared.lists_anew);
            let running = self.begin(watches, chosen, settings.clone(), lists_anew, custom.contains(&key));
            watches.running.insert(key, running);
        }
        self.shared.board.cluster(&self.alias, self.shared.clock.now(), |status| {
            status.is_connected = true;
            status.reason = format!("{} types are watched", watches.running.len());
            status.uncertain_groups = discovered.uncertain.iter().map(ToString::to_string).collect();
            status.missing_types = selection::missing(&discovered.types, &settings.selection);
        });
    }

    /// Which of the types that are to be watched anew come from definitions. Asked only where there are candidates; where the answer is
    /// refused, recorded definitions must do.
    async fn custom_among(
        &self,
        wanted: &BTreeMap<(Group, Resource), Chosen>,
        watches: &Watches,
        known: &BTreeSet<(Group, Resource)>,
    ) -> BTreeSet<(Group, Resource)> {
        // A definition's group always has a dot in it.
        let is_candidate = |key: &(Group, Resource)| key.0.as_str().contains('.') && !watches.running.contains_key(key);
        if !known.is_empty() || !wanted.keys().any(is_candidate) {
            return known.clone();
        }
        served::custom_types(&self.api).await.unwrap_or_default()
    }

    fn begin(&self, watches: &Watches, chosen: Chosen, settings: Arc<RecorderSettings>, lists_anew: bool, is_custom: bool) -> Running {
        let cancel = self.cancel.child_token();
        let cluster = watches.identity.cluster.clone();
        let intake = Intake::new(cluster, chosen.resource_type.clone(), self.shared.redactor.clone(), &settings.noise);
        let cell = self.shared.board.watch(&intake.scope(), &self.alias, &chosen.resource_type, self.shared.clock.now());
        let parts = LedgerParts {
            intake,
            chosen: chosen.clone(),
            journal: self.shared.journal.clone(),
            queue: self.shared.queue.clone(),
            clock: self.shared.clock.clone(),
            cell,
            api: self.api.clone(),
            is_custom,
        };
        let defines_types = matches!(chosen.resource_type.resource.as_str(), "customresourcedefinitions" | "apiservices");
        let start = StartWatch {
            parts,
            api: self.api.clone(),
            identity: watches.identity.clone(),
            settings: settings.clone(),
            lists: self.shared.lists.clone(),
            types_changed: watches.types_changed.clone(),
            defines_types,
            cancel: cancel.clone(),
            lists_anew,
        };
        tracing::debug!(context = self.alias, group = %chosen.resource_type.group, resource = %chosen.resource_type.resource, "a watch begins");
        Running { chosen, settings, cancel, task: tokio::spawn(start.run()) }
    }

    async fn discover(&self, settings: &RecorderSettings) -> Result<(Discovered, BTreeSet<(Group, Resource)>), ApiError> {
        let discovered = served::discover(&self.api).await?;
        let needs_custom = settings.selection.exactly.is_some() && settings.selection.discover_crds;
        let custom = if needs_custom { served::custom_types(&self.api).await? } else { BTreeSet::new() };
        Ok((discovered, custom))
    }

    async fn mark(&self, identity: &Identity, scope: WatchScope, kind: MarkKind, reason: &str, detail: serde_json::Value) {
        let scope = WatchScope { cluster: identity.cluster.clone(), ..scope };
        let mark = Mark { seq: Seq(0), recorded_at: self.shared.clock.now(), kind, scope, reason: reason.to_owned(), detail };
        let _nothing_can_be_recorded_any_more = self.shared.queue.push(Entry::mark(mark)).await;
    }
}

impl Running {
    async fn end(self) {
        self.cancel.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "a watch ended unexpectedly");
        }
    }
}

/// What a watch needs to begin.
struct StartWatch {
    parts: LedgerParts,
    api: ClusterApi,
    identity: Arc<Identity>,
    settings: Arc<RecorderSettings>,
    lists: Arc<Semaphore>,
    types_changed: Arc<Notify>,
    defines_types: bool,
    cancel: CancellationToken,
    lists_anew: bool,
}

impl StartWatch {
    /// Opens the ledger and follows; again when the journal did not answer.
    async fn run(self) {
        let mut lists_anew = self.lists_anew;
        loop {
            let opened = tokio::select! {
                () = self.cancel.cancelled() => return,
                opened = Ledger::open(self.parts.clone()) => opened,
            };
            let (ledger, checkpoint) = match opened {
                Ok(opened) => opened,
                Err(crate::ledger::LedgerError::Closed) => return,
                Err(crate::ledger::LedgerError::Journal(reason)) => {
                    tracing::warn!(reason, "the journal does not answer, trying again");
                    tokio::select! {
                        () = self.cancel.cancelled() => return,
                        () = tokio::time::sleep(JOURNAL_RETRY) => continue,
                    }
                }
            };
            let watch = ScopeWatch {
                ledger,
                api: self.api.clone(),
                identity: self.identity.clone(),
                settings: self.settings.clone(),
                lists: self.lists.clone(),
                types_changed: self.types_changed.clone(),
                defines_types: self.defines_types,
                cancel: self.cancel.clone(),
            };
            let checkpoint = if std::mem::take(&mut lists_anew) { None } else { checkpoint };
            match watch.run(checkpoint).await {
                WatchEnd::Cancelled | WatchEnd::Closed => return,
                WatchEnd::JournalFailed => tokio::time::sleep(JOURNAL_RETRY).await,
            }
        }
    }
}

/// A failed question, with its verb, for people.
fn explain(error: &ApiError, verb: &str, what: &str) -> String {
    match error.code() {
        Some(401 | 403) => format!("{verb} {what}: {error}; hint: allow the account to {verb} it"),
        Some(_) | None => format!("{verb} {what}: {error}"),
    }
}
