//! Rounds of faults on a real control plane that is recorded by the real binary while it changes; the judge has the last word.
//!
//! The churn goes to the API server itself, the recorder through a [`FaultProxy`]. Nothing is judged while things change: after the last
//! round the churn ends, the recorder gets time to arrive, is ended in good order, and then everything is held against etcd.

mod fault;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use proreus_store::{Journal, SqliteJournal};
use proreus_testkit::{Churn, ChurnOptions, ChurnReport, ControlPlane, ControlPlaneOptions, FaultProxy, Witness};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::judge::{Case, Depth, Durable, Verdict, WitnessTruth, judge};
use crate::recorder_process::{RecorderOptions, RecorderProcess};
use fault::{Act, plan};

// After a long outage of the API server the recorder's own retries are up to half a minute apart, and a custom type is looked for again
// within a minute.
const ARRIVES_WITHIN: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_secs(2);
// The churn is ended by hand; this only bounds a run that hangs.
const CHURN_LIMIT: Duration = Duration::from_secs(24 * 3600);
// Events must outlive a run, so that none expires unseen on its way.
const EVENT_TTL: Duration = Duration::from_secs(24 * 3600);
// Objects of the recorded cluster that only the rounds touch.
const REBORN: &str = "reborn";

/// What to do, and how hard.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// Rounds.
    pub rounds: u32,
    /// Whether anything breaks in them.
    pub faults: Faults,
    /// Decides the faults and the churn.
    pub seed: u64,
    /// Writes a second.
    pub changes_per_second: f64,
    /// Least length of a round.
    pub round: Duration,
    /// Nodes in the population.
    pub nodes: usize,
    /// Pods in the population.
    pub pods: usize,
    /// Where the journal is kept; it must not hold one yet.
    pub data_dir: PathBuf,
    /// The binary.
    pub proreus: PathBuf,
}

/// Whether anything breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// One to three faults a round, by the seed.
    Seeded,
    /// Nothing breaks: the rounds only let time pass.
    None,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ChaosReport {
    /// The judge's verdict.
    pub verdict: Verdict,
    /// What the churn did.
    pub churn: ChurnReport,
    /// Times that the recorder was killed or ended.
    pub restarts: usize,
    /// Whether each SIGTERM ended the recorder with exit code 0 within ten seconds.
    pub ended_in_good_order: bool,
    /// Highest `VmHWM` of the recorder in bytes.
    pub peak_bytes: u64,
    /// From the end of the churn until everything had arrived.
    pub arrived_after: Duration,
}

/// The bench of one run.
struct Stage {
    plane: ControlPlane,
    proxy: FaultProxy,
    witness: Witness,
    recorder: RecorderProcess,
    durable: Vec<Durable>,
    ended_in_good_order: bool,
}

/// Runs the rounds and judges. `say` gets a line a round.
///
/// # Errors
/// When the bench itself fails; what the recorder did wrong is in the report.
pub async fn run(options: &ChaosOptions, mut say: impl FnMut(&str)) -> Result<ChaosReport> {
    let (mut stage, churn) = Stage::set(options).await?;
    let (stop, running) = start_churn(churn);
    for round in 1..=options.rounds {
        let acts = match options.faults {
            Faults::Seeded => plan(options.seed, round),
            Faults::None => Vec::new(),
        };
        let begun = Instant::now();
        let from = stage.plane.revision().await?;
        for act in &acts {
            stage.act(*act).await.with_context(|| format!("round {round}, `{act}`"))?;
        }
        tokio::time::sleep(options.round.saturating_sub(begun.elapsed())).await;
        let to = stage.plane.revision().await?;
        let told: Vec<String> = acts.iter().map(ToString::to_string).collect();
        say(&format!(
            "round {round}: revisions {from}..{to}, watermark {}, {:.0} s: {}",
            stage.recorder.watermark(),
            begun.elapsed().as_secs_f64(),
            told.join(", ")
        ));
    }
    drop(stop);
    let churn = running.await.context("the churn ended unexpectedly")?;
    stage.judge(churn).await
}

fn start_churn(mut churn: Churn) -> (oneshot::Sender<()>, JoinHandle<ChurnReport>) {
    let (stop, stopped) = oneshot::channel::<()>();
    (stop, tokio::spawn(async move { churn.run_until(async { drop(stopped.await) }).await }))
}

impl Stage {
    async fn set(options: &ChaosOptions) -> Result<(Self, Churn)> {
        let plane = ControlPlane::start(ControlPlaneOptions { event_ttl: EVENT_TTL, ..ControlPlaneOptions::full() }).await?;
        let witness = Witness::start(plane.etcd_url())?;
        let proxy = FaultProxy::start(plane.apiserver_port())?;
        let churn = ChurnOptions {
            seed: options.seed,
            nodes: options.nodes,
            pods: options.pods,
            changes_per_second: options.changes_per_second,
            duration: CHURN_LIMIT,
            ..ChurnOptions::default()
        };
        let churn = Churn::new(plane.kubeconfig(), churn).await?;
        churn.populate(|_| {}).await?;
        let recorder = RecorderProcess::start(RecorderOptions {
            program: options.proreus.clone(),
            kubeconfig: plane.kubeconfig_for("admin", proxy.port())?,
            data_dir: options.data_dir.clone(),
            log: options.data_dir.with_extension("log"),
            arguments: Vec::new(),
        })
        .await?;
        Ok((Self { plane, proxy, witness, recorder, durable: Vec::new(), ended_in_good_order: true }, churn))
    }

    async fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::KillRecorder => {
                if self.recorder.is_running() {
                    self.durable.push(self.recorder.kill()?);
                }
            }
            Act::EndRecorder => {
                if self.recorder.is_running() {
                    self.ended_in_good_order &= self.recorder.terminate().await;
                    self.durable.push(self.recorder.durable()?);
                }
            }
            Act::StartRecorder => self.recorder.start_again().await?,
            Act::KillApiserver => self.plane.kill_apiserver(),
            Act::StopApiserver => drop(self.plane.stop_apiserver().await),
            Act::StartApiserver => self.plane.start_apiserver().await?,
            Act::Compact => {
                // What the witness has not seen must not be forgotten.
                self.witness.catch_up().await?;
                self.plane.compact_etcd().await?;
            }
            Act::Stall => self.proxy.stall()?,
            Act::Cut => self.proxy.cut()?,
            Act::Refuse => self.proxy.refuse()?,
            Act::Forward => self.proxy.forward()?,
            Act::Rebirth => self.rebirth().await,
            Act::Pause(length) => tokio::time::sleep(length).await,
        }
        Ok(())
    }

    /// Deletes an object and makes it again under its name, and turns another's existence over. While the API server is away this does
    /// nothing.
    async fn rebirth(&self) {
        let kubectl = async |args: &[&str]| {
            let args: Vec<&str> = args.iter().copied().chain(["--request-timeout=5s"]).collect();
            self.plane.kubectl(&args).await.is_ok()
        };
        kubectl(&["delete", "configmap", REBORN, "--ignore-not-found"]).await;
        kubectl(&["create", "configmap", REBORN, "--from-literal=life=next"]).await;
        if !kubectl(&["delete", "configmap", "coming-and-going"]).await {
            kubectl(&["create", "configmap", "coming-and-going"]).await;
        }
    }

    /// Waits until the recorder has everything, ends it and judges.
    async fn judge(mut self, churn: ChurnReport) -> Result<ChaosReport> {
        let until = self.witness.catch_up().await?;
        let begun = Instant::now();
        while begun.elapsed() < ARRIVES_WITHIN {
            let verdict = self.look(until, Depth::Positions).await?;
            if verdict.violations.is_empty() || !verdict.may_heal() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let arrived_after = begun.elapsed();
        self.ended_in_good_order &= self.recorder.terminate().await;
        self.durable.push(self.recorder.durable()?);
        let verdict = self.look(until, Depth::Bodies).await?;
        Ok(ChaosReport {
            verdict,
            churn,
            restarts: self.durable.len(),
            ended_in_good_order: self.ended_in_good_order,
            peak_bytes: self.recorder.peak_bytes(),
            arrived_after,
        })
    }

    async fn look(&self, until: u64, depth: Depth) -> Result<Verdict> {
        let journal = SqliteJournal::open_read_only(self.recorder.data_dir()).context("failed to open the journal to read")?;
        let last = journal.watermark();
        self.witness.catch_up().await?;
        let truth = WitnessTruth::of(&self.witness);
        judge(&Case { journal: &journal, last, truth: &truth, until, durable: &self.durable }, depth).context("failed to ask the journal")
    }
}
