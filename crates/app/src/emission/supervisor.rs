//! Starts and ends the lanes as the configuration and the clusters want it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use proreus_doctor::emission::Setting;
use proreus_emit::Sender;
use proreus_model::{Clock, ClusterId, Seq};
use proreus_record::{ClusterSource, EventWriter};
use proreus_store::Journal;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::board::EmissionBoard;
use super::courier::Courier;
use super::feed::Feed;
use super::lane::{Keep, Lane};
use crate::config::{EmitSettings, EndpointSettings, Receiver};

/// In front of the name of an endpoint, for its position in the journal.
const CONSUMER: &str = "emit";
/// After news that could not be read.
const NEWS_RETRY: Duration = Duration::from_secs(1);
/// How often a cluster's identity is looked for that is not known yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Where no repetition is set, which the configuration refuses for an Alertmanager: it would take what it hears once for resolved.
const USUAL_REPEAT: SignedDuration = SignedDuration::from_secs(60);

/// What telling works with.
pub struct EmissionInputs {
    /// Where incidents are recorded.
    pub journal: Arc<dyn Journal>,
    /// Moves with every durable append.
    pub watermark: watch::Receiver<Seq>,
    /// Keeps positions.
    pub keep: Arc<dyn Keep>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The watched clusters, for Events.
    pub clusters: Vec<ClusterSource>,
    /// Configured names of the clusters that were reached, with what they stand for.
    pub aliases: Box<dyn Fn() -> Vec<(String, ClusterId)> + Send + Sync>,
    /// Who is told.
    pub settings: EmitSettings,
    /// What this process is called in the Events it writes.
    pub instance: String,
}

/// The running lanes.
pub struct Emission {
    board: Arc<EmissionBoard>,
    settings: watch::Sender<EmitSettings>,
    ending: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl Emission {
    /// Starts telling. Returns at once.
    pub fn start(inputs: EmissionInputs) -> Self {
        let board = Arc::new(EmissionBoard::default());
        let ending = CancellationToken::new();
        let (settings, wanted) = watch::channel(inputs.settings.clone());
        let supervisor = Supervisor { board: board.clone(), inputs, ending: ending.clone(), running: BTreeMap::new() };
        let supervisor = tokio::spawn(supervisor.run(wanted));
        Self { board, settings, ending, supervisor }
    }

    /// How the telling stands.
    pub fn board(&self) -> Arc<EmissionBoard> {
        self.board.clone()
    }

    /// Puts other endpoints in force; those that stay as they are go on undisturbed.
    pub fn reconfigure(&self) -> watch::Sender<EmitSettings> {
        self.settings.clone()
    }

    /// Ends every lane and keeps where each stands. Must come before the recorder ends, which does the keeping.
    pub async fn end(self) {
        self.ending.cancel();
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "telling of incidents ended unexpectedly");
        }
    }
}

/// A lane that runs.
struct Started {
    endpoint: EndpointSettings,
    setting: Setting,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

struct Supervisor {
    inputs: EmissionInputs,
    board: Arc<EmissionBoard>,
    ending: CancellationToken,
    running: BTreeMap<String, Started>,
}

/// A lane as it is wanted.
struct Wanted {
    endpoint: EndpointSettings,
    /// The cluster of which it tells, and what it is called; all of them where it is none.
    cluster: Option<(String, ClusterId)>,
}

impl Supervisor {
    async fn run(mut self, mut wanted: watch::Receiver<EmitSettings>) {
        let (aliases_out, aliases) = watch::channel(Vec::new());
        let (news_out, news) = watch::channel(Seq(0));
        let ending = self.ending.clone();
        // Taken before any lane begins: what a lane does not read when it begins is news.
        let seen = self.inputs.journal.watermark();
        let newsman = tokio::spawn(spread_news(self.feed(None), seen, self.inputs.watermark.clone(), news_out, ending.clone()));
        while !ending.is_cancelled() {
            let settings = wanted.borrow_and_update().clone();
            let known = (self.inputs.aliases)();
            aliases_out.send_if_modified(|former| std::mem::replace(former, known.clone()) != known);
            self.bring_about(&settings, &known, &aliases, &news).await;
            tokio::select! {
                () = ending.cancelled() => {}
                changed = wanted.changed() => if changed.is_err() { ending.cancelled().await },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        let running = std::mem::take(&mut self.running);
        for (name, started) in running {
            stop(&name, started).await;
        }
        newsman.abort();
    }

    fn feed(&self, cluster: Option<ClusterId>) -> Feed {
        Feed { journal: self.inputs.journal.clone(), cluster }
    }

    async fn bring_about(
        &mut self,
        settings: &EmitSettings,
        known: &[(String, ClusterId)],
        aliases: &watch::Receiver<Vec<(String, ClusterId)>>,
        news: &watch::Receiver<Seq>,
    ) {
        let setting = Setting { external_url: settings.external_url.clone() };
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        for endpoint in &settings.endpoints {
            let name = &endpoint.name;
            match endpoint.receiver {
                Receiver::KubernetesEvents => {
                    let lanes = known.iter().map(|(alias, cluster)| {
                        let wanted = Wanted { endpoint: endpoint.clone(), cluster: Some((alias.clone(), cluster.clone())) };
                        (format!("{CONSUMER}/{name}/{cluster}"), wanted)
                    });
                    wanted.extend(lanes);
                }
                Receiver::Webhook(_) | Receiver::Alertmanager(_) | Receiver::Sentinel(_) => {
                    wanted.insert(format!("{CONSUMER}/{name}"), Wanted { endpoint: endpoint.clone(), cluster: None });
                }
            }
        }
        let is_wanted = |consumer: &String, started: &Started| {
            wanted.get(consumer).is_some_and(|wanted| wanted.endpoint == started.endpoint)
                && started.setting == setting
                && !started.task.is_finished()
        };
        let gone: Vec<String> =
            self.running.iter().filter(|(name, started)| !is_wanted(name, started)).map(|(name, _)| name.clone()).collect();
        for consumer in gone {
            if let Some(started) = self.running.remove(&consumer) {
                stop(&consumer, started).await;
            }
        }
        self.board.retain(|name| settings.endpoints.iter().any(|endpoint| endpoint.name == name));
        for (consumer, wanted) in wanted {
            if !self.running.contains_key(&consumer)
                && let Some(started) = self.begin(&consumer, wanted, &setting, aliases, news)
            {
                self.running.insert(consumer, started);
            }
        }
    }

    fn begin(
        &self,
        consumer: &str,
        wanted: Wanted,
        setting: &Setting,
        aliases: &watch::Receiver<Vec<(String, ClusterId)>>,
        news: &watch::Receiver<Seq>,
    ) -> Option<Started> {
        let endpoint = wanted.endpoint;
        let (part, cluster) = wanted.cluster.map_or((String::new(), None), |(alias, cluster)| (alias, Some(cluster)));
        let courier = match &endpoint.receiver {
            Receiver::Webhook(target) => Courier::Webhook(Sender::new(target.clone())),
            Receiver::Sentinel(target) => Courier::Sentinel(Sender::new(target.clone())),
            Receiver::Alertmanager(target) => {
                let repeat = endpoint.rules.repeat.unwrap_or(USUAL_REPEAT);
                Courier::Alertmanager { sender: Sender::new(target.clone()), repeat }
            }
            Receiver::KubernetesEvents => {
                let source = self.inputs.clusters.iter().find(|source| source.alias == part)?;
                Courier::Events { writer: EventWriter::new(source), instance: self.inputs.instance.clone() }
            }
        };
        let ending = CancellationToken::new();
        let lane = Lane {
            consumer: consumer.to_owned(),
            endpoint: endpoint.name.clone(),
            part,
            rules: endpoint.rules.clone(),
            setting: setting.clone(),
            courier: Arc::new(courier),
            feed: self.feed(cluster),
            keep: self.inputs.keep.clone(),
            clock: self.inputs.clock.clone(),
            board: self.board.clone(),
            aliases: aliases.clone(),
            news: news.clone(),
            ending: ending.clone(),
        };
        tracing::info!(endpoint = endpoint.name, part = lane.part, "an endpoint is told of incidents");
        Some(Started { endpoint, setting: setting.clone(), ending, task: tokio::spawn(lane.run()) })
    }
}

async fn stop(consumer: &str, started: Started) {
    started.ending.cancel();
    // A lane ends by itself within its own limits.
    if let Err(error) = started.task.await {
        tracing::error!(consumer, %error, "an endpoint's lane ended unexpectedly");
    }
}

/// Wakes the lanes when there is a record of an incident, and not for everything else that is recorded.
async fn spread_news(feed: Feed, mut seen: Seq, mut watermark: watch::Receiver<Seq>, news: watch::Sender<Seq>, ending: CancellationToken) {
    while !ending.is_cancelled() {
        let upto = *watermark.borrow_and_update();
        let (reading, from) = (feed.clone(), seen);
        match tokio::task::spawn_blocking(move || reading.newest_after(from)).await {
            Ok(Ok(Some(newest))) => {
                seen = upto.max(newest);
                news.send_replace(newest);
            }
            Ok(Ok(None)) => seen = upto,
            // Retention may have taken the beginning of the stretch; what is left of it has the newest.
            Ok(Err(_)) | Err(_) => {
                seen = upto;
                news.send_replace(upto);
                tokio::time::sleep(NEWS_RETRY).await;
            }
        }
        tokio::select! {
            changed = watermark.changed() => if changed.is_err() { return },
            () = ending.cancelled() => {}
        }
    }
}
