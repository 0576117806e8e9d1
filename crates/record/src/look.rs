//! One look at a cluster: what is served, and every object of it once, handed on as the records that a recorder would have made.
//!
//! Nothing is kept and nothing is watched: whoever asked folds the records and lets go of them. Objects come in by the recorder's own way
//! (`intake`), so that no secret comes through. An object is dated by its last write, which its field managers tell: it has been as it is
//! at least since then. Invariant: a type that may not be listed, or is not served, is told by a mark and never taken for an empty one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{
    Change, Clock, ClusterId, Group, Mark, MarkKind, Namespace, ObjectId, Origin, Record, Resource, ResourceType, Seq, Verb, WatchScope,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::authorship::Touched;
use crate::cluster_api::{self, ApiError, ClusterApi};
use crate::connect::ClusterSource;
use crate::cutter::{ListCutter, MAX_OBJECT_BYTES, Piece};
use crate::discovery::Discovered;
use crate::intake::{Circumstance, Intake, Refusal};
use crate::json::{self, MAX_DEPTH};
use crate::noise::NoisePolicy;
use crate::redact::Redactor;
use crate::selection::{self, Chosen, Selection};
use crate::watch_words::Failure;
use crate::{identity, served};

/// A person waits: a cluster that does not answer within this is not there.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
/// Types listed at a time. The API server's fair queues give one user some ten requests before others wait.
const LISTS_AT_A_TIME: usize = 8;
/// Objects that wait to be folded: what bounds the memory between the lists and the fold.
const WAITING: usize = 256;
/// Tries of a list that fails for a passing reason. Each waits longer, together some five seconds.
const TRIES: u32 = 4;
/// Longest wait between two tries, whatever the server asks for: a person waits.
const RETRY_LIMIT: Duration = Duration::from_secs(3);
/// Clocks that differ by less are taken for one: the server tells whole seconds, and an answer takes its time.
const CLOCKS_AGREE: SignedDuration = SignedDuration::from_secs(5);

/// What to look at.
pub struct Look {
    /// The cluster.
    pub source: ClusterSource,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Takes secrets out.
    pub redactor: Redactor,
    /// Types that somebody wants to know about: what cannot be listed of them is told.
    pub types: Vec<TypeName>,
    /// Also every other type that a recorder would watch.
    pub everything: bool,
    /// Where types may not be listed in the whole cluster, these namespaces are tried.
    pub namespaces: Vec<Namespace>,
}

/// A type by its name, whether it is served or not.
pub type TypeName = (Group, Resource);

/// How far a look is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookProgress {
    /// Types that are done.
    pub listed: usize,
    /// Types that there are to list.
    pub types: usize,
    /// Objects so far.
    pub objects: u64,
}

/// What a look came to, beside its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The cluster; its configured name where it does not tell who it is.
    pub cluster: ClusterId,
    /// Why it does not tell who it is.
    pub anonymous: Option<String>,
    /// What the server says of its version.
    pub server_version: String,
    /// The moment of the look, by the cluster's clock.
    pub now: Timestamp,
    /// How far the cluster's clock is ahead of ours; zero where they agree.
    pub clock_ahead: SignedDuration,
    /// Objects that were seen.
    pub objects: u64,
    /// Objects that could not be taken in.
    pub refused: u64,
}

/// Why there is nothing to be seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// Nobody answers.
    #[error("the cluster of context `{alias}` does not answer: {reason}")]
    Unreachable {
        /// The context, or the configured name.
        alias: String,
        /// What came instead.
        reason: String,
    },
    /// The credentials are not accepted.
    #[error("the cluster of context `{alias}` refuses these credentials: {reason}")]
    Refused {
        /// The context, or the configured name.
        alias: String,
        /// What the server said.
        reason: String,
    },
}

/// What the lists tell whoever folds.
enum Told {
    Change(Box<Change>),
    Refused(WatchScope, String),
    End(WatchScope, ListEnd),
}

/// How a list ended.
#[derive(Debug, PartialEq, Eq)]
enum ListEnd {
    Whole,
    Forbidden(String),
    NotServed(String),
    Failed(String),
}

/// Looks once; `fold` is given every record, `progress` is told after each type.
///
/// # Errors
/// A cluster that does not answer, or accepts no credentials. A type that cannot be listed is a mark and no error.
pub async fn look(inputs: Look, mut fold: impl FnMut(Record), mut progress: impl FnMut(LookProgress)) -> Result<Looked, LookError> {
    let api = ClusterApi::new(inputs.source.client.clone());
    let greeting = greet(&api, &inputs).await?;
    let discovered = served::discover(&api).await.map_err(|error| refusal(&inputs.source.alias, &error))?;
    let begun = inputs.clock.now().checked_add(greeting.ahead).unwrap_or(Timestamp::MAX);
    let mut teller = Teller { fold: &mut fold, seq: Seq(0), cluster: greeting.cluster.clone(), begun };
    let chosen = choose(&discovered, &inputs);
    teller.tell_not_served(&discovered, &inputs, &chosen);
    let mut state = LookProgress { types: chosen.len(), ..LookProgress::default() };
    let mut refused = 0;
    let (tell, mut told) = mpsc::channel(WAITING);
    // Dropped with this future: whoever stops waiting stops the lists.
    let _lists = start(&api, &greeting, &inputs, chosen, &tell);
    drop(tell);
    while let Some(told) = told.recv().await {
        match told {
            Told::Change(change) => {
                state.objects += u64::from(change.verb != Verb::Delete);
                teller.change(*change);
            }
            Told::Refused(scope, reason) => {
                refused += 1;
                teller.mark(MarkKind::Refused, scope, reason);
            }
            Told::End(scope, end) => {
                teller.end(scope, end);
                state.listed += 1;
                progress(state);
            }
        }
    }
    Ok(Looked {
        cluster: greeting.cluster,
        anonymous: greeting.anonymous,
        server_version: greeting.server_version,
        now: inputs.clock.now().checked_add(greeting.ahead).unwrap_or(Timestamp::MAX),
        clock_ahead: greeting.ahead,
        objects: state.objects,
        refused,
    })
}

/// What is known of a cluster before its objects.
struct Greeting {
    cluster: ClusterId,
    anonymous: Option<String>,
    server_version: String,
    ahead: SignedDuration,
}

/// Who the cluster is and what time it is there.
async fn greet(api: &ClusterApi, inputs: &Look) -> Result<Greeting, LookError> {
    let alias = inputs.source.alias.as_str();
    let late = |_| LookError::Unreachable { alias: alias.to_owned(), reason: format!("no answer within {} s", REACHED_WITHIN.as_secs()) };
    let asked = tokio::time::timeout(REACHED_WITHIN, identity::ask(api)).await.map_err(late)?;
    let (cluster, anonymous) = match asked {
        Ok(cluster) => (cluster, None),
        // Whoever may see one namespace only may not see this one; what is wrong there can be said all the same.
        Err(error) if matches!(error.code(), Some(403 | 404)) => (ClusterId::from(alias), Some(error.to_string())),
        Err(error) => return Err(refusal(alias, &error)),
    };
    let server_version = served::server_version(api).await;
    let here = inputs.clock.now();
    let there = api.date().await;
    let ahead = there.map(|there| there.duration_since(here)).filter(|ahead| ahead.abs() > CLOCKS_AGREE).unwrap_or_default();
    Ok(Greeting { cluster, anonymous, server_version, ahead })
}

fn refusal(alias: &str, error: &ApiError) -> LookError {
    let (alias, reason) = (alias.to_owned(), error.to_string());
    match error.code() {
        Some(401 | 403) => LookError::Refused { alias, reason },
        Some(_) | None => LookError::Unreachable { alias, reason },
    }
}

/// What is listed.
fn choose(discovered: &Discovered, inputs: &Look) -> BTreeMap<TypeName, Chosen> {
    let mut chosen = selection::choose(&discovered.types, &Selection::default(), &BTreeSet::new());
    if !inputs.everything {
        chosen.retain(|of, _| inputs.types.contains(of));
    }
    chosen
}

/// Starts the lists, a few at a time.
fn start(
    api: &ClusterApi,
    greeting: &Greeting,
    inputs: &Look,
    chosen: BTreeMap<TypeName, Chosen>,
    tell: &mpsc::Sender<Told>,
) -> JoinSet<()> {
    let permits = Arc::new(Semaphore::new(LISTS_AT_A_TIME));
    let mut running = JoinSet::new();
    for chosen in chosen.into_values() {
        let intake = Intake::new(greeting.cluster.clone(), chosen.resource_type.clone(), inputs.redactor.clone(), &NoisePolicy::disabled());
        let (api, permits, tell, namespaces) = (api.clone(), permits.clone(), tell.clone(), inputs.namespaces.clone());
        let (clock, ahead) = (inputs.clock.clone(), greeting.ahead);
        running.spawn(async move {
            let Ok(_permit) = permits.acquire_owned().await else { return };
            let mut lister = Lister { api, intake, tell, clock, ahead, seen: BTreeMap::new(), again: HashSet::new(), is_again: false };
            let end = lister.list(&chosen, &namespaces).await;
            let _nobody_looks_any_more = lister.tell.send(Told::End(lister.intake.scope(), end)).await;
        });
    }
    running
}

/// Lists one type.
struct Lister {
    api: ClusterApi,
    intake: Intake,
    tell: mpsc::Sender<Told>,
    clock: Arc<dyn Clock>,
    ahead: SignedDuration,
    /// What was told so far: should the list have to begin anew, what is not in it any more has gone.
    seen: BTreeMap<ObjectId, Change>,
    again: HashSet<ObjectId>,
    is_again: bool,
}

impl Lister {
    /// The whole type; where that is forbidden, the namespaces one by one.
    async fn list(&mut self, chosen: &Chosen, namespaces: &[Namespace]) -> ListEnd {
        let whole = self.pages(chosen).await;
        if !matches!(whole, ListEnd::Forbidden(_)) || namespaces.is_empty() || !chosen.resource_type.namespaced {
            return whole;
        }
        for namespace in namespaces {
            match self.pages(&chosen.within(namespace)).await {
                ListEnd::Whole => {}
                other => return other,
            }
        }
        ListEnd::Whole
    }

    async fn pages(&mut self, chosen: &Chosen) -> ListEnd {
        let (mut token, mut tries): (Option<String>, u32) = (None, 0);
        loop {
            let failure = match self.page(chosen, token.as_deref()).await {
                Ok(Some(next)) => {
                    (token, tries) = (Some(next), 0);
                    continue;
                }
                Ok(None) => {
                    self.forget_what_went().await;
                    return ListEnd::Whole;
                }
                Err(failure) => failure,
            };
            tries += 1;
            let (reason, wait) = match failure {
                Failure::Forbidden(reason) => return ListEnd::Forbidden(reason),
                Failure::NotServed(reason) => return ListEnd::NotServed(reason),
                // The server has forgotten the state that this list was taken from.
                Failure::Expired(reason) => {
                    token = None;
                    self.is_again = true;
                    self.again.clear();
                    (reason, Duration::ZERO)
                }
                Failure::Busy { retry_after, message } => (message, retry_after.unwrap_or(Duration::from_secs(1))),
                Failure::NoStreaming(reason) | Failure::Other(reason) => (reason, Duration::from_millis(300) * 2_u32.pow(tries)),
            };
            if tries >= TRIES {
                return ListEnd::Failed(reason);
            }
            tokio::time::sleep(wait.min(RETRY_LIMIT)).await;
        }
    }

    /// One page; gives the token of the next.
    async fn page(&mut self, chosen: &Chosen, token: Option<&str>) -> Result<Option<String>, Failure> {
        let path = cluster_api::page(chosen, token);
        let mut stream = self.api.open(&path, "application/json").await.map_err(|error| error.failure(false))?;
        let mut cutter = ListCutter::new(MAX_OBJECT_BYTES);
        while let Some(chunk) = stream.prompt_chunk().await.map_err(|error| error.failure(false))? {
            cutter.feed(chunk);
            while let Some(piece) = cutter.next().map_err(|error| Failure::Other(error.to_string()))? {
                self.take_in(piece).await;
            }
        }
        let metadata = cutter.finish().map_err(|error| Failure::Other(error.to_string()))?;
        let metadata = json::parse(&metadata, MAX_DEPTH).map_err(|error| Failure::Other(error.to_string()))?;
        Ok(metadata.text_at(&["continue"]).filter(|token| !token.is_empty()).map(str::to_owned))
    }

    async fn take_in(&mut self, piece: Piece) {
        let observed = match &piece {
            Piece::Whole(bytes) => self.intake.observe_bytes(bytes),
            Piece::TooLarge { bytes } => Err(Refusal::TooLarge { bytes: *bytes }),
        };
        drop(piece);
        let told = match observed {
            Err(refusal) => Told::Refused(self.intake.scope(), refusal.to_string()),
            Ok(observed) => {
                let now = self.clock.now().checked_add(self.ahead).unwrap_or(Timestamp::MAX);
                let written = observed.metadata.managed.first().map_or(now, |entry| entry.at.min(now));
                let how =
                    Circumstance { verb: Verb::Create, origin: Origin::Snapshot, gap: None, touched: Touched::AllButStatus, at: written };
                let change = self.intake.change(&observed, how);
                if self.is_again {
                    self.again.insert(change.object.clone());
                } else {
                    self.seen.insert(change.object.clone(), Change { body: None, ..change.clone() });
                }
                Told::Change(Box::new(change))
            }
        };
        let _nobody_looks_any_more = self.tell.send(told).await;
    }

    /// After a list that began anew: what was told before it and is not in it has gone.
    async fn forget_what_went(&mut self) {
        let gone = std::mem::take(&mut self.seen);
        if !std::mem::take(&mut self.is_again) {
            return;
        }
        for (object, change) in gone {
            if !self.again.contains(&object) {
                let _nobody_looks_any_more = self.tell.send(Told::Change(Box::new(Change { verb: Verb::Delete, ..change }))).await;
            }
        }
    }
}

/// Numbers the records and hands them on.
struct Teller<'a, F> {
    fold: &'a mut F,
    seq: Seq,
    cluster: ClusterId,
    begun: Timestamp,
}

impl<F: FnMut(Record)> Teller<'_, F> {
    fn change(&mut self, change: Change) {
        self.seq = Seq(self.seq.0 + 1);
        (self.fold)(Record::Change(Change { seq: self.seq, ..change }));
    }

    fn mark(&mut self, kind: MarkKind, scope: WatchScope, reason: String) {
        self.seq = Seq(self.seq.0 + 1);
        let mark = Mark { seq: self.seq, recorded_at: self.begun, kind, scope, reason, detail: serde_json::Value::Null };
        (self.fold)(Record::Mark(mark));
    }

    fn end(&mut self, scope: WatchScope, end: ListEnd) {
        match end {
            ListEnd::Whole => self.mark(MarkKind::Synced, scope, "listed".to_owned()),
            // The words by which a snapshot tells these from one another.
            ListEnd::Forbidden(reason) => self.mark(MarkKind::Stopped, scope, format!("forbidden: {reason}")),
            ListEnd::NotServed(reason) => self.mark(MarkKind::Stopped, scope, format!("not served: {reason}")),
            ListEnd::Failed(reason) => self.mark(MarkKind::Stopped, scope, format!("the list failed: {reason}")),
        }
    }

    /// Says of every wanted type that is not listed why it is not.
    fn tell_not_served(&mut self, discovered: &Discovered, inputs: &Look, chosen: &BTreeMap<TypeName, Chosen>) {
        for (group, resource) in inputs.types.iter().filter(|of| !chosen.contains_key(of)) {
            let scope = WatchScope { cluster: self.cluster.clone(), group: group.clone(), resource: resource.clone() };
            let is_listed = |of: &ResourceType| of.group == *group && of.resource == *resource;
            let reason = match () {
                () if discovered.types.iter().any(is_listed) => "excluded: nobody lists this type",
                () if discovered.uncertain.contains(group) => "the list failed: the server of this API group does not answer",
                () => "the cluster does not serve the type",
            };
            self.mark(MarkKind::Stopped, scope, reason.to_owned());
        }
    }
}
