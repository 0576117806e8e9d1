//! Load on an API server: a population of objects, then changes at a given rate from a seed.
//!
//! What is written is decided by [`plan`], purely; this file only sends it, bounded in count and
//! time. It reads nothing back but uids, and proves nothing: that is the witness' affair.

mod objects;
mod plan;
mod writes;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::Client;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::control_plane::client_from;
use crate::{Error, Result};
use plan::Plan;
use writes::{Names, Step, Write};

// Two cores answer no more than about this many writes at once; more would only wait in the server.
const LANES: usize = 12;
// A lane that waits for the API server holds this many steps before the rate gives way.
const LANE_STEPS: usize = 16;
// A stalled connection must not stop a lane for ever.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
// A new namespace lacks its service account for a moment, and Pods are refused as long.
const POPULATE_TRIES: u32 = 40;
const POPULATE_PAUSE: Duration = Duration::from_millis(250);
// Enough to see what went wrong, not enough to flood a test's output.
const REFUSALS_KEPT: usize = 5;

/// How much there is, and how fast it changes.
#[derive(Debug, Clone)]
pub struct ChurnOptions {
    /// The same seed gives the same changes.
    pub seed: u64,
    /// Nodes in the population.
    pub nodes: usize,
    /// Pods in the population, bound to its nodes; other objects in proportion.
    pub pods: usize,
    /// The least length of a Pod's JSON as it is created, in bytes.
    pub pod_bytes: usize,
    /// Writes a second.
    pub changes_per_second: f64,
    /// For how long.
    pub duration: Duration,
    /// Whether to write the first statuses of Nodes and Pods, for want of KWOK.
    pub owns_statuses: bool,
    /// Stands in every secret value and every last-applied annotation.
    pub canary: String,
}

impl Default for ChurnOptions {
    /// A small cluster: 10 nodes, 100 pods, 20 changes a second for 10 s.
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 10,
            pods: 100,
            pod_bytes: 4096,
            changes_per_second: 20.0,
            duration: Duration::from_secs(10),
            owns_statuses: false,
            canary: "canary-of-the-churn".to_owned(),
        }
    }
}

/// How many objects of each kind a population has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Namespaces `shop-NN`.
    pub namespaces: usize,
    /// Nodes `node-NNNN`.
    pub nodes: usize,
    /// Pods `web-NNNNN`.
    pub pods: usize,
    /// ConfigMaps `settings-N`.
    pub config_maps: usize,
    /// Secrets `credentials-N`.
    pub secrets: usize,
    /// Deployments `cart-N` of two replicas each; they make Pods only under a controller manager.
    pub deployments: usize,
}

impl Population {
    /// What `options` lead to.
    #[must_use]
    pub fn of(options: &ChurnOptions) -> Self {
        let pods = options.pods;
        Self {
            namespaces: (pods / 250 + 2).min(20),
            nodes: options.nodes,
            pods,
            config_maps: pods / 20 + 5,
            secrets: pods / 50 + 3,
            deployments: (pods / 200 + 2).min(20),
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.namespaces + self.nodes + self.pods + self.config_maps + self.secrets + self.deployments
    }
}

/// What a churn did.
#[derive(Debug, Clone, Default)]
pub struct ChurnReport {
    /// Writes the API server accepted, by what they were.
    pub accepted: BTreeMap<&'static str, u64>,
    /// Writes it refused: an object that is just away, a definition not served yet.
    pub refused: u64,
    /// Writes it did not answer, or answered with a failure of its own.
    pub failed: u64,
    /// The first refusals and failures.
    pub examples: Vec<String>,
    /// From the first write to the last answer.
    pub elapsed: Duration,
}

impl ChurnReport {
    /// All accepted writes.
    #[must_use]
    pub fn accepted_total(&self) -> u64 {
        self.accepted.values().sum()
    }

    /// Accepted writes a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.accepted_total() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A load generator for one API server.
#[derive(Debug)]
pub struct Churn {
    options: ChurnOptions,
    plan: Plan,
    sender: Sender,
}

/// What the lanes share.
#[derive(Clone)]
struct Sender {
    client: Client,
    uids: Arc<Mutex<HashMap<String, String>>>,
    closing: Arc<AtomicBool>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Created {
    metadata: CreatedMetadata,
}

#[derive(Deserialize)]
struct CreatedMetadata {
    name: String,
    uid: String,
}

impl Churn {
    /// Prepares load on the API server of a kubeconfig; nothing is sent yet.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn new(kubeconfig: &Path, options: ChurnOptions) -> Result<Self> {
        let sender = Sender { client: client_from(kubeconfig).await?, uids: Arc::default(), closing: Arc::default() };
        Ok(Self { plan: Plan::new(options.clone()), options, sender })
    }

    /// Creates the population and calls `progress` with the number of objects made so far. What
    /// is there already stays, so it may be called again after a failure.
    ///
    /// # Errors
    /// When an object is refused for ten seconds.
    pub async fn populate(&self, mut progress: impl FnMut(usize)) -> Result<Population> {
        let population = Population::of(&self.options);
        let mut made = 0;
        for stage in self.population(population) {
            let mut done = stream::iter(stage.map(|writes| self.establish(writes))).buffer_unordered(LANES);
            while done.try_next().await?.is_some() {
                made += 1;
                progress(made);
            }
        }
        Ok(population)
    }

    /// Changes the population until the duration of the options is over.
    pub async fn run(&mut self) -> ChurnReport {
        self.run_until(std::future::pending()).await
    }

    /// The same, or until `stop` comes true if that is earlier. A further call goes on with the
    /// plan where this one ended.
    pub async fn run_until(&mut self, stop: impl Future<Output = ()>) -> ChurnReport {
        let started = Instant::now();
        self.sender.closing.store(false, Ordering::Relaxed);
        let (lanes, mut workers) = self.lanes();
        tokio::select! {
            () = self.feed(&lanes, started) => {}
            () = stop => {}
        }
        // What still waits in the lanes is not sent: behind a stalled connection it would take minutes.
        self.sender.closing.store(true, Ordering::Relaxed);
        drop(lanes);
        let mut report = ChurnReport::default();
        while let Some(worker) = workers.join_next().await {
            report.add(worker.unwrap_or_default());
        }
        report.elapsed = started.elapsed();
        report
    }

    /// Hands steps to the lanes at the given rate, as long as the duration lasts.
    async fn feed(&mut self, lanes: &[mpsc::Sender<Step>], started: Instant) {
        let mut writes = 0_u32;
        loop {
            let due = started + Duration::from_secs_f64(f64::from(writes) / self.options.changes_per_second.max(0.001));
            if due.duration_since(started) >= self.options.duration {
                return;
            }
            tokio::time::sleep_until(due.into()).await;
            let step = self.plan.next();
            writes = writes.saturating_add(u32::try_from(step.writes.len()).unwrap_or(1));
            // Full lanes hold the feeder up: the rate gives way before memory does.
            if let Some(lane) = lanes.get(lane_of(&step.key))
                && lane.send(step).await.is_err()
            {
                return;
            }
        }
    }

    fn lanes(&self) -> (Vec<mpsc::Sender<Step>>, JoinSet<ChurnReport>) {
        let mut workers = JoinSet::new();
        let lanes = (0..LANES)
            .map(|_| {
                let (lane, steps) = mpsc::channel(LANE_STEPS);
                workers.spawn(self.sender.clone().work(steps));
                lane
            })
            .collect();
        (lanes, workers)
    }

    /// The population as writes, in stages: what a stage needs is there when it begins.
    fn population(&self, population: Population) -> Vec<Box<dyn Iterator<Item = Vec<Write>> + Send + '_>> {
        let names = Names(population);
        let ChurnOptions { pod_bytes, owns_statuses, canary, .. } = &self.options;
        let with_status = move |create: Write, path: String, status: serde_json::Value| {
            let mut writes = vec![create];
            if *owns_statuses {
                writes.push(Write::strategic(&format!("{path}/status"), status));
            }
            writes
        };
        let namespaces = (0..population.namespaces)
            .map(move |index| vec![Write::create("/api/v1/namespaces", objects::namespace(&names.namespace(index)))]);
        let nodes = (0..population.nodes).map(move |index| {
            let name = names.node(index);
            let create = Write::create("/api/v1/nodes", objects::node(&name, index));
            with_status(create, format!("/api/v1/nodes/{name}"), objects::ready_node_status(0))
        });
        let config_maps = (0..population.config_maps).map(move |index| {
            let place = names.config_map(index);
            vec![Write::create(&place.collection, objects::config_map(&place.name, &place.namespace, 0, canary))]
        });
        let secrets = (0..population.secrets).map(move |index| {
            let place = names.secret(index);
            vec![Write::create(&place.collection, objects::secret(&place.name, &place.namespace, index, 0, canary))]
        });
        let pods = (0..population.pods).map(move |index| {
            let place = names.pod(index);
            let body = objects::pod(&place.name, &place.namespace, &names.node(index), *pod_bytes);
            with_status(Write::create(&place.collection, body), place.path, objects::pod_status(0, 0))
        });
        let deployments = (0..population.deployments).map(move |index| {
            let place = names.deployment(index);
            let body = objects::deployment(&place.name, &place.namespace, &names.node(index));
            vec![Write::create(&place.collection, body)]
        });
        vec![Box::new(namespaces.chain(nodes)), Box::new(config_maps.chain(secrets).chain(pods).chain(deployments))]
    }

    /// Sends the writes of one object until each is accepted; one that exists already is.
    async fn establish(&self, writes: Vec<Write>) -> Result<()> {
        for write in writes {
            let mut tries = 0;
            loop {
                match self.sender.send(write.clone()).await {
                    Ok(()) => break,
                    Err(kube::Error::Api(status)) if status.is_already_exists() => break,
                    Err(source) => {
                        tries += 1;
                        if tries == POPULATE_TRIES {
                            return Err(Error::Api { path: write.path, source: Box::new(source) });
                        }
                        tokio::time::sleep(POPULATE_PAUSE).await;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Sender {
    /// Sends the steps of one lane, one after the other, until the lane is closed.
    async fn work(self, mut steps: mpsc::Receiver<Step>) -> ChurnReport {
        let mut report = ChurnReport::default();
        while let Some(step) = steps.recv().await {
            if self.closing.load(Ordering::Relaxed) {
                break;
            }
            for write in step.writes {
                let path = write.path.clone();
                match self.send(write).await {
                    Ok(()) => *report.accepted.entry(step.kind.name()).or_default() += 1,
                    Err(error) => report.note(&path, &error),
                }
            }
        }
        report
    }

    async fn send(&self, mut write: Write) -> kube::Result<()> {
        if let Some(about) = &write.about {
            self.name_uid(about, write.body.as_mut());
        }
        let body = write.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(write.method.clone())
            .uri(&write.path)
            .header(CONTENT_TYPE, write.content_type)
            .body(body)
            .map_err(kube::Error::HttpError)?;
        let answer = tokio::time::timeout(WRITE_WITHIN, self.client.request_text(request))
            .await
            .map_err(|late| kube::Error::Service(late.into()))??;
        if write.method == http::Method::POST
            && let Ok(Created { metadata }) = serde_json::from_str(&answer)
        {
            let path = format!("{}/{}", write.path, metadata.name);
            // Events are never what another Event is about, and there is no end of them.
            if !write.path.ends_with("/events") {
                self.uids.lock().unwrap_or_else(PoisonError::into_inner).insert(path, metadata.uid);
            }
        }
        Ok(())
    }

    /// Puts the uid of the object at `about` where an Event of either API has it.
    fn name_uid(&self, about: &str, body: Option<&mut serde_json::Value>) {
        let uids = self.uids.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(uid), Some(body)) = (uids.get(about), body) else {
            return;
        };
        for field in ["involvedObject", "regarding"] {
            if let Some(object) = body.get_mut(field).and_then(|object| object.as_object_mut()) {
                object.insert("uid".to_owned(), uid.as_str().into());
            }
        }
    }
}

impl ChurnReport {
    fn note(&mut self, path: &str, error: &kube::Error) {
        match error {
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => self.refused += 1,
            _ => self.failed += 1,
        }
        if self.examples.len() < REFUSALS_KEPT {
            let reason = match error {
                kube::Error::Api(status) => format!("{} {}", status.code, status.message),
                other => Error::chain(other),
            };
            self.examples.push(format!("{path}: {reason}"));
        }
    }

    fn add(&mut self, other: Self) {
        for (what, count) in other.accepted {
            *self.accepted.entry(what).or_default() += count;
        }
        self.refused += other.refused;
        self.failed += other.failed;
        let room = REFUSALS_KEPT.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// Equal keys give equal lanes, so the writes to one object keep their order.
fn lane_of(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0)
}
