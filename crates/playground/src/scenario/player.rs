//! Plays a scenario on a playground: moves the clock from one due moment to the next and does what is due.
//!
//! Deterministic: moments are played in order, steps before controllers within one, and nothing depends on the machine's clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_model::Clock as _;
use serde_json::Value;

use super::{Action, Scenario, Step, apply};
use crate::clock::ScenarioClock;
use crate::cluster::{Target, Writer};
use crate::patch::PatchType;
use crate::remove::{DeleteOptions, Propagation};
use crate::schema::Schema;
use crate::server::{Playground, PlaygroundError, PlaygroundOptions, Shared};
use crate::status::ApiError;
use crate::tree;
use crate::world::World;

/// Manager of steps that name none.
const DEFAULT_MANAGER: &str = "kubectl-client-side-apply";
/// How often the clock moves when a scenario is played in real time.
const REAL_TIME_STEP: Duration = Duration::from_millis(100);

/// A scenario being played.
pub struct Player {
    shared: Arc<Shared>,
    clock: Arc<ScenarioClock>,
    steps: VecDeque<Step>,
    end: Timestamp,
}

impl Player {
    /// A player at the beginning of a scenario. `clock` must be the one that the playground was started with.
    pub fn new(playground: &Playground, clock: Arc<ScenarioClock>, scenario: Scenario) -> Self {
        clock.advance_to(scenario.start);
        Self { shared: playground.shared().clone(), clock, end: scenario.end(), steps: scenario.steps.into() }
    }

    /// Moment of the last step.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// True once the last step was played.
    pub fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    /// When something is to be done next, by a step or a controller; `None` once nothing more happens up to the scenario's end.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due().filter(|due| *due <= self.end)
    }

    fn due(&self) -> Option<Timestamp> {
        let controllers = self.shared.lock().next_due();
        let step = self.steps.front().map(|step| step.at);
        [controllers, step].into_iter().flatten().min().map(|due| due.max(self.clock.now()))
    }

    /// Plays everything that is due up to a moment, and leaves the clock there.
    pub fn advance_to(&mut self, to: Timestamp) -> Result<(), PlaygroundError> {
        while let Some(due) = self.due().filter(|due| *due <= to) {
            self.clock.advance_to(due);
            while let Some(step) = self.steps.pop_front_if(|step| step.at <= due) {
                self.play(&step)?;
            }
            self.shared.write(|_, _| ());
        }
        self.clock.advance_to(to);
        Ok(())
    }

    fn play(&self, step: &Step) -> Result<(), PlaygroundError> {
        let outcome = self.shared.write(|world, now| act(world, step, now));
        outcome.map_err(|refusal| PlaygroundError::Step { step: step.number, reason: refusal.message })
    }
}

/// Plays a scenario `factor` times as fast as the machine's clock runs, and keeps the controllers going after its end. Ends only on a
/// step that the API refuses; drop the future to stop.
pub async fn play_in_real_time(mut player: Player, factor: f64) -> PlaygroundError {
    let factor = if factor.is_finite() && factor > 0.0 { factor } else { 1.0 };
    let start = player.clock.now();
    let began = tokio::time::Instant::now();
    loop {
        let passed = SignedDuration::try_from_secs_f64(began.elapsed().as_secs_f64() * factor).unwrap_or(SignedDuration::MAX);
        let to = start.checked_add(passed).unwrap_or(Timestamp::MAX);
        if let Err(error) = player.advance_to(to) {
            return error;
        }
        tokio::time::sleep(REAL_TIME_STEP).await;
    }
}

/// A playground on which a scenario is being played in real time.
pub struct LivePlayground {
    /// The playground, for its address and kubeconfig.
    pub playground: Playground,
    playing: tokio::task::JoinHandle<PlaygroundError>,
}

impl LivePlayground {
    /// Starts a playground at an address and plays a scenario on it, `factor` times as fast as the machine's clock runs.
    pub async fn start(scenario: Scenario, listen: std::net::SocketAddr, factor: f64) -> Result<Self, PlaygroundError> {
        let clock = Arc::new(ScenarioClock::new(scenario.start));
        let mut options = PlaygroundOptions::new(clock.clone(), scenario.seed);
        options.listen = listen;
        let playground = Playground::start(options).await?;
        let player = Player::new(&playground, clock, scenario);
        Ok(Self { playground, playing: tokio::spawn(play_in_real_time(player, factor)) })
    }

    /// Waits until a step is refused, which ends the play; otherwise for ever.
    pub async fn failed(&mut self) -> Option<PlaygroundError> {
        (&mut self.playing).await.ok()
    }

    /// Stops playing and serving.
    pub async fn shutdown(self) {
        self.playing.abort();
        self.playground.shutdown().await;
    }
}

fn act(world: &mut World, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    let manager = step.manager.as_deref().unwrap_or(DEFAULT_MANAGER);
    let writer = Writer::component(manager, now);
    match &step.action {
        Action::Apply(config) => apply_config(world, config, step.server_side, &writer),
        Action::Patch(patch) => {
            let target = target_of(world, patch)?;
            let kind = match tree::text(patch, "/type") {
                "json" => PatchType::Json,
                "merge" => PatchType::Merge,
                "strategic" => PatchType::Strategic,
                "" if target.def.is_custom() => PatchType::Merge,
                "" => PatchType::Strategic,
                other => return Err(ApiError::bad_request(format!("unknown patch type {other:?}; json, merge or strategic is needed"))),
            };
            let change = patch.get("patch").cloned().ok_or_else(|| ApiError::bad_request("a patch step needs patch:"))?;
            world.cluster.patch(&target, kind, change, false, &writer).map(|_| ())
        }
        Action::Delete(what) => {
            let target = target_of(world, what)?;
            let propagation = match tree::text(what, "/propagation") {
                "foreground" => Propagation::Foreground,
                "orphan" => Propagation::Orphan,
                "" | "background" => Propagation::Background,
                other => {
                    return Err(ApiError::bad_request(format!(
                        "unknown propagation {other:?}; background, foreground or orphan is needed"
                    )));
                }
            };
            let options = DeleteOptions { grace_seconds: tree::number(what, "/graceSeconds"), propagation, ..DeleteOptions::default() };
            world.cluster.delete(&target, &options, &writer).map(|_| ())
        }
        Action::Event(event) => world.scripted_event(event, now),
        Action::Behaviour(behaviour) => world.behave(behaviour, now),
        Action::Tick => Ok(()),
    }
}

/// The object that a step names by `apiVersion`, `kind`, `namespace`, `name`.
fn target_of(world: &World, what: &Value) -> Result<Target, ApiError> {
    let (api_version, kind) = (tree::text(what, "/apiVersion"), tree::text(what, "/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let def = world.cluster.registry.by_kind(group, kind).filter(|def| def.versions.iter().any(|served| served == version));
    let def = def.cloned().ok_or_else(|| ApiError::bad_request(format!("no kind {kind:?} is served in {api_version:?}")))?;
    let subresource = tree::text(what, "/subresource").to_owned();
    let namespace = match tree::text(what, "/namespace") {
        "" if def.namespaced => "default",
        namespace => namespace,
    };
    Ok(Target {
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        name: tree::text(what, "/name").to_owned(),
        subresource,
        def,
    })
}

fn apply_config(world: &mut World, config: &Value, server_side: bool, writer: &Writer) -> Result<(), ApiError> {
    let mut named = config.clone();
    for field in ["namespace", "name"] {
        tree::put(&mut named, &[field], tree::text(config, &format!("/metadata/{field}")).to_owned());
    }
    let target = target_of(world, &named)?;
    if server_side {
        return world.cluster.patch(&target, PatchType::Apply, config.clone(), true, writer).map(|_| ());
    }
    let annotated = apply::annotated(config);
    let Some(existing) = world.cluster.store.get(&target.def.table, &target.key()).cloned() else {
        return world.cluster.create(&target, annotated, writer).map(|_| ());
    };
    let pointer = format!("/metadata/annotations/{}", apply::LAST_APPLIED.replace('/', "~1"));
    let last = serde_json::from_str(tree::text(existing.value(), &pointer)).unwrap_or(Value::Null);
    let patch = apply::patch(&last, &annotated, Schema::of(&target.def, &target.version));
    let kind = if target.def.is_custom() { PatchType::Merge } else { PatchType::Strategic };
    world.cluster.patch(&target, kind, patch, false, writer).map(|_| ())
}
