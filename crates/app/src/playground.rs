//! The playground alone: a small Kubernetes API for `kubectl`, in which a scenario is played in real time, faster or slower.

use std::net::SocketAddr;
use std::sync::Arc;

use proreus_playground::{Player, Playground, PlaygroundError, PlaygroundOptions, Scenario, ScenarioClock, play_in_real_time};

use crate::demo::{DemoError, PROVISIONING, SHOP};

/// How a playground is run.
pub struct PlaygroundInputs {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Seconds of the scenario in a second of ours.
    pub speed: f64,
    /// The story.
    pub scenario: Scenario,
}

/// A playground whose story goes on.
pub struct RunningPlayground {
    playground: Playground,
    player: Option<Player>,
    speed: f64,
}

/// The story of a text, or the demo's own: the shop, and beside it a cluster that is being made. With other names and uids where a seed is
/// given.
///
/// # Errors
/// A text that is no scenario.
pub fn scenario(text: Option<&str>, seed: Option<u64>) -> Result<Scenario, DemoError> {
    let mut scenario = match text {
        Some(text) => Scenario::parse(text)?,
        None => Scenario::parse(SHOP)?.beside(Scenario::parse(PROVISIONING)?),
    };
    scenario.seed = seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

impl RunningPlayground {
    /// Listens; the story begins with `play`.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub async fn start(inputs: PlaygroundInputs) -> Result<Self, DemoError> {
        let clock = Arc::new(ScenarioClock::new(inputs.scenario.start));
        let options = PlaygroundOptions { listen: inputs.listen, ..PlaygroundOptions::new(clock.clone(), inputs.scenario.seed) };
        let playground = Playground::start(options).await?;
        let player = Some(Player::new(&playground, clock, inputs.scenario));
        Ok(Self { playground, player, speed: inputs.speed })
    }

    /// Its base address.
    pub fn url(&self) -> String {
        self.playground.url()
    }

    /// A kubeconfig for it.
    pub fn kubeconfig(&self) -> String {
        self.playground.kubeconfig()
    }

    /// Plays the story and keeps the controllers going after its end. Ends on a step that the API refuses only; drop it to stop.
    ///
    /// # Errors
    /// Always: the refused step.
    pub async fn play(&mut self) -> Result<std::convert::Infallible, DemoError> {
        match self.player.take() {
            Some(player) => Err(play_in_real_time(player, self.speed).await.into()),
            None => Err(DemoError::Playground(PlaygroundError::Scenario { reason: "the story was told already".to_owned() })),
        }
    }

    /// Stops listening and waits for open requests.
    pub async fn shutdown(self) {
        self.playground.shutdown().await;
    }
}
